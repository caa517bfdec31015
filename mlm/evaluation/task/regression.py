"""Figures of a regression: correlations, errors, and the explained share of the variance."""

import numpy as np

from mlm.backend.startup import prepare_scipy
from mlm.checkpoint.task import Task
from mlm.evaluation.task.intervals import Interval, percentile_intervals, resampled_sums
from mlm.evaluation.task.label_figures import defined, ratio
from mlm.evaluation.task.losses import squared_error
from mlm.evaluation.task.task_figures import TaskFigures

ROUNDING = 1e-12  # of a sum of squares: a variance below that share of it is 0


def regression_figures(
    task: Task, predictions: np.ndarray, labels: np.ndarray, *, seed: int
) -> TaskFigures:
    """Return the figures of N texts.

    R² is 1 - mean squared error / variance of the labels: 0 for a model that always says their
    mean. A correlation is undefined if the predictions or the labels are all the same, R² if the
    labels are.

    Args:
        task: Its one label is the name of what is predicted.
        predictions: (N,), finite.
        labels: (N,) numbers.
        seed: Of the bootstrap.
    """
    predictions, labels = predictions.astype(np.float64), labels.astype(np.float64)
    errors = squared_error(predictions, labels)
    mse, variance = errors.mean(), labels.var()
    return TaskFigures(
        task.problem_type,
        task.labels,
        num_examples=len(labels),
        loss=float(mse),
        metrics={
            "r2": float(1 - mse / variance) if np.ptp(labels) else None,
            "pearson": pearson(predictions, labels),
            "spearmanr": spearman(predictions, labels),
            "mae": float(np.abs(predictions - labels).mean()),
            "rmse": float(np.sqrt(mse)),
            "mse": float(mse),
        },
        intervals=_bootstrap(predictions, labels, seed),
    )


def pearson(first: np.ndarray, second: np.ndarray) -> float | None:
    """Return Pearson's correlation of two arrays (N,); None if all values of one are the same."""
    if not (np.ptp(first) and np.ptp(second)):
        return None
    first, second = _normed(first), _normed(second)
    return defined(np.clip(first @ second, -1, 1))


def _normed(values: np.ndarray) -> np.ndarray:
    """Return centered values with a sum of squares of 1; scaled first, so that none underflows."""
    centered = values - values.mean()
    centered = centered / np.abs(centered).max()
    return np.asarray(centered / np.sqrt(centered @ centered))


def spearman(first: np.ndarray, second: np.ndarray) -> float | None:
    """Return Spearman's rank correlation, equal values having the mean of their ranks."""
    prepare_scipy()
    from scipy.stats import rankdata

    return pearson(rankdata(first), rankdata(second))


def _bootstrap(predictions: np.ndarray, labels: np.ndarray, seed: int) -> dict[str, Interval]:
    """Return intervals of all metrics that sums over the texts give: all but the ranks'."""
    p, y = predictions - labels.mean(), labels - labels.mean()  # centered, for their squares
    error = p - y
    rows = np.stack([p, y, p * p, y * y, p * y, np.abs(error), error**2], axis=-1)
    count = len(rows)
    sum_p, sum_y, *products, absolute, squared = resampled_sums(rows, seed).T
    spread_p = _positive(products[0] - sum_p**2 / count, products[0])
    spread_y = _positive(products[1] - sum_y**2 / count, products[1])
    covariance = products[2] - sum_p * sum_y / count
    values = {
        "r2": 1 - ratio(squared, spread_y),
        "pearson": ratio(covariance, np.sqrt(spread_p * spread_y)),
        "mae": absolute / count,
        "rmse": np.sqrt(squared / count),
        "mse": squared / count,
    }
    return percentile_intervals(values)


def _positive(spread: np.ndarray, sum_of_squares: np.ndarray) -> np.ndarray:
    """Return the spread, 0 where it is only what rounding left of equal numbers."""
    return np.where(spread > ROUNDING * sum_of_squares, spread, 0)
