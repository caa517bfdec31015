"""The machine as the operating system shows it: processors, signs of a TPU, installed libraries."""

import math
import os
import platform
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mlm.backend.replicas import backend_name

# What Kaggle, Colab and Cloud TPU machines set; TensorFlow itself sets others that begin alike.
TPU_VARIABLES = ("TPU_ACCELERATOR_TYPE", "TPU_WORKER_ID", "TPU_WORKER_HOSTNAMES", "TPU_NAME")
# The names under which TensorFlow is installed: its own, a Space's and Kaggle's, a Cloud TPU's.
TENSORFLOWS = ("tensorflow", "tensorflow-cpu", "tensorflow-tpu")


def has_signs_of_a_tpu() -> bool:
    """True if device nodes or the environment speak of a TPU."""
    nodes = (*Path("/dev").glob("accel[0-9]*"), *Path("/dev/vfio").glob("[0-9]*"))
    return bool(nodes) or any(name in os.environ for name in TPU_VARIABLES)


def is_installed(distribution: str) -> bool:
    """True if a distribution of this name is installed."""
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


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


def versions() -> dict[str, str]:
    """The versions that a training record names."""
    found = {"python": platform.python_version()}
    for name in ("keras", *TENSORFLOWS, "jax", "transformers", "numpy", "tokenizers"):
        if is_installed(name):
            found[name] = version(name)
    found["backend"] = backend_name()
    return found


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
