"""How both halves of the benchmarks measure: time and memory of one process."""

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def timed(call: Callable[[], Any], times: int, warm_up: int = 3) -> tuple[float, Any]:
    """The median of so many calls, after some that are not counted; and what it gave."""
    for _ in range(warm_up):
        result = call()
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        result = call()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds), result


def words(answer: list[Any]) -> dict[str, list[Any]]:
    """Ids and shares of the words for a text's masks, in the form that pipelines give them."""
    if answer and isinstance(answer[0], list):  # a list a mask, where there are several
        answer = [word for of_mask in answer for word in of_mask]
    return {name: [word[name] for word in answer] for name in ("token", "score")}


def since_process_start() -> float:
    """Seconds, imports and all (Linux)."""
    began = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - began / os.sysconf("SC_CLK_TCK")


def peak_mb() -> float:
    """Of this program alone (Linux); getrusage counts what it was before it began as well."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1000
