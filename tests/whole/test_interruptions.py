"""A run killed by SIGKILL again and again ends exactly as an uninterrupted run does."""

import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from mlm.hub.local import LocalHub
from tests.support.labelled_texts import labelled_texts, write_csv
from tests.support.places import SUPPORT
from tests.support.sweeps import slow

PROGRAM = SUPPORT / "interrupted_run.py"
SHAPE = "hidden_size=32,num_hidden_layers=1,num_attention_heads=2,intermediate_size=48"
STEP, SAVE = "mlm.data.batches.masked_batches.MaskedBatches.batch_at", "os.fsync"
RENAME, PRUNE = "pathlib.Path.replace", "shutil.rmtree"
EVALUATION = "mlm.data.batches.evaluation_batches.EvaluationBatches.__getitem__"
TOKEN = "hf_of_the_interrupted_run"
COMMIT = "huggingface_hub.HfApi.create_commit"


def moments() -> list[list]:
    """Return the moments of the kills; PYTEST_SEED draws those inside steps and saves."""
    draw = random.Random(os.environ.get("PYTEST_SEED", "20"))
    inside_steps = [[STEP, draw.randint(1, 9), "during", draw.random() * 0.05] for _ in range(6)]
    inside_saves = [[SAVE, draw.randint(1, 12), "before", 0] for _ in range(4)]
    return [
        ["mlm.training.preparation.build_token_store", 1, "after", 0],
        [EVALUATION, 1, "before", 0],
        *inside_steps[:3],
        [RENAME, 1, "before", 0],
        *inside_saves[:2],
        [RENAME, 2, "after", 0],
        [PRUNE, 1, "before", 0],
        *inside_steps[3:],
        [EVALUATION, 3, "after", 0],
        *inside_saves[2:],
        ["mlm.training.masked_lm.save_checkpoint", 1, "before", 0],
        ["mlm.checkpoint.folder.save_tokenizer", 1, "after", 0],
        [COMMIT, 1, "before", 0],
        [COMMIT, 1, "after", 0],
    ]


def one_moment() -> list[list]:
    """Return a moment inside a save."""
    return [next(each for each in moments() if each[0] == SAVE)]


def run(*runs: tuple[dict, list]) -> list:
    """Return [moment, exit code] of each attempt of each (settings, moments); -9 is SIGKILL."""
    done = subprocess.run(
        [sys.executable, str(PROGRAM), json.dumps(runs)],
        stdout=subprocess.PIPE,
        check=True,
        timeout=850,
    )
    return json.loads(done.stdout)


def hashes(output: Path) -> dict[str, str]:
    """Return the sha256 of the weights and of the last state's model and optimizer."""
    last = max((output / "state").glob("step-*"))
    files = [output / "model.safetensors", *sorted(last.glob("*.safetensors"))]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files} | {
        "step": last.name
    }


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with LocalHub(tmp_path / "hub", token=TOKEN) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
        yield server


@pytest.mark.timeout(900)  # up to 22 trainings
@pytest.mark.parametrize("killed_at", [one_moment(), slow(moments())], ids=["once", "twenty times"])
def test_a_killed_run_ends_as_an_uninterrupted_one(hub, small_corpus, tmp_path, killed_at):
    settings = {
        "train_file": [str(small_corpus)],
        "model_type": "bert",  # has dropout
        "config_overrides": SHAPE,
        "vocab_size": 160,
        "max_seq_length": 24,
        "line_by_line": True,
        "group_by_length": True,
        "per_device_train_batch_size": 8,
        "max_steps": 60,
        "logging_steps": 7,
        "eval_steps": 10,
        "save_steps": 4,
        "learning_rate": 1e-3,
        "precision": "fp32",
        "push_to_hub": True,
    }
    uninterrupted = {"output_dir": str(tmp_path / "straight"), "hub_model_id": "me/straight"}
    killed = {"output_dir": str(tmp_path / "killed"), "hub_model_id": "me/killed"}
    whole, attempts = run((settings | uninterrupted, []), (settings | killed, killed_at))
    assert whole == [[None, 0]]
    assert [code for _, code in attempts] == [-9] * len(killed_at) + [0], attempts
    assert hashes(tmp_path / "killed") == hashes(tmp_path / "straight")
    records = [
        json.loads((tmp_path / name / "training.json").read_text(encoding="utf-8"))
        for name in ("killed", "straight")
    ]
    for key in ("loss_curve", "validation_curve", "metrics", "steps"):
        assert records[0][key] == records[1][key]
    print(f"killed {len(killed_at)} times; both ended with {hashes(tmp_path / 'killed')}")


EXAMPLES = "mlm.data.examples.example_batches.ExampleBatches.batch_at"


@pytest.mark.timeout(900)  # seven trainings
@pytest.mark.slow
def test_a_killed_fine_tuning_ends_as_an_uninterrupted_one(tiny_bert_folder, tmp_path):
    settings = {
        "train_file": [str(write_csv(tmp_path / "a.csv", ("text", "label"), labelled_texts()))],
        "label_column_name": "label",
        "model_name_or_path": str(tiny_bert_folder),  # has dropout
        "max_seq_length": 48,
        "per_device_train_batch_size": 8,
        "validation_split_percentage": 25,
        "layerwise_lr_decay": 0.8,
        "max_steps": 24,
        "logging_steps": 7,
        "eval_steps": 6,
        "save_steps": 4,
        "learning_rate": 1e-3,
        "precision": "fp32",
        "load_best_model_at_end": True,
        "metric_name": "accuracy",
    }
    killed_at = [
        [EXAMPLES, 3, "during", 0.01],
        [SAVE, 5, "before", 0],
        [EXAMPLES, 7, "before", 0],
        [RENAME, 2, "after", 0],
        ["mlm.finetuning.job.save_checkpoint", 1, "before", 0],
    ]
    outputs = {name: {"output_dir": str(tmp_path / name)} for name in ("straight", "killed")}
    whole, attempts = run(
        (settings | outputs["straight"], []), (settings | outputs["killed"], killed_at)
    )
    assert whole == [[None, 0]]
    assert [code for _, code in attempts] == [-9] * len(killed_at) + [0], attempts
    assert hashes(tmp_path / "killed") == hashes(tmp_path / "straight")
    records = [
        json.loads((tmp_path / name / "training.json").read_text(encoding="utf-8"))
        for name in ("killed", "straight")
    ]
    for key in ("loss_curve", "validation_curve", "metrics", "steps", "best_step"):
        assert records[0][key] == records[1][key]
