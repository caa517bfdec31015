"""Two processes on this machine train one model, through the real script and JAX's own cluster."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from mlm.backend import processes
from mlm.errors import ConfigError, TrainingError
from tests.support.jax_devices import xla_flags
from tests.support.places import ROOT

STEPS = 12
PATIENCE = 240  # seconds

pytestmark = pytest.mark.timeout(600)  # of JAX; on a slow machine


def command(corpus: Path, model: Path, output: Path, *more: str) -> list[str]:
    settings = {
        "train_file": corpus,
        "model_name_or_path": model,
        "output_dir": output,
        "max_seq_length": 16,
        "per_device_train_batch_size": 2,
        "max_eval_samples": 16,
        "max_steps": STEPS,
        "eval_steps": 6,
        "logging_steps": 2,
        "save_steps": 2,
        "learning_rate": 0.05,
        "adam_epsilon": 0.1,  # keeps AdamW from making steps of rounding errors
        "precision": "fp32",
        "load_best_model_at_end": True,
    }
    words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    return [sys.executable, str(ROOT / "scripts" / "train.py"), *words, *more]


def started(asked: list[str], index: int, count: int, port: int = 0) -> subprocess.Popen:
    """One process of `count`, with so many devices that there are four in all."""
    cluster = {
        "KERAS_DISTRIBUTION_JOB_ADDRESSES": f"127.0.0.1:{port}",
        "KERAS_DISTRIBUTION_NUM_PROCESSES": str(count),
        "KERAS_DISTRIBUTION_PROCESS_ID": str(index),
    }
    environment = {
        **os.environ,
        **(cluster if count > 1 else {}),
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": xla_flags(4 // count),
    }
    together = ["--distributed"] if count > 1 else []
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen([*asked, *together], env=environment, **pipes)


def two(asked: list[str]) -> list[subprocess.Popen]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return [started(asked, index, 2, port) for index in range(2)]


def ended(running: list[subprocess.Popen]) -> list[tuple[int, str]]:
    """Exit code and output of each; none is left behind."""
    try:
        outputs = [each.communicate(timeout=PATIENCE)[0] for each in running]
    finally:
        for each in running:
            each.kill()
    return [(each.returncode, text) for each, text in zip(running, outputs, strict=True)]


def wait_for_new_state(output: Path, running: list[subprocess.Popen]) -> None:
    known = set(output.glob("state/step-*"))
    deadline = time.monotonic() + PATIENCE
    while not set(output.glob("state/step-*")) - known:
        assert time.monotonic() < deadline and all(each.poll() is None for each in running)
        time.sleep(0.01)


def record(output: Path) -> dict:
    return json.loads((output / "training.json").read_text())


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory, small_corpus, tiny_bert_folder):
    """A run of two processes that nothing happened to: its folder, and what each of them said."""
    output = tmp_path_factory.mktemp("whole")
    both = ended(two(command(small_corpus, tiny_bert_folder, output)))
    assert [code for code, _ in both] == [0, 0], both
    return output, [text for _, text in both]


@pytest.fixture
def whole(whole_run):
    return whole_run[0]


def test_two_processes_train_as_one(whole, tmp_path, small_corpus, tiny_bert_folder):
    alone = started(command(small_corpus, tiny_bert_folder, tmp_path / "one"), 0, 1)
    [(code, text)] = ended([alone])
    assert code == 0, text
    one, both = record(tmp_path / "one"), record(whole)
    for curve in ("loss_curve", "validation_curve"):
        np.testing.assert_allclose(both[curve], one[curve], atol=2e-5)
    assert both["metrics"]["after"] == pytest.approx(one["metrics"]["after"], rel=1e-5)
    weights = load_file(tmp_path / "one" / "model.safetensors")
    for name, value in load_file(whole / "model.safetensors").items():
        np.testing.assert_allclose(value, weights[name], atol=1e-5, err_msg=name)


def test_the_first_alone_speaks(whole_run):
    _, (spoken, silent) = whole_run
    assert "checkpoint: " in spoken and "checkpoint: " not in silent


@pytest.mark.slow
def test_a_run_that_is_stopped_and_killed_goes_on_to_the_same_weights(
    whole, tmp_path, small_corpus, tiny_bert_folder
):
    asked = command(small_corpus, tiny_bert_folder, tmp_path)
    running = two(asked)
    wait_for_new_state(tmp_path, running)
    running[1].send_signal(signal.SIGTERM)  # to one of them: all end in order
    assert [code for code, _ in ended(running)] == [3, 3]
    running = two(asked)
    wait_for_new_state(tmp_path, running)
    for each in running:  # the one that is left would wait for the other for a while
        each.send_signal(signal.SIGKILL)
    assert [code for code, _ in ended(running)] == [-signal.SIGKILL] * 2
    for code, text in ended(two(asked)):
        assert code == 0, text
    name = "model.safetensors"
    assert (tmp_path / name).read_bytes() == (whole / name).read_bytes()
    assert record(tmp_path)["loss_curve"] == record(whole)["loss_curve"]


def test_without_a_cluster_it_is_said_in_a_line(tmp_path, small_corpus, tiny_bert_folder):
    asked = [*command(small_corpus, tiny_bert_folder, tmp_path), "--distributed"]
    for backend, told in (("jax", "other processes cannot be met"), ("tensorflow", "needs JAX")):
        environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"}
        done = subprocess.run(asked, env=environment, capture_output=True, text=True)
        assert done.returncode == 2
        assert done.stderr.strip().splitlines()[-1].startswith("error: --distributed")
        assert told in done.stderr and "Traceback" not in done.stderr


# of a run that is alone, and of what another process told


def test_a_run_that_is_alone_has_all_rows_and_waits_for_nobody():
    batch = ({"input_ids": np.zeros((4, 2))}, np.zeros(4))
    assert processes.own_rows(batch) is batch
    assert (processes.count(), processes.index(), processes.is_first()) == (1, 0, True)
    assert processes.told_by_all("a") == ["a"] and processes.any_of(True)
    assert processes.only_first(lambda: 7) == 7
    processes.check_same("a step", "3", "wait")


def test_each_process_has_its_rows(monkeypatch):
    monkeypatch.setattr(processes, "count", lambda: 2)
    monkeypatch.setattr(processes, "index", lambda: 1)
    inputs, labels = processes.own_rows(({"input_ids": np.arange(8).reshape(4, 2)}, np.arange(4)))
    assert inputs["input_ids"].tolist() == [[4, 5], [6, 7]] and labels.tolist() == [2, 3]


def test_processes_that_do_not_agree_are_told(monkeypatch):
    monkeypatch.setattr(processes, "told_by_all", lambda value: [value, "4"])
    with pytest.raises(ConfigError, match=r"process 0 has step 3, process 1 has 4: mend it"):
        processes.check_same("step", "3", "mend it")


def test_when_the_first_fails_the_others_end(monkeypatch):
    monkeypatch.setattr(processes, "index", lambda: 1)
    monkeypatch.setattr(processes, "told_by_all", lambda value: [processes.FAILED, value])
    with pytest.raises(TrainingError, match="the first process failed"):
        processes.only_first(lambda: 7)
