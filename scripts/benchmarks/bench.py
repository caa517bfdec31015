"""Ours against what people would otherwise use, on the same work: `make bench`.

    python scripts/benchmarks/bench.py [ROW ...] [--runs 5] [--output bench.md]

Each row runs its two sides in turn, A B A B, each time as a process of its own, and gives the
medians, the spread and the ratio (the peer's time / ours). A row whose sides do not agree in what
they found is a failure, and so is one on a machine that has something else to do: PyTorch, whose
threads wait for each other, is then slower tenfold. Models of the BERT-base shape have random
weights and the real vocabulary; texts are IMDB's, from the folder that MLM_SHARED_DATA names. The
peers need requirements-bench.txt.

train-small and learn-small are in bf16 where the processor multiplies in it, else in fp32, and
there is no train-base-bf16 without: PyTorch is then several times slower in it than in fp32.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mlm.devices import cpu_has_bf16, cpu_name

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("MLM_SHARED_DATA", ROOT.parent / "shared" / "data"))
VOCABULARY = DATA / "tokenizers" / "bert-base-uncased-vocab.txt"

FASTEST = "bf16" if cpu_has_bf16() else "fp32"

BASE: dict[str, int] = {}
BASE_SIZES = (12, 768)  # layers and hidden size
VOCABULARY_SIZE = 30_522
# What decides how fast products are, and those of 8 and 16 bits in particular.
INSTRUCTIONS = "avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16"
MOST_BUSY = 0.2  # seconds of work in one second that others may do
LEARNED = 7.0  # nats: how often each word occurs is known then
SLOTS = 20 / 128  # of a sequence's tokens, whose logits a training step computes
SMALL = {
    "hidden_size": 256,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
}
WORDS = (
    "i have watched this [MASK] and it was awesome because the whole story keeps its pace and "
    "every actor seems to know why the scene matters so much that nobody in the room looked away"
)


@dataclass(frozen=True)
class Row:
    """What both sides do. wanted: the ratio to reach. figure: what of their answers is compared.

    operations: multiplications and additions in the products of matrices that the work needs.
    """

    task: str
    peer: str
    arguments: Callable[["Material"], dict[str, Any]]
    wanted: float
    figure: str = "seconds"
    agree: Callable[[Any, Any], bool] = lambda ours, theirs: True
    operations: float | None = None


@dataclass
class Material:
    """What the rows work on, made when it is first asked for, and what both sides told of it."""

    folder: Path
    made: dict[str, str] = field(default_factory=dict)
    told: dict[str, list[Any]] = field(default_factory=dict)

    def model(self, name: str, shape: dict[str, int]) -> str:
        if name not in self.made:
            self.made[name] = make_model(self.folder / name, shape)
        return self.made[name]

    def sentence(self, tokens: int) -> str:
        """Of so many tokens, [CLS] and [SEP] among them; each word of WORDS is one."""
        words = [*WORDS.split(), *WORDS.replace("[MASK]", "film").split() * 8]
        return " ".join(words[: tokens - 2])

    def reviews(self, count: int) -> list[str]:
        """First sentences of IMDB's held-out reviews, of 5 to 40 words."""
        import csv
        import gzip
        import re

        with gzip.open(DATA / "imdb" / "test_4k.csv.gz", "rt", encoding="utf-8") as stream:
            firsts = (re.split(r"(?<=[.!?])\s", row["text"])[0] for row in csv.DictReader(stream))
            fit = [text for text in firsts if 5 <= len(text.split()) <= 40 and "<" not in text]
        return fit[:count]

    def held_out(self, model: str) -> str:
        """128 masked sequences of held-out reviews, as arrays."""
        import numpy as np

        from mlm.batches import evaluation_batches
        from mlm.evaluation import split_of
        from mlm.held_out import held_out
        from mlm.tokenizer import TokenFacts, load_tokenizer

        tokenizer = load_tokenizer(model)
        asked, _ = held_out(None, validation_file=(str(DATA / "imdb" / "test_4k.csv.gz"),))
        ((inputs, labels, weights), *_) = evaluation_batches(
            split_of(asked, tokenizer),
            TokenFacts.of(tokenizer),
            max_seq_length=128,
            batch_size=128,
            line_by_line=False,
            max_sequences=128,
            whole_word_mask=False,
        )
        path = self.folder / "held_out.npz"
        chosen: dict[str, Any] = {n: inputs[n] for n in ("input_ids", "masked_positions")}
        np.savez(path, labels=labels, real=weights > 0, **chosen)
        return str(path)


def make_model(folder: Path, shape: dict[str, int]) -> str:
    """A BERT checkpoint of random weights with the vocabulary of bert-base-uncased."""
    import shutil

    import keras

    from mlm.checkpoint import save_checkpoint
    from mlm.encoder import MaskedLM
    from mlm.families import encoder_config_of, new_config, special_token_ids
    from mlm.tokenizer import load_tokenizer

    with tempfile.TemporaryDirectory() as vocabulary:
        shutil.copy(VOCABULARY, Path(vocabulary) / "vocab.txt")
        tokenizer = load_tokenizer(vocabulary)
    about = {"vocab_size": len(tokenizer), **special_token_ids("bert", tokenizer), **shape}
    hf_config = new_config("bert", **about)
    keras.utils.set_random_seed(1)
    model = MaskedLM(encoder_config_of(hf_config))
    model.build()
    save_checkpoint(model, tokenizer, folder, hf_config=hf_config)
    return str(folder)


def operations(sizes: tuple[int, int], sequences: int, length: int, slots: float) -> float:
    """Of a pass forwards; one backwards takes twice as many."""
    layers, hidden = sizes
    a_token = layers * (2 * 12 * hidden**2 + 2 * 2 * length * hidden)
    a_slot = 2 * hidden * (hidden + VOCABULARY_SIZE)
    return sequences * (length * a_token + slots * a_slot)


def close(tolerance: float) -> Callable[[Any, Any], bool]:
    import numpy as np

    return lambda ours, theirs: np.allclose(ours, theirs, rtol=tolerance, atol=0)


def fill_row(tokens: int, peer: str, wanted: float) -> Row:
    def arguments(made: Material) -> dict[str, Any]:
        sentences = [made.sentence(tokens)]
        return {"model": made.model("base", BASE), "sentences": sentences, "times": 20}

    needed = operations(BASE_SIZES, 1, tokens, 1)
    return Row("fill", peer, arguments, wanted, agree=close(0.1), operations=needed)


def many(made: Material) -> dict[str, Any]:
    texts = made.reviews(64)
    hidden = [" ".join(["[MASK]", *text.split()[1:]]) for text in texts]
    return {"model": made.model("base", BASE), "sentences": hidden, "times": 3}


def train_row(shape: dict[str, int], rows: int, precision: str, wanted: float, figure: str) -> Row:
    def arguments(made: Material) -> dict[str, Any]:
        settings = {
            "train_file": [str(DATA / "imdb" / "test_4k.csv.gz")],
            "model_name_or_path": made.model("small" if shape else "base", shape),
            "max_seq_length": 128,
            "per_device_train_batch_size": rows,
            "max_steps": 100,
            "learning_rate": 1e-5,
            "warmup_steps": 1,
            "weight_decay": 0.01,
            "lr_scheduler_type": "constant",
            "precision": precision,
        }
        return {"settings": settings, "times": 3}

    sizes = (shape["num_hidden_layers"], shape["hidden_size"]) if shape else BASE_SIZES
    needed = 3 * operations(sizes, rows, 128, 128 * SLOTS) if figure == "seconds" else None
    return Row("train", "train", arguments, wanted, figure, close(0.02), needed)


def learn_row() -> Row:
    """From the same random weights to the same loss on the same masked sequences."""

    def arguments(made: Material) -> dict[str, Any]:
        model = made.model("small", SMALL)
        settings = {
            "train_file": [str(DATA / "imdb" / "train.csv.gz")],
            "model_name_or_path": model,
            "max_seq_length": 128,
            "per_device_train_batch_size": 64,
            "max_steps": 400,
            "learning_rate": 1e-3,
            "warmup_steps": 20,
            "weight_decay": 0.01,
            "lr_scheduler_type": "constant",
            "precision": FASTEST,
        }
        held_out = made.held_out(model)
        return {"settings": settings, "held_out": held_out, "loss": LEARNED, "every": 10}

    def agree(us: list[float], them: list[float]) -> bool:
        return max(us[0], them[0]) <= LEARNED

    return Row("learn", "learn", arguments, 2.5, agree=agree)


ROWS = {
    "train-base-fp32": train_row(BASE, 16, "fp32", 1.4, "seconds"),
    **({"train-base-bf16": train_row(BASE, 16, "bf16", 1.6, "seconds")} if cpu_has_bf16() else {}),
    "train-small": train_row(SMALL, 64, FASTEST, 2.5, "seconds"),
    "learn-small": learn_row(),
    "train-base-start": train_row(BASE, 16, "fp32", 1.0, "start"),
    "tokens": Row(
        "tokens",
        "tokens",
        lambda made: {
            "model": made.model("small", SMALL),
            "files": [str(DATA / "imdb" / f"{n}.csv.gz") for n in ("train", "unsup")],
        },
        2.0,
        agree=close(0.1),  # ours leaves out markup and what comes twice
    ),
    "fill-16": fill_row(16, "fill", 6.0),
    "fill-32": fill_row(32, "fill", 6.0),
    "fill-128": fill_row(128, "fill", 6.0),
    "fill-16-int8": fill_row(16, "fill_int8", 1.15),
    "fill-32-int8": fill_row(32, "fill_int8", 1.15),
    "fill-128-int8": fill_row(128, "fill_int8", 1.15),
    "fill-64-sentences": Row("fill", "fill", many, 4.0, agree=close(0.1)),
    "score-100": Row(
        "score",
        "score",
        lambda made: {"model": made.model("base", BASE), "sentences": made.reviews(100)},
        4.0,
        agree=close(1e-2),
    ),
    "answer-demo": Row("fill", "fill", lambda made: bundled(), 2.0, "process", close(0.1)),
    "answer-base": Row("fill", "fill", lambda made: once(made), 2.0, "process", close(0.1)),
    "memory-base": Row("fill", "fill", lambda made: once(made), 3.0, "megabytes", close(0.1)),
}


def once(made: Material) -> dict[str, Any]:
    return {"model": made.model("base", BASE), "sentences": [made.sentence(16)], "times": 1}


def bundled() -> dict[str, Any]:
    folder = ROOT / "mlm" / "bundled" / "imdb_modernbert"
    return {"model": str(folder), "sentences": ["I have watched this [MASK]."], "times": 1}


class Failed(Exception):
    """A row that gives no figure, and why."""


def run(made: Material, file: str, task: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """One side once; `process` is how long the whole of it took."""
    await_idle()
    asked = [sys.executable, str(HERE / file), task, json.dumps(arguments)]
    kept = {"HF_ASSETS_CACHE": str(made.folder / "assets")}
    started = time.perf_counter()
    done = subprocess.run(asked, capture_output=True, text=True, env=os.environ | kept)
    took = time.perf_counter() - started
    if done.returncode:
        raise Failed(f"{file} {task}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1]) | {"process": took}


def await_idle() -> None:
    """Until the machine has been idle for a second; Failed after a minute (Linux)."""
    for _ in range(60):
        before = busy_seconds()
        time.sleep(1)
        if busy_seconds() - before < MOST_BUSY:
            return
    raise Failed("something else keeps the machine busy")


def busy_seconds() -> float:
    """That all processors together have worked since the machine started."""
    user, nice, system, *_ = Path("/proc/stat").read_text().split()[1:]
    return (int(user) + int(nice) + int(system)) / os.sysconf("SC_CLK_TCK")


def measure(row: Row, made: Material, runs: int) -> tuple[list[float], list[float]]:
    """The figures of both sides, A B A B. Rows that differ in the figure alone share the runs."""
    arguments = row.arguments(made)
    key = json.dumps([row.task, row.peer, arguments])
    if key not in made.told:
        if row.task == "fill":
            run(made, "ours.py", row.task, arguments)  # the first start makes what later ones read
        made.told[key] = [both(row, made, arguments) for _ in range(runs)]
    ours, theirs = zip(*made.told[key], strict=True)
    return [us[row.figure] for us in ours], [them[row.figure] for them in theirs]


def both(row: Row, made: Material, arguments: dict[str, Any]) -> tuple[Any, Any]:
    """What each side tells of doing it once."""
    us = run(made, "ours.py", row.task, arguments)
    them = run(made, "peers.py", row.peer, arguments)
    if not row.agree(us["result"], them["result"]):
        raise Failed(f"the sides do not agree: {us['result']} and {them['result']}")
    return us, them


def product_peak() -> float:
    """Billions of operations a second in a product of two matrices of float32, the best of 5."""
    import numpy as np

    a = np.random.default_rng(0).random((2048, 2048), np.float32)
    times = []
    for _ in range(5):
        started = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - started)
    return 2 * 2048**3 / min(times) / 1e9


def instructions() -> list[str]:
    """Those of INSTRUCTIONS that the processor has (Linux on x86)."""
    words = set(Path("/proc/cpuinfo").read_text().split())
    return [name for name in INSTRUCTIONS if name in words]


def share(row: Row, seconds: float, peak: float) -> str:
    """Of the fp32 product's speed; numbers of 16 or 8 bits may have more than all of it."""
    return f"{row.operations / seconds / peak / 1e9:.0%}" if row.operations else ""


def lines(names: list[str], runs: int) -> Iterator[str]:
    libraries = (
        "tensorflow",
        "keras",
        "ai-edge-litert",
        "torch",
        "transformers",
        "datasets",
        "onnxruntime",
        "minicons",
    )
    yield ", ".join(f"{name} {version(name)}" for name in libraries)
    peak = product_peak()
    yield f"{cpu_name()}, {', '.join(instructions())}; {peak:.0f} GFLOP/s in a product in fp32"
    yield f"small models are trained in {FASTEST}; {runs} runs of each side; medians"
    yield "| row | ours | peer | ratio | to reach | spread, ours and peer | ours, of the peak |"
    yield "|---|---|---|---|---|---|---|"
    with tempfile.TemporaryDirectory() as folder:
        made = Material(Path(folder))
        for name in names:
            try:
                yield line(name, *measure(ROWS[name], made, runs), peak)
            except Failed as failure:
                yield f"{name} failed: {failure}"


def line(name: str, ours: list[float], theirs: list[float], peak: float) -> str:
    us, them, row = statistics.median(ours), statistics.median(theirs), ROWS[name]
    spread = ", ".join(f"{min(each):.3g}-{max(each):.3g}" for each in (ours, theirs))
    figures = f"{us:.3g} | {them:.3g} | {them / us:.2f} | {row.wanted}"
    return f"| {name} | {figures} | {spread} | {share(row, us, peak)} |"


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--output", type=Path, help="a file for the table")
    given = parser.parse_args(arguments)
    unknown = sorted(set(given.rows) - ROWS.keys())
    if unknown:
        parser.error(f"there is no row {unknown[0]}; there are {', '.join(ROWS)}")
    if not VOCABULARY.is_file():
        parser.error(f"{DATA} has no texts and vocabularies; name their folder in MLM_SHARED_DATA")
    told = []
    for each in lines(given.rows or list(ROWS), given.runs):
        print(each, flush=True)
        told.append(each)
    if given.output:
        given.output.write_text("\n".join(told) + "\n", encoding="utf-8")
    if any(" failed: " in each for each in told):
        raise SystemExit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
