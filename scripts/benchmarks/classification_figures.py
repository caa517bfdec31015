"""Figures of a fine-tuning, from the files of `mlm finetune` or of run_classification.py.

labels, in all functions: the right labels of the test texts, in the order of their file.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import pandas


@dataclass(frozen=True)
class Figures:
    """The figures of a run: texts and seconds of its training, accuracy on all test texts."""

    training_texts: int
    training_seconds: float
    accuracy: float


def our_figures(folder: Path, labels: list[str]) -> Figures:
    """Read training.json."""
    record = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    after, counts = record["metrics"]["after"], record["corpus"]["counts"]
    check_count(after["num_examples"], labels)
    return Figures(counts["train"]["documents"], record["seconds"], after["metrics"]["accuracy"])


def their_figures(folder: Path, labels: list[str]) -> Figures:
    """Read train_results.json, and compare the predictions with the labels."""
    record = json.loads((folder / "train_results.json").read_text(encoding="utf-8"))
    predictions = pandas.read_csv(folder / "predict_results.txt", sep="\t", dtype=str)["prediction"]
    check_count(len(predictions), labels)
    accuracy = float((predictions == labels).mean())
    return Figures(record["train_samples"], record["train_runtime"], accuracy)


def check_count(count: int, labels: list[str]) -> None:
    """Exit if a side did not label all test texts."""
    if count != len(labels):
        raise SystemExit(
            f"{count} of {len(labels)} test texts were labelled; expected a text and a label in "
            "each row: remove the other rows"
        )


def read_labels(file: str) -> list[str]:
    """Return the labels of a CSV file; exit if it lacks a column."""
    try:
        return list(pandas.read_csv(file, usecols=["text", "polarity"], dtype=str)["polarity"])
    except (OSError, ValueError) as error:
        message = f"{file}: expected a CSV file with the columns text and polarity: {error}"
        raise SystemExit(message) from error
