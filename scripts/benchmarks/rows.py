"""The rows of bench.py: the work of both sides, and the ratio to reach."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Literal

import numpy as np
from machine import FASTEST, gpu_name
from material import BASE, IMDB, ROOT, SMALL, Material
from numpy.typing import ArrayLike
from timing import Result, TokenScores

from mlm.data.batches.masking import max_targets_per_row

BUNDLED = ROOT / "mlm" / "bundled" / "imdb_modernbert"
BASE_SIZES = (12, 768)  # layers and hidden size
VOCABULARY_SIZE = 30_522
LEARNED = 7.0  # nats: the model knows the frequency of each word
# Validation accuracy of a fine-tuning on 2,000 reviews. The probe that ours begins with has 83 %.
REACHED = 0.85

Arguments = Mapping[str, object]  # of a task of ours.py or peers.py, written as JSON
Device = Literal["cpu", "gpu"]
Figure = Literal["seconds", "first", "start", "megabytes"]


@dataclass(frozen=True)
class Row:
    """A task of both sides.

    arguments: of both sides; ours: more arguments of our side; wanted: the ratio to reach;
    precision: of both sides, or ours and theirs; agree: returns whether both results are the same;
    figure: what is compared; operations: multiplications and additions in the matrix products that
    the task needs.
    """

    task: str
    peer: str
    arguments: Callable[[Material], Arguments]
    wanted: float
    precision: str
    agree: Callable[[Result, Result], bool]
    figure: Figure = "seconds"
    operations: float | None = None
    on: Device = "cpu"
    ours: Arguments = field(default_factory=dict)


def operations(sizes: tuple[int, int], sequences: int, length: int, slots: float) -> float:
    """Return the operations of a forward pass; a backward pass takes twice as many.

    sizes: layers and hidden size; slots: target positions in a sequence.
    """
    layers, hidden = sizes
    per_token = layers * (2 * 12 * hidden**2 + 2 * 2 * length * hidden)
    per_slot = 2 * hidden * (hidden + VOCABULARY_SIZE)
    return sequences * (length * per_token + slots * per_slot)


def all_close(ours: ArrayLike, theirs: ArrayLike, tolerance: float) -> bool:
    """Return whether all numbers agree to a relative tolerance."""
    return np.allclose(ours, theirs, rtol=tolerance, atol=0)


def close_to(tolerance: float) -> Callable[[Result, Result], bool]:
    """Return a comparison of numbers with a relative tolerance."""
    return lambda ours, theirs: all_close(ours, theirs, tolerance)


def same_words(ours: Sequence[TokenScores], theirs: Sequence[TokenScores]) -> bool:
    """Return whether scores agree to 20 % and three of five best words are common on average.

    With random weights the other words are nearly as probable.
    """
    pairs = list(zip(ours, theirs, strict=True))
    common = [len({*us["token"]} & {*them["token"]}) for us, them in pairs]
    return scores_agree(pairs, 0.2) and sum(common) >= 3 * len(common)


def exactly_the_same_words(ours: Sequence[TokenScores], theirs: Sequence[TokenScores]) -> bool:
    """Return whether all words are the same and scores agree to 0.1 %, as float32 on both sides."""
    pairs = list(zip(ours, theirs, strict=True))
    return scores_agree(pairs, 1e-3) and all(us["token"] == them["token"] for us, them in pairs)


def scores_agree(pairs: Sequence[tuple[TokenScores, TokenScores]], tolerance: float) -> bool:
    """Return whether the scores of all pairs of answers agree to a relative tolerance."""
    ours, theirs = ([answer["score"] for answer in side] for side in zip(*pairs, strict=True))
    return all_close(ours, theirs, tolerance)


def both_learn(ours: Sequence[float], theirs: Sequence[float]) -> bool:
    """Return whether both lose more than 0.1 nats and agree to 3 %.

    Each side gives the loss of its first step and the mean loss of the later ones.
    """
    falls = (ours[1] - ours[0], theirs[1] - theirs[0])
    return all_close(ours, theirs, 0.03) and max(falls) < -0.1


def fill_row(tokens: int, wanted: float, dtype: str = "int8", peer: str = "fill") -> Row:
    """Return the row of one sentence with a mask; dtype: of our weights."""

    def arguments(material: Material) -> Arguments:
        sentences = [material.sentence(tokens)]
        return {"model": material.model("base", BASE), "sentences": sentences, "times": 20}

    needed = operations(BASE_SIZES, 1, tokens, 1)
    precision = f"{dtype} / {'int8' if peer == 'fill_int8' else 'float32'}"
    agree = exactly_the_same_words if dtype == "float32" else same_words
    return Row(
        "fill", peer, arguments, wanted, precision, agree,
        operations=needed, ours={"dtype": dtype},
    )  # fmt: skip


def answer_row(model: Callable[[Material], str], wanted: float, figure: Figure) -> Row:
    """Return the row of a process that starts and answers once."""

    def arguments(material: Material) -> Arguments:
        return {"model": model(material), "sentences": [material.sentence(16)], "times": 1}

    return Row("fill", "fill", arguments, wanted, "int8 / float32", same_words, figure)


def many_sentences(material: Material) -> Arguments:
    """Return the arguments of 64 sentences of mixed length, each with its first word masked."""
    masked = [" ".join(["[MASK]", *text.split()[1:]]) for text in material.reviews(64)]
    return {"model": material.model("base", BASE), "sentences": masked, "times": 3}


def train_row(
    shape: dict[str, int], rows: int, precision: str, wanted: float, figure: Figure = "seconds"
) -> Row:
    """Return the row of training steps of `rows` sequences of 128 tokens."""

    def arguments(material: Material) -> Arguments:
        settings = {
            "train_file": [str(IMDB["test_4k"])],
            "model_name_or_path": material.model("small" if shape else "base", shape),
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
    """Return the row of training steps on an NVIDIA GPU."""
    row = train_row(BASE, 256, "bf16", 1.0)

    def arguments(material: Material) -> Arguments:
        return {**row.arguments(material), "times": 30, "on": "gpu"}

    return replace(row, arguments=arguments, on="gpu")


def learn_row() -> Row:
    """Return the row of training from the same random weights to the same held-out loss."""

    def arguments(material: Material) -> Arguments:
        model = material.model("small", SMALL)
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
        held_out = material.held_out(model)
        return {"settings": settings, "held_out": held_out, "loss": LEARNED, "every": 10}

    def agree(us: Sequence[float], them: Sequence[float]) -> bool:
        return max(us[0], them[0]) <= LEARNED

    return Row("learn", "learn", arguments, 2.5, FASTEST, agree)


def finetune_settings(material: Material, model: str) -> dict[str, object]:
    """Return the settings of a fine-tuning on labelled reviews, for both sides."""
    return {
        "train_file": [material.labelled("labelled", slice(2000))],
        "validation_file": [material.labelled("validation", slice(2000, 3000))],
        "model_name_or_path": model,
        "max_seq_length": 256,
        "per_device_train_batch_size": 16,
        "weight_decay": 0.01,
        "warmup_steps": 10,
    }


def finetune_row() -> Row:
    """Return the row of fine-tuning steps of BERT-base on 16 reviews of at most 256 tokens."""

    def arguments(material: Material) -> Arguments:
        own = {"max_steps": 100, "learning_rate": 5e-5, "precision": FASTEST, "truncation": "head"}
        settings = finetune_settings(material, material.model("base", BASE))
        return {"settings": settings | own, "times": 5}

    def agree(us: Sequence[float], them: Sequence[float]) -> bool:
        return all_close(us, them, 0.1)  # other texts in each step, around ln 2

    return Row("finetune", "finetune", arguments, 2.0, FASTEST, agree)


def reach_row() -> Row:
    """Return the row of fine-tuning the bundled model to the same validation accuracy."""

    def arguments(material: Material) -> Arguments:
        own = {"num_train_epochs": 4, "learning_rate": 3e-4, "precision": FASTEST}
        settings = finetune_settings(material, str(BUNDLED)) | own
        return {"settings": settings, "times": 1, "accuracy": REACHED, "every": 25}

    def agree(us: Sequence[float], them: Sequence[float]) -> bool:
        return min(us[0], them[0]) >= REACHED

    return Row("finetune", "finetune", arguments, 2.0, FASTEST, agree)


def classify_row() -> Row:
    """Return the row of 64 reviews of at most 256 tokens, labelled in one call."""

    def arguments(material: Material) -> Arguments:
        texts = material.texts(64)
        return {"model": material.classifier("base", BASE), "texts": texts, "times": 3}

    def agree(us: Sequence[float], them: Sequence[float]) -> bool:
        return np.allclose(us, them, rtol=0, atol=0.05)

    return Row("classify", "classify", arguments, 4.0, "int8 / float32", agree)


def has_gpu_for_jax() -> bool:
    """Return whether there are an NVIDIA GPU and an installed JAX."""
    return gpu_name() is not None and find_spec("jax") is not None


ROWS = {
    "train-base-fp32": train_row(BASE, 16, "fp32", 1.4),
    **({"train-base-bf16": train_row(BASE, 16, "bf16", 1.6)} if FASTEST == "bf16" else {}),
    **({"train-base-gpu": gpu_row()} if has_gpu_for_jax() else {}),
    "train-small": train_row(SMALL, 64, FASTEST, 2.5),
    "learn-small": learn_row(),
    "finetune-base": finetune_row(),
    "finetune-demo": reach_row(),
    "classify-64": classify_row(),
    "train-base-start": train_row(BASE, 16, "fp32", 1.0, "start"),
    "tokens": Row(
        "tokens",
        "tokens",
        lambda material: {
            "model": material.model("small", SMALL),
            "files": [str(IMDB["train"]), str(IMDB["unsup"])],
        },
        2.0,
        "",
        close_to(0.1),  # ours drops markup and repeated texts
    ),
    "fill-16": fill_row(16, 6.0),
    "fill-32": fill_row(32, 6.0),
    "fill-128": fill_row(128, 6.0),
    "fill-32-float32": fill_row(32, 1.0, "float32"),
    "fill-16-int8": fill_row(16, 1.15, peer="fill_int8"),
    "fill-32-int8": fill_row(32, 1.15, peer="fill_int8"),
    "fill-128-int8": fill_row(128, 1.15, peer="fill_int8"),
    "fill-64-sentences": Row("fill", "fill", many_sentences, 4.0, "int8 / float32", same_words),
    "score-100": Row(
        "score",
        "score",
        lambda material: {
            "model": material.model("base", BASE),
            "sentences": material.reviews(100),
        },
        4.0,
        "int8 / float32",
        close_to(2e-3),
    ),
    "answer-demo": answer_row(lambda _: str(BUNDLED), 2.0, "first"),
    "answer-base": answer_row(lambda material: material.model("base", BASE), 2.0, "first"),
    "memory-base": answer_row(lambda material: material.model("base", BASE), 3.0, "megabytes"),
}
