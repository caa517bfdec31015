"""The machine that runs the benchmarks: its abilities and its other load (Linux)."""

import os
import subprocess
import time
from functools import lru_cache
from pathlib import Path

from mlm.backend.hardware import cpu_has_bf16

FASTEST = "bf16" if cpu_has_bf16() else "fp32"  # precision in which small models are trained

# What decides the speed of matrix products, those of 8 and 16 bits in particular.
INSTRUCTIONS = "avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16"
MOST_BUSY = 0.2  # CPU seconds in a second that other processes may use


def cpu_instructions() -> list[str]:
    """Return those of INSTRUCTIONS that the processor has (Linux on x86)."""
    words = set(Path("/proc/cpuinfo").read_text().split())
    return [name for name in INSTRUCTIONS if name in words]


@lru_cache
def gpu_name() -> str | None:
    """Return the driver's name of the first NVIDIA GPU, or None without one."""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        names = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return names.splitlines()[0] if names else None


def becomes_idle() -> bool:
    """Wait until the machine has been idle for a second; return False after a minute."""
    for _ in range(60):
        before = busy_seconds()
        time.sleep(1)
        if busy_seconds() - before < MOST_BUSY:
            return True
    return False


def cpu_seconds_of_others() -> float:
    """Return the CPU seconds since boot of all but this process and its finished children."""
    return busy_seconds() - sum(os.times()[:4])


def busy_seconds() -> float:
    """Return the CPU seconds that all processors together have worked since boot."""
    return sum(_cpu_seconds()[:3])  # user, nice, system


def stolen_seconds() -> float:
    """Return the CPU seconds that the hypervisor gave to other virtual machines instead."""
    return _cpu_seconds()[7]


def _cpu_seconds() -> list[float]:
    """Return the fields of /proc/stat for all processors together, in the order of proc(5)."""
    _, *ticks = Path("/proc/stat").read_text().partition("\n")[0].split()
    return [int(tick) / os.sysconf("SC_CLK_TCK") for tick in ticks]
