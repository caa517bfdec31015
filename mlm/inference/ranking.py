"""The highest of many scores, without a full sort."""

import numpy as np


def best_first(scores: np.ndarray, count: int) -> np.ndarray:
    """Return the indices of the `count` highest of (N,) scores, highest first; ties in order."""
    if count < len(scores):
        threshold = np.partition(scores, len(scores) - count)[len(scores) - count]
        contenders = np.flatnonzero(scores >= threshold)
    else:
        contenders = np.arange(len(scores))
    return contenders[np.argsort(-scores[contenders], kind="stable")][:count]
