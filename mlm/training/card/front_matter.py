"""The metadata at the top of a card, from which the Hub lists the model and draws its widget."""

from collections.abc import Mapping

from mlm.checkpoint.record.reading import words_of
from mlm.hub.card_metadata import WidgetExample, card_metadata
from mlm.hub.names import DATASET
from mlm.training.card.model_index import evaluation_results, metric_types
from mlm.training.card.stated import licence_fields, stated_facts
from mlm.training.card.training_json import Example, TrainingJson, examples_in

# A fixed order: name_model_card takes a card for edited if a byte of it differs.
ORDER = (
    "language",
    "license",
    "license_name",
    "library_name",
    "pipeline_tag",
    "mask_token",
    "base_model",
    "base_model_relation",
    "datasets",
    "metrics",
    "tags",
    "widget",
    "model-index",
)


def front_matter(
    name: str, training: TrainingJson, config: Mapping[str, object], mask_token: str | None
) -> str:
    """Return the metadata as YAML between its two rules, without the fields that are not known.

    Args:
        name: The model's name, without its owner.
        training: The content of training.json.
        config: The content of config.json.
        mask_token: The tokenizer's mask token.
    """
    stated = stated_facts(training)
    model_type = config.get("model_type")
    results = evaluation_results(training, stated.datasets)
    metadata = card_metadata(
        name,
        results,
        language=list(stated.languages) or None,
        **licence_fields(stated.licence),
        library_name="transformers",
        pipeline_tag="fill-mask",
        mask_token=mask_token or None,
        base_model=base_model_in(training),
        datasets=list(stated.datasets) or None,
        metrics=metric_types(results) or None,
        tags=["fill-mask", "masked-lm", *([str(model_type)] if model_type else [])],
        widget=[_widget_example(example) for example in examples_in(training)] or None,
    )
    return as_front_matter(metadata)


def as_front_matter(metadata: Mapping[str, object]) -> str:
    """Return metadata as YAML between two rules, in the fixed order."""
    import yaml

    fields = {key: metadata[key] for key in ORDER if key in metadata}
    return f"---\n{yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)}---\n"


def base_model_in(training: TrainingJson) -> str | None:
    """Return the Hub id of the initial checkpoint, if there is one that the Hub accepts."""
    repo_id = training.get("base_model", {}).get("repo_id", "")
    return repo_id if DATASET.fullmatch(repo_id) else None


def _widget_example(example: Example) -> WidgetExample:
    words: list[dict[str, str | float]] = [
        {"label": word, "score": score} for word, score in words_of(example)
    ]
    return {"text": example["text"], "output": words} if words else {"text": example["text"]}
