"""The machine as seen without a backend: processors, signs of a TPU, installed libraries."""

import math
import os
import platform
import sys
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# Set on Kaggle, Colab and Cloud TPU machines. TensorFlow itself sets others with the same prefix.
TPU_VARIABLES = ("TPU_ACCELERATOR_TYPE", "TPU_WORKER_ID", "TPU_WORKER_HOSTNAMES", "TPU_NAME")
# TensorFlow's distributions: the usual one, that of Spaces and Kaggle, that of Cloud TPUs.
TENSORFLOWS = ("tensorflow", "tensorflow-cpu", "tensorflow-tpu")


def has_signs_of_a_tpu() -> bool:
    """Return True if device nodes or environment variables indicate a TPU."""
    nodes = (*Path("/dev").glob("accel[0-9]*"), *Path("/dev/vfio").glob("[0-9]*"))
    return bool(nodes) or any(name in os.environ for name in TPU_VARIABLES)


def is_installed(distribution: str) -> bool:
    """Return True if a distribution of this name is installed."""
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def available_cpus() -> int:
    """Return how many CPUs this process may use, by its affinity and its container's quota."""
    counts = [os.cpu_count() or 1]
    if hasattr(os, "sched_getaffinity"):
        counts.append(len(os.sched_getaffinity(0)))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        counts.append(math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):  # no such file; "max"
        pass
    return min(counts)


def peak_memory() -> int | None:
    """Return the peak memory of this process in bytes; None where the system does not tell it."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def versions() -> dict[str, str]:
    """Return the versions that a training record names, and the Keras backend in use."""
    import keras

    found = {"python": platform.python_version()}
    for name in ("keras", *TENSORFLOWS, "jax", "transformers", "numpy", "tokenizers"):
        if is_installed(name):
            found[name] = version(name)
    found["backend"] = keras.backend.backend()
    return found


@lru_cache
def cpu_has_bf16() -> bool:
    """Return True if the processor multiplies in bf16 (AVX-512 BF16 or AMX)."""
    flags = _cpu_field("flags").split()
    return "avx512_bf16" in flags or "amx_bf16" in flags


def cpu_name() -> str:
    """Return the processor's model and number of usable cores."""
    model = _cpu_field("model name") or platform.processor() or platform.machine()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores"


def _cpu_field(field: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "")
