"""Labels saved: how many labels another system needs for what the adapted model reaches.

For each number n of labels, the adapted model's mean score over its seeds is the score to reach.
The other system's mean scores, by its numbers of labels, are replaced by their running maximum, and
between two of its numbers the score is taken as linear in the logarithm of the number. What it
needs is the first number at which that line reaches the score:

- "more than N" if it does not reach it with N, the most labels that it was measured with;
- "at most N" if it has reached it at N, the fewest labels that it was measured with, or between 0
  labels and N.

Of a metric that is better when lower, such as a loss, the signs are turned.
"""

import math
from dataclasses import dataclass
from typing import Literal

from mlm.evaluation.task.curve import Curve
from mlm.evaluation.task.metric_names import greater_is_better

Relation = Literal["", "more than", "at most"]


@dataclass(frozen=True)
class LabelsSaved:
    """The labels that another system needs for the score of the adapted model.

    Attributes:
        labels: Labels of the adapted model.
        score: Its mean score with them.
        needed: Labels of the other system.
        relation: "" if `needed` was found, else on which side of it the number is.
    """

    labels: int
    score: float
    needed: float
    relation: Relation = ""

    @property
    def factor(self) -> float | None:
        """Needed labels / labels, with the same relation; None without labels."""
        return self.needed / self.labels if self.labels else None

    def text(self) -> str:
        """Return the number needed for people: "1,250 (13x)", "more than 25,000 (> 25x)"."""
        number = f"{self.relation} {_rounded(self.needed):,}".strip()
        if self.factor is None or (self.relation and self.factor <= 1):
            return number  # "more than once as many" says nothing
        sign = {"": "", "more than": "> ", "at most": "≤ "}[self.relation]
        factor = f"{self.factor:,.0f}" if self.factor >= 10 else f"{self.factor:.2g}"
        return f"{number} ({sign}{factor}x)"


def labels_saved(curve: Curve, adapted: str, other: str) -> tuple[LabelsSaved, ...]:
    """Return for each number of labels of the adapted system what the other one needs.

    Args:
        curve: The scores of both.
        adapted: Name of the system that sets the scores.
        other: Name of the system that has to reach them.
    """
    sign = 1 if greater_is_better(curve.metric) else -1
    means = [(labels, sign * spread.mean) for labels, spread in curve.spreads(other).items()]
    return tuple(
        LabelsSaved(labels, spread.mean, *_first_crossing(means, sign * spread.mean))
        for labels, spread in curve.spreads(adapted).items()
    )


def _first_crossing(means: list[tuple[int, float]], score: float) -> tuple[float, Relation]:
    """Return the number of labels at which the running maximum reaches a score."""
    before, best = 0, -math.inf
    for labels, mean in means:
        if mean >= score:
            if before == 0:
                return labels, "at most" if labels else ""
            share = (score - best) / (mean - best)
            return before * (labels / before) ** share, ""
        before, best = labels, max(best, mean)
    return means[-1][0], "more than"


def _rounded(number: float) -> int:
    """Return a number with three significant digits: interpolation does not give more."""
    if number < 1000:
        return round(number)
    return int(float(f"{number:.3g}"))
