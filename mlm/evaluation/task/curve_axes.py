"""The plot of a learning curve: number of labels and score to coordinates, and round ticks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

TICKS = 5  # of the scores, about
DIGIT = 10  # width of a digit on a small screen, where the letters are larger


@dataclass(frozen=True)
class Axes:
    """Edges of the plot in the picture, and the numbers that they stand for.

    Attributes:
        left, right, top, bottom: Edges of the plot.
        sizes: All numbers of labels, in order; 0 is drawn at the left edge.
        scores: Round scores from the bottom to the top.
    """

    left: float
    right: float
    top: float
    bottom: float
    sizes: Sequence[int]
    scores: Sequence[float]

    def x(self, labels: int) -> float:
        """Return the place of a number of labels: 0 at the left edge, others by their logarithm."""
        if labels == 0:
            return self.left
        logs = [math.log(size) for size in self.sizes if size]
        start = self.left + (self.zero_gap if 0 in self.sizes else 0)
        if logs[0] == logs[-1]:
            return (start + self.right) / 2
        share = (math.log(labels) - logs[0]) / (logs[-1] - logs[0])
        return start + (self.right - start) * share

    @property
    def zero_gap(self) -> float:
        """Room between 0 labels and the logarithmic rest."""
        return 0.14 * (self.right - self.left)

    def y(self, score: float) -> float:
        """Return the place of a score, inside the plot."""
        share = (score - self.scores[0]) / (self.scores[-1] - self.scores[0])
        return self.bottom - (self.bottom - self.top) * min(max(share, 0), 1)

    def size_ticks(self) -> list[int]:
        """Return the numbers of labels that can be written side by side, the ends first."""
        chosen: list[int] = []
        ends = dict.fromkeys([self.sizes[-1], self.sizes[0]])
        for size in [*ends, *(size for size in self.sizes if size not in ends)]:
            if all(self._is_free(size, other) for other in chosen):
                chosen.append(size)
        return sorted(chosen)

    def _is_free(self, size: int, other: int) -> bool:
        width = DIGIT * (len(f"{size:,}") + len(f"{other:,}")) / 2
        return abs(self.x(size) - self.x(other)) > width + DIGIT


def round_scores(
    low: float, high: float, *, least: float, limits: tuple[float, float] | None = None
) -> list[float]:
    """Return round scores for an axis, from at or below the lowest to at or above the highest.

    Args:
        low: The lowest score.
        high: The highest.
        least: Distance between the ends at the least, so that small differences look small.
        limits: Round scores that the axis does not pass.
    """
    missing = max(least - (high - low), 0)
    low, high = low - missing / 2, high + missing / 2
    step = _round_step((high - low) / TICKS)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    scores = [round(i * step, 10) for i in range(first, last + 1)]
    return [s for s in scores if limits is None or limits[0] <= s <= limits[1]]


def _round_step(rough: float) -> float:
    """Return the next number with the digit 1, 2 or 5."""
    size = 10.0 ** math.floor(math.log10(rough))
    return float(next(size * f for f in (1, 2, 5, 10) if size * f >= rough * (1 - 1e-9)))


def spread_apart(
    centers: Sequence[float], heights: Sequence[float], top: float, bottom: float
) -> list[float]:
    """Return centers of labels that do not overlap, as near to the wanted ones as possible.

    Labels that would overlap form a group around the mean of their wanted places.

    Args:
        centers: Wanted centers.
        heights: Heights of the labels.
        top: The smallest y that a label may reach.
        bottom: The largest, if all labels fit between the two.
    """
    order = sorted(range(len(centers)), key=lambda i: centers[i])
    groups: list[tuple[float, list[int]]] = []  # mean of the wanted tops, less those above
    above = [0.0]
    for i in order:
        above.append(above[-1] + heights[i])
    for place, i in enumerate(order):
        wanted, members = centers[i] - heights[i] / 2 - above[place], [place]
        while groups and groups[-1][0] > wanted:
            mean, earlier = groups.pop()
            total = mean * len(earlier) + wanted * len(members)
            members = [*earlier, *members]
            wanted = total / len(members)
        groups.append((wanted, members))
    placed = [0.0] * len(centers)
    for wanted, members in groups:
        first = max(top, min(wanted, bottom - above[-1]))
        for place in members:
            placed[order[place]] = first + above[place] + heights[order[place]] / 2
    return placed
