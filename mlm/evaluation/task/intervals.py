"""95 % intervals: Wilson's of a share, and bootstrap intervals over the elements of a test set.

A bootstrap draws as many elements as the test set has, with replacement, and repeats the figure on
each draw; the interval holds the middle 95 % of these. It covers the choice of the test set, and
neither the choice of the training data nor the seed of the training: seeds.py has their spread.
"""

import math
from collections.abc import Mapping

import numpy as np

Interval = tuple[float, float]

CONFIDENCE = 0.95
Z = 1.959963984540054  # the 97.5 % quantile of the normal distribution
RESAMPLES = 1000
VALUES_AT_ONCE = 4_000_000  # of draws in memory, 32 MB
FEW_CELLS = 4  # elements a distinct row, from which on drawing whole groups is faster


def wilson_interval(successes: int, total: int) -> Interval:
    """Return Wilson's 95 % interval of a share, without continuity correction.

    Unlike the normal approximation, it stays inside [0, 1] and has a width at shares of 0 and 1.
    total: at least 1.

    Source: Wilson 1927, Probable inference, the law of succession, and statistical inference.
    """
    share, ends = successes / total, (0.0, 1.0)
    shrink = 1 + Z**2 / total
    center = (share + Z**2 / (2 * total)) / shrink
    half = Z / shrink * math.sqrt(share * (1 - share) / total + Z**2 / (4 * total**2))
    low = ends[0] if successes == 0 else center - half
    high = ends[1] if successes == total else center + half
    return low, high


def resample_counts(counts: np.ndarray, seed: int) -> np.ndarray:
    """Return (RESAMPLES, K) counts of K kinds of elements, as a bootstrap draws them.

    counts: (K,) integers, how many elements of each kind there are; at least one in all.
    """
    total = int(counts.sum())
    return np.random.default_rng(seed).multinomial(total, counts / total, size=RESAMPLES)


def resampled_sums(rows: np.ndarray, seed: int) -> np.ndarray:
    """Return (RESAMPLES, K) sums of the rows that a bootstrap draws.

    rows: (N, K) numbers of N elements, N at least 1.
    """
    rows = np.asarray(rows, np.float64)
    distinct, counts = np.unique(rows, axis=0, return_counts=True)
    if len(distinct) * FEW_CELLS <= len(rows):
        return np.asarray(resample_counts(counts, seed) @ distinct)
    rng, size = np.random.default_rng(seed), len(rows)
    at_once = max(1, min(RESAMPLES, VALUES_AT_ONCE // size))
    sums = [
        _draw_counts(rng, min(at_once, RESAMPLES - first), size) @ rows
        for first in range(0, RESAMPLES, at_once)
    ]
    return np.concatenate(sums)


def _draw_counts(rng: np.random.Generator, resamples: int, size: int) -> np.ndarray:
    """Return (resamples, size) float64: how often each element is drawn."""
    drawn = rng.integers(0, size, (resamples, size)) + size * np.arange(resamples)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=resamples * size)
    return counts.reshape(resamples, size).astype(np.float64)


def percentile_interval(values: np.ndarray) -> Interval | None:
    """Return the middle 95 % of a figure's values on resamples, without undefined ones.

    None if the figure is undefined on all of them.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def percentile_intervals(values: Mapping[str, np.ndarray]) -> dict[str, Interval]:
    """Return the intervals of several figures by name, without those that have none."""
    found = {name: percentile_interval(each) for name, each in values.items()}
    return {name: interval for name, interval in found.items() if interval is not None}
