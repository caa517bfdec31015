"""Small labelled texts whose label is one of their words, and settings of a small fine-tuning."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from mlm.finetuning.config import FinetuningConfig
from mlm.finetuning.config_rules import OF_STEPS

NOUNS = ("film", "movie", "story", "actor", "ending", "music", "scene", "plot")
GOOD = ("great", "funny", "moving", "clever")
BAD = ("awful", "boring", "short", "strange")


def labelled_texts() -> list[tuple[str, str]]:
    """Return 128 distinct texts with their label; the labels take turns."""
    pairs = [
        [(f"{start} {noun} was {word}", label) for word, label in ((good, "pos"), (bad, "neg"))]
        for start in ("the", "this")
        for noun in NOUNS
        for good, bad in zip(GOOD, BAD, strict=True)
    ]
    return [text for pair in pairs for text in pair]


def write_csv(path: Path, names: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """Write a CSV file with a header."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows([names, *rows])
    path.write_text(written.getvalue(), encoding="utf-8")
    return path


def several_labels() -> list[tuple[str, list[str]]]:
    """Return 128 texts, each with the labels `film` and `pos` if its words say so."""
    return [
        (text, ["film"] * ("film" in text or "movie" in text) + ["pos"] * (label == "pos"))
        for text, label in labelled_texts()
    ]


def tagged_lines() -> str:
    """Return 64 sentences in CoNLL form; nouns are of the entity KIND."""
    sentences = [
        "\n".join(f"{word} {'B-KIND' if word in NOUNS else 'O'}" for word in text.split())
        for text, _ in labelled_texts()[:64]
    ]
    return "\n\n".join(sentences) + "\n"


def write_jsonl(path: Path, rows: Iterable[dict]) -> Path:
    """Write JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def small_finetuning(train_file: Path, model: Path, output: Path, **changes) -> FinetuningConfig:
    """Return the settings of a fine-tuning that takes seconds."""
    settings = {
        "train_file": [str(train_file)],
        "model_name_or_path": str(model),
        "output_dir": str(output),
        "max_seq_length": 16,
        "per_device_train_batch_size": 16,
        "validation_split_percentage": 25.0,
        "max_steps": 12,
        "learning_rate": 5e-3,
        "logging_steps": 3,
        "eval_steps": 4,
        "save_steps": 5,
        "precision": "fp32",
    }
    if changes.get("freeze_encoder"):
        settings = {name: value for name, value in settings.items() if name not in OF_STEPS}
    return FinetuningConfig.from_dict(settings | changes)
