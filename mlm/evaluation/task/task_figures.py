"""Figures of a fine-tuned model on labelled data, as the record and the terminal have them."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, cast

import numpy as np

from mlm.checkpoint.record.schema import is_count, is_number, is_text
from mlm.checkpoint.task import PROBLEM_TYPES, ProblemType
from mlm.errors import CheckpointError
from mlm.evaluation.task.entities import are_plain
from mlm.evaluation.task.intervals import Interval
from mlm.evaluation.task.label_figures import LabelFigures
from mlm.evaluation.task.metric_names import (
    HEADLINES,
    SHARES,
    TITLES,
    format_metric,
    resolve_metric,
)

IN_LINE: dict[ProblemType, tuple[str, ...]] = {  # behind the headline
    "single_label_classification": ("f1_macro",),
    "multi_label_classification": ("f1_macro", "subset_accuracy"),
    "regression": ("pearson", "spearmanr", "mae"),
    "token_classification": ("precision", "recall", "accuracy"),
}
IN_LINE_TITLES = {  # where a title is not clear without its table
    ("token_classification", "f1"): "entity F1",
    ("token_classification", "accuracy"): "token accuracy",
}
UNITS: dict[ProblemType, str] = {"token_classification": "sentence"}


class Headline(NamedTuple):
    """The figure that a task is known by, with its 95 % interval; None where undefined."""

    name: str
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class TaskFigures:
    """Figures of one model on one set of labelled texts.

    Attributes:
        problem_type: As in Task.
        labels: Names of the labels by id.
        num_examples: Labelled texts; sentences with a label for tokens.
        loss: Mean per element (text, or labelled token) in nats, without label smoothing: the
            cross-entropy, the mean over labels of the binary cross-entropy, or the squared error.
            NaN if a logit is not finite.
        metrics: By name, see metric_names.py; None where undefined.
        intervals: 95 % intervals by name of a metric; only of those that have one.
        per_label: Figures of each label; of each type of entity for tokens; empty in a regression.
        confusion_cells: (label id, predicted id, count) of a single-label task, without zeros.
    """

    problem_type: ProblemType
    labels: tuple[str, ...]
    num_examples: int
    loss: float
    metrics: dict[str, float | None]
    intervals: dict[str, Interval]
    per_label: tuple[LabelFigures, ...] = ()
    confusion_cells: tuple[tuple[int, int, int], ...] = ()

    @property
    def confusion(self) -> np.ndarray:
        """The confusion matrix, (L, L) int64: rows are the labels, columns the predictions."""
        matrix = np.zeros((len(self.labels), len(self.labels)), np.int64)
        for label, predicted, count in self.confusion_cells:
            matrix[label, predicted] = count
        return matrix

    @property
    def headline(self) -> Headline:
        """Accuracy, micro-F1, R² or F1 of entities or tags, with its 95 % interval."""
        name = HEADLINES[self.problem_type]
        low, high = self.intervals.get(name, (None, None))
        return Headline(name, self.metrics.get(name), low, high)

    def score(self, metric_name: str) -> float:
        """Return a metric by the name that `--metric_name` has; NaN where it is undefined.

        `metric_names.greater_is_better` tells in which direction it improves.

        Raises:
            ConfigError: The task does not have the metric; the message lists those that it has.
        """
        name = resolve_metric(metric_name, self.problem_type, len(self.labels))
        value = self.loss if name == "loss" else self.metrics.get(name)
        return math.nan if value is None else value

    def line(self) -> str:
        """Return the figures in one line for people, the headline first."""
        shown = [self._with_interval(HEADLINES[self.problem_type])]
        for name in IN_LINE[self.problem_type]:
            shown.append(f"{self.title(name)} {format_metric(name, self.metrics.get(name))}")
        loss = f"{self.loss:.4f}" if math.isfinite(self.loss) else "not finite"
        return ", ".join([*shown, f"loss {loss}", self.count()])

    def count(self) -> str:
        """Return the number of examples with its unit: "4,000 texts"."""
        unit = UNITS.get(self.problem_type, "text")
        return f"{self.num_examples:,} {unit}{'s' * (self.num_examples != 1)}"

    def _with_interval(self, name: str) -> str:
        text = f"{self.title(name)} {format_metric(name, self.metrics.get(name))}"
        if name not in self.intervals:
            return text
        low, high = self.intervals[name]
        return f"{text} (95 % interval {format_range(name, low, high)})"

    @property
    def is_of_entities(self) -> bool:
        """True if tokens are parts of entities; of plain tags, such as parts of speech, not."""
        return self.problem_type == "token_classification" and not are_plain(self.labels)

    def title(self, name: str) -> str:
        """Return a metric's title where no table explains it: "entity F1", "token accuracy"."""
        if name == "f1" and not self.is_of_entities:
            return TITLES[name]
        return IN_LINE_TITLES.get((self.problem_type, name), TITLES[name])

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold, without NaN: a figure that is undefined is null."""
        return {
            "problem_type": self.problem_type,
            "labels": list(self.labels),
            "num_examples": self.num_examples,
            "loss": self.loss if math.isfinite(self.loss) else None,
            "metrics": dict(self.metrics),
            "intervals": {name: list(ends) for name, ends in self.intervals.items()},
            "per_label": [asdict(figures) for figures in self.per_label],
            "confusion_cells": [list(cell) for cell in self.confusion_cells],
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "TaskFigures":
        """Return the figures that `to_dict` wrote; the record may be a stranger's.

        Raises:
            CheckpointError: The record does not have the form of `to_dict`.
        """
        try:
            return _from_dict(record)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(
                f"the record of a task's figures cannot be read ({type(error).__name__}: {error}); "
                "it was expected as TaskFigures.to_dict writes it: measure the model again"
            ) from None


def format_range(name: str, low: float, high: float) -> str:
    """Return the ends of an interval, with the percent sign left out: it follows the value."""
    if name in SHARES:
        return f"{100 * low:.1f} to {100 * high:.1f}"
    return f"{format_metric(name, low)} to {format_metric(name, high)}"


def _from_dict(record: Mapping[str, Any]) -> TaskFigures:
    if record["problem_type"] not in PROBLEM_TYPES:
        raise ValueError(f"problem_type is {record['problem_type']!r}")
    labels = tuple(_text(label) for label in record["labels"])
    intervals = record.get("intervals", {}).items()
    figures = TaskFigures(
        problem_type=cast(ProblemType, record["problem_type"]),
        labels=labels,
        num_examples=_count(record["num_examples"]),
        loss=math.nan if record["loss"] is None else _number(record["loss"]),
        metrics={_text(name): _optional(value) for name, value in record["metrics"].items()},
        intervals={_text(name): (_number(low), _number(high)) for name, (low, high) in intervals},
        per_label=tuple(_label_figures(each) for each in record.get("per_label", ())),
        confusion_cells=tuple(_cell(each, len(labels)) for each in record["confusion_cells"]),
    )
    _check_single_label(figures)
    return figures


def _check_single_label(figures: TaskFigures) -> None:
    """Raise ValueError if the parts of a single-label task do not fit; tables rely on that."""
    if figures.problem_type != "single_label_classification":
        if figures.confusion_cells:
            raise ValueError(f"a confusion matrix of a {figures.problem_type}")
        return
    if "f1" in figures.metrics and len(figures.labels) != 2:
        raise ValueError(f"the F1 of one label among {len(figures.labels)}")
    support = {each.label: each.support for each in figures.per_label}
    for label, _, count in figures.confusion_cells:
        if not 1 <= count <= support[figures.labels[label]]:
            raise ValueError(f"{count} texts of a label in one cell of the confusion matrix")


def _label_figures(record: Mapping[str, Any]) -> LabelFigures:
    return LabelFigures(
        _text(record["label"]),
        precision=_optional(record["precision"]),
        recall=_optional(record["recall"]),
        f1=_optional(record["f1"]),
        support=_count(record["support"]),
        predicted=_count(record["predicted"]),
    )


def _cell(cell: object, num_labels: int) -> tuple[int, int, int]:
    label, predicted, count = cast("list[object]", cell)
    ids = _count(label), _count(predicted)
    if max(ids) >= num_labels:
        raise ValueError(f"cell {cell} with {num_labels} labels")
    return (*ids, _count(count))


def _text(value: object) -> str:
    if not is_text(value):
        raise TypeError(f"{value!r} is not a text")
    return value


def _optional(value: object) -> float | None:
    return None if value is None else _number(value)


def _number(value: object) -> float:
    if not is_number(value):
        raise TypeError(f"{value!r} is not a finite number")
    return float(value)


def _count(value: object) -> int:
    if not is_count(value) or value < 0:
        raise TypeError(f"{value!r} is not a count")
    return value
