"""Precision, recall and F1 from counts: of labels, of entity types, and of resamples at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LabelFigures:
    """Figures of one label, or of one type of entity.

    Attributes:
        label: Its name.
        precision: Share of its predictions that are right; None without predictions.
        recall: Share of its support that is found; None without support.
        f1: Harmonic mean of the two; None with neither predictions nor support.
        support: How often it is right in the data.
        predicted: How often it is predicted.
    """

    label: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int
    predicted: int


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Return numerator / denominator in float64; NaN where both are 0."""
    numerator, denominator = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    quotient = np.full(np.broadcast(numerator, denominator).shape, np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator != 0)
    return quotient


def f1_scores(hits: np.ndarray, predicted: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """Return F1 from counts of equal shape; NaN where nothing is predicted and nothing is right."""
    return ratio(2 * np.asarray(hits), np.asarray(predicted) + np.asarray(actual))


def mean_of_defined(values: np.ndarray) -> np.ndarray:
    """Return the mean over the last axis without NaN; NaN if all values are."""
    is_defined = ~np.isnan(values)
    return ratio(np.where(is_defined, values, 0).sum(-1), is_defined.sum(-1))


def defined(value: float | np.ndarray) -> float | None:
    """Return a number, or an array of one, as a float; None for NaN and infinities."""
    return float(value) if np.isfinite(value) else None


def figures_by_label(
    labels: Sequence[str], hits: np.ndarray, predicted: np.ndarray, actual: np.ndarray
) -> tuple[LabelFigures, ...]:
    """Return the figures of each label from its counts, each of shape (L,)."""
    columns = ratio(hits, predicted), ratio(hits, actual), f1_scores(hits, predicted, actual)
    scores = zip(*columns, strict=True)
    return tuple(
        LabelFigures(label, defined(precision), defined(recall), defined(f1), int(support), int(n))
        for label, (precision, recall, f1), support, n in zip(
            labels, scores, actual, predicted, strict=True
        )
    )
