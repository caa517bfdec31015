"""The metadata of a card, which the Hub lists it under and makes its widget of."""

from collections.abc import Mapping
from typing import Any

from mlm.checkpoint.record.reading import examples_of, words_of
from mlm.hub.names import DATASET
from mlm.training.card.model_index import metrics_in, model_index
from mlm.training.card.stated import licence_fields, stated_in


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
