"""Write the card into a checkpoint folder, and what it is to say beyond the training's figures."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlm.checkpoint import read_training
from mlm.errors import CheckpointError
from mlm.model_card.front_matter import front_matter
from mlm.model_card.record import config_of, mask_token_of, training_of
from mlm.model_card.sections import all_sections


def write_model_card(folder: str | Path, repo_id: str | None = None) -> None:
    """Write README.md into a checkpoint folder.

    Args:
        folder: with config.json; training.json and tokenizer_config.json are read if present.
        repo_id: where it will be published, for the lines that say how to use it.
    Raises:
        CheckpointError: the card cannot be written.
    """
    folder = Path(folder)
    name = repo_id or folder.resolve().name
    with _disk_errors(folder / "README.md"):
        training, config, mask_token = training_of(folder), config_of(folder), mask_token_of(folder)
        sections = all_sections(folder, name, training, config, mask_token or "[MASK]")
        body = "\n\n".join([f"# {name.split('/')[-1]}", *filter(None, sections)])
        front = front_matter(training, config, mask_token)
        _replace(folder / "README.md", f"{front}\n{body}\n")


def add_measurements(
    folder: str | Path,
    *,
    evaluation: Mapping[str, Any] | None = None,
    examples: Iterable[Mapping[str, Any]] = (),
) -> None:
    """Record in training.json what was measured after the training; the card is not rewritten.

    Args:
        evaluation: `files`, `max_seq_length`, and the figures `tokens` and `words` as dicts.
        examples: `text`, and `output` as FillMask gives it; they replace earlier ones.
    Raises:
        CheckpointError: the record cannot be written.
    """
    path = Path(folder) / "training.json"
    with _disk_errors(path):
        training = read_training(Path(folder)) or {}
        if evaluation is not None:
            earlier = training.get("evaluations")
            known = earlier if isinstance(earlier, list) else []
            training["evaluations"] = [*known, dict(evaluation)]
        training["examples"] = [dict(each) for each in examples] or training.get("examples", [])
        text = json.dumps(training, indent=1, ensure_ascii=False)
        _replace(path, text + "\n")


def _replace(path: Path, text: str) -> None:
    """The old file stays as it is until the new one is whole."""
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CheckpointError(
            f"cannot write {str(path)!r}: {error.strerror or error}; what was there is untouched, "
            "make room or get the right to write there and run the same command again"
        ) from None
