"""The licence and the base model that a checkpoint's README.md names in its metadata.

Anyone may have written the card: metadata that cannot be read are treated as absent.
"""

from pathlib import Path

from mlm.checkpoint.record.schema import is_text

MAX_FRONT_MATTER = 65_536  # characters of a README.md that are read
MAX_LICENCE = 60
MAX_ID = 200


def licence_of(folder: str | Path) -> str | None:
    """Return the licence that a checkpoint's card names; None if it names none."""
    metadata = _metadata(folder)
    licence = metadata.get("license_name") or metadata.get("license")
    return licence if is_text(licence) and 0 < len(licence) <= MAX_LICENCE else None


def base_model_of(folder: str | Path) -> str | None:
    """Return the id of the base model that a checkpoint's card names, the first of several."""
    base = _metadata(folder).get("base_model")
    if isinstance(base, list) and base:
        base = base[0]
    return base if is_text(base) and 0 < len(base) <= MAX_ID else None


def _metadata(folder: str | Path) -> dict[object, object]:
    """Return the YAML between the card's two rules; empty if there is none."""
    import yaml

    try:
        with (Path(folder) / "README.md").open(encoding="utf-8") as card:
            _, rule, rest = card.read(MAX_FRONT_MATTER).partition("---\n")
        front_matter = yaml.safe_load(rest.partition("\n---")[0]) if rule else None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError, ValueError):
        return {}
    return front_matter if isinstance(front_matter, dict) else {}
