"""What the Hub asks of a model card's metadata before it takes a commit, as far as it is known.

Source: https://github.com/huggingface/hub-docs/blob/main/modelcard.md and the Hub's own refusals,
whose wording is kept: "fails to match the required pattern", "is required", "must be ...".
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

DATASET = re.compile(r"(?:[\w-]+/)?[\w.-]+", re.ASCII)
LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})?|code|multilingual")
IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9.+_-]*")
MODEL_INDEX = "model-index"


def errors_in(metadata: Any) -> list[str]:
    """Why the Hub would refuse a card with this metadata; [] if it would not."""
    if not isinstance(metadata, dict):
        return ["the front matter is not a mapping"]
    return [error for rule in _RULES for error in rule(metadata)]


def _names(field: str, pattern: re.Pattern[str]) -> Callable[[dict], Iterator[str]]:
    """A rule: the field is left out, or a name, or a list of names, that match the pattern."""

    def rule(metadata: dict[str, Any]) -> Iterator[str]:
        value = metadata.get(field, [])
        for each in value if isinstance(value, list) else [value]:
            if not isinstance(each, str):
                yield f'"{field}" must be a string'
            elif not pattern.fullmatch(each):
                yield f'"{field}" with value "{each}" fails to match the required pattern'

    return rule


def _licence_has_a_name(metadata: dict[str, Any]) -> Iterator[str]:
    if metadata.get("license") == "other" and not metadata.get("license_name"):
        yield '"license_name" is required where "license" is "other"'


def _widget(metadata: dict[str, Any]) -> Iterator[str]:
    widget = metadata.get("widget", [])
    if not isinstance(widget, list) or not all(isinstance(each, dict) for each in widget):
        yield '"widget" must be an array of objects'


def _model_index(metadata: dict[str, Any]) -> Iterator[str]:
    index = metadata.get(MODEL_INDEX, [])
    if not isinstance(index, list):
        yield f'"{MODEL_INDEX}" must be an array'
        return
    for i, model in enumerate(index):
        yield from _absent(model, f"{MODEL_INDEX}[{i}]", ("name",), ("results",))
        for j, result in enumerate(model.get("results") or []):
            yield from _result(result, f"{MODEL_INDEX}[{i}].results[{j}]")


def _result(result: Any, where: str) -> Iterator[str]:
    required = ("task", "type"), ("dataset", "type"), ("dataset", "name"), ("metrics",)
    yield from _absent(result, where, *required)
    kind = result.get("dataset", {}).get("type", "")
    if not DATASET.fullmatch(str(kind)):
        yield f'"{where}.dataset.type" with value "{kind}" fails to match the required pattern'
    for k, metric in enumerate(result.get("metrics") or []):
        yield from _absent(metric, f"{where}.metrics[{k}]", ("type",), ("value",))


def _absent(value: Any, where: str, *paths: tuple[str, ...]) -> Iterator[str]:
    """An error for each path of names in a mapping that leads to nothing."""
    for path in paths:
        found = value
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        if found is None:
            yield f'"{".".join([where, *path])}" is required'


_RULES: tuple[Callable[[dict[str, Any]], Iterator[str]], ...] = (
    _names("license", IDENTIFIER),
    _names("license_name", IDENTIFIER),
    _names("language", LANGUAGE),
    _names("datasets", DATASET),
    _names("base_model", DATASET),
    _names("pipeline_tag", IDENTIFIER),
    _names("library_name", IDENTIFIER),
    _names("metrics", IDENTIFIER),
    _names("tags", re.compile(r".+")),
    _licence_has_a_name,
    _widget,
    _model_index,
)
