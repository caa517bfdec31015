"""A run beyond the plain one: an early stop, the best weights, parts, limits, a dry run."""

import dataclasses
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import HfApi, close_session, constants

from mlm.checkpoint.run_state import newest_state
from mlm.data.batches import masking
from mlm.data.batches.masked_batches import MaskedBatches
from mlm.errors import ConfigError, CorpusError, HubError, TrainingError
from mlm.evaluation import evaluator
from mlm.evaluation.evaluator import count_batch
from mlm.hub.local import LocalHub
from mlm.training import run as training_run
from mlm.training import trainer
from mlm.training.config import TrainingConfig
from mlm.training.event_log import EventLog
from mlm.training.progress import StepCounter
from mlm.training.run import evaluations_after
from mlm.training.run_lock import run_lock
from mlm.training.state import pusher as state_pusher
from mlm.training.state import writer as state_writer
from mlm.training.stopping import STOPPING, StopRequest, stop_on_signals
from mlm.training.trainer import TrainingStopped, rehearse, train
from tests.support.places import ROOT
from tests.support.sweeps import slow

TOKEN = "hf_of_the_training_run_test"
SHAPE = "hidden_size=32,num_hidden_layers=1,num_attention_heads=2,intermediate_size=48"


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
        settings |= {"config_overrides": None, "vocab_size": TrainingConfig.vocab_size}
    return TrainingConfig.from_dict(settings | changes)


def run(corpus, output, lines=None, **changes):
    lines = [] if lines is None else lines
    return train(config_for(corpus, output, **changes), report=lines.append)


def weights(result) -> bytes:
    return (result.folder / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def straight(small_corpus, tmp_path_factory):
    """The plain run, to which nothing happened."""
    return run(small_corpus, tmp_path_factory.mktemp("straight") / "run")


def test_parts_of_a_batch_make_the_step_of_the_whole(straight, small_corpus, tmp_path):
    parts = run(
        small_corpus,
        tmp_path / "parts",
        per_device_train_batch_size=4,
        gradient_accumulation_steps=4,
    )
    for curve in ("loss_curve", "validation_curve"):
        np.testing.assert_allclose(parts.training[curve], straight.training[curve], atol=1e-4)


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
    ended = "ended at step 6 of 100: no gain on held-out texts in 3 evaluations"
    assert [line.startswith(ended) for line in lines].count(True) == 1


def test_the_best_weights_are_kept(small_corpus, tmp_path):
    changes = {"max_steps": 40, "eval_steps": 5, "learning_rate": 0.2, "save_steps": 1000}
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


def test_the_clock_ends_a_run_in_order(straight, small_corpus, tmp_path, monkeypatch):
    late = iter([False] * 6 + [True] * 1000)
    monkeypatch.setattr(StopRequest, "is_late", lambda self: next(late))
    with pytest.raises(TrainingStopped) as stop:
        run(small_corpus, tmp_path / "run", max_train_minutes=5)
    assert 0 < stop.value.step < 12
    assert newest_state(tmp_path / "run" / "state").step == stop.value.step
    monkeypatch.undo()
    resumed = run(small_corpus, tmp_path / "run")
    assert weights(resumed) == weights(straight)
    assert resumed.training["loss_curve"] == straight.training["loss_curve"]


def note_saves(monkeypatch, saved: list[int]) -> None:
    """Add the step of each saved state to `saved`."""
    save = state_writer.StateWriter.save

    def noted(self, arrays, run):
        saved.append(run["step"])
        save(self, arrays, run)

    monkeypatch.setattr(state_writer.StateWriter, "save", noted)


def test_states_are_saved_by_the_clock_too(straight, small_corpus, tmp_path, monkeypatch):
    saved: list[int] = []
    note_saves(monkeypatch, saved)
    each = run(small_corpus, tmp_path / "each", save_minutes=1e-9)
    assert saved == [*range(1, 12), 12]
    assert weights(each) == weights(straight)
    assert each.training["loss_curve"] == straight.training["loss_curve"]


@pytest.mark.slow
def test_without_the_clock_states_are_saved_by_steps(small_corpus, tmp_path, monkeypatch):
    saved: list[int] = []
    note_saves(monkeypatch, saved)
    run(small_corpus, tmp_path / "run", save_minutes=0.0)
    assert saved == [5, 10, 12]


def test_the_evaluations_to_come_are_counted():
    assert [evaluations_after(step, 12, 4) for step in (0, 3, 4, 8, 11)] == [3, 3, 2, 1, 1]
    assert evaluations_after(0, 12, 500) == 1


def test_a_run_without_a_state_says_that_it_begins_anew(small_corpus, tmp_path, monkeypatch):
    def killed(*arguments, **named):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "TrainingRun", killed)
        with pytest.raises(KeyboardInterrupt):
            run(small_corpus, tmp_path / "run")
    lines: list[str] = []
    run(small_corpus, tmp_path / "run", lines)
    assert lines[0] == f"no state to resume in {tmp_path / 'run'}: starting at step 0"


def test_no_clock_jump_stops_a_run(monkeypatch):
    stop = StopRequest(minutes=1.0)
    monkeypatch.setattr(training_run.time, "time", lambda: 1e12)
    assert not stop.is_set()
    stop.reserve = 61.0
    assert stop.is_set()


def test_two_signals_are_as_good_as_one(straight, small_corpus, tmp_path):
    def interrupt(line):
        if line.startswith("step 4"):
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(TrainingStopped):
        train(config_for(small_corpus, tmp_path / "run"), report=interrupt)
    resumed = run(small_corpus, tmp_path / "run")
    assert weights(resumed) == weights(straight)
    assert resumed.training["loss_curve"] == straight.training["loss_curve"]


@pytest.mark.parametrize(("evaluation", "step"), [(0, 0), slow(1, 4)])
def test_a_signal_ends_an_evaluation_and_the_resumed_run_repeats_it(
    straight, small_corpus, tmp_path, monkeypatch, evaluation, step
):
    batches_seen: list[int] = []

    def interrupt(bar):
        count_batch(bar)
        batches_seen.append(bar.total)
        if len(batches_seen) == evaluation * bar.total + 2:
            os.kill(os.getpid(), signal.SIGTERM)

    lines: list[str] = []
    with monkeypatch.context() as patch, pytest.raises(TrainingStopped) as stop:
        patch.setattr(evaluator, "count_batch", interrupt)
        run(small_corpus, tmp_path / "run", lines, per_device_eval_batch_size=2)
    assert stop.value.step == step == newest_state(tmp_path / "run" / "state").step
    assert len(batches_seen) < (evaluation + 1) * batches_seen[0]
    assert lines.count(STOPPING) == 1
    resumed = run(small_corpus, tmp_path / "run")
    assert weights(resumed) == weights(straight)
    assert resumed.training["loss_curve"] == straight.training["loss_curve"]
    assert [at for at, _ in resumed.training["validation_curve"]] == [0, 4, 8, 12]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")
@pytest.mark.parametrize(("before", "is_asked"), [(signal.SIG_DFL, True), (signal.SIG_IGN, False)])
def test_a_terminal_that_closes_stops_a_run_in_order_unless_it_is_ignored(before, is_asked):
    stop, lines = StopRequest(), []
    usual = signal.signal(signal.SIGHUP, before)
    try:
        with stop_on_signals(stop, lines.append):
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == before
    finally:
        signal.signal(signal.SIGHUP, usual)
    assert stop.is_asked() == is_asked


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
    assert sum("skipped" in line for line in lines) == 2
    assert all(np.isfinite(loss) for _, loss in result.training["loss_curve"])
    with pytest.raises(TrainingError, match="at step 8"):
        run(small_corpus, tmp_path / "other", skip_bad_steps=1)


def test_a_dry_run_says_what_would_be_and_writes_nothing(small_corpus, tmp_path):
    lines: list[str] = []
    rehearse(config_for(small_corpus, tmp_path / "run", dry_run=True), report=lines.append)
    said = "\n".join(lines)
    steps = "12 steps of 16 x at most 24 tokens"
    samples = "10 of the texts as the model sees them:"
    for part in ("384 rows read", samples, steps, "tokens/s", "GiB", "would stay in"):
        assert part in said
    line = re.search(r"about \S+ (?:s|min): 12 steps of \S+ s, 4 evaluations of \S+ s, .*", said)
    assert line and line[0].endswith("s of compiling")
    assert not (tmp_path / "run").exists()


def test_frozen_layers_stay_as_they_are(small_corpus, tmp_path, tiny_bert_folder):
    from mlm.checkpoint.folder import read_checkpoint
    from mlm.checkpoint.weights import variables_by_name

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


def test_the_curves_go_to_tensorboard(small_corpus, tmp_path, caplog):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = run(small_corpus, tmp_path / "run", report_to="tensorboard")
    events = EventAccumulator(str(tmp_path / "run" / "logs"))
    events.Reload()
    logged = events.Scalars("train/loss")
    steps, losses = zip(*result.training["loss_curve"], strict=True)
    assert tuple(event.step for event in logged) == steps
    assert [event.value for event in logged] == pytest.approx(losses, abs=1e-5)
    assert [event.step for event in events.Scalars("validation/loss")] == [0, 4, 8, 12]
    assert [r for r in caplog.records if "stopped writing" in r.getMessage()] == []


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
from mlm.training.config import TrainingConfig
from mlm.training.trainer import TrainingStopped, rehearse, train
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


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_devices(straight, small_corpus, tmp_path):
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

    monkeypatch.setattr("mlm.data.batches.masked_batches.mask_tokens", noted)
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
        "from mlm.training.config import TrainingConfig\n"
        "from mlm.errors import TrainingError\n"
        "from mlm.training.trainer import train\n"
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
    anew = {"overwrite_output_dir": True, "discard_state": True}
    with pytest.raises(CorpusError):
        run("no/such.csv", tmp_path / "run", **anew)
    with pytest.raises(ConfigError, match="positions for 512"):  # known when all is read
        run(small_corpus, tmp_path / "run", max_seq_length=9999, model_name_or_path="demo", **anew)
    assert newest_state(tmp_path / "run" / "state") is not None
    lines: list[str] = []
    run(small_corpus, tmp_path / "run", lines, **anew)
    assert not any("resum" in line for line in lines)
    assert any("starting again: the states in" in line for line in lines)


def test_a_signal_while_the_run_ends_loses_nothing(straight, small_corpus, tmp_path):
    def interrupt(line):
        if line.startswith("after"):
            os.kill(os.getpid(), signal.SIGTERM)

    config = config_for(small_corpus, tmp_path / "run")
    with pytest.raises(TrainingStopped) as stop:
        train(config, report=interrupt)
    assert stop.value.step == 12
    lines: list[str] = []
    result = train(config, report=lines.append)
    assert any("resuming from step 12" in line for line in lines)
    assert weights(result) == weights(straight)


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
def test_a_run_goes_on_where_there_is_nothing_but_the_repository(
    straight, small_corpus, tmp_path, hub
):
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
    assert any(f"resuming from step {stop.value.step}" in line for line in lines)
    assert weights(resumed) == weights(straight)
    assert resumed.training["loss_curve"] == straight.training["loss_curve"]
    branches = HfApi(endpoint=hub.url).list_repo_refs("me/adapted").branches
    assert [branch.name for branch in branches] == ["main"]  # the state is no longer needed
    assert resumed.published.repo_id == "me/adapted"


@pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload:DeprecationWarning")
def test_a_state_that_cannot_be_pushed_stops_nothing(small_corpus, tmp_path, hub, monkeypatch):
    def refuse(*arguments, **options):
        raise HubError("could not push: the Hub answered 503")

    monkeypatch.setattr("mlm.training.state.pusher.push_state", refuse)
    lines: list[str] = []
    there = {"hub_model_id": "me/adapted", "resume_from_hub": True, "hub_state_minutes": 0.0}
    result = run(small_corpus, tmp_path / "run", lines, **there)
    assert result.training["steps"] == 12
    assert any("could not push the state of step" in line for line in lines)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload:DeprecationWarning")
def test_the_best_state_goes_to_the_next_machine_too(small_corpus, tmp_path, hub, monkeypatch):
    there = {"hub_model_id": "me/adapted", "resume_from_hub": True, "hub_state_minutes": 0.0}
    changes = there | {"max_steps": 24, "save_steps": 4, "load_best_model_at_end": True}
    with_losses(monkeypatch, {4: 3.0})
    straight = run(small_corpus, tmp_path / "straight", **(changes | {"resume_from_hub": False}))
    stopped_at(18, monkeypatch, small_corpus, tmp_path / "one", **changes)
    lines: list[str] = []
    resumed = run(small_corpus, tmp_path / "another", lines, **changes)
    assert resumed.training["best_step"] == 4
    assert weights(resumed) == weights(straight)
    assert not any("the best step so far" in line for line in lines)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload:DeprecationWarning")
def test_a_foreign_state_on_the_branch_does_not_hide_the_one_here(
    small_corpus, tmp_path, hub, monkeypatch
):
    there = {"hub_model_id": "me/adapted", "resume_from_hub": True, "hub_state_minutes": 0.0}
    stopped_at(9, monkeypatch, small_corpus, tmp_path / "other", seed=7, **there)
    stopped_at(6, monkeypatch, small_corpus, tmp_path / "mine")
    with pytest.raises(ConfigError, match="--seed was 7"):
        run(small_corpus, tmp_path / "mine", **there)
    assert newest_state(tmp_path / "mine" / "state").step == 6
    assert run(small_corpus, tmp_path / "mine").training["steps"] == 12


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload:DeprecationWarning")
def test_states_are_sent_by_the_clock_too(small_corpus, tmp_path, hub, monkeypatch):
    there = {"hub_model_id": "me/adapted", "resume_from_hub": True, "hub_state_minutes": 1e-4}
    pushed: list[str] = []
    push = state_pusher.push_state
    monkeypatch.setattr(
        state_pusher, "push_state", lambda f, *a, **k: pushed.append(f.name) or push(f, *a, **k)
    )
    run(small_corpus, tmp_path / "run", save_steps=1000, **there)
    assert len(set(pushed)) > 1  # by steps there is one, the last


def test_the_time_that_a_push_takes_is_kept_back():
    stop = StopRequest(minutes=1)
    assert not stop.is_late()
    stop.note_push(30.0)
    stop.note_push(20.0)
    assert (stop.sending, stop.is_late()) == (30.0, False)
    stop.note_push(61.0)
    assert stop.is_late()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload:DeprecationWarning")
def test_a_stop_in_the_last_step_is_on_the_hub(small_corpus, tmp_path, hub, monkeypatch):
    there = {"hub_model_id": "me/adapted", "resume_from_hub": True, "hub_state_minutes": 30.0}
    stopped_at(12, monkeypatch, small_corpus, tmp_path / "one", **there)
    files = HfApi(endpoint=hub.url).list_repo_files("me/adapted", revision="training-state")
    assert "step-00000012/run.json" in files


@pytest.mark.slow
def test_a_dry_run_names_the_branch_that_would_be_pushed_to(small_corpus, tmp_path, hub):
    lines: list[str] = []
    there = {"hub_model_id": "me/adapted", "resume_from_hub": True, "hub_private_repo": True}
    rehearse(config_for(small_corpus, tmp_path / "run", dry_run=True, **there), report=lines.append)
    told = "a branch of me/adapted (a private repository, if it is new) every 30 minutes"
    assert any(told in line for line in lines)


# What a stop must not change


class StopAt:
    """Stands for a stop request that comes at one step, as a signal does."""

    def __init__(self, monkeypatch, step: int):
        self.step, self.counted = step, StepCounter.on_train_batch_end
        monkeypatch.setattr(StepCounter, "on_train_batch_end", self.on_train_batch_end())

    def on_train_batch_end(self):
        def end(counter, batch, logs=None):
            run = counter._ends_early.__self__
            if run.progress.step + counter.steps + 1 >= self.step:
                run._stop.set()
            self.counted(counter, batch, logs)

        return end


def stopped_at(step: int, monkeypatch, corpus, output, **changes) -> None:
    with monkeypatch.context() as patch:
        StopAt(patch, step)
        with pytest.raises(TrainingStopped) as stop:
            run(corpus, output, **changes)
    assert stop.value.step == step


def with_losses(monkeypatch, losses: dict[int, float]) -> None:
    """Validation losses as the test has them, by step; the other figures are real."""
    evaluate = training_run.TrainingRun._evaluate

    def figures(self, when):
        loss = losses.get(self.progress.step, 9.0)
        return dataclasses.replace(evaluate(self, when), loss=loss)

    monkeypatch.setattr(training_run.TrainingRun, "_evaluate", figures)


@pytest.mark.slow
def test_a_stop_at_an_evaluation_loses_nothing(small_corpus, tmp_path, monkeypatch):
    with_losses(monkeypatch, {0: 5.0, 4: 4.5, 8: 4.6, 12: 4.7, 16: 4.8})
    changes = {"max_steps": 20, "early_stopping_patience": 2}
    whole = run(small_corpus, tmp_path / "whole", **changes)
    assert whole.training["steps"] == 12
    stopped_at(8, monkeypatch, small_corpus, tmp_path / "run", **changes)
    resumed = run(small_corpus, tmp_path / "run", **changes)
    assert resumed.training["validation_curve"] == whole.training["validation_curve"]
    assert weights(resumed) == weights(whole)


@pytest.mark.slow
def test_the_best_of_losses_that_hardly_differ_is_kept(small_corpus, tmp_path, monkeypatch):
    with_losses(monkeypatch, {4: 4.780004, 8: 4.780001, 12: 4.79, 16: 4.8})
    lines: list[str] = []
    changes = {"max_steps": 20, "save_steps": 4, "load_best_model_at_end": True}
    result = run(small_corpus, tmp_path / "run", lines, **changes)
    assert result.training["best_step"] == 8
    assert not any("is missing from" in line for line in lines)


def test_without_the_best_state_the_run_ends_with_the_last(small_corpus, tmp_path, monkeypatch):
    with_losses(monkeypatch, {4: 3.0, 8: 4.0, 12: 4.1})
    changes = {"max_steps": 16, "save_steps": 4, "load_best_model_at_end": True}
    stopped_at(10, monkeypatch, small_corpus, tmp_path / "run", **changes)
    shutil.rmtree(tmp_path / "run" / "state" / "step-00000004")
    lines: list[str] = []
    result = run(small_corpus, tmp_path / "run", lines, **changes)
    assert any("the best step so far, 4, is not in" in line for line in lines)
    assert result.training["best_step"] == 12


@pytest.mark.slow
def test_a_run_may_go_on_without_the_best(small_corpus, tmp_path, monkeypatch):
    changes = {"save_steps": 4}
    stopped_at(
        6, monkeypatch, small_corpus, tmp_path / "run", load_best_model_at_end=True, **changes
    )
    result = run(small_corpus, tmp_path / "run", **changes)
    assert result.training["steps"] == 12 and "best_step" not in result.training


@pytest.mark.slow
def test_the_same_texts_elsewhere_are_the_same_run(straight, small_corpus, tmp_path, monkeypatch):
    stopped_at(6, monkeypatch, small_corpus, tmp_path / "run")
    moved = tmp_path / "elsewhere" / small_corpus.name
    moved.parent.mkdir()
    shutil.copy(small_corpus, moved)
    assert weights(run(moved, tmp_path / "run")) == weights(straight)


@pytest.mark.slow
def test_another_number_format_on_another_machine_is_said(small_corpus, tmp_path, monkeypatch):
    stopped_at(6, monkeypatch, small_corpus, tmp_path / "run", precision="auto")
    (folder,) = (tmp_path / "run" / "state").glob("step-00000006")
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(record | {"policy": "mixed_float16"}))
    manifest = json.loads((folder / "manifest.json").read_text())
    digest = hashlib.sha256((folder / "run.json").read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest | {"run.json": digest}))
    lines: list[str] = []
    result = run(small_corpus, tmp_path / "run", lines, precision="auto")
    assert result.training["steps"] == 12
    assert any("computed in mixed_float16 until here, in " in line for line in lines)


@pytest.mark.slow
def test_a_window_of_skipped_steps_is_no_point_of_the_curve(small_corpus, tmp_path, monkeypatch):
    batch_at = MaskedBatches.batch_at

    def poisoned(self, step):
        inputs, labels, weights = batch_at(self, step)
        return inputs, labels, np.full_like(weights, np.nan) if 3 <= step < 6 else weights

    monkeypatch.setattr(MaskedBatches, "batch_at", poisoned)
    result = run(small_corpus, tmp_path / "run", skip_bad_steps=3)
    assert [step for step, _ in result.training["loss_curve"]] == [3, 8, 9, 10, 12]


def test_two_runs_do_not_share_a_folder(small_corpus, tmp_path):
    with run_lock(tmp_path / "run"), pytest.raises(ConfigError, match="another run is training in"):
        run(small_corpus, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert run(small_corpus, tmp_path / "run").folder.is_dir()


# The curves for TensorBoard


def test_curves_where_a_file_stands_are_refused_before_training(small_corpus, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "logs").write_text("not a folder")
    with pytest.raises(ConfigError, match="it is a file; move it"):
        run(small_corpus, tmp_path / "run", report_to="tensorboard")


@pytest.mark.slow
def test_a_disk_that_takes_no_curves_stops_nothing(small_corpus, tmp_path, monkeypatch, caplog):
    def full(self, event):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(EventLog, "_add", full)
    result = run(small_corpus, tmp_path / "run", report_to="tensorboard")
    assert result.training["steps"] == 12
    told = [r.getMessage() for r in caplog.records if "stopped writing" in r.getMessage()]
    assert len(told) == 1 and "No space left" in told[0]


def test_what_a_killed_run_logged_ahead_does_not_count(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for begins, ends in ((0, 40), (30, 50)):
        log = EventLog(tmp_path / "logs")
        log.open(begins)
        for step in range(begins, ends, 10):
            log.scalar("loss", float(step), step)
        log.close()
        time.sleep(1.1)  # the files are named by the second, and read by their names
    events = EventAccumulator(str(tmp_path / "logs"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == [0, 10, 20, 30, 40]


# Signals that come too early or twice


@pytest.mark.slow
def test_signals_without_end_leave_the_exit_code_as_it_is(small_corpus, tmp_path):
    process = started(small_corpus, tmp_path / "run", "--max_steps", "2000")
    for line in process.stdout:
        if "step 4:" in line:
            break
    while process.poll() is None:
        process.send_signal(signal.SIGTERM)
        time.sleep(0.01)
    with process.stdout as stream:
        rest = stream.read()
    assert process.returncode == 3
    assert "to resume: " in rest and "Traceback" not in rest


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_first_step_is_one_line(small_corpus, tmp_path, signum):
    process = started(small_corpus, tmp_path / "run")
    wait_until_caught(process, signal.SIGTERM)  # the first thing that is done; imports follow
    process.send_signal(signum)
    rest = process.communicate(timeout=120)[0]
    assert process.returncode == 1
    assert (
        rest.strip().splitlines()[-1]
        == "stopped before the first step; the same command starts again"
    )
    assert "Traceback" not in rest


def test_a_signal_while_a_run_is_made_ready_leaves_its_state(small_corpus, tmp_path, monkeypatch):
    stopped_at(6, monkeypatch, small_corpus, tmp_path / "run")

    def interrupted(*arguments, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr("mlm.training.masked_lm.prepare", interrupted)
    with pytest.raises(TrainingStopped) as stop:
        run(small_corpus, tmp_path / "run")
    assert (stop.value.step, stop.value.total_steps) == (6, 12)
    with pytest.raises(KeyboardInterrupt):
        run(small_corpus, tmp_path / "new")


def wait_until_caught(process: subprocess.Popen, signum: int) -> None:
    """Until the process has a handler of its own for a signal, as Linux tells."""
    for _ in range(1000):
        status = Path(f"/proc/{process.pid}/status").read_text()
        caught = int(next(line for line in status.splitlines() if "SigCgt" in line).split()[1], 16)
        if caught >> (signum - 1) & 1:
            return
        time.sleep(0.01)
    pytest.fail("the process has caught no signal")


def started(corpus, output, *more: str) -> subprocess.Popen:
    config = config_for(corpus, output)
    names = ("config_overrides", "vocab_size", "max_seq_length", "eval_steps", "precision")
    flags = [word for name in names for word in (f"--{name}", str(getattr(config, name)))]
    script = [sys.executable, "-u", str(ROOT / "scripts" / "train.py"), "--line_by_line"]
    files = ["--train_file", str(corpus), "--output_dir", str(output)]
    return subprocess.Popen(
        [*script, *files, *flags, *more],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # Whoever started the tests in the background has Ctrl-C ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
