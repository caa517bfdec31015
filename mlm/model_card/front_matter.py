"""The metadata of a card, which the Hub lists it under and makes its widget of."""

from collections.abc import Mapping
from typing import Any

from mlm.model_card.record import examples_of, words_of


def front_matter(
    training: Mapping[str, Any], config: Mapping[str, Any], mask_token: str | None
) -> str:
    """YAML between its two rules; what is not known is left out."""
    import yaml

    tags = ["fill-mask", "masked-lm", config.get("model_type")]
    fields = {
        "library_name": "transformers",
        "pipeline_tag": "fill-mask",
        "mask_token": mask_token,
        "base_model": training.get("base_model", {}).get("repo_id"),
        "tags": [tag for tag in tags if tag],
        "widget": [_widget(example) for example in examples_of(training)],
    }
    known = {name: value for name, value in fields.items() if value}
    return f"---\n{yaml.safe_dump(known, sort_keys=False, allow_unicode=True)}---\n"


def _widget(example: Mapping[str, Any]) -> dict[str, Any]:
    """An example with its measured output, as the Hub's page shows it before anyone asks."""
    output = [{"label": word, "score": score} for word, score in words_of(example)]
    return {"text": example["text"]} | ({"output": output} if output else {})
