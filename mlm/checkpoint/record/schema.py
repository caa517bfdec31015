"""The shape of training.json and config.json, and the parts of a file that have it.

Anyone may have written the files: a value of another shape is treated as absent.
"""

from collections.abc import Callable, Mapping
from types import EllipsisType
from typing import Any, TypeAlias, TypeGuard

from mlm.checkpoint.strict_json import has_lone_surrogate
from mlm.checkpoint.task import PROBLEM_TYPES

# A mapping has the shape of each field, `...` standing for any other name; a list has the shape of
# all its entries; a function returns whether a plain value is allowed.
Fields: TypeAlias = "Mapping[str | EllipsisType, Shape]"
Shape: TypeAlias = "Fields | list[Shape] | Callable[[object], bool]"
MAX_NUMBER = 1e15


def is_text(value: object) -> TypeGuard[str]:
    """Return whether a value is a string that UTF-8 can encode."""
    return isinstance(value, str) and not has_lone_surrogate(value)


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a value is a number of a sensible size: not NaN, not infinite."""
    return (type(value) is int or type(value) is float) and abs(value) < MAX_NUMBER


def is_count(value: object) -> TypeGuard[int]:
    """Return whether a value is an integer of a sensible size."""
    return type(value) is int and is_number(value)


def is_setting(value: object) -> bool:
    """Return whether a value is one that a field of TrainingConfig may have."""
    values = value if isinstance(value, list) else [value]
    return value is None or all(type(v) is bool or is_number(v) or is_text(v) for v in values)


def is_flag(value: object) -> bool:
    """Return whether a value is true or false."""
    return type(value) is bool


def is_problem_type(value: object) -> bool:
    """Return whether a value is a problem type of a Task."""
    return isinstance(value, str) and value in PROBLEM_TYPES


def is_point(value: object) -> bool:
    """Return whether a value is a point of a curve: [step, loss]."""
    return isinstance(value, list) and len(value) == 2 and all(map(is_number, value))


FIGURES: Fields = dict.fromkeys(("loss", "perplexity", "top1", "top5"), is_number)
COUNTED: Fields = {**FIGURES, "num_tokens": is_count, "num_words": is_count}
EXAMPLE: Fields = {"text": is_text, "output": [{...: is_setting}]}
DOCUMENTS: Fields = {"documents": is_count, "tokens": is_count}
LABELLED: Fields = {**DOCUMENTS, "cut_texts": is_count, "labels": {...: is_count}}
TASK: Fields = {
    "problem_type": is_problem_type,
    "labels": [is_text],
    "truncation": is_text,
    "max_seq_length": is_count,
    "is_of_pairs": is_flag,
}
SOURCE: Fields = {"name": is_text, "size": is_count, "sha256": is_text}
TRAINING: Fields = {
    "config": {...: is_setting},
    "base_model": {"repo_id": is_text, "commit": is_text},
    "corpus": {
        "fingerprint": is_text,
        "counts": {"train": LABELLED, "validation": LABELLED, "test": LABELLED},
        "made_from": {"sources": {...: [SOURCE]}},
        "report_line": is_text,
    },
    "task": TASK,
    "recipe": {...: is_setting},
    "metrics": {"before": COUNTED, "after": COUNTED, "measured_on": is_text},
    "loss_curve": [is_point],
    "validation_curve": [is_point],
    "tokens_per_second": is_number,
    "seconds": is_number,
    "steps": is_count,
    "skipped_steps": is_count,
    "best_step": is_count,
    "seed": is_count,
    "hardware": {...: is_setting},
    "versions": {...: is_setting},
    "examples": [EXAMPLE],
    "contrasts": [EXAMPLE],
    "card": {...: is_setting},
    "evaluations": [
        {"files": [is_text], "max_seq_length": is_count, "tokens": COUNTED, "words": COUNTED}
    ],
}
CONFIG: Fields = {"model_type": is_text, ...: is_count}


def keep_fitting(value: object, shape: Shape) -> Any:
    """Return the parts of a JSON value that have the shape; None if no part has."""
    if isinstance(shape, Mapping):
        return keep_fields(value, shape) if isinstance(value, Mapping) else None
    if isinstance(shape, list):
        entries = value if isinstance(value, list) else []
        kept = (keep_fitting(entry, shape[0]) for entry in entries)
        return [entry for entry in kept if entry is not None]
    return value if shape(value) else None


def keep_fields(content: Mapping[str, object], shape: Fields) -> dict[str, Any]:
    """Return the fields of a JSON object that the shape has, reduced to the parts that fit."""
    kept = {
        name: keep_fitting(value, shape[name if name in shape else ...])
        for name, value in content.items()
        if is_text(name) and (name in shape or ... in shape)
    }
    return {name: value for name, value in kept.items() if value is not None}
