"""Refusals, and the recognition of a finished run, before TensorFlow is loaded."""

import json
import shlex
import subprocess
import sys

import numpy as np
import pytest

from mlm.checkpoint.run_state import write_state
from mlm.data.texts.text_files import file_identity
from mlm.errors import ConfigError, CorpusError
from mlm.training import first_checks
from mlm.training.config import TrainingConfig
from mlm.training.first_checks import check_first, finished_record
from mlm.training.run_lock import LOCK, run_lock
from tests.support.places import ROOT

FIGURES = {"loss": 3.0, "perplexity": 20.1, "top1": 0.4, "top5": 0.6, "num_tokens": 900}
PROGRAM = """
import shlex, sys
from mlm.commands.main import main
for line in sys.stdin:
    try:
        code = main(shlex.split(line))
    except SystemExit as ended:
        code = ended.code
    loaded = [name for name in ("tensorflow", "keras", "transformers") if name in sys.modules]
    print("ended with", code, "having loaded", loaded, flush=True)
"""


def config_of(corpus, output, **changes) -> TrainingConfig:
    settings = {"train_file": [str(corpus)], "output_dir": str(output), "max_steps": 60}
    return TrainingConfig.from_dict(settings | {"model_name_or_path": "demo"} | changes)


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.csv"
    path.write_text("text\nA film.\nAnother film.\n", encoding="utf-8")
    return path


@pytest.fixture
def finished(texts, tmp_path):
    """The folder of a finished run, as far as it is read before TensorFlow is loaded."""
    output = tmp_path / "finished"
    output.mkdir()
    (output / "model.safetensors").write_bytes(b"weights")
    record = {
        "config": config_of(texts, output).to_public_dict(),
        "corpus": {"made_from": {"sources": {"train": [file_identity(str(texts))]}}},
        "metrics": {"before": FIGURES, "after": FIGURES | {"loss": 2.5, "perplexity": 12.2}},
        "steps": 60,
    }
    (output / "training.json").write_text(json.dumps(record), encoding="utf-8")
    return output


@pytest.fixture
def interrupted(tmp_path):
    """The folder of a run with a state at step 5 of 12."""
    output = tmp_path / "interrupted"
    arrays = {name: {"00000": np.zeros(2, np.float32)} for name in ("model", "optimizer")}
    run = {"step": 5, "total_steps": 12}
    run["config"] = {"model_name_or_path": "demo", "max_steps": 60}
    write_state(output / "state", arrays, run, keep=2)
    return output


@pytest.fixture
def locked(tmp_path):
    """The folder in which a run is training."""
    with run_lock(tmp_path / "locked"):
        yield tmp_path / "locked"


def test_neither_tensorflow_nor_transformers_is_loaded_for_a_refusal(
    texts, finished, interrupted, locked
):
    given = f"train --train_file {shlex.quote(str(texts))} --model_name_or_path"
    refusals = {
        "train": "no text file was given",
        "train --help": "usage: mlm",
        "train --max_step 3": "unrecognized arguments: --max_step",
        f"{given} demo --learning_rate -1": "--learning_rate is -1.0",
        "train --train_file no/such.csv": "no/such.csv: no such file",
        f"{given} no/such/folder": "'no/such/folder' is neither a folder here nor a Hub id",
        f"{given} demo --add_words_file no.txt": "no.txt",
        f"{given} demo --push_to_hub --hub_model_id me/x": "no token",
        f"{given} demo --output_dir {finished} --seed 7": "--seed was 42",
        f"{given} demo --output_dir {finished} --max_steps 60": "finished already",
        f"{given} demo --output_dir {interrupted} --overwrite_output_dir": "--discard_state",
        f"{given} demo --output_dir {interrupted} --max_steps 61": "--max_steps was 60 when",
        f"{given} demo --output_dir {locked}": "another run is training in",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input="\n".join(refusals),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        cwd=ROOT,
        env={"PATH": "", "HF_HUB_OFFLINE": "0", "HF_HOME": str(finished), "PYTHONUNBUFFERED": "1"},
    )
    parts = done.stdout.split("having loaded ")
    ends = [part.splitlines()[0] for part in parts[1:]]
    assert ends == ["[]"] * len(refusals), done.stdout
    codes = [part.rstrip().rsplit(" ", 1)[1] for part in parts[:-1]]
    assert codes == ["0" if "help" in each or "steps 60" in each else "2" for each in refusals]
    for part, said in zip(parts, refusals.values(), strict=False):
        assert said in " ".join(part.split())


def test_the_same_command_finds_its_finished_run(texts, finished):
    record = finished_record(config_of(texts, finished))
    assert record is not None and record["steps"] == 60
    moved = texts.with_name("elsewhere") / texts.name
    moved.parent.mkdir()
    moved.write_bytes(texts.read_bytes())
    assert finished_record(config_of(moved, finished)) is not None


@pytest.mark.parametrize(
    "changes", [{"seed": 7}, {"overwrite_output_dir": True}, {"model_name_or_path": None}]
)
def test_another_run_is_not_the_finished_one(texts, finished, changes):
    assert finished_record(config_of(texts, finished, **changes)) is None


def test_other_texts_are_another_run(texts, finished):
    texts.write_text("text\nA film.\nAnother book.\n", encoding="utf-8")  # of the same size
    assert finished_record(config_of(texts, finished)) is None
    with pytest.raises(ConfigError, match="holds a finished checkpoint; give another"):
        check_first(config_of(texts, finished), print)


def test_settings_that_differ_from_those_of_the_finished_run_are_named(texts, finished):
    with pytest.raises(ConfigError, match=r"of another run \(--max_steps was 60, --seed was 42\)"):
        check_first(config_of(texts, finished, max_steps=61, seed=1), print)


def test_a_state_is_not_deleted_unasked(texts, interrupted):
    with pytest.raises(ConfigError, match=r"at step 5 of 12; leave .* or add --discard_state"):
        check_first(config_of(texts, interrupted, overwrite_output_dir=True), print)
    check_first(config_of(texts, interrupted, overwrite_output_dir=True, discard_state=True), print)
    check_first(config_of(texts, interrupted), print)
    assert (interrupted / "state" / "step-00000005").is_dir()


def test_a_dry_run_disturbs_no_run_and_a_killed_one_locks_nothing(texts, locked, tmp_path):
    check_first(config_of(texts, locked, dry_run=True))
    killed = tmp_path / "killed"
    killed.mkdir()
    (killed / LOCK).touch()
    check_first(config_of(texts, killed))


def test_a_state_of_another_run_is_refused_but_for_one_that_starts_again(texts, interrupted):
    check_first(config_of(texts, interrupted, save_steps=7))
    with pytest.raises(ConfigError, match="--max_steps was 60 when this run was saved and is 9"):
        check_first(config_of(texts, interrupted, max_steps=9))
    check_first(config_of(texts, interrupted, max_steps=9, discard_state=True))


def test_nor_is_one_on_the_hub(texts, tmp_path, monkeypatch):
    monkeypatch.setattr(first_checks.hub, "check_push", lambda *names, **options: "me/x")
    monkeypatch.setattr(first_checks.hub, "newest_step", lambda repo_id: 500)
    there = {"hub_model_id": "me/x", "resume_from_hub": True, "overwrite_output_dir": True}
    with pytest.raises(ConfigError, match=r"the branch of me/x .* at step 500"):
        check_first(config_of(texts, tmp_path / "run", **there), print)
    check_first(config_of(texts, tmp_path / "run", **there, discard_state=True), print)


def test_an_output_that_cannot_be_a_folder_is_refused(texts):
    with pytest.raises(ConfigError, match="is not a folder; choose another --output_dir"):
        check_first(config_of(texts, texts / "run"), print)


def test_a_missing_validation_file_is_named(texts, tmp_path):
    with pytest.raises(CorpusError, match=r"held_out\.csv: no such file"):
        check_first(config_of(texts, tmp_path / "run", validation_file=["held_out.csv"]), print)
