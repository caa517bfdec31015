"""The rows of bench.py: what both sides do, and which ratio is to be reached."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Any

from machine import FASTEST, gpu_name
from material import BASE, IMDB, ROOT, SMALL, Material

from mlm.data.batches.masking import max_targets_per_row

BUNDLED = ROOT / "mlm" / "bundled" / "imdb_modernbert"
BASE_SIZES = (12, 768)  # layers and hidden size
VOCABULARY_SIZE = 30_522
LEARNED = 7.0  # nats: how often each word occurs is known then


@dataclass(frozen=True)
class Row:
    """What both sides do.

    arguments: of both, ours: of our side besides; wanted: the ratio to reach; precision: of both
    sides, or ours and theirs; agree: whether what they found is the same; figure: what is compared;
    operations: multiplications and additions in the products of matrices that the work needs;
    on: `cpu` or `gpu`.
    """

    task: str
    peer: str
    arguments: Callable[[Material], dict[str, Any]]
    wanted: float
    precision: str
    agree: Callable[[Any, Any], bool]
    figure: str = "seconds"
    operations: float | None = None
    on: str = "cpu"
    ours: dict[str, Any] = field(default_factory=dict)


def operations(sizes: tuple[int, int], sequences: int, length: int, slots: float) -> float:
    """Of a pass forwards; one backwards takes twice as many."""
    layers, hidden = sizes
    a_token = layers * (2 * 12 * hidden**2 + 2 * 2 * length * hidden)
    a_slot = 2 * hidden * (hidden + VOCABULARY_SIZE)
    return sequences * (length * a_token + slots * a_slot)


def close(tolerance: float) -> Callable[[Any, Any], bool]:
    import numpy as np

    return lambda ours, theirs: np.allclose(ours, theirs, rtol=tolerance, atol=0)


def same_words(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> bool:
    """Of each five, three are common to both; with random weights the rest are nearly as likely."""
    pairs = list(zip(ours, theirs, strict=True))
    common = [len({*us["token"]} & {*them["token"]}) for us, them in pairs]
    shares = close(0.2)([us["score"] for us, _ in pairs], [them["score"] for _, them in pairs])
    return shares and sum(common) >= 3 * len(common)


def exactly_the_same_words(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> bool:
    """Both in float32."""
    pairs = list(zip(ours, theirs, strict=True))
    shares = close(1e-3)([us["score"] for us, _ in pairs], [them["score"] for _, them in pairs])
    return shares and all(us["token"] == them["token"] for us, them in pairs)


def both_learn(ours: list[float], theirs: list[float]) -> bool:
    """Of the first step's loss and the mean of later ones."""
    return close(0.03)(ours, theirs) and max(ours[1] - ours[0], theirs[1] - theirs[0]) < -0.1


def fill_row(tokens: int, wanted: float, dtype: str = "int8", peer: str = "fill") -> Row:
    def arguments(made: Material) -> dict[str, Any]:
        sentences = [made.sentence(tokens)]
        return {"model": made.model("base", BASE), "sentences": sentences, "times": 20}

    needed = operations(BASE_SIZES, 1, tokens, 1)
    precision = f"{dtype} / {'int8' if peer == 'fill_int8' else 'float32'}"
    agree = exactly_the_same_words if dtype == "float32" else same_words
    return Row(
        "fill", peer, arguments, wanted, precision, agree,
        operations=needed, ours={"dtype": dtype},
    )  # fmt: skip


def answer_row(model: Callable[[Material], str], wanted: float, figure: str) -> Row:
    def arguments(made: Material) -> dict[str, Any]:
        return {"model": model(made), "sentences": [made.sentence(16)], "times": 1}

    return Row("fill", "fill", arguments, wanted, "int8 / float32", same_words, figure)


def many(made: Material) -> dict[str, Any]:
    texts = made.reviews(64)
    hidden = [" ".join(["[MASK]", *text.split()[1:]]) for text in texts]
    return {"model": made.model("base", BASE), "sentences": hidden, "times": 3}


def train_row(
    shape: dict[str, int], rows: int, precision: str, wanted: float, figure: str = "seconds"
) -> Row:
    def arguments(made: Material) -> dict[str, Any]:
        settings = {
            "train_file": [str(IMDB["test_4k"])],
            "model_name_or_path": made.model("small" if shape else "base", shape),
            "max_seq_length": 128,
            "per_device_train_batch_size": rows,
            "max_steps": 100,
            "learning_rate": 1e-3 if shape else 1e-4,
            "warmup_steps": 1,
            "weight_decay": 0.01,
            "lr_scheduler_type": "constant",
            "precision": precision,
        }
        return {"settings": settings, "times": 3}

    sizes = (shape["num_hidden_layers"], shape["hidden_size"]) if shape else BASE_SIZES
    needed = 3 * operations(sizes, rows, 128, max_targets_per_row(128, 0.15))
    return Row(
        "train", "train", arguments, wanted, precision, both_learn, figure,
        operations=needed if figure == "seconds" else None,
    )  # fmt: skip


def gpu_row() -> Row:
    row = train_row(BASE, 256, "bf16", 1.0)

    def arguments(made: Material) -> dict[str, Any]:
        return row.arguments(made) | {"times": 30, "on": "gpu"}

    return replace(row, arguments=arguments, on="gpu")


def learn_row() -> Row:
    """From the same random weights to the same loss on the same masked sequences."""

    def arguments(made: Material) -> dict[str, Any]:
        model = made.model("small", SMALL)
        settings = {
            "train_file": [str(IMDB["train"])],
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

    return Row("learn", "learn", arguments, 2.5, FASTEST, agree)


def has_gpu_for_jax() -> bool:
    return gpu_name() is not None and find_spec("jax") is not None


ROWS = {
    "train-base-fp32": train_row(BASE, 16, "fp32", 1.4),
    **({"train-base-bf16": train_row(BASE, 16, "bf16", 1.6)} if FASTEST == "bf16" else {}),
    **({"train-base-gpu": gpu_row()} if has_gpu_for_jax() else {}),
    "train-small": train_row(SMALL, 64, FASTEST, 2.5),
    "learn-small": learn_row(),
    "train-base-start": train_row(BASE, 16, "fp32", 1.0, "start"),
    "tokens": Row(
        "tokens",
        "tokens",
        lambda made: {
            "model": made.model("small", SMALL),
            "files": [str(IMDB["train"]), str(IMDB["unsup"])],
        },
        2.0,
        "",
        close(0.1),  # ours leaves out markup and what comes twice
    ),
    "fill-16": fill_row(16, 6.0),
    "fill-32": fill_row(32, 6.0),
    "fill-128": fill_row(128, 6.0),
    "fill-32-float32": fill_row(32, 1.0, "float32"),
    "fill-16-int8": fill_row(16, 1.15, peer="fill_int8"),
    "fill-32-int8": fill_row(32, 1.15, peer="fill_int8"),
    "fill-128-int8": fill_row(128, 1.15, peer="fill_int8"),
    "fill-64-sentences": Row("fill", "fill", many, 4.0, "int8 / float32", same_words),
    "score-100": Row(
        "score",
        "score",
        lambda made: {"model": made.model("base", BASE), "sentences": made.reviews(100)},
        4.0,
        "int8 / float32",
        close(2e-3),
    ),
    "answer-demo": answer_row(lambda made: str(BUNDLED), 2.0, "first"),
    "answer-base": answer_row(lambda made: made.model("base", BASE), 2.0, "first"),
    "memory-base": answer_row(lambda made: made.model("base", BASE), 3.0, "megabytes"),
}
