"""A figure of several runs that differ in their seed: its mean and spread."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """Mean and spread of one figure over seeds.

    Attributes:
        mean: The mean.
        deviation: Standard deviation of the runs, with n - 1; None for one run.
        low: The lowest.
        high: The highest.
        count: How many runs.
    """

    mean: float
    deviation: float | None
    low: float
    high: float
    count: int


def spread_of(values: Sequence[float]) -> Spread:
    """Return mean and spread of at least one finite value.

    Raises:
        ValueError: Without a value, or with one that is not finite.
    """
    if not values or not all(map(math.isfinite, values)):
        raise ValueError(f"the spread of {list(values)!r}; expected at least one finite number")
    count, mean = len(values), math.fsum(values) / len(values)
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1) if count > 1 else 0
    deviation = math.sqrt(variance) if count > 1 else None
    return Spread(mean, deviation, min(values), max(values), count)
