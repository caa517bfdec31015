"""A program of Python in a process of its own, measured from outside (Linux)."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from machine import cpu_seconds_of_others

from mlm.backend.hardware import available_cpus


@dataclass(frozen=True)
class Cost:
    """The cost of a process.

    seconds: from its start to its end; megabytes: its peak memory, at least that of this process;
    others: CPU seconds that other processes took meanwhile.
    """

    seconds: float
    megabytes: float
    others: float


def run_measured(arguments: Sequence[str], cache: Path) -> Cost:
    """Run Python with these arguments, on all CPUs, without a GPU and without the Hub.

    cache: folder for the caches of Hugging Face's libraries. Exits with the end of the output if
    the program fails.
    """
    before, started = cpu_seconds_of_others(), time.perf_counter()
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        process = subprocess.Popen(
            [sys.executable, *arguments], stdout=log, stderr=log, env=environment(cache)
        )
        _, status, usage = os.wait4(process.pid, 0)  # subprocess itself drops the memory
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            raise SystemExit(f"{' '.join(arguments)} failed:\n{log.read()[-3000:]}")
    seconds = time.perf_counter() - started
    return Cost(seconds, usage.ru_maxrss * 1024 / 1e6, cpu_seconds_of_others() - before)


def environment(cache: Path) -> dict[str, str]:
    """Return the environment variables of a measured process."""
    return os.environ | {
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HOME": str(cache),
        "HF_HUB_OFFLINE": "1",
        "KERAS_BACKEND": "tensorflow",
        "OMP_NUM_THREADS": str(available_cpus()),
    }
