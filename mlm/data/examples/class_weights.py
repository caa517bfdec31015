"""Weights that balance classes, as scikit-learn's `compute_class_weight("balanced")`."""

import numpy as np


def class_weights_of(labels: np.ndarray, num_labels: int) -> np.ndarray:
    """Return a weight for each class, so that all classes count the same: (L,) float32.

    Args:
        labels: ids of classes, of any shape; negative ones do not count.
        num_labels: L. A class without an example has weight 0.

    Source: King and Zeng 2001; weight = examples / (classes * examples of the class).
    """
    counts = np.bincount(labels[labels >= 0].ravel(), minlength=num_labels)
    weights = counts.sum() / (num_labels * np.maximum(1, counts))
    return np.where(counts > 0, weights, 0).astype(np.float32)
