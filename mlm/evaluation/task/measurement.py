"""The figures of a model from its logits, for any task."""

import math

import numpy as np

from mlm.checkpoint.task import Task
from mlm.errors import CorpusError
from mlm.evaluation.task.metric_names import metric_names
from mlm.evaluation.task.multi_label import multi_label_figures
from mlm.evaluation.task.regression import regression_figures
from mlm.evaluation.task.single_label import single_label_figures
from mlm.evaluation.task.task_figures import TaskFigures
from mlm.evaluation.task.tokens import token_figures


def figures_of(
    task: Task,
    logits: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    seed: int = 0,
) -> TaskFigures:
    """Return the figures of a model on labelled data.

    Args:
        task: The problem type, and the names of the L labels.
        logits: (N, L); (N, T, L) for tokens; (N, 1) or (N,) for a regression.
        labels: (N,) ids; (N, L) of 0 and 1 for several labels; (N,) numbers for a regression;
            (N, T) ids for tokens.
        weights: (N,), or (N, T) for tokens: rows and tokens with weight 0 are left out, such as
            padding; all others count the same. None: all count.
        seed: Of the bootstrap of the intervals.

    Returns:
        The figures. If a logit is not finite, the loss is NaN and all metrics are undefined.

    Raises:
        CorpusError: Nothing has a label.
        ValueError: The shapes do not fit.
    """
    logits, labels = np.asarray(logits), np.asarray(labels)
    mask = np.ones(labels.shape[: 1 + task.is_of_tokens], bool)
    if weights is not None:
        mask = np.asarray(weights) != 0
    _check_shapes(task, logits, labels, mask)
    if not mask.any():
        raise CorpusError(
            f"0 of {len(labels):,} texts have a label to measure on; at least one was expected: "
            "look at the label column of the validation or test file"
        )
    if not np.isfinite(logits[mask]).all():
        return _undefined_figures(task, mask)
    if task.is_of_tokens:
        return token_figures(task, logits, labels, mask, seed=seed)
    return _of_texts(task, logits[mask], labels[mask], seed)


def _of_texts(task: Task, logits: np.ndarray, labels: np.ndarray, seed: int) -> TaskFigures:
    match task.problem_type:
        case "multi_label_classification":
            return multi_label_figures(task, logits, labels, seed=seed)
        case "regression":
            return regression_figures(task, logits.reshape(len(labels)), labels, seed=seed)
        case _:
            return single_label_figures(task, logits, labels, seed=seed)


def _check_shapes(task: Task, logits: np.ndarray, labels: np.ndarray, mask: np.ndarray) -> None:
    shape, size = mask.shape, len(task.labels)
    several = task.problem_type == "multi_label_classification"
    expected = {
        "logits": [(*shape, size)] + [shape] * (task.problem_type == "regression"),
        "labels": [(*shape, size) if several else shape],
    }
    for name, array in (("logits", logits), ("labels", labels)):
        if array.shape not in expected[name]:
            raise ValueError(f"{name} of shape {array.shape}; expected {expected[name][0]}")


def _undefined_figures(task: Task, mask: np.ndarray) -> TaskFigures:
    names = metric_names(task.problem_type, len(task.labels))[:-1]
    count = int(mask.reshape(len(mask), -1).any(-1).sum())
    return TaskFigures(
        task.problem_type, task.labels, count, math.nan, dict.fromkeys(names), intervals={}
    )
