"""McNemar's test: whether two models differ on the same texts by more than chance."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlm.backend.startup import prepare_scipy
from mlm.errors import CheckpointError

FEW = 25  # texts on which exactly one model is right, below which the test is exact
CLEAR = 0.05
MOST = 2**53  # texts in a record


@dataclass(frozen=True)
class McNemar:
    """Texts on which exactly one of two models is right, and the probability of such a difference.

    Attributes:
        only_before: Texts that only the first model has right.
        only_after: Texts that only the second model has right.
        p: Two-sided p-value, if both models were equally good; 1 if they never differ.
    """

    only_before: int
    only_after: int
    p: float

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "McNemar":
        """Return the test that a record has; the record may be a stranger's.

        Raises:
            CheckpointError: The record does not have its form.
        """
        counts = [record.get(name) for name in ("only_before", "only_after")]
        p = record.get("p")
        if not all(type(count) is int and 0 <= count < MOST for count in counts) or not (
            isinstance(p, float | int) and 0 <= p <= 1
        ):
            raise CheckpointError(
                "the record of McNemar's test cannot be read; expected only_before, only_after and "
                "p: draw the curve again"
            )
        return cls(record["only_before"], record["only_after"], float(p))

    def line(self, before: str = "before", after: str = "after") -> str:
        """Return the test in one line for people."""
        verdict = "a clear difference" if self.p < CLEAR else "not a clear difference"
        p = f"p = {self.p:.3f}" if self.p >= 0.001 else "p < 0.001"
        return (
            f"only {after} is right on {self.only_after:,} texts, only {before} on "
            f"{self.only_before:,}: {verdict} (McNemar's {p})"
        )


def mcnemar(correct_before: np.ndarray, correct_after: np.ndarray) -> McNemar:
    """Compare two models on the same N texts.

    Only texts on which exactly one model is right tell the models apart. Below 25 of them the test
    is the exact binomial one; from 25 on it is chi-square with continuity correction.

    Args:
        correct_before: (N,) bool, whether the first model is right.
        correct_after: (N,) bool, likewise of the second, in the same order.

    Raises:
        ValueError: The arrays differ in their shape.

    Source: McNemar 1947; Edwards 1948, for the correction.
    """
    prepare_scipy()
    from scipy.stats import binomtest, chi2

    before, after = np.asarray(correct_before, bool), np.asarray(correct_after, bool)
    if before.shape != after.shape:
        raise ValueError(f"answers of shapes {before.shape} and {after.shape}; expected equal ones")
    only_before, only_after = int((before & ~after).sum()), int((after & ~before).sum())
    count = only_before + only_after
    if count == 0:
        return McNemar(0, 0, 1.0)
    if count < FEW:
        return McNemar(only_before, only_after, float(binomtest(only_before, count).pvalue))
    # The correction may not make the distance negative, which would be a distance again.
    statistic = max(abs(only_before - only_after) - 1, 0) ** 2 / count
    return McNemar(only_before, only_after, float(chi2.sf(statistic, 1)))
