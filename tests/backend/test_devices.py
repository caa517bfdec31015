"""Devices: the number format for each kind of hardware, and training on several replicas."""

import importlib.util
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from mlm.backend import devices, hardware, startup
from mlm.backend.devices import Device, choose_device
from mlm.errors import ConfigError
from tests.support.places import ROOT, SUPPORT
from tests.support.replica_run import DEVICES, FIRST_LOSS_SCALE, ON_TENSORFLOW_ONLY, RUNS
from tests.support.sweeps import slow, sweep

pytestmark = pytest.mark.timeout(600)  # replica_run.py compiles for minutes on a slow machine


@pytest.mark.parametrize(
    ("has_bf16", "precision", "policy", "reason"),
    [
        (True, "auto", "mixed_bfloat16", "multiplies in bf16"),
        (False, "auto", "float32", "gains nothing from bf16"),
        (True, "fp32", "float32", "as requested"),
        (False, "bf16", "mixed_bfloat16", "as requested"),
    ],
)
def test_a_processor_gets_its_fastest_format(has_bf16, precision, policy, reason, monkeypatch):
    monkeypatch.setattr(devices, "cpu_has_bf16", lambda: has_bf16)
    device = choose_device(precision)
    assert (device.kind, device.num_replicas, device.policy) == ("cpu", 1, policy)
    assert reason in device.reason
    assert not device.jit_compile  # XLA on the CPU is slower than the graph


def test_fp16_on_a_processor_is_refused():
    with pytest.raises(ConfigError, match=r"--precision fp16 needs a GPU; .* bf16 or auto"):
        choose_device("fp16")


@pytest.mark.parametrize(
    ("capability", "policy"),
    [
        ((9, 0), "mixed_bfloat16"),
        ((8, 0), "mixed_bfloat16"),
        ((7, 5), "mixed_float16"),
        ((6, 0), "mixed_float16"),
        ((5, 2), "float32"),
        (None, "float32"),
    ],
)
def test_a_gpu_gets_the_format_of_its_generation(capability, policy):
    assert devices._gpu_policy("auto", capability)[0] == policy
    assert devices._gpu_policy("fp32", capability) == ("float32", "as requested")


def test_an_unknown_backend_is_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(ConfigError, match="KERAS_BACKEND is 'torch'; tensorflow and jax"):
        choose_device()


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ("model name\t: Xeon\nflags\t\t: fpu avx512_bf16 sse\n", True),
        ("model name\t: Xeon\nflags\t\t: fpu amx_bf16\n", True),
        ("model name\t: Xeon\nflags\t\t: fpu avx512f\n", False),
        ("", False),
    ],
)
def test_bf16_is_read_from_the_processors_flags(info, expected, monkeypatch):
    monkeypatch.setattr(hardware.Path, "read_text", lambda path, encoding: info)
    assert hardware.cpu_has_bf16.__wrapped__() is expected


def test_a_device_as_text():
    one = Device("cpu", "Xeon, 2 cores", 1, "float32", "as requested", False)
    assert str(one) == "Xeon, 2 cores, float32 (as requested)"
    several = Device("gpu", "T4", 2, "mixed_float16", "no bf16", True)
    assert str(several) == "2 x T4, mixed_float16 (no bf16)"


def test_the_record_names_versions_and_backend():
    found = hardware.versions()
    assert found["backend"] == "tensorflow"
    assert found["keras"] == keras.__version__
    assert {"python", "numpy", "transformers"} <= found.keys()
    assert found.keys() & {"tensorflow", "tensorflow-cpu"}


def test_pytorch_stays_out_of_the_process():
    """PyTorch is installed, and transformers would import it."""
    assert importlib.util.find_spec("torch")
    program = (
        "import sys\nfrom mlm.commands import train\n"
        "train.parse(['--train_file', 'a.csv', '--model_name_or_path', 'demo'])\n"
        "from mlm.backend.startup import load_backend\nload_backend()\n"
        "from mlm.checkpoint.tokenizer import load_tokenizer\n"
        "load_tokenizer('mlm/bundled/imdb_modernbert')\n"
        "print([name for name in sys.modules if name.startswith('torch.')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.fixture
def a_machine(monkeypatch):
    """Return a function that simulates a machine.

    sign: whether there are signs of a TPU. jax_sees: the platform of JAX's first device, None for
    an error. distributions: installed packages.
    """

    def make(sign: bool, jax_sees: str | None, distributions: tuple[str, ...] = ()) -> None:
        def jax_devices():
            if jax_sees is None:
                raise RuntimeError("Unable to initialize backend 'tpu'")
            return [SimpleNamespace(platform=jax_sees)]

        monkeypatch.setattr(hardware.Path, "glob", lambda path, pattern: iter(()))
        monkeypatch.setattr(startup, "is_installed", lambda name: name in distributions)
        monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(devices=jax_devices, __spec__=1))
        monkeypatch.setenv("KERAS_BACKEND", "")  # so that the variable is removed after the test
        monkeypatch.delenv("KERAS_BACKEND")
        if sign:
            monkeypatch.setenv("TPU_ACCELERATOR_TYPE", "v5litepod-8")

    return make


@pytest.mark.parametrize(
    ("machine", "chosen"),
    [
        ((True, "tpu"), True),  # Kaggle's
        ((True, "tpu", ("tensorflow-tpu",)), False),
        ((True, "cpu"), False),
        ((True, None), False),
        ((False, "tpu"), False),  # JAX is not imported
    ],
)
def test_jax_is_chosen_if_only_jax_sees_a_tpu(a_machine, machine, chosen):
    a_machine(*machine)
    assert startup.only_jax_sees_a_tpu() is chosen
    startup.load_backend()
    assert os.environ.get("KERAS_BACKEND") == ("jax" if chosen else None)


def test_tensorflow_takes_as_many_threads_as_a_container_may(monkeypatch):
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "")  # so that the old value comes back
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS")
    monkeypatch.setattr(startup, "available_cpus", lambda: 3)
    startup.load_backend()
    assert os.environ["TF_NUM_INTRAOP_THREADS"] == "3"
    monkeypatch.setattr(startup, "available_cpus", lambda: 5)
    startup.load_backend()  # a value that is set stays
    assert os.environ["TF_NUM_INTRAOP_THREADS"] == "3"


def test_a_required_tpu_that_is_missing_is_an_error():
    devices.check_required_device("any")
    with pytest.raises(ConfigError, match=r"^--require_device tpu, but tensorflow sees only .*TPU"):
        devices.check_required_device("tpu")


RUNS_OF = {"tensorflow": RUNS.keys(), "jax": RUNS.keys() - ON_TENSORFLOW_ONLY}
QUICK_RUNS = {
    "tensorflow": {"one", "several"},
    "jax": {"one", "several"},
}


class ReplicaRuns:
    """The runs of replica_run.py by their names.

    One process makes those that `make test` needs, another the rest when one of them is asked for.
    """

    def __init__(self, backend: str, checkpoint_folder: Path) -> None:
        self._command = [str(SUPPORT / "replica_run.py"), str(checkpoint_folder), backend]
        self._groups = [QUICK_RUNS[backend], RUNS_OF[backend] - QUICK_RUNS[backend]]
        self._runs: dict[str, dict] = {}

    def __getitem__(self, name: str) -> dict:
        if name not in self._runs:
            names = next(group for group in self._groups if name in group)
            done = subprocess.run(
                [sys.executable, *self._command, *sorted(names)],
                stdout=subprocess.PIPE,
                check=True,
                timeout=580,
            )
            self._runs |= json.loads(done.stdout)
        return self._runs[name]


@pytest.fixture(scope="module")
def tensorflow_runs(tiny_checkpoint_folder):
    return ReplicaRuns("tensorflow", tiny_checkpoint_folder)


@pytest.fixture(scope="module")
def jax_runs(tiny_checkpoint_folder):
    return ReplicaRuns("jax", tiny_checkpoint_folder)


@pytest.fixture(params=DEVICES)
def backend(request):
    return request.param


@pytest.fixture
def runs(request, backend):
    return request.getfixturevalue(f"{backend}_runs")


def assert_same_run(run: dict, other: dict, tolerance: float) -> None:
    np.testing.assert_allclose(run["losses"], other["losses"], atol=tolerance)
    assert run["figures"] == pytest.approx(other["figures"], rel=tolerance)
    assert run["weights"].keys() == other["weights"].keys()
    for name, values in run["weights"].items():
        np.testing.assert_allclose(values, other["weights"][name], atol=tolerance, err_msg=name)


def test_several_replicas_train_as_one_device(runs, backend):
    replicas = runs["one"]["replicas"], runs["several"]["replicas"]
    assert replicas == (1, DEVICES[backend])
    assert len(set(runs["one"]["losses"])) == 5
    assert_same_run(runs["several"], runs["one"], 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["several, shorter, in parts", "several, shorter"])
def test_several_replicas_train_on_batches_of_any_length(runs, how):
    assert runs["one, shorter"]["losses"] != runs["one"]["losses"]
    assert_same_run(runs[how], runs["one, shorter"], 1e-5)


@pytest.mark.parametrize("name", sweep(sorted(RUNS_OF["jax"]), QUICK_RUNS["jax"]))
def test_nothing_is_compiled_after_the_first_step(jax_runs, name):
    sizes = 2 if "shorter" in name else 1
    assert len(set(jax_runs[name]["compiled"][sizes - 1 :])) == 1


@pytest.mark.parametrize(
    "names", [("bert adamw 2", "modernbert muon 1"), slow(())], ids=["a few", "all"]
)
def test_the_whole_step_lowers_for_a_tpu(names):
    """Find operations that a TPU lacks. This does not prove that the step runs on one."""
    program = [sys.executable, str(SUPPORT / "lowered_step.py"), *names]
    printed = subprocess.run(program, stdout=subprocess.PIPE, check=True, timeout=280).stdout
    steps = json.loads(printed)
    assert set(names or ["bert adamw 1", "bert adamw 2", "modernbert muon 1"]) <= steps.keys()
    for name, step in steps.items():
        assert (step["platforms"], step["devices"]) == (["tpu"], 8), name
        assert step["products"] > 20, name
        # Calls only shard arrays over the devices; everything else is plain StableHLO.
        assert set(step["calls"]) <= {"Sharding", "SPMDFullToShardShape", "SPMDShardToFullShape"}


@pytest.mark.slow
def test_clipping_used_the_gradient_of_all_replicas(tensorflow_runs):
    free, clipped = (tensorflow_runs[name]["losses"] for name in ("one, not clipped", "one"))
    assert free[0] == clipped[0]
    assert min(abs(a - b) for a, b in zip(free[1:], clipped[1:], strict=True)) > 1e-3


def test_both_backends_train_alike(jax_runs, tensorflow_runs):
    assert_same_run(jax_runs["one"], tensorflow_runs["one"], 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("devices", ["one", "several"])
def test_micro_batches_give_the_step_of_the_whole_batch(runs, devices):
    assert_same_run(runs[f"{devices}, in parts"], runs["one"], 1e-5)


@pytest.mark.slow
def test_a_poisoned_batch_is_passed_over_on_every_replica(runs):
    one, several = runs["one, poisoned"], runs["several, poisoned"]
    assert one["skipped"] == several["skipped"] == [1, 2]
    assert one["losses"][:2] == pytest.approx(runs["one"]["losses"][:2], abs=1e-5)
    assert_same_run(several, one, 1e-5)
    assert np.isfinite(one["losses"]).all()


@pytest.mark.slow
def test_fp16_scales_its_loss_alike_on_every_replica(tensorflow_runs):
    exact, one, several = (
        tensorflow_runs[name]
        for name in ("one, poisoned", "one, fp16, poisoned", "several, fp16, poisoned")
    )
    assert one["loss_scale"] == several["loss_scale"] == FIRST_LOSS_SCALE / 2
    assert one["losses"] == pytest.approx(exact["losses"], abs=0.02)
    assert_same_run(several, one, 0.02)


def test_tensorflow_gives_no_advice_to_users(monkeypatch):
    tensorflow = pytest.importorskip("tensorflow")
    logger = tensorflow.get_logger()
    before = logger.level
    logger.setLevel("WARNING")
    try:
        startup.load_backend()
        assert not logger.isEnabledFor(logging.WARNING) and logger.isEnabledFor(logging.ERROR)
    finally:
        logger.setLevel(before)
