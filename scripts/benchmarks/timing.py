"""Time and memory of one process, measured alike by ours.py and peers.py."""

import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Required, TypedDict, TypeVar

Answer = TypeVar("Answer")
Result = Any  # JSON: numbers or TokenScores; `agree` of a row of bench.py knows which
Word = Mapping[str, Any]  # of an answer: token, score and more


class TokenScores(TypedDict):
    """The best tokens for the masks of a text, one mask after the other."""

    token: list[int]
    score: list[float]


class Measurement(TypedDict, total=False):
    """The figures that a task of ours.py or peers.py prints as JSON.

    seconds: of the task; result: compared with the other side's; first, start: seconds from the
    start of the process to the first answer, or to the end of the first training step; megabytes:
    peak memory of the process.
    """

    seconds: Required[float]
    result: Required[Result]
    first: float
    start: float
    megabytes: float


def time_calls(call: Callable[[], Answer], times: int, warm_up: int = 3) -> tuple[float, Answer]:
    """Return the median seconds of a number of calls after some that do not count, and a result."""
    for _ in range(warm_up):
        call()
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        result = call()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds), result


def token_scores(answer: Sequence[Word | Sequence[Word]]) -> TokenScores:
    """Return the tokens and scores of an answer in the form of transformers' pipelines.

    answer: dicts with token and score, or a list of such dicts for each of several masks.
    """
    words = [word for each in answer for word in ([each] if isinstance(each, Mapping) else each)]
    return {"token": [w["token"] for w in words], "score": [w["score"] for w in words]}


def seconds_since_process_start() -> float:
    """Return the age of this process, its imports included (Linux)."""
    began = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - began / os.sysconf("SC_CLK_TCK")


def peak_megabytes() -> float:
    """Return this program's peak memory (Linux); getrusage also counts the time before exec."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1000
