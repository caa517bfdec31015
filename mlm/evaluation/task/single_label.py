"""Figures of a single-label task: accuracy, F1, MCC, AUROC, calibration error, confusion."""

import numpy as np

from mlm.backend.startup import prepare_scipy
from mlm.checkpoint.task import Task
from mlm.evaluation.task.intervals import (
    Interval,
    percentile_intervals,
    resample_counts,
    wilson_interval,
)
from mlm.evaluation.task.label_figures import (
    defined,
    f1_scores,
    figures_by_label,
    mean_of_defined,
)
from mlm.evaluation.task.losses import cross_entropy, log_softmax
from mlm.evaluation.task.task_figures import TaskFigures

BINS = 15  # of the calibration error


def single_label_figures(
    task: Task, logits: np.ndarray, labels: np.ndarray, *, seed: int
) -> TaskFigures:
    """Return the figures of N texts.

    The best label is the one with the highest logit, the first of equals. Macro-F1 is the mean over
    the labels that occur among the right or the predicted ones. With two labels there is also the
    F1 of the second one, and AUROC of its probability.

    Args:
        task: Names of the L labels.
        logits: (N, L), finite.
        labels: (N,) label ids.
        seed: Of the bootstrap.
    """
    num_labels, predicted = len(task.labels), logits.argmax(-1)
    cells = np.bincount(labels * num_labels + predicted, minlength=num_labels**2)
    confusion = cells.reshape(num_labels, num_labels)
    sums = confusion.diagonal(), confusion.sum(0), confusion.sum(1)
    f1 = f1_scores(*sums)
    hits, total = int(sums[0].sum()), len(labels)
    metrics = {"accuracy": hits / total, "f1_macro": defined(mean_of_defined(f1))}
    if num_labels == 2:
        metrics["f1"] = defined(f1[1])
        metrics["auroc"] = auroc(logits[:, 1] - logits[:, 0], labels)
    metrics["mcc"] = float(matthews_correlation(*sums))
    metrics["ece"] = calibration_error(logits, labels)
    true_ids, predicted_ids = confusion.nonzero()
    counts = confusion[true_ids, predicted_ids]
    return TaskFigures(
        task.problem_type,
        task.labels,
        num_examples=total,
        loss=float(cross_entropy(logits, labels).mean()),
        metrics=metrics,
        intervals={
            "accuracy": wilson_interval(hits, total),
            **_bootstrap(true_ids, predicted_ids, counts, num_labels, seed),
        },
        per_label=figures_by_label(task.labels, *sums),
        confusion_cells=tuple(
            zip(true_ids.tolist(), predicted_ids.tolist(), counts.tolist(), strict=True)
        ),
    )


def _bootstrap(
    true_ids: np.ndarray, predicted_ids: np.ndarray, counts: np.ndarray, num_labels: int, seed: int
) -> dict[str, Interval]:
    """Return intervals of what the confusion matrix gives; its K cells are resampled, not texts.

    That is the same: texts of one cell are alike. One matrix of draws, for all resamples at once.
    """
    draws = resample_counts(counts, seed).astype(np.float64)  # (R, K)
    one_hot = np.eye(num_labels)
    is_hit = true_ids == predicted_ids
    hits = draws[:, is_hit] @ one_hot[true_ids[is_hit]]  # (R, L)
    sums = hits, draws @ one_hot[predicted_ids], draws @ one_hot[true_ids]
    f1 = f1_scores(*sums)
    values = {"f1_macro": mean_of_defined(f1), "mcc": matthews_correlation(*sums)}
    if num_labels == 2:
        values["f1"] = f1[:, 1]
    return percentile_intervals(values)


def matthews_correlation(hits: np.ndarray, predicted: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """Return Matthews' correlation of any number of labels, from (..., L) counts.

    0 where all labels or all predictions are the same, as scikit-learn has it.

    Source: Gorodkin 2004, Comparing two K-category assignments by a K-category correlation.
    """
    hits, predicted, actual = (np.asarray(n, np.float64) for n in (hits, predicted, actual))
    total = actual.sum(-1)
    covariance = hits.sum(-1) * total - (predicted * actual).sum(-1)
    variances = (total**2 - (predicted**2).sum(-1)) * (total**2 - (actual**2).sum(-1))
    result = np.zeros(np.shape(covariance))
    np.divide(covariance, np.sqrt(variances), out=result, where=variances > 0)
    return result


def calibration_error(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the expected calibration error of the best label's probability.

    The probabilities (confidences) are put into 15 bins of equal width, (0, 1/15], (1/15, 2/15],
    and so on. The error is the mean over the texts of |accuracy - mean confidence| of their bin: 0
    for a model that is right as often as it says.

    Source: Guo et al. 2017, On calibration of modern neural networks, section 2.
    """
    log_probabilities = log_softmax(logits)
    confidence = np.exp(log_probabilities.max(-1))
    is_right = logits.argmax(-1) == labels
    bins = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    gaps = np.bincount(bins, is_right - confidence, BINS)
    return float(np.abs(gaps).sum() / len(labels))


def auroc(scores: np.ndarray, labels: np.ndarray) -> float | None:
    """Return the area under the ROC curve; None if only one of the two labels occurs.

    scores: (N,), higher for label 1. Logits rather than probabilities, which have ties near 1.
    labels: (N,) of 0 and 1.
    """
    prepare_scipy()
    from sklearn.metrics import roc_auc_score

    if len(np.unique(labels)) < 2:
        return None
    return float(roc_auc_score(labels, np.asarray(scores, np.float64)))
