"""Tests of mlm.hub.space.files: a Space has the files that its page needs, and no others."""

import ast
import logging
import re
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import yaml
from huggingface_hub import SpaceCard

from mlm.hub.pull import BUNDLED_FOLDER
from mlm.hub.source_files import source_files
from mlm.hub.space import files as space_files
from mlm.hub.space.files import (
    SpaceModel,
    copied_files,
    lay_out,
    licence_file,
    pinned_versions,
)
from mlm.hub.space.settings import HARDWARE
from tests.support.places import ROOT

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HUB_MODEL = SpaceModel("me/reviews", COMMIT, ("config.json", "model.safetensors"))
PACKAGES = {"huggingface_hub": "huggingface-hub", "ml_dtypes": "ml-dtypes", "yaml": "PyYAML"}
PACKAGES["ai_edge_litert"] = "ai-edge-litert"
PACKAGES["tensorflow"] = "tensorflow-cpu"  # half the size, and no Space of ours has a GPU
OF_GRADIO = {"starlette"}  # installed with gradio
NEVER_IMPORTED = {"jax"}  # the page has the other backend, TensorFlow


def page_files() -> dict[str, set[str]]:
    return source_files(space_files.PAGE)


def other_libraries() -> set[str]:
    """Return the libraries that the page's code imports beyond the standard library."""
    return set().union(*page_files().values()) - sys.stdlib_module_names


def test_the_code_is_what_the_page_imports():
    """Every module that a page has loaded once it has answered is sent, and few others."""
    program = (
        f"import sys\nimport {space_files.PAGE}\n"
        "from mlm.backend.startup import load_backend\nload_backend()\n"
        "from mlm.playground.page import build_playground, launch_options\n"
        "from mlm.inference.fill_mask import FillMask\nfill = FillMask.from_pretrained('demo')\n"
        "FillMask.from_pretrained('demo', engine='keras')('a [MASK]')\n"
        "from mlm.inference.classifier import Classifier\n"
        "Classifier.from_pretrained('demo', engine='keras')('a film')\n"
        "build_playground([fill]), launch_options(), fill('a [MASK]'), fill.score('a film')\n"
        "print(*(n for n in sys.modules if n.split('.')[0] == 'mlm'))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    sent = {re.sub(r"(/__init__)?\.py$", "", name).replace("/", ".") for name in page_files()}
    assert loaded <= sent
    assert len(sent - loaded) < 6


@pytest.mark.parametrize(
    "left", ["mlm/training/trainer.py", "mlm/data/texts/cleaning.py", "mlm/hub/local/server.py"]
)
def test_the_training_half_stays_at_home(left):
    assert (ROOT / left).is_file() and left not in page_files()


def test_the_app_is_what_the_project_itself_runs(tmp_path):
    def statements(path: Path) -> list[str]:
        body = ast.parse(path.read_text(encoding="utf-8")).body
        return [ast.dump(statement) for statement in body[1:]]  # without the docstring

    files = lay_out(tmp_path, [SpaceModel("demo")], HARDWARE[0])
    assert statements(files["app.py"]) == statements(ROOT / "app.py")
    assert len(statements(ROOT / "app.py")) == 2


def test_what_is_copied_belongs_to_the_project():
    copied = copied_files(with_demo=True)
    assert {
        "LICENSE",
        "mlm/playground/serve.py",
        "mlm/playground/static/page.js",
        "mlm/playground/static/style.css",
    } <= {*copied}
    assert all(name == "LICENSE" or name.startswith("mlm/") for name in copied)
    assert {name: path for name, path in copied.items() if path != ROOT / name} == {}
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    tracked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode == 0:
        assert set(copied) <= set(tracked.stdout.splitlines())


def test_the_bundled_model_goes_only_where_it_answers():
    with_demo, without = set(copied_files(with_demo=True)), set(copied_files(with_demo=False))
    bundled = BUNDLED_FOLDER.relative_to(ROOT).as_posix()
    assert f"{bundled}/model.safetensors" in with_demo - without
    assert all(name.startswith(bundled) for name in with_demo - without)


def test_a_space_comes_from_the_package_alone(tmp_path):
    """Outside the checkout, as where the package is installed, the files are the same."""
    package, space = tmp_path / "site-packages", tmp_path / "space"
    package.mkdir()
    (package / "mlm").symlink_to(ROOT / "mlm")
    program = (
        "import pathlib, sys\nfrom mlm.hub.space.files import SpaceModel, lay_out\n"
        "lay_out(pathlib.Path(sys.argv[1]), [SpaceModel('demo')], 'cpu-basic')"
    )
    command = [sys.executable, "-c", program, str(space)]
    done = subprocess.run(command, cwd=package, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    expected = lay_out(tmp_path / "expected", [SpaceModel("demo")], "cpu-basic")
    for name in expected.keys() - {"LICENSE"}:
        assert (space / name).read_bytes() == expected[name].read_bytes(), name


def test_the_licence_comes_from_the_installed_package_without_a_checkout(tmp_path, monkeypatch):
    package = tmp_path / "site-packages"
    metadata = package / "mlm-0.1.0.dist-info"
    (metadata / "licenses").mkdir(parents=True)
    (metadata / "licenses" / "LICENSE").write_text("Apache")
    (metadata / "METADATA").write_text("Metadata-Version: 2.4\nName: mlm\nVersion: 0.1.0\n")
    (metadata / "RECORD").write_text("mlm-0.1.0.dist-info/licenses/LICENSE,,\n")
    (package / "LICENSE").write_text("of another package")
    monkeypatch.setattr(space_files, "PACKAGE_ROOT", package)
    monkeypatch.syspath_prepend(str(package))
    assert licence_file() == metadata / "licenses" / "LICENSE"


def test_a_space_without_a_licence_is_said_to_have_none(monkeypatch, caplog):
    monkeypatch.setattr(space_files, "licence_file", lambda: None)
    with caplog.at_level(logging.WARNING):
        assert "LICENSE" not in copied_files(with_demo=False)
    assert "the Space gets no LICENSE" in caplog.text


def test_the_requirements_are_what_the_page_imports():
    imported = other_libraries() - OF_GRADIO - NEVER_IMPORTED
    assert {PACKAGES.get(name, name) for name in imported} == pinned_versions().keys()


def test_every_version_is_one_that_the_project_allows():
    packaging = pytest.importorskip("packaging.requirements")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = chain.from_iterable(project["optional-dependencies"].values())
    allowed = {}
    for wanted in map(packaging.Requirement, chain(project["dependencies"], extras)):
        allowed.setdefault(wanted.name, wanted.specifier)
    for name, version in pinned_versions().items():
        assert version in allowed[name.removesuffix("-cpu")], name


def test_every_line_of_the_requirements_pins():
    lines = space_files.REQUIREMENTS.read_text().splitlines()
    assert len(pinned_versions()) == len([line for line in lines if not line.startswith("#")])


def test_the_front_matter_is_what_the_hub_asks_for(tmp_path):
    models = [HUB_MODEL, SpaceModel("demo")]
    lay_out(tmp_path, models, "cpu-upgrade")
    card = SpaceCard.load(tmp_path / "README.md").data.to_dict()
    assert card["sdk"] == "gradio" and card["sdk_version"] == pinned_versions()["gradio"]
    assert card["python_version"] == space_files.PYTHON_VERSION == "3.12"
    assert (tmp_path / card["app_file"]).is_file()
    assert card["models"] == ["me/reviews"]
    assert card["preload_from_hub"] == [f"me/reviews config.json,model.safetensors {COMMIT}"]
    assert card["suggested_hardware"] == "cpu-upgrade"
    assert len(card["short_description"]) <= space_files.LONGEST_DESCRIPTION
    assert card["colorFrom"] in ("green", "blue") and card["title"]


def test_what_only_a_token_reads_is_not_fetched_by_the_build():
    matter = space_files.front_matter([SpaceModel("me/closed", COMMIT)], HARDWARE[0])
    assert matter["models"] == ["me/closed"]
    assert "preload_from_hub" not in matter


def test_a_space_of_the_bundled_model_names_none_on_the_hub():
    matter = space_files.front_matter([SpaceModel("demo")], HARDWARE[0])
    assert not {"models", "preload_from_hub"} & matter.keys()
    assert "among these files" in space_files.readme([SpaceModel("demo")], HARDWARE[0])


def test_visitors_sign_in_where_they_may_choose(tmp_path):
    matter = space_files.front_matter([HUB_MODEL], HARDWARE[0])
    assert not [key for key in matter if key.startswith("hf_oauth")]
    files = lay_out(tmp_path, [HUB_MODEL], HARDWARE[0], sign_in=True)
    assert "hf_oauth: true\nhf_oauth_scopes:\n- read-repos\n" in files["README.md"].read_text(
        "utf-8"
    )
    assert "gradio[oauth]==" in files["requirements.txt"].read_text("utf-8")


def test_a_python_version_is_text_in_the_yaml():
    """3.10 as a number would be 3.1."""
    text = space_files.readme([HUB_MODEL], HARDWARE[0]).split("---")[1]
    assert isinstance(yaml.safe_load(text)["python_version"], str)


def test_the_files_are_laid_out_as_they_are_sent(tmp_path):
    files = lay_out(tmp_path, [SpaceModel("demo")], HARDWARE[0])
    assert set(files) == {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.*")} | {
        "LICENSE"
    }
    assert files["requirements.txt"].read_bytes() == space_files.REQUIREMENTS.read_bytes()


def test_the_container_has_what_a_space_has():
    """The Dockerfile is read, not built: its Python, its requirements, its files."""
    recipe = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert f"FROM python:{space_files.PYTHON_VERSION}-slim" in recipe
    requirements = space_files.REQUIREMENTS.relative_to(ROOT).as_posix()
    assert f"COPY {requirements} requirements.txt" in recipe
    assert "USER page" in recipe and "Not tested here" in recipe
    copied = {"app.py", "LICENSE", "mlm"}
    assert "COPY LICENSE app.py ./" in recipe and "COPY mlm mlm" in recipe
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {f"!{name}" for name in copied} <= set(ignored) and ignored[0] == "*"
    left = [line for line in ignored if line.startswith("mlm/")]
    assert not [n for n in copied_files(with_demo=True) for line in left if n.startswith(line)]
