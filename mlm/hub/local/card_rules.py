"""The Hub's rules for a model card's metadata, as far as they are known.

Source: https://github.com/huggingface/hub-docs/blob/main/modelcard.md and the Hub's own refusals,
whose wording is kept: "fails to match the required pattern", "is required", "must be ...".
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

DATASET = re.compile(r"(?:[\w-]+/)?[\w.-]+", re.ASCII)
LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})?|code|multilingual")
IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9.+_-]*")
RELATION = re.compile(r"adapter|finetune|merge|quantized")
MODEL_INDEX = "model-index"

Metadata = Mapping[str, object]
Rule = Callable[[Metadata], Iterator[str]]  # yields errors


def errors_in(metadata: object) -> list[str]:
    """Return the Hub's reasons to refuse a card with this metadata; [] if it would accept it."""
    if not isinstance(metadata, dict):
        return ["the front matter is not a mapping"]
    return [error for rule in _RULES for error in rule(metadata)]


def _name_rule(field: str, pattern: re.Pattern[str]) -> Rule:
    """Return a rule: the field is absent, or a name or a list of names that match the pattern."""

    def rule(metadata: Metadata) -> Iterator[str]:
        value = metadata.get(field, [])
        for each in value if isinstance(value, list) else [value]:
            if not isinstance(each, str):
                yield f'"{field}" must be a string'
            elif not pattern.fullmatch(each):
                yield f'"{field}" with value "{each}" fails to match the required pattern'

    return rule


def _licence_rule(metadata: Metadata) -> Iterator[str]:
    if metadata.get("license") == "other" and not metadata.get("license_name"):
        yield '"license_name" is required where "license" is "other"'


def _widget_rule(metadata: Metadata) -> Iterator[str]:
    widget = metadata.get("widget", [])
    if not isinstance(widget, list) or not all(isinstance(each, dict) for each in widget):
        yield '"widget" must be an array of objects'


def _model_index_rule(metadata: Metadata) -> Iterator[str]:
    index = metadata.get(MODEL_INDEX, [])
    if not isinstance(index, list):
        yield f'"{MODEL_INDEX}" must be an array'
        return
    for i, model in enumerate(index):
        yield from _missing_fields(model, f"{MODEL_INDEX}[{i}]", ("name",), ("results",))
        for j, result in enumerate(model.get("results") or []):
            yield from _result_errors(result, f"{MODEL_INDEX}[{i}].results[{j}]")


def _result_errors(result: Any, where: str) -> Iterator[str]:
    """Yield the errors in one result of a model index. Raises AttributeError if not a mapping."""
    required = ("task", "type"), ("dataset", "type"), ("dataset", "name"), ("metrics",)
    yield from _missing_fields(result, where, *required)
    kind = result.get("dataset", {}).get("type", "")
    if not DATASET.fullmatch(str(kind)):
        yield f'"{where}.dataset.type" with value "{kind}" fails to match the required pattern'
    for k, metric in enumerate(result.get("metrics") or []):
        yield from _missing_fields(metric, f"{where}.metrics[{k}]", ("type",), ("value",))


def _missing_fields(value: object, where: str, *paths: tuple[str, ...]) -> Iterator[str]:
    """Yield an error for each path of names in a mapping that leads to nothing."""
    for path in paths:
        found = value
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        if found is None:
            yield f'"{".".join([where, *path])}" is required'


_RULES: tuple[Rule, ...] = (
    _name_rule("license", IDENTIFIER),
    _name_rule("license_name", IDENTIFIER),
    _name_rule("language", LANGUAGE),
    _name_rule("datasets", DATASET),
    _name_rule("base_model", DATASET),
    _name_rule("base_model_relation", RELATION),
    _name_rule("pipeline_tag", IDENTIFIER),
    _name_rule("library_name", IDENTIFIER),
    _name_rule("metrics", IDENTIFIER),
    _name_rule("tags", re.compile(r".+")),
    _licence_rule,
    _widget_rule,
    _model_index_rule,
)
