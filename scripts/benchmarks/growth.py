"""Speed and memory of training and answering against the size of their input: tables, a picture.

    python scripts/benchmarks/growth.py [CURVE ...] [--output growth.svg]

Each point is a process of its own. Training is of a BERT with the vocabulary of bert-base-uncased,
on tokens of IMDB, with AdamW, in bf16, or in fp32 on a processor without it. Measured are tokens a
second and memory, against sequence length, batch and corpus (4 layers of 256) and against the
model's size. Answering is by the page's engine with 8-bit weights, BERT-base shape: milliseconds
against tokens and against masks, and questions a second against the number of clients.
corpus_size.py measures the reading of a corpus from the disk and the Hub. The picture needs
`pip install -e '.[bench]'`.
"""

import argparse
import math
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from bench import BenchmarkError, run
from machine import FASTEST
from material import BASE, IMDB, SMALL, Material

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TOKENS_A_STEP = 8192
STEPS = 5
TIMES = 30  # questions a point

COLOUR, GREY = "#0f766e", "#64748b"

Point = tuple[float, float, float]  # x, y, memory in MB
Value = TypeVar("Value")


@dataclass(frozen=True)
class Curve(Generic[Value]):
    """A series of measurements at `values`, and the labels of its axes.

    flat: y should stay as it is; else it should grow no faster than x.
    """

    x: str
    y: str
    values: tuple[Value, ...]
    measure: Callable[[Material, Value], Point]
    flat: bool = False


REVIEWS = {"train_file": [str(IMDB["test_4k"])]}


def train(
    material: Material,
    shape: dict[str, int],
    rows: int,
    length: int,
    corpus: Mapping[str, list[str]] = REVIEWS,
) -> tuple[float, float]:
    """Return the tokens a second and the MB of a training on batches of (rows, length)."""
    name = "-".join(str(size) for size in shape.values()) or "base"
    settings = {
        **corpus,
        "model_name_or_path": material.model(name, shape),
        "max_seq_length": length,
        "per_device_train_batch_size": rows,
        "max_steps": 100,
        "precision": FASTEST,
    }
    found = run(material, "ours.py", "train", {"settings": settings, "times": STEPS})
    return rows * length / found["seconds"], found["megabytes"]


def by_length(material: Material, length: int) -> Point:
    """Measure training against the sequence length, with as many tokens in each step."""
    return length, *train(material, SMALL, TOKENS_A_STEP // length, length)


def by_batch(material: Material, rows: int) -> Point:
    """Measure training against the sequences of a batch."""
    return rows, *train(material, SMALL, rows, 128)


def by_corpus(material: Material, tokens: int) -> Point:
    """Measure training against the tokens of the corpus: random words, in stores of 1 GB."""
    from corpus_size import STORE_SIZE, write_store

    from mlm.checkpoint.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(material.model("-".join(map(str, SMALL.values())), SMALL))
    megabytes, first = 2 * tokens / 1e6, None
    stores = material.folder / f"tokens-{tokens}"
    for number in range(math.ceil(megabytes / STORE_SIZE)):
        path = stores / f"part-{number:02}"
        write_store(path, min(megabytes, STORE_SIZE), tokenizer, first)
        first = first or path
    return tokens, *train(material, SMALL, 64, 128, {"token_store": [f"{stores}/part-*"]})


def by_model(material: Material, shape: tuple[int, int]) -> Point:
    """Measure training against the parameters of all layers, in millions."""
    layers, hidden = shape
    sizes = {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": hidden // 64,
        "intermediate_size": 4 * hidden,
    }
    return 12 * layers * hidden**2 / 1e6, *train(material, sizes, 16, 128)


def answer(material: Material, sentence: str) -> tuple[float, float]:
    """Return the milliseconds of an answer and the MB of the process."""
    arguments = {"model": material.model("base", BASE), "sentences": [sentence], "times": TIMES}
    found = run(material, "ours.py", "fill", arguments)
    return 1000 * found["seconds"], found["megabytes"]


def by_text(material: Material, tokens: int) -> Point:
    """Measure answering against the tokens of the text."""
    return tokens, *answer(material, material.sentence(tokens))


def by_masks(material: Material, masks: int) -> Point:
    """Measure answering against the masks of a text of 64 tokens."""
    words = material.sentence(64).replace("[MASK]", "film").split()
    words[:masks] = ["[MASK]"] * masks
    return masks, *answer(material, " ".join(words))


def by_clients(material: Material, clients: int) -> Point:
    """Measure questions a second against the clients that ask at once."""
    arguments = {
        "model": material.model("base", BASE),
        "sentence": material.sentence(32),
        "clients": clients,
        "seconds": 10,
    }
    found = run(material, "ours.py", "serve", arguments)
    return clients, found["result"], found["megabytes"]


CURVES: dict[str, Curve[Any]] = {
    "length": Curve("tokens a sequence", "tokens/s", (64, 128, 256, 512), by_length, flat=True),
    "batch": Curve("sequences a batch", "tokens/s", (4, 8, 16, 32, 64, 128), by_batch, flat=True),
    "corpus": Curve(
        "tokens of the corpus",
        "tokens/s",
        (10**5, 10**6, 10**7, 10**8, 10**9),
        by_corpus,
        flat=True,
    ),
    "model": Curve(
        "millions of parameters in the layers",
        "tokens/s",
        ((2, 128), (4, 256), (4, 512), (8, 512), (12, 768)),
        by_model,
    ),
    "text": Curve("tokens a text", "ms", (8, 16, 32, 64, 128, 256, 512), by_text),
    "masks": Curve("masks in a text of 64 tokens", "ms", (1, 2, 4, 8, 16, 32), by_masks),
    "clients": Curve("clients at once", "questions/s", (1, 2, 4, 8, 16), by_clients, flat=True),
}


def draw(points: dict[str, list[Point]], path: Path) -> None:
    """Draw all curves, up to four in a row."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = min(4, len(points))
    rows = math.ceil(len(points) / columns)
    figure = pyplot.figure(figsize=(3.6 * columns, 2.8 * rows), layout="constrained")
    for place, (name, of_curve) in enumerate(points.items(), 1):
        draw_curve(figure.add_subplot(rows, columns, place), CURVES[name], of_curve)
    figure.savefig(path)
    pyplot.close(figure)


def draw_curve(axes: "Axes", curve: Curve[Any], points: list[Point]) -> None:
    """Draw one curve, and in grey the memory of its processes."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    xs, ys, megabytes = zip(*points, strict=True)
    axes.plot(xs, ys, "o-", color=COLOUR)
    axes.set(xlabel=curve.x, xscale="log", yscale="linear" if curve.flat else "log")
    axes.set_ylabel(curve.y, color=COLOUR)
    axes.set_xticks(xs, [tick_label(x) for x in xs])
    axes.set_ylim(0 if curve.flat else min(ys) / 2, 1.2 * max(ys))
    axes.yaxis.set_major_locator(MaxNLocator(5) if curve.flat else LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(lambda y, _: tick_label(y))
    axes.minorticks_off()
    memory = axes.twinx()
    memory.plot(xs, megabytes, ".--", color=GREY)
    memory.set_ylabel("MB", color=GREY)
    memory.set_ylim(0, 1.2 * max(megabytes))


def tick_label(number: float) -> str:
    """Return 1000000 as 10⁶ (in TeX) and 0.3932 as 0.39."""
    if number >= 1e5:
        return f"$10^{{{math.log10(number):.0f}}}$"
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def measure(curve: Curve[Any], material: Material) -> Iterator[Point]:
    """Print and yield the points of a curve."""
    if curve.measure in (by_text, by_masks, by_clients):  # converts the checkpoint beforehand
        by_text(material, 8)
    for value in curve.values:
        point = curve.measure(material, value)
        print(" | ".join(f"{number:,.4g}" for number in point), flush=True)
        yield point


def main(arguments: list[str]) -> None:
    """Measure the curves, print their points, and draw them into --output."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("curves", nargs="*", metavar="CURVE", help=", ".join(CURVES))
    parser.add_argument("--output", type=Path, help="a file for the picture")
    given = parser.parse_args(arguments)
    unknown = sorted(set(given.curves) - CURVES.keys())
    if unknown:
        parser.error(f"{unknown[0]} is not a curve; expected some of {', '.join(CURVES)}")
    points: dict[str, list[Point]] = {}
    with tempfile.TemporaryDirectory() as folder:
        material = Material(Path(folder))
        for name in given.curves or CURVES:
            try:
                print(f"{name}: {CURVES[name].x} | {CURVES[name].y} | MB", flush=True)
                points[name] = list(measure(CURVES[name], material))
            except BenchmarkError as error:
                print(f"{name} failed: {error}", flush=True)
            if given.output and points:
                draw(points, given.output)


if __name__ == "__main__":
    main(sys.argv[1:])
