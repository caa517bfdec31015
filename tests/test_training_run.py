"""A run beyond the plain one: an early stop, the best weights, parts, limits, a dry run."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import HfApi, close_session, constants

from mlm import masking, training_run
from mlm.batches import MaskedBatches
from mlm.config import TrainingConfig
from mlm.errors import ConfigError, CorpusError, HubError, TrainingError
from mlm.local_hub import LocalHub
from mlm.trainer import TrainingStopped, rehearse, train
from mlm.training_state import newest_state
from mlm.watching import StopRequest

ROOT = Path(__file__).resolve().parent.parent
TOKEN = "hf_of_the_training_run_test"
SHAPE = "hidden_size=32,num_hidden_layers=2,num_attention_heads=2,intermediate_size=48"


def config_for(corpus, output, **changes) -> TrainingConfig:
    settings = {
        "train_file": [str(corpus)],
        "output_dir": str(output),
        "config_overrides": SHAPE,
        "vocab_size": 160,
        "max_seq_length": 24,
        "line_by_line": True,
        "per_device_train_batch_size": 16,
        "validation_split_percentage": 10,
        "max_steps": 12,
        "learning_rate": 5e-3,
        "logging_steps": 3,
        "eval_steps": 4,
        "save_steps": 5,
        "precision": "fp32",
    }
    if "model_name_or_path" in changes:
        settings |= {"config_overrides": None}
    return TrainingConfig.from_dict(settings | changes)


def run(corpus, output, lines=None, **changes):
    lines = [] if lines is None else lines
    return train(config_for(corpus, output, **changes), report=lines.append)


def weights(result) -> bytes:
    return (result.folder / "model.safetensors").read_bytes()


def test_parts_of_a_batch_make_the_step_of_the_whole(small_corpus, tmp_path):
    whole = run(small_corpus, tmp_path / "whole", per_device_train_batch_size=16)
    parts = run(
        small_corpus,
        tmp_path / "parts",
        per_device_train_batch_size=4,
        gradient_accumulation_steps=4,
    )
    for curve in ("loss_curve", "validation_curve"):
        np.testing.assert_allclose(parts.training[curve], whole.training[curve], atol=1e-4)


def test_an_early_stop_ends_well(small_corpus, tmp_path):
    lines: list[str] = []
    result = run(
        small_corpus,
        tmp_path / "run",
        lines,
        learning_rate=0.0,
        eval_steps=2,
        early_stopping_patience=3,
        max_steps=100,
    )
    # With no learning nothing is ever lower than the loss before the first step.
    assert result.training["steps"] == 6
    assert [step for step, _ in result.training["validation_curve"]] == [0, 2, 4, 6]
    assert result.after.loss == result.before.loss


def test_the_best_weights_are_kept(small_corpus, tmp_path):
    changes = {"max_steps": 40, "eval_steps": 5, "learning_rate": 0.05, "save_steps": 1000}
    changes |= {"lr_scheduler_type": "constant"}
    last = run(small_corpus, tmp_path / "last", **changes)
    best = run(small_corpus, tmp_path / "best", load_best_model_at_end=True, **changes)
    losses = dict(map(tuple, best.training["validation_curve"]))
    assert losses == dict(map(tuple, last.training["validation_curve"]))
    best_step = min(losses, key=losses.get)
    assert best_step < 40  # such a learning rate makes it worse in the end
    assert best.training["best_step"] == best_step
    assert round(best.after.loss, 5) == losses[best_step] < round(last.after.loss, 5)
    assert not (best.folder / "state").exists()


def test_the_clock_ends_a_run_in_order(small_corpus, tmp_path, monkeypatch):
    late = iter([False] * 6 + [True] * 1000)
    monkeypatch.setattr(StopRequest, "is_late", lambda self: next(late))
    with pytest.raises(TrainingStopped) as stop:
        run(small_corpus, tmp_path / "run", max_train_minutes=5)
    assert 0 < stop.value.step < 12
    assert newest_state(tmp_path / "run" / "state").step == stop.value.step
    monkeypatch.undo()
    resumed = run(small_corpus, tmp_path / "run")
    straight = run(small_corpus, tmp_path / "straight")
    assert weights(resumed) == weights(straight)
    assert resumed.training["loss_curve"] == straight.training["loss_curve"]


def test_no_clock_jump_stops_a_run(monkeypatch):
    stop = StopRequest(minutes=1.0)
    monkeypatch.setattr(training_run.time, "time", lambda: 1e12)
    assert not stop.is_set()
    stop.reserve = 61.0
    assert stop.is_set()


def test_two_signals_are_as_good_as_one(small_corpus, tmp_path):
    def interrupt(line):
        if line.startswith("step 4"):
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(TrainingStopped):
        train(config_for(small_corpus, tmp_path / "run"), report=interrupt)
    resumed = run(small_corpus, tmp_path / "run")
    straight = run(small_corpus, tmp_path / "straight")
    assert weights(resumed) == weights(straight)
    assert resumed.training["loss_curve"] == straight.training["loss_curve"]


@pytest.fixture
def poisoned(monkeypatch):
    """poisoned(steps): the weights of these steps' batches hold a NaN."""
    batch_at = MaskedBatches.batch_at

    def poison(steps):
        def poisoned_batch(self, step):
            inputs, labels, weights = batch_at(self, step)
            if step in steps:
                weights[0, 0] = np.nan
            return inputs, labels, weights

        monkeypatch.setattr(MaskedBatches, "batch_at", poisoned_batch)

    return poison


def test_a_poisoned_batch_ends_the_run_and_names_the_step(small_corpus, tmp_path, poisoned):
    poisoned({7})
    with pytest.raises(TrainingError, match=r"not finite at step 8; lower --learning_rate"):
        run(small_corpus, tmp_path / "run")
    state = newest_state(tmp_path / "run" / "state")
    assert state.step == 5
    from safetensors.numpy import load_file

    for name in ("model", "optimizer"):
        for value in load_file(state.folder / f"{name}.safetensors").values():
            assert np.isfinite(value).all()


def test_so_many_bad_steps_are_passed_over(small_corpus, tmp_path, poisoned):
    poisoned({2, 7})
    lines: list[str] = []
    result = run(small_corpus, tmp_path / "run", lines, skip_bad_steps=2)
    assert result.training["skipped_steps"] == 2
    assert sum("passed over" in line for line in lines) == 2
    assert all(np.isfinite(loss) for _, loss in result.training["loss_curve"])
    with pytest.raises(TrainingError, match="at step 8"):
        run(small_corpus, tmp_path / "other", skip_bad_steps=1)


def test_a_dry_run_says_what_would_be_and_writes_nothing(small_corpus, tmp_path):
    lines: list[str] = []
    rehearse(config_for(small_corpus, tmp_path / "run", dry_run=True), report=lines.append)
    said = "\n".join(lines)
    for part in ("384 rows read", "12 steps of 16 x 24 tokens", "tokens/s", "GiB", "would stay in"):
        assert part in said
    assert not (tmp_path / "run").exists()


def test_frozen_layers_stay_as_they_are(small_corpus, tmp_path, tiny_bert_folder):
    from mlm.checkpoint import read_checkpoint
    from mlm.weights import variables_by_name

    result = run(
        small_corpus, tmp_path / "run", model_name_or_path=str(tiny_bert_folder), freeze_layers=1
    )
    before, after = (
        {name: value.numpy() for name, value in variables_by_name(model).items()}
        for model in (read_checkpoint(f).model for f in (tiny_bert_folder, result.folder))
    )
    same = {name.split("/")[0] for name in before if np.array_equal(before[name], after[name])}
    moved = {name.split("/")[0] for name in before if not np.array_equal(before[name], after[name])}
    assert same == {"embeddings", "layer_0"}
    assert moved == {"layer_1", "head"}
    with pytest.raises(ConfigError, match="this model has 2 layers"):
        run(
            small_corpus, tmp_path / "no", model_name_or_path=str(tiny_bert_folder), freeze_layers=3
        )


def test_the_curves_go_to_tensorboard(small_corpus, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = run(small_corpus, tmp_path / "run", report_to="tensorboard")
    events = EventAccumulator(str(tmp_path / "run" / "logs"))
    events.Reload()
    logged = [[event.step, round(event.value, 4)] for event in events.Scalars("train/loss")]
    assert logged == [[step, round(loss, 4)] for step, loss in result.training["loss_curve"]]
    assert [event.step for event in events.Scalars("validation/loss")] == [4, 8]


def test_words_of_the_domain_are_learnt(small_corpus, tmp_path, tiny_bert_folder):
    words = tmp_path / "words.txt"
    words.write_text("# dishes\nrambutan\nkimchi\n", encoding="utf-8")
    result = run(
        small_corpus,
        tmp_path / "run",
        model_name_or_path=str(tiny_bert_folder),
        add_words_file=str(words),
    )
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(result.folder)
    assert tokenizer.tokenize("A rambutan!")[1] == "rambutan"


DEVICES_PROGRAM = """
import json, os, sys
sys.path.insert(0, {root!r})
os.environ |= {{"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}}
import tensorflow as tf
count = int(sys.argv[1])
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * count
)
from mlm.config import TrainingConfig
from mlm.trainer import TrainingStopped, rehearse, train
import signal
config = TrainingConfig.from_dict(json.loads(sys.argv[2]))
def report(line):
    if line.startswith("step 4") and sys.argv[3] == "stop":
        os.kill(os.getpid(), signal.SIGTERM)
try:
    train(config, report=report)
except TrainingStopped as stopped:
    print(stopped.step)
"""


def test_a_run_goes_on_with_another_number_of_devices(small_corpus, tmp_path):
    def devices(count: int, config: TrainingConfig, end: str) -> None:
        program = DEVICES_PROGRAM.format(root=str(ROOT))
        settings = json.dumps(dataclasses.asdict(config))
        subprocess.run(
            [sys.executable, "-c", program, str(count), settings, end],
            check=True,
            timeout=120,
            stderr=subprocess.DEVNULL,
        )

    changes = {"per_device_train_batch_size": 8}
    devices(2, config_for(small_corpus, tmp_path / "changed", **changes), "stop")
    assert newest_state(tmp_path / "changed" / "state").run["global_batch_size"] == 16
    changed = run(small_corpus, tmp_path / "changed", **changes)
    straight = run(small_corpus, tmp_path / "straight", per_device_train_batch_size=16)
    for curve in ("loss_curve", "validation_curve"):
        steps, losses = zip(*changed.training[curve], strict=True)
        expected_steps, expected = zip(*straight.training[curve], strict=True)
        assert steps == expected_steps
        np.testing.assert_allclose(losses, expected, atol=2e-5)  # curves have five decimals


def test_masking_options_reach_the_batches(small_corpus, tmp_path, monkeypatch):
    rates = []
    mask_tokens = masking.mask_tokens

    def noted(*arguments, **options):
        rates.append(round(options["mlm_probability"], 6))
        return mask_tokens(*arguments, **options)

    monkeypatch.setattr("mlm.batches.mask_tokens", noted)
    run(
        small_corpus,
        tmp_path / "run",
        mlm_probability=0.3,
        final_mlm_probability=0.1,
        max_steps=5,
        eval_steps=100,
        save_steps=100,
    )
    assert set(rates) == {0.3, 0.25, 0.2, 0.15, 0.1}  # 0.15 is that of the evaluation too


def test_a_full_disk_ends_the_run_with_the_last_good_state_named(small_corpus, tmp_path):
    settings = config_for(small_corpus, tmp_path / "run", save_steps=2)
    program = (
        f"import json, resource, sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from mlm.config import TrainingConfig\n"
        "from mlm.errors import TrainingError\n"
        "from mlm.trainer import train\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "def report(line):\n"
        "    if line.startswith('step 4'):\n"
        "        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))\n"
        "try:\n"
        "    train(TrainingConfig.from_dict(json.loads(sys.argv[1])), report=report)\n"
        "except TrainingError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(dataclasses.asdict(settings))],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "cannot save the state" in done.stdout, done.stderr[-500:]
    assert "the last good state is" in done.stdout
    assert newest_state(tmp_path / "run" / "state").step == 2


def test_texts_that_changed_meanwhile_are_noticed(small_corpus, tmp_path):
    corpus = tmp_path / "texts.csv"
    corpus.write_bytes(small_corpus.read_bytes())

    def change(line):
        if line.startswith("step 4"):
            corpus.write_text(corpus.read_text(encoding="utf-8") + '900,"One more."\n')
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(TrainingStopped):  # the run itself reads its own copy
        train(config_for(corpus, tmp_path / "run"), report=change)
    with pytest.raises(ConfigError, match="the texts or the tokenizer have changed"):
        run(corpus, tmp_path / "run")


def test_overwriting_begins_anew_only_when_all_is_well(small_corpus, tmp_path):
    def interrupt(line):
        if line.startswith("step 4"):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(TrainingStopped):
        train(config_for(small_corpus, tmp_path / "run"), report=interrupt)
    anew = {"overwrite_output_dir": True}
    with pytest.raises(CorpusError):
        run("no/such.csv", tmp_path / "run", **anew)
    assert newest_state(tmp_path / "run" / "state") is not None
    lines: list[str] = []
    run(small_corpus, tmp_path / "run", lines, **anew)
    assert not any("going on" in line for line in lines)


def test_a_signal_while_the_run_ends_loses_nothing(small_corpus, tmp_path):
    def interrupt(line):
        if line.startswith("after"):
            os.kill(os.getpid(), signal.SIGTERM)

    config = config_for(small_corpus, tmp_path / "run")
    with pytest.raises(TrainingStopped) as stop:
        train(config, report=interrupt)
    assert stop.value.step == 12
    lines: list[str] = []
    result = train(config, report=lines.append)
    assert any("going on from step 12" in line for line in lines)
    assert weights(result) == weights(run(small_corpus, tmp_path / "straight"))


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A Hub on loopback that this process knows, and the names of a repository on it."""
    with LocalHub(tmp_path / "hub", token=TOKEN) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        yield server
        close_session()


@pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload:DeprecationWarning")
def test_a_run_goes_on_where_there_is_nothing_but_the_repository(small_corpus, tmp_path, hub):
    there = {
        "hub_model_id": "me/adapted",
        "push_to_hub": True,
        "resume_from_hub": True,
        "hub_state_minutes": 0.0,
    }

    def interrupt(line):
        if line.startswith("step 8"):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(TrainingStopped) as stop:
        train(config_for(small_corpus, tmp_path / "one", **there), report=interrupt)
    lines: list[str] = []
    resumed = run(small_corpus, tmp_path / "another", lines, **there)
    assert any(f"going on from step {stop.value.step}" in line for line in lines)
    straight = run(small_corpus, tmp_path / "straight")
    assert weights(resumed) == weights(straight)
    assert resumed.training["loss_curve"] == straight.training["loss_curve"]
    branches = HfApi(endpoint=hub.url).list_repo_refs("me/adapted").branches
    assert [branch.name for branch in branches] == ["main"]  # the state is no longer needed
    assert resumed.published.repo_id == "me/adapted"


@pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload:DeprecationWarning")
def test_a_state_that_cannot_be_pushed_stops_nothing(small_corpus, tmp_path, hub, monkeypatch):
    def refuse(*arguments, **options):
        raise HubError("could not push: the Hub answered 503")

    monkeypatch.setattr("mlm.state_pusher.push_state", refuse)
    lines: list[str] = []
    there = {"hub_model_id": "me/adapted", "resume_from_hub": True, "hub_state_minutes": 0.0}
    result = run(small_corpus, tmp_path / "run", lines, **there)
    assert result.training["steps"] == 12
    assert any("could not push the state of step" in line for line in lines)
