"""Two processes on this machine train one model, with the real script and JAX's own cluster."""

import json
import os
import signal
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
from tests.support.started_space import free_port

STEPS = 12
PATIENCE = 240  # seconds

pytestmark = pytest.mark.timeout(600)  # JAX compiles, on a slow machine


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


def start_process(program: list[str], index: int, count: int, port: int = 0) -> subprocess.Popen:
    """Start one process of `count`, with its share of four devices."""
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
    return subprocess.Popen([*program, *together], env=environment, **pipes)


def start_two(program: list[str]) -> list[subprocess.Popen]:
    port = free_port()
    return [start_process(program, index, 2, port) for index in range(2)]


def wait_for_all(running: list[subprocess.Popen]) -> list[tuple[int, str]]:
    """Return the exit code and output of each process, and kill any that still runs."""
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
def uninterrupted_run(tmp_path_factory, small_corpus, tiny_bert_folder):
    """Return the folder of an uninterrupted run of two processes, and the output of each."""
    output = tmp_path_factory.mktemp("uninterrupted")
    both = wait_for_all(start_two(command(small_corpus, tiny_bert_folder, output)))
    assert [code for code, _ in both] == [0, 0], both
    return output, [text for _, text in both]


@pytest.fixture
def uninterrupted(uninterrupted_run):
    return uninterrupted_run[0]


def test_two_processes_train_as_one(uninterrupted, tmp_path, small_corpus, tiny_bert_folder):
    alone = start_process(command(small_corpus, tiny_bert_folder, tmp_path / "one"), 0, 1)
    [(code, text)] = wait_for_all([alone])
    assert code == 0, text
    one, both = record(tmp_path / "one"), record(uninterrupted)
    for curve in ("loss_curve", "validation_curve"):
        np.testing.assert_allclose(both[curve], one[curve], atol=2e-5)
    assert both["metrics"]["after"] == pytest.approx(one["metrics"]["after"], rel=1e-5)
    weights = load_file(tmp_path / "one" / "model.safetensors")
    for name, value in load_file(uninterrupted / "model.safetensors").items():
        np.testing.assert_allclose(value, weights[name], atol=1e-5, err_msg=name)


def test_only_the_first_process_reports(uninterrupted_run):
    _, (first, second) = uninterrupted_run
    assert "checkpoint: " in first and "checkpoint: " not in second


@pytest.mark.slow
def test_a_run_that_is_stopped_and_killed_resumes_to_the_same_weights(
    uninterrupted, tmp_path, small_corpus, tiny_bert_folder
):
    program = command(small_corpus, tiny_bert_folder, tmp_path)
    running = start_two(program)
    wait_for_new_state(tmp_path, running)
    running[1].send_signal(signal.SIGTERM)  # sent to one process: both have to stop in order
    assert [code for code, _ in wait_for_all(running)] == [3, 3]
    running = start_two(program)
    wait_for_new_state(tmp_path, running)
    for each in running:  # else the survivor would wait for the other
        each.send_signal(signal.SIGKILL)
    assert [code for code, _ in wait_for_all(running)] == [-signal.SIGKILL] * 2
    for code, text in wait_for_all(start_two(program)):
        assert code == 0, text
    name = "model.safetensors"
    assert (tmp_path / name).read_bytes() == (uninterrupted / name).read_bytes()
    assert record(tmp_path)["loss_curve"] == record(uninterrupted)["loss_curve"]


def test_without_a_cluster_the_error_is_one_line(tmp_path, small_corpus, tiny_bert_folder):
    program = [*command(small_corpus, tiny_bert_folder, tmp_path), "--distributed"]
    messages = {"jax": "other processes cannot be reached", "tensorflow": "needs JAX"}
    for backend, message in messages.items():
        environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"}
        done = subprocess.run(program, env=environment, capture_output=True, text=True)
        assert done.returncode == 2
        assert done.stderr.strip().splitlines()[-1].startswith("error: --distributed")
        assert message in done.stderr and "Traceback" not in done.stderr


# The functions of mlm.backend.processes, in this process


def test_outside_a_cluster_a_process_has_all_rows_and_waits_for_nobody():
    batch = ({"input_ids": np.zeros((4, 2))}, np.zeros(4))
    assert processes.own_rows(batch) is batch
    assert (processes.count(), processes.index(), processes.is_first()) == (1, 0, True)
    assert processes.gather_from_all("a") == ["a"]
    assert processes.any_of(True)
    assert processes.only_first(lambda: 7) == 7
    processes.check_same("a step", "3", "wait")


def test_each_process_computes_its_own_rows(monkeypatch):
    monkeypatch.setattr(processes, "count", lambda: 2)
    monkeypatch.setattr(processes, "index", lambda: 1)
    inputs, labels = processes.own_rows(({"input_ids": np.arange(8).reshape(4, 2)}, np.arange(4)))
    assert inputs["input_ids"].tolist() == [[4, 5], [6, 7]] and labels.tolist() == [2, 3]


def test_processes_with_different_values_are_an_error(monkeypatch):
    monkeypatch.setattr(processes, "gather_from_all", lambda value: [value, "4"])
    with pytest.raises(ConfigError, match=r"process 0 has step 3, process 1 has 4: mend it"):
        processes.check_same("step", "3", "mend it")


def test_if_the_first_process_fails_the_others_end(monkeypatch):
    monkeypatch.setattr(processes, "index", lambda: 1)
    monkeypatch.setattr(processes, "gather_from_all", lambda value: [processes.FAILED, value])
    with pytest.raises(TrainingError, match="the first process failed"):
        processes.only_first(lambda: 7)
