"""The examples of README.md for programs, run as they stand there but for the address."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from mlm.inference.fill_mask import FillMask
from tests.support.fake_checkpoint import fake_checkpoint
from tests.support.places import ROOT

pytest_plugins = ["tests.support.served_page"]
README = ROOT / "README.md"
SENTENCE = "I have watched this [MASK]."


def example(language: str, url: str) -> str:
    """The example in a language, asking the page under test."""
    section = README.read_text(encoding="utf-8").split("## The page, for programs")[1]
    block = re.search(f"```{language}\n(.*?)```", section, re.S)[1]
    assert "http://127.0.0.1:7860" in block
    return block.replace("http://127.0.0.1:7860", url)


@pytest.fixture(scope="module")
def expected() -> list[dict]:
    return FillMask(fake_checkpoint(), "me/fake")(SENTENCE, 5)


def test_python(pages, expected):
    lines = example("python", pages.single).strip().splitlines()
    calls = [line for line in lines if line.startswith("client.")]
    before = [line for line in lines if line not in calls]
    program = "\n".join(["import json", *before, f"print(json.dumps([{', '.join(calls)}]))"])
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    words, comparison, score, batch = json.loads(done.stdout.splitlines()[-1])
    assert words == batch[0] == expected
    assert [set(mask) for mask in comparison] == [{"rose", "fell"}]
    assert score["perplexity"] > 1


@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl on this machine")
def test_curl(pages, expected):
    program = example("sh", pages.single)
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("event: complete")
    assert json.loads(done.stdout.split("data: ")[1])[0] == expected
