"""Ours against what people would otherwise use, on the same work: `make bench`.

    python scripts/benchmarks/bench.py [ROW ...] [--runs 5] [--output bench.md]

Each row runs its two sides in turn, A B A B, each time as a process of its own with as many
threads, and gives the medians, the spread and the ratio (the peer's time / ours). A row whose sides
do not agree in what they found is a failure, and so is one on a machine that has something else to
do: PyTorch, whose threads wait for each other, is then slower tenfold.

Models of the BERT-base shape have random weights and the real vocabulary; texts are IMDB's. The
folder that MLM_SHARED_DATA names has tokenizers/bert-base-uncased-vocab.txt and
imdb/{train,unsup,test_4k}.csv.gz with a column text. The peers need `pip install 'mlm[bench]'`.

What the page takes for an answer has weights in 8 bits, the peers' in 32; fill-*-int8 are against
8 bits, fill-32-float32 is in 32 here too. The peers compute the logits of all tokens, ours those of
masks. What ours makes of a checkpoint once, before its first answer ever, is in no row.
train-small and learn-small are in bf16 where the processor multiplies in it, else in fp32, and
there is no train-base-bf16 without: PyTorch is then several times slower in it than in fp32.
train-base-gpu is there with an NVIDIA GPU and JAX for it, of the CUDA that PyTorch has
(`pip install "jax[cuda13]"`), against torch.compile; it has not been run on a GPU yet.
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
from typing import Any

from machine import (
    gpu_name,
    instructions,
    is_idle,
    seconds_of_others,
    taken_by_other_machines,
)
from material import IMDB, VOCABULARY, Material
from rows import ROWS, Row

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
# Of the time that a run took, which others may have worked in it.
MOST_OF_OTHERS = 0.05


class Failed(Exception):
    """A row that gives no figure, and why."""


@dataclass
class Measured:
    """What both sides of each row told, by what they were asked."""

    made: Material
    told: dict[str, list[Any]] = field(default_factory=dict)
    peaks: dict[str, float] = field(default_factory=dict)

    def figures(self, row: Row, runs: int) -> tuple[list[float], list[float]]:
        """Of both sides, A B A B. Rows that differ in the figure alone share the runs."""
        arguments = row.arguments(self.made)
        key = json.dumps([row.task, row.peer, row.on, row.ours, arguments])
        if key not in self.told:
            if row.task == "fill":  # makes what later starts read
                run(self.made, "ours.py", row.task, arguments | row.ours)
            self.told[key] = [both(row, self.made, arguments) for _ in range(runs)]
        ours, theirs = zip(*self.told[key], strict=True)
        return [us[row.figure] for us in ours], [them[row.figure] for them in theirs]

    def peak(self, on: str) -> float:
        """Billions of operations a second in a product: of the CPU in fp32, of a GPU in bf16."""
        if on not in self.peaks:
            task = {"cpu": "product_peak", "gpu": "gpu_product_peak"}[on]
            self.peaks[on] = run(self.made, "peers.py", task, {}, on)["result"]
        return self.peaks[on]


def both(row: Row, made: Material, arguments: dict[str, Any]) -> tuple[Any, Any]:
    """What each side tells of doing it once."""
    us = run(made, "ours.py", row.task, arguments | row.ours, row.on)
    them = run(made, "peers.py", row.peer, arguments, row.on)
    if not row.agree(us["result"], them["result"]):
        raise Failed(f"the sides do not agree: {us['result']} and {them['result']}")
    return us, them


def run(
    made: Material, file: str, task: str, arguments: dict[str, Any], on: str = "cpu"
) -> dict[str, Any]:
    """One side once."""
    if not is_idle():
        raise Failed("something else keeps the machine busy")
    asked = [sys.executable, str(HERE / file), task, json.dumps(arguments)]
    environ = os.environ | environment(made, on)
    started, before = time.perf_counter(), seconds_of_others()
    done = subprocess.run(asked, capture_output=True, text=True, env=environ)
    others = seconds_of_others() - before
    if done.returncode:
        raise Failed(f"{file} {task}: {done.stderr[-2000:]}")
    if others > 0.5 + MOST_OF_OTHERS * (time.perf_counter() - started):
        raise Failed(f"something else worked for {others:.1f} s beside {file} {task}")
    return json.loads(done.stdout.splitlines()[-1])


def environment(made: Material, on: str) -> dict[str, str]:
    """As many threads for both sides, and the GPU, which both take where they see it, or none."""
    devices = {
        "cpu": {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""},
        "gpu": {"KERAS_BACKEND": "jax", "CUDA_VISIBLE_DEVICES": "0"},
    }
    return {
        "HF_ASSETS_CACHE": str(made.folder / "assets"),
        "OMP_NUM_THREADS": str(available_cpus()),
        **devices[on],
    }


def table(names: list[str], runs: int) -> Iterator[tuple[str, bool]]:
    """Lines, and whether each is as it should be."""
    for each in (*heading(runs), f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"):
        yield each, True
    before = taken_by_other_machines()
    with tempfile.TemporaryDirectory() as folder:
        measured = Measured(Material(Path(folder)))
        for name in names:
            row = ROWS[name]
            try:
                yield line(name, row, measured.figures(row, runs), measured.peak(row.on)), True
            except Failed as failure:
                yield f"| {name} | failed: {' '.join(str(failure).split())} |", False
    for on, peak in measured.peaks.items():
        yield f"\nPeak of the {on}, in a product of matrices: {peak:,.0f} GFLOP/s", True
    taken = taken_by_other_machines() - before
    yield f"\nTaken from this machine by others on the same hardware: {taken:.0f} s", True


def heading(runs: int) -> Iterator[str]:
    """What is measured with and on."""
    found = {name: version_of(name) for name in LIBRARIES}
    yield ", ".join(f"{name} {known}" for name, known in found.items() if known)
    yield f"{cpu_name()}, {', '.join(instructions())}; {gpu_name() or 'no GPU'}"
    yield f"{available_cpus()} threads, {runs} runs of each side; medians\n"


COLUMNS = "row", "ours", "peer", "ratio", "to reach", "precision", "spread", "of the peak"


def line(name: str, row: Row, figures: tuple[list[float], list[float]], peak: float) -> str:
    us, them = map(statistics.median, figures)
    spread = ", ".join(f"{min(each):.3g}-{max(each):.3g}" for each in figures)
    # With 16 or 8 bits it may be more than all of the peak in fp32.
    share = f"{row.operations / us / peak / 1e9:.0%}" if row.operations else ""
    told = f"{us:.3g} | {them:.3g} | {them / us:.2f} | {row.wanted}"
    return f"| {name} | {told} | {row.precision} | {spread} | {share} |"


def version_of(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--output", type=Path, help="a file for the table")
    given = parser.parse_args(arguments)
    unknown = sorted(set(given.rows) - ROWS.keys())
    if unknown:
        parser.error(f"there is no row {unknown[0]} here; there are {', '.join(ROWS)}")
    missing = [str(file) for file in (VOCABULARY, *IMDB.values()) if not file.is_file()]
    if missing:
        parser.error(f"there is no {missing[0]}; name the folder of the texts in MLM_SHARED_DATA")
    told = []
    for each in table(given.rows or list(ROWS), given.runs):
        print(each[0], flush=True)
        told.append(each)
        if given.output:  # line by line: a row may take half an hour
            text = "".join(f"{told_line}\n" for told_line, _ in told)
            given.output.write_text(text, encoding="utf-8")
    if not all(fine for _, fine in told):
        raise SystemExit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
