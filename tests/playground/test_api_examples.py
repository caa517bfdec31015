"""docs/api.md's examples for programs, run as they are except for the address."""

import json
import shutil
import subprocess
import sys

import pytest

from mlm.inference.fill_mask import FillMask
from tests.support.api_examples import example
from tests.support.fake_checkpoint import fake_checkpoint

pytest_plugins = ["tests.support.served_page"]
SENTENCE = "I have watched this [MASK]."


@pytest.fixture(scope="module")
def best_words() -> list[dict]:
    return FillMask(fake_checkpoint(), "me/fake")(SENTENCE, 5)


def test_python(pages, best_words):
    lines = example("python", pages.single).strip().splitlines()
    calls = [line for line in lines if line.startswith("client.")]
    before = [line for line in lines if line not in calls]
    program = "\n".join(["import json", *before, f"print(json.dumps([{', '.join(calls)}]))"])
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    words, comparison, score, batch = json.loads(done.stdout.splitlines()[-1])
    assert words == batch[0] == best_words
    assert [set(mask) for mask in comparison] == [{"rose", "fell"}]
    assert score["perplexity"] > 1


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl(pages, best_words):
    program = example("sh", pages.single)
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("event: complete")
    assert json.loads(done.stdout.split("data: ")[1])[0] == best_words
