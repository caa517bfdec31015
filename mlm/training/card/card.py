"""Write the card into a checkpoint folder, and what it is to say beyond the training's figures."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlm.checkpoint.folder import read_training
from mlm.checkpoint.record.curve_svg import curve_picture
from mlm.checkpoint.record.reading import config_of, mask_token_of, training_of
from mlm.errors import CheckpointError
from mlm.hub.pull import BUNDLED_FOLDER, DEMO
from mlm.training.card.figures import PICTURE
from mlm.training.card.front_matter import front_matter
from mlm.training.card.sections import Names, all_sections

LOADED_BY = re.compile(r'pipeline\("fill-mask", model="([^"\n]+)"\)')


def write_model_card(folder: str | Path, repo_id: str | None = None) -> None:
    """Write README.md into a checkpoint folder, and the picture of its loss curve beside.

    Args:
        folder: with config.json; training.json and tokenizer_config.json are read if present.
        repo_id: where it will be published, for the lines that say how to use it.
    Raises:
        CheckpointError: the card cannot be written.
    """
    folder = Path(folder)
    names, training = _names(folder, repo_id), training_of(folder)
    with _disk_errors(folder / PICTURE):
        picture = curve_picture(
            *(training.get(of, []) for of in ("loss_curve", "validation_curve"))
        )
        if picture:
            _replace(folder / PICTURE, picture)
        else:  # of an earlier checkpoint
            (folder / PICTURE).unlink(missing_ok=True)
    with _disk_errors(folder / "README.md"):
        _replace(folder / "README.md", _card(folder, names, training))


def name_model_card(folder: str | Path, repo_id: str) -> None:
    """Write the card under the name that it is published by, unless somebody edited it.

    Raises: CheckpointError, the card cannot be written.
    """
    folder = Path(folder)
    with _disk_errors(folder / "README.md"):
        edited = _is_edited(folder)
    if not edited:
        write_model_card(folder, repo_id)


def _is_edited(folder: Path) -> bool:
    """Whether there is a card that is not as it would be written, under whatever name."""
    path = folder / "README.md"
    if not path.is_file():
        return False
    said = path.read_text(encoding="utf-8", errors="replace")
    found, training = LOADED_BY.search(said), training_of(folder)
    named = [_names(folder, name) for name in (None, found[1] if found else None)]
    return said not in [_card(folder, names, training) for names in named]


def _card(folder: Path, names: Names, training: Mapping[str, Any]) -> str:
    config, mask_token = config_of(folder), mask_token_of(folder)
    sections = all_sections(folder, names, training, config, mask_token or "[MASK]")
    body = "\n\n".join([f"# {names.title}", *filter(None, sections)])
    return f"{front_matter(names.title, training, config, mask_token)}\n{body}\n"


def _names(folder: Path, repo_id: str | None) -> Names:
    if repo_id is None and folder.resolve() == BUNDLED_FOLDER.resolve():
        theirs = "/".join(BUNDLED_FOLDER.parts[-3:])  # from a clone of the project
        return Names(BUNDLED_FOLDER.name, theirs, DEMO)
    name = repo_id or folder.resolve().name
    return Names(name.split("/")[-1], name, name)


def add_measurements(
    folder: str | Path,
    *,
    evaluation: Mapping[str, Any] | None = None,
    examples: Iterable[Mapping[str, Any]] = (),
    contrasts: Iterable[Mapping[str, Any]] = (),
    card: Mapping[str, Any] | None = None,
) -> None:
    """Record in training.json what is known after the training; the card is not rewritten.

    Args:
        evaluation: `files`, `max_seq_length`, and the figures `tokens` and `words` as dicts.
        examples: `text`, and `output` as FillMask gives it; they replace earlier ones.
        contrasts: likewise, of sentences that differ in little.
        card: what nobody measured, under the names of its settings; see stated.py.
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
        for name, tried in (("examples", examples), ("contrasts", contrasts)):
            training[name] = [dict(each) for each in tried] or training.get(name, [])
        training["card"] = {**(training.get("card") or {}), **(card or {})}
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
