"""The device that a run uses: hardware, number of replicas, number format.

The model is written in Keras and runs on either backend (`KERAS_BACKEND=tensorflow|jax`).
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlm.backend.hardware import cpu_has_bf16, cpu_name, has_signs_of_a_tpu, is_installed
from mlm.errors import ConfigError, one_line

if TYPE_CHECKING:
    import tensorflow as tf

POLICIES = {"fp32": "float32", "bf16": "mixed_bfloat16", "fp16": "mixed_float16"}


@dataclass(frozen=True)
class Device:
    """The hardware of a run, and how to compute on it.

    kind: cpu, gpu or tpu. policy: a Keras dtype policy. reason: of that policy, for people.
    jit_compile: the argument of `Model.compile`. one_shape: if True, all batches need one shape.
    """

    kind: str
    name: str
    num_replicas: int
    policy: str
    reason: str
    jit_compile: bool
    strategy: "tf.distribute.Strategy | None" = None
    one_shape: bool = False

    def scope(self) -> AbstractContextManager[object]:
        """Return the context in which model and optimizer are created."""
        return self.strategy.scope() if self.strategy is not None else nullcontext()

    def __str__(self) -> str:
        count = f"{self.num_replicas} x " if self.num_replicas > 1 else ""
        return f"{count}{self.name}, {self.policy} ({self.reason})"


def choose_device(precision: str = "auto") -> Device:
    """Return the accelerators that the Keras backend sees, or the CPU.

    Several GPUs (or, for tests, several logical CPUs) are used together, data-parallel.
    precision: as in TrainingConfig. Raises ConfigError.
    """
    import keras

    backend = keras.backend.backend()
    if backend == "tensorflow":
        return _tensorflow_device(precision)
    if backend == "jax":
        return _jax_device(precision)
    raise ConfigError(f"KERAS_BACKEND is {backend!r}; tensorflow and jax are supported")


def check_required_device(kind: str) -> None:
    """Raise ConfigError if `choose_device` does not find this kind (gpu, tpu, or any)."""
    if kind == "any":
        return
    import keras

    device = choose_device()
    if device.kind != kind:
        raise ConfigError(
            f"--require_device {kind}, but {keras.backend.backend()} sees only {device.name} here: "
            f"start this machine with a {kind.upper()}, or leave --require_device out; "
            "KERAS_BACKEND chooses between tensorflow and jax"
        )


def _tensorflow_device(precision: str) -> Device:
    import tensorflow as tf

    if is_installed("tensorflow-tpu") and has_signs_of_a_tpu():
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
    """Start a TPU with tensorflow-tpu. Not run on hardware yet: see docs/architecture.md."""
    import tensorflow as tf

    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu="local")
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        reason = one_line(error)
        raise ConfigError(
            f"TensorFlow cannot start the TPU ({reason}); set KERAS_BACKEND=jax to use JAX instead"
        ) from None
    strategy = tf.distribute.TPUStrategy(resolver)
    policy, reason = _policy(precision, "bf16", "a TPU multiplies in bf16")
    # TPUStrategy compiles the whole step by itself, so without jit_compile and for one shape.
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
        policy, reason = _policy(precision, "bf16", "a TPU multiplies in bf16")
        return Device("tpu", first.device_kind, len(devices), policy, reason, True)
    major, minor = (int(part) for part in str(first.compute_capability).split("."))
    policy, reason = _gpu_policy(precision, (major, minor))
    return Device("gpu", first.device_kind, len(devices), policy, reason, True)


def _policy(precision: str, best: str, reason: str) -> tuple[str, str]:
    """Return the dtype policy and its reason: `best` and `reason` if `precision` is auto."""
    if precision != "auto":
        return POLICIES[precision], "as requested"
    return POLICIES[best], reason


def _cpu_policy(precision: str, *, fast_bf16: bool) -> tuple[str, str]:
    if precision == "fp16":
        raise ConfigError("--precision fp16 needs a GPU; on a CPU choose fp32, bf16 or auto")
    if fast_bf16:
        return _policy(precision, "bf16", "this processor multiplies in bf16")
    return _policy(precision, "fp32", "this processor gains nothing from bf16")


def _gpu_policy(precision: str, capability: tuple[int, int] | None) -> tuple[str, str]:
    if capability is None:
        return _policy(precision, "fp32", "the kind of this GPU is not known")
    if capability >= (8, 0):
        return _policy(precision, "bf16", "this GPU multiplies in bf16")
    if capability >= (6, 0):
        return _policy(precision, "fp16", "this GPU has fp16 but no bf16")
    return _policy(precision, "fp32", "this GPU has neither fp16 nor bf16")
