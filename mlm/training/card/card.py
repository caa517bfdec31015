"""Write a checkpoint's card, and add to training.json what the card says beyond the training."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mlm.backend.atomic_files import replace_file
from mlm.checkpoint.folder import read_training
from mlm.errors import CheckpointError
from mlm.hub.bundled import BUNDLED_HEAD
from mlm.hub.pull import BUNDLED_FOLDER, DEMO
from mlm.training.card.kinds import Card, card_of
from mlm.training.card.names import Names

# Sentences of cards that version 0.1 wrote, and how they are written now. A card of before is as
# little edited as one of today.
SINCE_0_1 = {
    "of those it is asked for, and among": "of those that it has to predict, and among",
    "Of the tokens it is asked for, ": "Of the tokens that it has to predict, ",
    "probabilities are " + "no judgement on anybody.": "probabilities do not judge anybody.",
    "python scripts/train.py \\\n": "mlm train \\\n",
    "`python scripts/evaluate.py FOLDER ": "`mlm evaluate FOLDER ",
    "| of these passed over |": "| non-finite steps skipped |",
}
PAGE_SINCE_0_1 = re.compile(r"`MLM_MODEL=(\S+) python app\.py`")  # is `mlm serve NAME` now
LOADED_BY = re.compile(r'pipeline\("[a-z-]+", model="([^"\n]+)"(?:, revision="([^"\n]+)")?')


def write_model_card(
    folder: str | Path, repo_id: str | None = None, revision: str | None = None
) -> None:
    """Write README.md into a checkpoint folder, and the pictures that it shows beside it.

    Args:
        folder: Folder with config.json, and training.json and tokenizer_config.json if present.
        repo_id: Hub id (owner/name) that it will be published by, for the lines on its use.
        revision: Branch that it will be published on; None for the main one.

    Raises:
        CheckpointError: The card cannot be written.
    """
    folder = Path(folder)
    names, card = _names(folder, repo_id, revision), card_of(folder)
    for name, picture in card.pictures().items():
        with _disk_errors(folder / name):
            if picture:
                replace_file(folder / name, picture)
            else:  # one of an earlier checkpoint may be there
                (folder / name).unlink(missing_ok=True)
    with _disk_errors(folder / "README.md"):
        replace_file(folder / "README.md", _text(card, names))


def name_model_card(folder: str | Path, repo_id: str, revision: str | None = None) -> None:
    """Write the card again with the name that it is published by, unless somebody edited it.

    Raises:
        CheckpointError: The card cannot be read or written.
    """
    folder = Path(folder)
    with _disk_errors(folder / "README.md"):
        edited = _is_edited(folder)
    if not edited:
        write_model_card(folder, repo_id, revision)


def _is_edited(folder: Path) -> bool:
    """Return whether README.md differs from what `write_model_card` writes under any name."""
    path = folder / "README.md"
    if not path.is_file():
        return False
    card = path.read_text(encoding="utf-8", errors="replace")
    for before, now in SINCE_0_1.items():
        card = card.replace(before, now)
    card = PAGE_SINCE_0_1.sub(r"`mlm serve \1`", card)
    found, current = LOADED_BY.search(card), card_of(folder)
    possible = [_names(folder, *name) for name in ((), found.groups() if found else ())]
    return card not in [_text(current, names) for names in possible]


def _text(card: Card, names: Names) -> str:
    body = "\n\n".join([f"# {names.title}", *filter(None, card.sections(names))])
    return f"{card.front_matter(names)}\n{body}\n"


def _names(folder: Path, repo_id: str | None = None, revision: str | None = None) -> Names:
    if repo_id is None and folder.resolve() == BUNDLED_FOLDER.resolve():
        path = "/".join(BUNDLED_FOLDER.parts[-3:])  # inside a clone of the project
        return Names(BUNDLED_FOLDER.name, path, DEMO)
    if repo_id is None and folder.resolve() == BUNDLED_HEAD.resolve():
        return Names(BUNDLED_HEAD.name, "", DEMO)
    name = repo_id or folder.resolve().name
    ours = f"{name}@{revision}" if revision else name
    return Names(name.split("/")[-1], name, ours, revision)


def add_measurements(
    folder: str | Path,
    *,
    evaluation: Mapping[str, object] | None = None,
    examples: Iterable[Mapping[str, object]] = (),
    contrasts: Iterable[Mapping[str, object]] = (),
    card: Mapping[str, object] | None = None,
) -> None:
    """Record in training.json what is known after the training; the card is not rewritten.

    Args:
        folder: The checkpoint folder.
        evaluation: `files`, `max_seq_length`, and the figures `tokens` and `words` as dicts.
        examples: `text`, and `output` as FillMask returns it; they replace earlier ones.
        contrasts: Likewise, of sentences that differ in little.
        card: Facts that cannot be measured, by the names of their settings: see stated.py.

    Raises:
        CheckpointError: The record cannot be written.
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
        replace_file(path, text + "\n")


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CheckpointError(
            f"cannot write {str(path)!r}: {error.strerror or error}; its old content is unchanged: "
            "free some space or get permission to write there, then run the same command again"
        ) from None
