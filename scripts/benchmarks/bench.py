"""Measure this project against what people would otherwise use, on the same work: `make bench`.

    python scripts/benchmarks/bench.py [ROW ...] [--runs 5] [--output bench.md]

Each row runs its two sides in turn, A B A B, each run in a process of its own and with the same
number of threads. It prints the medians, the spread and the ratio (the peer's time / ours). A row
fails if the results of its sides do not agree, or if the machine has other work: PyTorch, whose
threads wait for each other, is then ten times slower.

Models of the BERT-base shape have random weights and the real vocabulary; the texts are IMDB's. The
folder that MLM_SHARED_DATA names has tokenizers/bert-base-uncased-vocab.txt and
imdb/{train,unsup,test_4k}.csv.gz with a column text. The peers need `pip install -e '.[bench]'`.

Our fill-* rows use 8-bit weights, as the page does, and their peers float32; the peers of
fill-*-int8 use 8 bits too, and fill-32-float32 has float32 on both sides. The peers compute the
logits of all tokens, we those of the masks. The conversion of a checkpoint before its first answer
ever is not measured.
train-small and learn-small use bf16 if the processor multiplies in it, else fp32. Without such a
processor train-base-bf16 is left out: PyTorch is then several times slower in bf16 than in fp32.
train-base-gpu, against torch.compile, needs an NVIDIA GPU and JAX for the CUDA version of PyTorch
(`pip install "jax[cuda13]"`); it has not been run on a GPU yet.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from machine import (
    becomes_idle,
    cpu_instructions,
    cpu_seconds_of_others,
    gpu_name,
    stolen_seconds,
)
from material import IMDB, VOCABULARY, Material
from rows import ROWS, Arguments, Device, Row
from timing import Measurement

from mlm.backend.hardware import available_cpus, cpu_name

HERE = Path(__file__).resolve().parent
LIBRARIES = (
    "tensorflow",
    "keras",
    "jax",
    "ai-edge-litert",
    "torch",
    "transformers",
    "tokenizers",
    "accelerate",
    "datasets",
    "onnxruntime",
    "minicons",
    "numpy",
)
MOST_OF_OTHERS = 0.05  # of a run's time, in which other processes may work


class BenchmarkError(Exception):
    """The reason why a row has no figures."""


@dataclass
class Measurements:
    """The measurements of both sides by task and arguments, and the peak speed of each device."""

    material: Material
    pairs: dict[str, list[tuple[Measurement, Measurement]]] = field(default_factory=dict)
    peaks: dict[Device, float] = field(default_factory=dict)

    def figures(self, row: Row, runs: int) -> tuple[list[float], list[float]]:
        """Return a row's figures of both sides, run A B A B.

        Rows that differ only in the figure share the runs.
        """
        arguments = row.arguments(self.material)
        key = json.dumps([row.task, row.peer, row.on, row.ours, arguments])
        if key not in self.pairs:
            if row.task == "fill":  # converts the checkpoint, which later runs then read
                run(self.material, "ours.py", row.task, {**arguments, **row.ours})
            self.pairs[key] = [
                run_both(row, self.material, with_seed(arguments, seed)) for seed in range(runs)
            ]
        ours, theirs = zip(*self.pairs[key], strict=True)
        return [us[row.figure] for us in ours], [them[row.figure] for them in theirs]

    def peak(self, on: Device) -> float:
        """Return billions of operations a second in a matrix product: CPU in fp32, GPU in bf16."""
        if on not in self.peaks:
            task = {"cpu": "product_peak", "gpu": "gpu_product_peak"}[on]
            self.peaks[on] = run(self.material, "peers.py", task, {}, on)["result"]
        return self.peaks[on]


def with_seed(arguments: Arguments, seed: int) -> Arguments:
    """Return the arguments of a run; a training to a value takes a seed, so that runs differ."""
    settings = arguments.get("settings")
    if "every" not in arguments or not isinstance(settings, dict):
        return arguments
    return {**arguments, "settings": settings | {"seed": seed}}


def run_both(row: Row, material: Material, arguments: Arguments) -> tuple[Measurement, Measurement]:
    """Run each side once. Raises BenchmarkError if the results do not agree."""
    us = run(material, "ours.py", row.task, {**arguments, **row.ours}, row.on)
    them = run(material, "peers.py", row.peer, arguments, row.on)
    if not row.agree(us["result"], them["result"]):
        raise BenchmarkError(f"the sides do not agree: {us['result']} and {them['result']}")
    return us, them


def run(
    material: Material, file: str, task: str, arguments: Arguments, on: Device = "cpu"
) -> Measurement:
    """Run a task of one side in a process of its own.

    Raises:
        BenchmarkError: the task fails, or other processes use the machine.
    """
    if not becomes_idle():
        raise BenchmarkError("other processes keep the machine busy")
    command = [sys.executable, str(HERE / file), task, json.dumps(arguments)]
    environ = os.environ | environment_variables(material, on)
    started, before = time.perf_counter(), cpu_seconds_of_others()
    done = subprocess.run(command, capture_output=True, text=True, env=environ)
    others = cpu_seconds_of_others() - before
    if done.returncode:
        raise BenchmarkError(f"{file} {task}: {done.stderr[-2000:]}")
    if others > 0.5 + MOST_OF_OTHERS * (time.perf_counter() - started):
        raise BenchmarkError(f"other processes worked for {others:.1f} s during {file} {task}")
    measurement: Measurement = json.loads(done.stdout.splitlines()[-1])
    return measurement


def environment_variables(material: Material, on: Device) -> dict[str, str]:
    """Return the same number of threads for both sides, and the GPU or none."""
    devices = {
        "cpu": {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""},
        "gpu": {"KERAS_BACKEND": "jax", "CUDA_VISIBLE_DEVICES": "0"},
    }
    return {
        "HF_ASSETS_CACHE": str(material.folder / "assets"),
        "OMP_NUM_THREADS": str(available_cpus()),
        **devices[on],
    }


COLUMNS = "row", "ours", "peer", "ratio", "to reach", "precision", "spread", "of the peak"


def table(names: list[str], runs: int) -> Iterator[tuple[str, bool]]:
    """Yield lines of Markdown, each with False if it reports a failed row."""
    for line in (*heading(runs), f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"):
        yield line, True
    before = stolen_seconds()
    with tempfile.TemporaryDirectory() as folder:
        measurements = Measurements(Material(Path(folder)))
        for name in names:
            row = ROWS[name]
            try:
                figures = measurements.figures(row, runs)
                yield format_row(name, row, figures, measurements.peak(row.on)), True
            except BenchmarkError as error:
                yield f"| {name} | failed: {' '.join(str(error).split())} |", False
    for on, peak in measurements.peaks.items():
        yield f"\nPeak of the {on}, in a matrix product: {peak:,.0f} GFLOP/s", True
    stolen = stolen_seconds() - before
    yield f"\nCPU time taken by other virtual machines on the same hardware: {stolen:.0f} s", True


def heading(runs: int) -> Iterator[str]:
    """Yield the versions of the libraries, the hardware, and the number of runs."""
    versions = {name: version_of(name) for name in LIBRARIES}
    yield ", ".join(f"{name} {number}" for name, number in versions.items() if number)
    yield f"{cpu_name()}, {', '.join(cpu_instructions())}; {gpu_name() or 'no GPU'}"
    yield f"{available_cpus()} threads, {runs} runs of each side; medians\n"


def format_row(name: str, row: Row, figures: tuple[list[float], list[float]], peak: float) -> str:
    """Return a row of the table; figures: of our side and of the peer, in the order of the runs."""
    us, them = map(statistics.median, figures)
    spread = ", ".join(f"{min(side):.3g}-{max(side):.3g}" for side in figures)
    # With 16 or 8 bits it may exceed the peak, which is in fp32.
    share = f"{row.operations / us / peak / 1e9:.0%}" if row.operations else ""
    medians = f"{us:.3g} | {them:.3g} | {them / us:.2f} | {row.wanted}"
    return f"| {name} | {medians} | {row.precision} | {spread} | {share} |"


def version_of(library: str) -> str | None:
    """Return the version of an installed library, or None."""
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def main(arguments: list[str]) -> None:
    """Print the table, and write it to --output; exit with 1 if a row fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--runs", type=int, default=5, help="of each side; default: 5")
    parser.add_argument("--output", type=Path, help="a file for the table")
    given = parser.parse_args(arguments)
    unknown = sorted(set(given.rows) - ROWS.keys())
    if unknown:
        parser.error(f"{unknown[0]} is not a row; expected some of {', '.join(ROWS)}")
    missing = [str(file) for file in (VOCABULARY, *IMDB.values()) if not file.is_file()]
    if missing:
        parser.error(f"{missing[0]} was not found; name the folder of the texts in MLM_SHARED_DATA")
    lines: list[str] = []
    all_passed = True
    for line, passed in table(given.rows or list(ROWS), given.runs):
        print(line, flush=True)
        lines.append(line)
        all_passed &= passed
        if given.output:  # line by line: a row may take half an hour
            given.output.write_text("".join(f"{each}\n" for each in lines), encoding="utf-8")
    if not all_passed:
        raise SystemExit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
