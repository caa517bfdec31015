"""How training and answering grow with what they are given: tables and a picture.

    python scripts/benchmarks/growth.py [CURVE ...] [--output growth.svg]

Each point is a process of its own. Training is of a BERT with the vocabulary of bert-base-uncased,
tokens of IMDB, AdamW, in bf16, on a processor without it in fp32: tokens a second against sequence
length, batch and corpus (of a model of 4 layers of 256) and against the model's size, and the
memory that it took. Answering is the page's engine, weights in 8 bits, BERT-base shape:
milliseconds against tokens and against masks; and questions a second against how many ask at once.
How reading a corpus grows, from the disk and from the Hub, is corpus_size.py's. The picture needs
`pip install 'mlm[bench]'`.
"""

import argparse
import math
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import Failed, run
from machine import FASTEST
from material import BASE, IMDB, SMALL, Material

TOKENS_A_STEP = 8192
STEPS = 5
TIMES = 30  # questions a point

COLOUR, GREY = "#0f766e", "#64748b"

Point = tuple[float, float, float]  # x, y, memory in MB


@dataclass(frozen=True)
class Curve:
    """What is measured at each x; y is to stay as it is (`flat`) or to grow no faster than x."""

    x: str
    y: str
    values: tuple[Any, ...]
    measure: Callable[[Material, Any], Point]
    flat: bool = False


REVIEWS = {"train_file": [str(IMDB["test_4k"])]}


def train_point(
    made: Material,
    shape: dict[str, int],
    rows: int,
    length: int,
    corpus: dict[str, list[str]] = REVIEWS,
) -> dict[str, Any]:
    name = "-".join(str(size) for size in shape.values()) or "base"
    settings = {
        **corpus,
        "model_name_or_path": made.model(name, shape),
        "max_seq_length": length,
        "per_device_train_batch_size": rows,
        "max_steps": 100,
        "precision": FASTEST,
    }
    told = run(made, "ours.py", "train", {"settings": settings, "times": STEPS})
    return told | {"speed": rows * length / told["seconds"]}


def by_length(made: Material, length: int) -> Point:
    told = train_point(made, SMALL, TOKENS_A_STEP // length, length)
    return length, told["speed"], told["megabytes"]


def by_batch(made: Material, rows: int) -> Point:
    told = train_point(made, SMALL, rows, 128)
    return rows, told["speed"], told["megabytes"]


def by_corpus(made: Material, tokens: int) -> Point:
    """Of random words in token stores of at most 1 GB, the first one's files in all of them."""
    from corpus_size import PART, write_store

    from mlm.checkpoint.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(made.model("-".join(map(str, SMALL.values())), SMALL))
    megabytes, first = 2 * tokens / 1e6, None
    stores = made.folder / f"tokens-{tokens}"
    for part in range(math.ceil(megabytes / PART)):
        write_store(stores / f"part-{part:02}", min(megabytes, PART), tokenizer, first)
        first = first or stores / "part-00"
    told = train_point(made, SMALL, 64, 128, {"token_store": [f"{stores}/part-*"]})
    return tokens, told["speed"], told["megabytes"]


def by_model(made: Material, shape: tuple[int, int]) -> Point:
    """Against the numbers of all layers, each of which takes part in every token."""
    layers, hidden = shape
    sizes = {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": hidden // 64,
        "intermediate_size": 4 * hidden,
    }
    told = train_point(made, sizes, 16, 128)
    return 12 * layers * hidden**2 / 1e6, told["speed"], told["megabytes"]


def by_text(made: Material, tokens: int) -> Point:
    arguments = {"model": made.model("base", BASE), "sentences": [made.sentence(tokens)]}
    told = run(made, "ours.py", "fill", arguments | {"times": TIMES})
    return tokens, 1000 * told["seconds"], told["megabytes"]


def by_masks(made: Material, masks: int) -> Point:
    words = made.sentence(64).replace("[MASK]", "film").split()
    words[:masks] = ["[MASK]"] * masks
    arguments = {"model": made.model("base", BASE), "sentences": [" ".join(words)]}
    told = run(made, "ours.py", "fill", arguments | {"times": TIMES})
    return masks, 1000 * told["seconds"], told["megabytes"]


def by_clients(made: Material, clients: int) -> Point:
    arguments = {"model": made.model("base", BASE), "sentence": made.sentence(32)}
    told = run(made, "ours.py", "serve", arguments | {"clients": clients, "seconds": 10})
    return clients, told["result"], told["megabytes"]


CURVES = {
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
        "millions of numbers in the layers",
        "tokens/s",
        ((2, 128), (4, 256), (4, 512), (8, 512), (12, 768)),
        by_model,
    ),
    "text": Curve("tokens a text", "ms", (8, 16, 32, 64, 128, 256, 512), by_text),
    "masks": Curve("masks in a text of 64 tokens", "ms", (1, 2, 4, 8, 16, 32), by_masks),
    "clients": Curve("who ask at once", "questions/s", (1, 2, 4, 8, 16), by_clients, flat=True),
}


def picture(drawn: dict[str, list[Point]], path: Path) -> None:
    """All curves, up to four in a row."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = min(4, len(drawn))
    rows = math.ceil(len(drawn) / columns)
    figure = pyplot.figure(figsize=(3.6 * columns, 2.8 * rows), layout="constrained")
    for place, (name, points) in enumerate(drawn.items(), 1):
        panel(figure.add_subplot(rows, columns, place), CURVES[name], points)
    figure.savefig(path)
    pyplot.close(figure)


def panel(axes: Any, curve: Curve, points: list[Point]) -> None:
    """One curve, and in grey the memory that it took."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    across, speeds, megabytes = zip(*points, strict=True)
    axes.plot(across, speeds, "o-", color=COLOUR)
    axes.set(xlabel=curve.x, xscale="log", yscale="linear" if curve.flat else "log")
    axes.set_ylabel(curve.y, color=COLOUR)
    axes.set_xticks(across, [shown(x) for x in across])
    axes.set_ylim(0 if curve.flat else min(speeds) / 2, 1.2 * max(speeds))
    axes.yaxis.set_major_locator(MaxNLocator(5) if curve.flat else LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(lambda y, _: shown(y))
    axes.minorticks_off()
    memory = axes.twinx()
    memory.plot(across, megabytes, ".--", color=GREY)
    memory.set_ylabel("MB", color=GREY)
    memory.set_ylim(0, 1.2 * max(megabytes))


def shown(number: float) -> str:
    """1000000 as 10⁶, 0.3932 as 0.39."""
    if number >= 1e5:
        return f"$10^{{{math.log10(number):.0f}}}$"
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("curves", nargs="*", metavar="CURVE", help=", ".join(CURVES))
    parser.add_argument("--output", type=Path, help="a file for the picture")
    given = parser.parse_args(arguments)
    unknown = sorted(set(given.curves) - CURVES.keys())
    if unknown:
        parser.error(f"there is no curve {unknown[0]}; there are {', '.join(CURVES)}")
    drawn: dict[str, list[Point]] = {}
    with tempfile.TemporaryDirectory() as folder:
        made = Material(Path(folder))
        for name in given.curves or CURVES:
            try:
                print(f"{name}: {CURVES[name].x} | {CURVES[name].y} | MB", flush=True)
                drawn[name] = list(measured(CURVES[name], made))
            except Failed as failure:
                print(f"{name} failed: {failure}", flush=True)
            if given.output and drawn:
                picture(drawn, given.output)


def measured(curve: Curve, made: Material) -> Iterator[Point]:
    if curve.measure in (by_text, by_masks, by_clients):  # makes what later starts read
        by_text(made, 8)
    for value in curve.values:
        point = curve.measure(made, value)
        print(" | ".join(f"{number:,.4g}" for number in point), flush=True)
        yield point


if __name__ == "__main__":
    main(sys.argv[1:])
