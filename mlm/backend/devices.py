"""What hardware is there, how many replicas, which number format.

The model is written in Keras and runs on either backend (`KERAS_BACKEND=tensorflow|jax`).
"""

import gc
import math
import os
import platform
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mlm.backend import processes
from mlm.errors import ConfigError

# What Kaggle, Colab and Cloud TPU machines set; TensorFlow itself sets others that begin alike.
TPU_VARIABLES = ("TPU_ACCELERATOR_TYPE", "TPU_WORKER_ID", "TPU_WORKER_HOSTNAMES", "TPU_NAME")
# The names under which TensorFlow is installed: its own, a Space's and Kaggle's, a Cloud TPU's.
TENSORFLOWS = ("tensorflow", "tensorflow-cpu", "tensorflow-tpu")
POLICIES = {"fp32": "float32", "bf16": "mixed_bfloat16", "fp16": "mixed_float16"}


def load_backend(*, distributed: bool = False) -> None:
    """Import Keras and its backend without TensorFlow's greetings or transformers' advice.

    Entry points call this first. The backend is KERAS_BACKEND's; where that says nothing, JAX if it
    alone sees a TPU. What Python raises is raised; only the file descriptor is muted.

    distributed: with the other processes of a cluster, which takes JAX, and are met here.
    """
    if "KERAS_BACKEND" not in os.environ and (distributed or only_jax_sees_a_tpu()):
        os.environ["KERAS_BACKEND"] = "jax"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow uses its fast products by itself only where the processor has 8 or 16 bit ones.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    # By itself it counts the machine's, also where a container may use fewer.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(available_cpus()))
    keep_pytorch_out()
    with muted_stderr(), no_garbage():
        import keras

        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            tf.config.list_physical_devices()
    if distributed:
        processes.join()


@contextmanager
def no_garbage() -> Iterator[None]:
    """Around imports: nothing that they make is looked at for being garbage, then or later.

    Python would look through all of TensorFlow's modules a dozen times while they are imported, and
    again whenever a graph is traced.
    """
    looked = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if looked:
            gc.enable()


def keep_pytorch_out() -> None:
    """Have PyTorch look absent in this process, unless it is there already.

    transformers imports it wherever it is installed. That takes seconds, and Triton, which comes
    with its builds for GPUs, crashes beside TensorFlow 2.20.
    """
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")  # "PyTorch was not found"
    sys.modules.setdefault("torch", None)  # type: ignore[arg-type]


def only_jax_sees_a_tpu() -> bool:
    """Whether this is a machine like Kaggle's with a TPU: JAX's is there, TensorFlow's is not.

    JAX is asked only where something speaks of a TPU: elsewhere it would take hold of a GPU.
    """
    if not _signs_of_a_tpu() or _is_installed("tensorflow-tpu") or find_spec("jax") is None:
        return False
    import jax

    try:
        with muted_stderr():
            return jax.devices()[0].platform == "tpu"
    except RuntimeError:  # the sign of a TPU that is not ours
        return False


def _signs_of_a_tpu() -> bool:
    nodes = (*Path("/dev").glob("accel[0-9]*"), *Path("/dev/vfio").glob("[0-9]*"))
    return bool(nodes) or any(name in os.environ for name in TPU_VARIABLES)


def _is_installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


_stderr_lock = threading.RLock()  # two at once might each keep what the other one has muted


@contextmanager
def muted_stderr() -> Iterator[None]:
    """Nothing that libraries in C++ say on the error stream gets out of this block."""
    with _stderr_lock:
        sys.stderr.flush()
        kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)


def available_cpus() -> int:
    """How many this process may use: those of its affinity, fewer where a container says so."""
    counts = [os.cpu_count() or 1]
    if hasattr(os, "sched_getaffinity"):
        counts.append(len(os.sched_getaffinity(0)))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        counts.append(math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):  # no such file; "max"
        pass
    return min(counts)


@dataclass(frozen=True)
class Device:
    """The hardware a run uses.

    kind: cpu, gpu or tpu; policy: a Keras dtype policy; reason: why that one, for people;
    jit_compile: what `Model.compile` is told; strategy: a tf.distribute strategy or None;
    one_shape: whether all batches have to have the same one.
    """

    kind: str
    name: str
    num_replicas: int
    policy: str
    reason: str
    jit_compile: bool
    strategy: Any = None
    one_shape: bool = False

    def scope(self) -> AbstractContextManager:
        """The context in which model and optimizer are made."""
        return self.strategy.scope() if self.strategy is not None else nullcontext()

    def __str__(self) -> str:
        count = f"{self.num_replicas} x " if self.num_replicas > 1 else ""
        return f"{count}{self.name}, {self.policy} ({self.reason})"


def choose_device(precision: str = "auto") -> Device:
    """The accelerators that the Keras backend sees, or the CPU; `precision` as in TrainingConfig.

    Several GPUs (or, for tests, several logical CPUs) are used together, data-parallel.
    """
    backend = backend_name()
    if backend == "tensorflow":
        return _tensorflow_device(precision)
    if backend == "jax":
        return _jax_device(precision)
    raise ConfigError(f"KERAS_BACKEND is {backend!r}; tensorflow and jax are supported")


def check_required_device(kind: str) -> None:
    """ConfigError unless what `choose_device` finds is of this kind, `gpu` or `tpu`, or `any`."""
    if kind == "any":
        return
    device = choose_device()
    if device.kind != kind:
        raise ConfigError(
            f"--require_device {kind}, but {backend_name()} sees only {device.name} here: start "
            f"this machine with a {kind.upper()}, or leave --require_device out; KERAS_BACKEND "
            "chooses between tensorflow and jax"
        )


def backend_name() -> str:
    """`tensorflow` or `jax`, as Keras was told (TensorFlow if it was told nothing)."""
    import keras

    return keras.backend.backend()


def sum_over_replicas(tensors: list) -> tuple[list, int]:
    """Inside a training step: each tensor summed over the replicas, and how many those are.

    On JAX a gradient is global already: one program sees all devices.
    """
    if backend_name() != "tensorflow":
        return tensors, 1
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return tensors, 1
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tensors), context.num_replicas_in_sync


def global_norm(tensors: list):
    """Inside a training step: the norm of all values together, float32."""
    if backend_name() == "tensorflow":  # one operator each, and no squares in memory
        import tensorflow as tf

        return tf.linalg.global_norm(tensors)
    from keras import ops

    squares = [ops.sum(ops.square(ops.cast(tensor, "float32"))) for tensor in tensors]
    return ops.sqrt(sum(squares[1:], start=squares[0]))


def update_if(condition, update: Callable, skip: Callable, *gradients: list) -> None:
    """Inside a TensorFlow training step: `update(*gradients)` if the condition holds, or `skip()`.

    The condition is the same on every replica. With several, the branch is taken outside of them:
    an update talks to the other replicas, which TensorFlow has no way to do inside a branch, but
    on a TPU, whose replicas are one program.
    """
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    alone = context is None or context.num_replicas_in_sync == 1
    if alone or isinstance(context.strategy, tf.distribute.TPUStrategy):
        tf.cond(condition, lambda: _done(update, *gradients), lambda: _done(skip))
        return

    def outside(strategy, condition, *gradients):
        first = strategy.experimental_local_results(condition)[0]
        replicas = strategy.extended
        tf.cond(
            first,
            lambda: _done(replicas.call_for_each_replica, update, args=gradients),
            lambda: _done(skip),
        )

    context.merge_call(outside, args=(condition, *gradients))


def _done(call: Callable, *arguments, **options) -> bool:
    """True after the call: both branches of a condition have to give back the same."""
    call(*arguments, **options)
    return True


def versions() -> dict[str, str]:
    """The versions that a training record names."""
    found = {"python": platform.python_version()}
    for name in ("keras", *TENSORFLOWS, "jax", "transformers", "numpy", "tokenizers"):
        if _is_installed(name):
            found[name] = version(name)
    found["backend"] = backend_name()
    return found


def _tensorflow_device(precision: str) -> Device:
    import tensorflow as tf

    if _is_installed("tensorflow-tpu") and _signs_of_a_tpu():
        return _tensorflow_tpu(precision)
    gpus = tf.config.list_logical_devices("GPU")
    if not gpus:
        cpus = tf.config.list_logical_devices("CPU")
        policy, reason = _cpu_policy(precision, fast_bf16=cpu_has_bf16())
        several = len(cpus) > 1
        strategy = tf.distribute.MirroredStrategy([c.name for c in cpus]) if several else None
        # XLA on the CPU is slower than the plain graph: 8.0 s against 4.4 s a BERT-base step.
        return Device("cpu", cpu_name(), len(cpus), policy, reason, False, strategy)
    details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
    policy, reason = _gpu_policy(precision, details.get("compute_capability"))
    name = details.get("device_name", "GPU")
    if len(gpus) == 1:
        return Device("gpu", name, 1, policy, reason, True)
    strategy = tf.distribute.MirroredStrategy([gpu.name for gpu in gpus])
    # Keras cannot compile a step under MirroredStrategy with XLA.
    return Device("gpu", name, len(gpus), policy, reason, False, strategy)


def _tensorflow_tpu(precision: str) -> Device:
    """For whoever has tensorflow-tpu. Not run on hardware yet: see README."""
    import tensorflow as tf

    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu="local")
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(
            f"TensorFlow cannot start the TPU ({reason}); KERAS_BACKEND=jax is the other way"
        ) from None
    strategy = tf.distribute.TPUStrategy(resolver)
    policy, reason = _chosen(precision, "bf16", "a TPU multiplies in bf16")
    # Under TPUStrategy everything is compiled as it is, once.
    replicas = strategy.num_replicas_in_sync
    return Device("tpu", "TPU", replicas, policy, reason, False, strategy, one_shape=True)


def _jax_device(precision: str) -> Device:
    import jax
    import keras

    devices = jax.devices()
    first = devices[0]
    if len(devices) > 1:
        keras.distribution.set_distribution(
            keras.distribution.DataParallel(auto_shard_dataset=False)
        )
    if first.platform == "cpu":
        policy, reason = _cpu_policy(precision, fast_bf16=False)
        return Device("cpu", cpu_name(), len(devices), policy, reason, True)
    if first.platform == "tpu":
        policy, reason = _chosen(precision, "bf16", "a TPU multiplies in bf16")
        return Device("tpu", first.device_kind, len(devices), policy, reason, True)
    major, minor = (int(part) for part in str(first.compute_capability).split("."))
    policy, reason = _gpu_policy(precision, (major, minor))
    return Device("gpu", first.device_kind, len(devices), policy, reason, True)


def _chosen(precision: str, best: str, reason: str) -> tuple[str, str]:
    if precision != "auto":
        return POLICIES[precision], "as asked for"
    return POLICIES[best], reason


def _cpu_policy(precision: str, *, fast_bf16: bool) -> tuple[str, str]:
    if precision == "fp16":
        raise ConfigError("--precision fp16 needs a GPU; on a CPU choose fp32, bf16 or auto")
    if fast_bf16:
        return _chosen(precision, "bf16", "this processor multiplies in bf16")
    return _chosen(precision, "fp32", "this processor gains nothing from bf16")


def _gpu_policy(precision: str, capability: tuple[int, int] | None) -> tuple[str, str]:
    if capability is None:
        return _chosen(precision, "fp32", "a GPU of unknown kind")
    if capability >= (8, 0):
        return _chosen(precision, "bf16", "this GPU multiplies in bf16")
    if capability >= (6, 0):
        return _chosen(precision, "fp16", "this GPU has fp16 but no bf16")
    return _chosen(precision, "fp32", "this GPU has neither fp16 nor bf16")


@lru_cache
def cpu_has_bf16() -> bool:
    """True if the processor has bf16 products (AVX-512 BF16 or AMX)."""
    flags = _cpu_field("flags").split()
    return "avx512_bf16" in flags or "amx_bf16" in flags


def cpu_name() -> str:
    """Model and number of usable cores."""
    model = _cpu_field("model name") or platform.processor() or platform.machine()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores"


def _cpu_field(field: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "")
