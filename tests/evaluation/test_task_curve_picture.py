"""The picture of a learning curve: well-formed, without collisions, names escaped."""

from itertools import pairwise
from xml.etree import ElementTree

import pytest

from mlm.evaluation.task.curve_axes import Axes, round_scores, spread_apart
from mlm.evaluation.task.curve_picture import HEIGHT, WIDTH, curve_svg
from tests.evaluation.test_task_curve import CURVE, curve_of

SVG = "{http://www.w3.org/2000/svg}"


def parse(curve) -> ElementTree.Element:
    return ElementTree.fromstring(curve_svg(curve))


def name_rows(root) -> list[tuple[str, float]]:
    return [(span.text, float(span.get("y"))) for span in root.iter(f"{SVG}tspan")]


def test_a_picture_says_what_it_shows():
    root = parse(CURVE)
    assert root.find(f"{SVG}title").text == "Accuracy by number of labels"
    assert root.find(f"{SVG}desc").text == (
        "adapted: 70.0 % with 0 labels, 90.0 % with 100 labels; base: 60.0 % with 10 labels, "
        "90.0 % with 1,000 labels. Bands are one standard deviation over the seeds on both sides."
    )
    assert root.get("role") == "img" and root.get("aria-labelledby") == "t d"


def test_names_are_escaped_and_without_control_characters():
    name = "</text><script>alert(1)</script>&\x1b"
    text = curve_svg(curve_of(**{name: {10: [0.5], 100: [0.6]}}))
    ElementTree.fromstring(text)
    assert "<script" not in text and "\x1b" not in text and "&lt;/text&gt;" in text


@pytest.mark.parametrize("count", [1, 2, 6, 15])
def test_names_of_lines_that_end_in_one_place_do_not_collide(count):
    scores = {f"system {i}": {10: [0.5], 100: [0.9 + 0.001 * i]} for i in range(count)}
    rows = name_rows(parse(curve_of(**scores)))
    heights = sorted(y for _, y in rows)
    assert len(rows) == count
    assert all(b - a >= 20.9 for a, b in pairwise(heights))
    assert heights[0] > 0 and heights[-1] < HEIGHT


def test_long_names_have_several_rows_inside_the_picture():
    long = curve_of(**{"TF-IDF + logistic regression": {10: [0.5], 100: [0.6]}})
    assert [row for row, _ in name_rows(parse(long))] == ["TF-IDF +", "logistic", "regression"]
    endless = parse(curve_of(**{"x" * 300: {10: [0.5], 100: [0.6]}}))
    assert len(name_rows(endless)) == 3
    assert all(len(row) <= 16 for row, _ in name_rows(endless))


def test_points_are_inside_the_picture_and_0_is_at_the_left_edge():
    root = parse(CURVE)
    xs = [float(dot.get("cx")) for dot in root.iter(f"{SVG}circle")]
    assert 0 < xs[0] < xs[1] < xs[2] < WIDTH
    first_tick = next(t for t in root.iter(f"{SVG}text") if t.text == "0")
    assert float(first_tick.get("x")) == xs[0]


@pytest.mark.parametrize(
    "scores",
    [
        {"a": {0: [0.5]}},
        {"a": {10: [0.5]}},
        {"a": {10: [0.0, 1.0]}},
        {"a": {0: [0.5], 10: [0.5]}, "b": {0: [0.6]}},
        {"a": {1: [1.0], 10: [1.0]}},
        {"a": {10: [0.0], 100: [0.0]}},
    ],
)
@pytest.mark.parametrize("metric", ["accuracy", "mse"])
def test_few_points_and_equal_scores_can_be_drawn(scores, metric):
    text = curve_svg(curve_of(metric, **scores))
    ElementTree.fromstring(text)
    assert "nan" not in text and "inf" not in text


def test_a_system_with_0_labels_only_is_a_dashed_level():
    text = curve_svg(curve_of(a={10: [0.5], 100: [0.6]}, prompt={0: [0.7]}))
    assert text.count('class="l d l1"') == 1 and text.count('class="l l0"') == 1


def test_labels_are_moved_as_little_as_possible():
    assert spread_apart([50, 150], [20, 20], 0, 200) == [50, 150]
    assert spread_apart([100, 104], [20, 20], 0, 200) == [92, 112]
    assert spread_apart([104, 100], [20, 20], 0, 200) == [112, 92]
    assert spread_apart([0, 2], [20, 20], 0, 200) == [10, 30]
    assert spread_apart([199, 200], [20, 40], 0, 200) == [150, 180]


@pytest.mark.parametrize(
    "low, high, expected",
    [
        (0.52, 0.93, [0.5, 0.6, 0.7, 0.8, 0.9, 1.0]),
        (0.5, 0.5, [0.44, 0.46, 0.48, 0.5, 0.52, 0.54, 0.56]),
        (0.97, 1.0, [0.92, 0.94, 0.96, 0.98, 1.0]),
    ],
)
def test_scores_of_the_axis_are_round(low, high, expected):
    assert round_scores(low, high, least=0.1, limits=(0, 1)) == expected


def test_numbers_of_labels_are_written_where_there_is_room():
    sizes = (8, 9, 10, 100, 1000)
    axes = Axes(50, 550, 50, 350, sizes, [0, 1])
    assert axes.size_ticks() == [8, 100, 1000]
    assert axes.x(8) == 50 and axes.x(1000) == 550
