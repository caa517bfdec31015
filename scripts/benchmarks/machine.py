"""The machine that is measured on: what it can do, and whether it is idle (Linux)."""

import os
import subprocess
import sys
import time
from functools import lru_cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mlm.backend.hardware import cpu_has_bf16

FASTEST = "bf16" if cpu_has_bf16() else "fp32"  # in which small models are trained

# What decides how fast products are, and those of 8 and 16 bits in particular.
INSTRUCTIONS = "avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16"
MOST_BUSY = 0.2  # seconds of work in one second that others may do


def instructions() -> list[str]:
    """Those of INSTRUCTIONS that the processor has (Linux on x86)."""
    words = set(Path("/proc/cpuinfo").read_text().split())
    return [name for name in INSTRUCTIONS if name in words]


@lru_cache
def gpu_name() -> str | None:
    """The first NVIDIA GPU, by its driver's name for it; None where there is none."""
    asked = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return told.splitlines()[0] if told else None


def is_idle() -> bool:
    """Within a minute, for a second."""
    for _ in range(60):
        before = busy_seconds()
        time.sleep(1)
        if busy_seconds() - before < MOST_BUSY:
            return True
    return False


def seconds_of_others() -> float:
    """That all processors together have worked for others than this process and its children."""
    return busy_seconds() - sum(os.times()[:4])


def busy_seconds() -> float:
    """That all processors together have worked since the machine started."""
    return sum(_seconds()[:3])  # for users, for the nice ones, in the kernel


def taken_by_other_machines() -> float:
    """Seconds that a virtual machine's processors were ready to work and were not let."""
    return _seconds()[7]


def _seconds() -> list[float]:
    """Of all processors together since the machine started, as proc(5) orders them."""
    _, *ticks = Path("/proc/stat").read_text().partition("\n")[0].split()
    return [int(tick) / os.sysconf("SC_CLK_TCK") for tick in ticks]
