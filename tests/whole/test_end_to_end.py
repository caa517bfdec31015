"""The main job as a user runs it: train, interrupt, resume, publish, pull, answer."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from mlm.hub.local import LocalHub
from mlm.inference.fill_mask import FillMask
from tests.support.places import ROOT
from tests.support.sweeps import slow

TOKEN = "hf_of_the_end_to_end_test"
REPO = "me/small_reviews"
SENTENCE = "I watched this [MASK] film."

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload:DeprecationWarning")


@pytest.fixture
def hub_environment(tmp_path):
    """Run a Hub on loopback; return the environment of a process that uses it."""
    with LocalHub(tmp_path / "hub", token=TOKEN) as hub:
        yield os.environ | {
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": TOKEN,
            "HF_HUB_CACHE": str(tmp_path / "cache"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_OFFLINE": "0",
            "PYTHONUNBUFFERED": "1",
        }


def command(corpus: Path, output: Path, *more: str) -> list[str]:
    settings = {
        "train_file": corpus,
        "output_dir": output,
        "model_type": "bert",
        "config_overrides": "hidden_size=16,num_hidden_layers=1,num_attention_heads=2,"
        "intermediate_size=32",
        "vocab_size": 96,
        "max_seq_length": 24,
        "per_device_train_batch_size": 8,
        "validation_split_percentage": 10,
        "max_steps": 120,
        "eval_steps": 10,
        "precision": "fp32",
    }
    words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    return [sys.executable, str(ROOT / "scripts" / "train.py"), *words, *more]


def interrupt_at(process: subprocess.Popen, text: str) -> str:
    """Read the output of a process up to a text, send it Ctrl-C, and return the rest."""
    for line in process.stdout:
        if text in line:
            process.send_signal(signal.SIGINT)
            break
    else:
        pytest.fail(f"the process ended without printing {text!r}")
    return process.communicate(timeout=120)[0]


def test_train_interrupt_resume_publish_pull_answer(
    small_corpus, tmp_path, hub_environment, monkeypatch
):
    publishing = ("--push_to_hub", "--hub_model_id", REPO, "--hub_tag", "v1")
    publishing += ("--license", "mit", "--language", "en", "--dataset_tags", "me/texts")
    run = command(small_corpus, tmp_path / "run", *publishing)
    process = subprocess.Popen(
        run, env=hub_environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    rest = interrupt_at(process, "step 10: masked-token perplexity")
    assert process.returncode == 3
    assert "to resume: python" in rest

    again = subprocess.run(
        run, env=hub_environment, text=True, capture_output=True, timeout=240, check=False
    )
    assert again.returncode == 0, again.stderr
    assert "resuming from step" in again.stdout
    said = " ".join(again.stdout.split())  # its lines have 80 columns
    assert re.search(rf"published {REPO} at commit [0-9a-f]{{12}}, tag v1: ", said)
    assert TOKEN not in again.stdout + again.stderr
    assert (
        f"the checkpoint will be pushed to {REPO}, which does not exist yet and will be public: "
        "anyone can read it a model can recite what it was trained on"
    ) in said
    assert said.count("recite") == 1

    for name in ("HF_ENDPOINT", "HF_TOKEN", "HF_HUB_CACHE"):
        monkeypatch.setenv(name, hub_environment[name])
    pulled = FillMask.from_pretrained(REPO)
    assert pulled.revision is not None
    by_revision = FillMask.from_pretrained(REPO, "v1")
    assert (by_revision.revision, by_revision.licence) == (pulled.revision, "mit")
    local = FillMask.from_pretrained(tmp_path / "run")
    assert pulled(SENTENCE) == by_revision(SENTENCE) == local(SENTENCE)
    assert pulled(SENTENCE)[0]["sequence"].startswith("I watched this")
    check_card(pulled.checkpoint.folder)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in files if TOKEN.encode() in path.read_bytes()] == []


def check_card(folder: Path) -> None:
    """Check the card and the picture that were published with the weights."""
    card = ModelCard.load(folder / "README.md")
    assert (card.data.language, card.data.datasets) == (["en"], ["me/texts"])
    assert {result.metric_type for result in card.data.eval_results} >= {"perplexity", "accuracy"}
    assert card.data.get("widget")[0]["output"]
    assert f'pipeline("fill-mask", model="{REPO}")' in card.text
    assert "(loss_curve.svg)" in card.text and (folder / "loss_curve.svg").is_file()
    for section in ("Examples", "Figures", "Limits and biases", "Data", "Recipe", "Run"):
        assert f"## {section}\n" in card.text


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (("--train_file", "no/such.csv"), 2, "no/such.csv"),
        (("--learning_rate", "fast"), 2, "--learning_rate"),
        slow(("--push_to_hub", "--hub_model_id", REPO), 2, "token"),
    ],
)
def test_bad_arguments_give_exit_code_2_and_one_line(
    more, code, message, small_corpus, tmp_path, hub_environment
):
    environment = {k: v for k, v in hub_environment.items() if k != "HF_TOKEN"}
    environment["HF_HOME"] = str(tmp_path / "home")  # without a login
    ended = subprocess.run(
        command(small_corpus, tmp_path / "run", *more),
        env=environment,
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == code
    assert message in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "run" / "model.safetensors").exists()
