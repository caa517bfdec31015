"""The highest of many scores, without sorting all of them."""

import numpy as np


def best_first(scores: np.ndarray, count: int) -> np.ndarray:
    """Indices of the `count` highest of (N,) scores, highest first, of equal ones the first."""
    if count < len(scores):
        least = np.partition(scores, len(scores) - count)[len(scores) - count]
        among = np.flatnonzero(scores >= least)
    else:
        among = np.arange(len(scores))
    return among[np.argsort(-scores[among], kind="stable")][:count]
