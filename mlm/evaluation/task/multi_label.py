"""Figures of a multi-label task: F1 over all decisions and by label, texts without an error."""

import numpy as np

from mlm.checkpoint.task import Task
from mlm.evaluation.task.intervals import (
    Interval,
    percentile_intervals,
    resampled_sums,
    wilson_interval,
)
from mlm.evaluation.task.label_figures import (
    defined,
    f1_scores,
    figures_by_label,
    mean_of_defined,
)
from mlm.evaluation.task.losses import binary_cross_entropy
from mlm.evaluation.task.single_label import auroc
from mlm.evaluation.task.task_figures import TaskFigures

THRESHOLD = 0.0  # of a logit, which is a probability of 0.5


def multi_label_figures(
    task: Task, logits: np.ndarray, labels: np.ndarray, *, seed: int
) -> TaskFigures:
    """Return the figures of N texts that may have any number of labels.

    A label is predicted if its probability is above 0.5. Micro-F1 counts all decisions together;
    macro-F1 is the mean over the labels that occur or are predicted; AUROC is the mean over the
    labels that some texts have and others do not. Subset accuracy is the share of texts with all
    labels right.

    Args:
        task: Names of the L labels.
        logits: (N, L), finite.
        labels: (N, L), 1 where a label applies and else 0.
        seed: Of the bootstrap.
    """
    actual, predicted = labels > 0.5, logits > THRESHOLD
    counts = np.stack([actual & predicted, predicted, actual])  # (3, N, L)
    hits, num_predicted, support = counts.sum(1)
    f1 = f1_scores(hits, num_predicted, support)
    right = int((actual == predicted).all(-1).sum())
    areas = [auroc(logits[:, i], actual[:, i]) for i in range(len(task.labels))]
    known = [area for area in areas if area is not None]
    return TaskFigures(
        task.problem_type,
        task.labels,
        num_examples=len(labels),
        loss=float(binary_cross_entropy(logits, actual).mean()),
        metrics={
            "f1_micro": defined(f1_scores(hits.sum(), num_predicted.sum(), support.sum())),
            "f1_macro": defined(mean_of_defined(f1)),
            "subset_accuracy": right / len(labels),
            "auroc": sum(known) / len(known) if known else None,
        },
        intervals={
            "subset_accuracy": wilson_interval(right, len(labels)),
            **_bootstrap(counts, seed),
        },
        per_label=figures_by_label(task.labels, hits, num_predicted, support),
    )


def _bootstrap(counts: np.ndarray, seed: int) -> dict[str, Interval]:
    """Return intervals of both F1 from (3, N, L) hits, predictions and labels of each text."""
    _, num_texts, num_labels = counts.shape
    rows = counts.transpose(1, 0, 2).reshape(num_texts, -1)
    sums = resampled_sums(rows, seed).reshape(-1, 3, num_labels)
    values = {
        "f1_micro": f1_scores(*sums.sum(-1).T),
        "f1_macro": mean_of_defined(f1_scores(*sums.transpose(1, 0, 2))),
    }
    return percentile_intervals(values)
