"""The metadata of a card, which the Hub lists it under and makes its widget of."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlm.checkpoint.record.reading import examples_of, is_text, words_of
from mlm.training.card.model_index import metrics_in, model_index
from mlm.training.card.stated import licence_fields, stated_in
from mlm.training.config_rules import DATASET

LONGEST_FRONT_MATTER = 65_536  # characters of a stranger's README.md that are read
LONGEST_LICENCE = 60
LONGEST_ID = 200


def front_matter(
    name: str, training: Mapping[str, Any], config: Mapping[str, Any], mask_token: str | None
) -> str:
    """YAML between its two rules; what is not known is left out. `name` is the model's own."""
    import yaml

    stated = stated_in(training)
    tags = ["fill-mask", "masked-lm", config.get("model_type")]
    index = model_index(name, training, stated.datasets)
    fields = {
        "language": list(stated.languages),
        **licence_fields(stated.licence),
        "library_name": "transformers",
        "pipeline_tag": "fill-mask",
        "mask_token": mask_token,
        "base_model": _base_model(training),
        "datasets": list(stated.datasets),
        "metrics": metrics_in(index),
        "tags": [tag for tag in tags if tag],
        "widget": [_widget(example) for example in examples_of(training)],
        "model-index": index,
    }
    known = {name: value for name, value in fields.items() if value}
    return f"---\n{yaml.safe_dump(known, sort_keys=False, allow_unicode=True)}---\n"


def _base_model(training: Mapping[str, Any]) -> str | None:
    repo_id = training.get("base_model", {}).get("repo_id", "")
    return repo_id if DATASET.fullmatch(repo_id) else None


def _widget(example: Mapping[str, Any]) -> dict[str, Any]:
    """An example with its measured output, as the Hub's page shows it before anyone asks."""
    output = [{"label": word, "score": score} for word, score in words_of(example)]
    return {"text": example["text"]} | ({"output": output} if output else {})


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
