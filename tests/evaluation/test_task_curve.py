"""A learning curve: means, labels saved, tables, and its record."""

import json
import math

import pytest

from mlm.errors import CheckpointError
from mlm.evaluation.task.curve import Curve, CurvePoint
from mlm.evaluation.task.curve_tables import curve_markdown, curve_text
from mlm.evaluation.task.labels_saved import LabelsSaved, labels_saved


def curve_of(metric: str = "accuracy", **scores: dict[int, list[float]]) -> Curve:
    points = [
        CurvePoint(system, labels, seed, score)
        for system, by_size in scores.items()
        for labels, values in by_size.items()
        for seed, score in enumerate(values)
    ]
    return Curve(metric, tuple(points), tuple(scores))


CURVE = curve_of(
    adapted={0: [0.7], 10: [0.8, 0.84], 100: [0.9]},
    base={10: [0.6, 0.6], 100: [0.8, 0.8], 1000: [0.9]},
)


def test_mean_and_spread_by_system_and_size():
    spread = CURVE.spreads("adapted")[10]
    assert (spread.mean, spread.low, spread.high, spread.count) == (
        pytest.approx(0.82),
        0.8,
        0.84,
        2,
    )
    assert list(CURVE.spreads("base")) == [10, 100, 1000] and CURVE.sizes == (0, 10, 100, 1000)


def test_labels_saved_are_interpolated_in_the_logarithm():
    saved = labels_saved(CURVE, "adapted", "base")
    assert [each.labels for each in saved] == [0, 10, 100]
    assert [each.needed for each in saved] == pytest.approx([10**1.5, 10**2.2, 1000])
    assert [each.relation for each in saved] == [""] * 3
    assert [each.factor for each in saved] == [None, pytest.approx(10**1.2), pytest.approx(10)]


def needed(other: dict[int, list[float]], score: float, metric: str = "accuracy") -> tuple:
    (saved,) = labels_saved(curve_of(metric, a={50: [score]}, b=other), "a", "b")
    return saved.relation, pytest.approx(saved.needed)


@pytest.mark.parametrize(
    "other, score, expected",
    [
        ({10: [0.5], 100: [0.7]}, 0.8, ("more than", 100)),
        ({10: [0.5], 100: [0.7]}, 0.7, ("", 100)),
        ({10: [0.5], 100: [0.7]}, 0.5, ("at most", 10)),
        ({10: [0.5], 100: [0.7]}, 0.4, ("at most", 10)),
        ({0: [0.4], 10: [0.5]}, 0.45, ("at most", 10)),
        ({0: [0.4], 10: [0.5]}, 0.3, ("", 0)),
        ({0: [0.4]}, 0.5, ("more than", 0)),
        # The score falls after 10 and rises again: the running maximum stays at 0.6 until 100.
        ({10: [0.6], 30: [0.5], 100: [0.8]}, 0.7, ("", math.sqrt(30 * 100))),
        ({10: [0.6], 30: [0.5], 100: [0.8]}, 0.6, ("at most", 10)),
        ({10: [0.6], 30: [0.7], 100: [0.5]}, 0.7, ("", 30)),
    ],
)
def test_the_first_crossing_of_the_running_maximum(other, score, expected):
    assert needed(other, score) == expected


def test_a_lower_loss_is_better():
    assert needed({10: [3.0], 1000: [1.0]}, 2.0, "mse") == ("", 100)
    assert needed({10: [3.0], 1000: [1.0]}, 0.5, "mse") == ("more than", 1000)


@pytest.mark.parametrize(
    "saved, text",
    [
        (LabelsSaved(100, 0.8, 1247.0), "1,250 (12x)"),
        (LabelsSaved(100, 0.8, 999.0), "999 (10x)"),
        (LabelsSaved(100, 0.8, 523.4), "523 (5.2x)"),
        (LabelsSaved(100, 0.8, 25000, "more than"), "more than 25,000 (> 250x)"),
        (LabelsSaved(100, 0.8, 100, "more than"), "more than 100"),
        (LabelsSaved(100, 0.8, 8, "at most"), "at most 8"),
        (LabelsSaved(0, 0.8, 1247.0), "1,250"),
        (LabelsSaved(1, 0.8, 123456.0), "123,000 (123,456x)"),
    ],
)
def test_labels_saved_for_people(saved, text):
    assert saved.text() == text


TABLES = """\
Accuracy by number of labels (mean ± standard deviation, up to 2 seeds)
labels       adapted          base
0             70.0 %             -
10      82.0 ± 2.8 %  60.0 ± 0.0 %
100           90.0 %  80.0 ± 0.0 %
1,000              -        90.0 %

Labels that each system needs for the score of adapted
labels         base
0                32
10        158 (16x)
100     1,000 (10x)"""


def test_the_tables_for_a_terminal():
    assert curve_text(CURVE) == TABLES


def test_the_tables_of_a_card_show_any_name_as_it_is():
    points = (CurvePoint("a|*b*", 10, 0, 0.5), CurvePoint("<c>", 10, 0, 0.6))
    text = curve_markdown(Curve("accuracy", points, ("a|*b*", "<c>")))
    assert "| labels | a\\|\\*b\\* | \\<c> |" in text
    assert "Labels that each system needs for the score of a|\\*b\\*:" in text
    assert "| 10 | 50.0 % | 60.0 % |" in text and "| 10 | at most 10 |" in text


def test_one_system_saves_nothing():
    assert "needs" not in curve_text(curve_of(adapted={10: [0.5]}))


def test_a_curve_comes_back_from_json():
    assert Curve.from_dict(json.loads(json.dumps(CURVE.to_dict(), allow_nan=False))) == CURVE


@pytest.mark.parametrize(
    "change",
    [
        {"points": []},
        {"systems": ["adapted"]},
        {"systems": ["adapted", "base", "base"]},
        {"metric": None},
        {"points": [{"system": "adapted"}]},
        {"points": [{"system": "a", "labels": -1, "seed": 0, "score": 0.5}], "systems": ["a"]},
        {"points": [{"system": "a", "labels": 1, "seed": 0, "score": "1"}], "systems": ["a"]},
        {"points": [{"system": "a", "labels": 1, "seed": 0, "score": math.nan}], "systems": ["a"]},
        {"points": [{"system": "a", "labels": 1, "seed": 0, "score": 10**400}], "systems": ["a"]},
        {"points": [{"system": "a", "labels": 1, "seed": 0, "score": 1.5}], "systems": ["a"]},
        {
            "points": [{"system": "\ud800", "labels": 1, "seed": 0, "score": 1}],
            "systems": ["\ud800"],
        },
        {"metric": "*guess*"},
    ],
)
def test_a_record_of_another_form_is_refused(change):
    with pytest.raises(CheckpointError, match="the record of a learning curve cannot be read"):
        Curve.from_dict({**CURVE.to_dict(), **change})
