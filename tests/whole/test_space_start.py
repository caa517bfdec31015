"""The files of a Space, and no others, started as a Space starts them: they answer.

`make test-space` sets MLM_SPACE_PYTHON to a Python that has only the Space's requirements, which
tests those too.
"""

import subprocess
import sys

import pytest
import yaml
from gradio_client import Client

from mlm.hub import push_checkpoint
from mlm.hub.space.deploy import space_models
from mlm.hub.space.files import PYTHON_VERSION, lay_out, pinned_versions
from mlm.hub.space.settings import HARDWARE, space_variables
from tests.support.served_hub import Plan, api, served_hub
from tests.support.started_space import BOUND, PYTHON, started_space

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload:DeprecationWarning")
SENTENCE = "I have watched this [MASK] and it was awesome."


@pytest.fixture(scope="module")
def space(tmp_path_factory, tiny_checkpoint_folder):
    """A Space of the bundled model and of one on the Hub; the Hub is stopped after the build."""
    root = tmp_path_factory.mktemp("space-start")
    with pytest.MonkeyPatch.context() as patch, served_hub(root, patch, Plan()):
        push_checkpoint(tiny_checkpoint_folder, "me/reviews")
        models = space_models("demo,me/reviews")
        lay_out(root / "app", models, HARDWARE[0])
        preload(root)
        variables = space_variables([model.name for model in models], [])
    (root / "beside" / "home").mkdir(parents=True)
    (root / "cache-of-the-build").rename(root / "beside" / "home" / ".cache")
    with started_space(root / "app", root / "beside", variables) as started:
        yield started


def preload(root) -> None:
    """Do what a Space's build does for preload_from_hub: `hf download`, without a token."""
    front = (root / "app" / "README.md").read_text(encoding="utf-8").split("---")[1]
    for each in yaml.safe_load(front)["preload_from_hub"]:
        repo_id, files, commit = each.split()
        cache = root / "cache-of-the-build" / "huggingface" / "hub"
        for name in files.split(","):
            api().hf_hub_download(repo_id, name, revision=commit, cache_dir=cache, token=False)


def test_it_answers_within_a_minute_of_its_start(space):
    space.wait_until_there()
    page_after = space.seconds()
    client = Client(space.url, verbose=False)
    words = client.submit(SENTENCE, 5, api_name="/fill_mask").result(timeout=space.time_left())
    took = space.seconds()
    print(f"\nPage after {page_after:.1f} s, first answer after {took:.1f} s, with {PYTHON}.")
    assert "film" in [word["token_str"].strip() for word in words]
    assert took < BOUND
    rises = client.predict("He works as a [MASK].", "She is a [MASK].", 3, api_name="/compare")
    assert set(rises[0]) == {"rose", "fell"}


def test_it_asks_for_nothing_beyond_its_machine(space):
    """Not even for the model, which its cache has at the commit that MLM_MODEL names."""
    space.wait_until_there()
    Client(space.url, verbose=False).predict(SENTENCE, 5, api_name="/fill_mask")
    assert space.hosts_tried() == []
    assert space.process.poll() is None
    assert not [line for line in space.log().splitlines() if line.startswith("error:")]


def test_the_python_is_the_one_that_the_readme_names():
    """Checked only with MLM_SPACE_PYTHON."""
    if sys.executable == PYTHON:
        pytest.skip("the tests' own Python serves; make test-space has the Space's")
    program = "import sys; print(*sys.version_info[:2], sep='.')"
    done = subprocess.run([PYTHON, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == PYTHON_VERSION
    program = "import gradio; print(gradio.__version__)"
    done = subprocess.run([PYTHON, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == pinned_versions()["gradio"]
