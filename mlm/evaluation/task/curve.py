"""A learning curve: the score of several systems by the number of labels they were trained on."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from mlm.checkpoint.record.schema import is_count, is_number, is_text
from mlm.errors import CheckpointError
from mlm.evaluation.task.metric_names import SHARES, TITLES
from mlm.evaluation.task.seeds import Spread, spread_of


@dataclass(frozen=True)
class CurvePoint:
    """One run.

    Attributes:
        system: Name of the model or method.
        labels: How many labelled examples it was trained on; 0 without training.
        seed: Of the examples drawn, and of the training.
        score: The metric's value on the test set.
    """

    system: str
    labels: int
    seed: int
    score: float


@dataclass(frozen=True)
class Curve:
    """Scores of several systems.

    Attributes:
        metric: Name of the score, see metric_names.py.
        points: The runs, in any order.
        systems: Names of the systems in the order to show them, the adapted model first. Each has
            at least one point.
    """

    metric: str
    points: tuple[CurvePoint, ...]
    systems: tuple[str, ...]

    def __post_init__(self) -> None:
        found = {point.system for point in self.points}
        if not found or found != set(self.systems) or len(set(self.systems)) != len(self.systems):
            raise ValueError(f"points of {sorted(found)}; expected those of {list(self.systems)}")
        if not all(math.isfinite(point.score) for point in self.points):
            raise ValueError("a score is not finite; leave the runs out whose metric is undefined")

    @cached_property
    def _spreads(self) -> dict[str, dict[int, Spread]]:
        scores: dict[str, dict[int, list[float]]] = {system: {} for system in self.systems}
        for point in self.points:
            scores[point.system].setdefault(point.labels, []).append(point.score)
        return {
            system: {labels: spread_of(by_size[labels]) for labels in sorted(by_size)}
            for system, by_size in scores.items()
        }

    @property
    def sizes(self) -> tuple[int, ...]:
        """All numbers of labels, in order."""
        return tuple(sorted({point.labels for point in self.points}))

    def spreads(self, system: str) -> Mapping[int, Spread]:
        """Return mean and spread of a system over its seeds, by number of labels, in order."""
        return self._spreads[system]

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        points = [asdict(point) for point in self.points]
        return {"metric": self.metric, "systems": list(self.systems), "points": points}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "Curve":
        """Return the curve that `to_dict` wrote; the record may be a stranger's.

        Raises:
            CheckpointError: The record does not have the form of `to_dict`.
        """
        try:
            points = tuple(_point(each) for each in record["points"])
            _check_metric(record["metric"], points)
            return cls(record["metric"], points, tuple(record["systems"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(
                f"the record of a learning curve cannot be read ({type(error).__name__}: {error}); "
                "it was expected as Curve.to_dict writes it: measure the curve again"
            ) from None


def _check_metric(metric: str, points: Iterable[CurvePoint]) -> None:
    """Raise ValueError if the metric is not known, or the scores are not of its range."""
    if metric not in TITLES:
        raise ValueError(f"metric is {metric!r}")
    if metric in SHARES and not all(0 <= point.score <= 1 for point in points):
        raise ValueError(f"the {metric} of a point is not between 0 and 1")


def _point(record: Mapping[str, Any]) -> CurvePoint:
    system, labels, seed, score = (record[name] for name in ("system", "labels", "seed", "score"))
    if not is_text(system) or not is_count(labels) or labels < 0 or not is_count(seed):
        raise ValueError(f"a point of {system!r} with {labels!r} labels and seed {seed!r}")
    if not is_number(score):
        raise ValueError(f"the score {score!r} of {system!r}")
    return CurvePoint(system, labels, seed, float(score))
