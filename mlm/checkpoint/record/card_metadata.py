"""The licence and the base model that a stranger's card names in its metadata."""

from pathlib import Path
from typing import Any

from mlm.checkpoint.record.reading import is_text

LONGEST_FRONT_MATTER = 65_536  # characters of a stranger's README.md that are read
LONGEST_LICENCE = 60
LONGEST_ID = 200


def licence_of(folder: str | Path) -> str | None:
    """The licence that a checkpoint's README.md names in its metadata; None if it names none."""
    front = _metadata(folder)
    named = front.get("license_name") or front.get("license")
    return named if is_text(named) and 0 < len(str(named)) <= LONGEST_LICENCE else None


def base_model_of(folder: str | Path) -> str | None:
    """What a checkpoint's README.md says it was trained from: an id, of several the first."""
    named = _metadata(folder).get("base_model")
    if isinstance(named, list) and named:
        named = named[0]
    return str(named) if is_text(named) and 0 < len(str(named)) <= LONGEST_ID else None


def _metadata(folder: str | Path) -> dict[Any, Any]:
    """The metadata of a stranger's card; none where there is no card, or no sense in it."""
    import yaml

    try:
        with (Path(folder) / "README.md").open(encoding="utf-8") as card:
            _, rule, rest = card.read(LONGEST_FRONT_MATTER).partition("---\n")
        front = yaml.safe_load(rest.partition("\n---")[0]) if rule else None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError, ValueError):
        return {}
    return front if isinstance(front, dict) else {}
