"""mlm.data.labelled.label_remarks: labels that are said because they may be misspelt."""

import pytest

from mlm.data.labelled.label_remarks import label_remarks, short_name
from mlm.data.labelled.problem_types import label_names, read_labels


@pytest.mark.parametrize(
    ("raws", "lines"),
    [
        (["good", "bad", 1, "ACDC, live"], []),
        (
            ["good", " good", "ba\nd", "ba d"],
            ["2 labels have spaces around or line ends in the name; read without them"],
        ),
        (
            ["Good", "good", "bad"],
            [
                "labels that differ by capitals only: Good, good; they are different classes: "
                "write them alike if they are one"
            ],
        ),
        (
            ["good", "NA", "n/a"],
            [
                "labels that are read as classes, but may stand for a missing one: NA, n/a; leave "
                "their cells empty if they do"
            ],
        ),
        (
            ["dish", "dish, hot", "trip"],
            [
                "labels such as 'dish, hot' are read as one class, beside 'dish'; write | between "
                "the labels if a text has several"
            ],
        ),
    ],
)
def test_labels_that_may_be_misspelt_are_said(raws, lines):
    task = "single_label_classification"
    names = label_names(task, read_labels(raws, task), "label")
    assert list(label_remarks(raws, names)) == lines
    assert not any("\n" in name for name in names)


def test_a_long_name_is_shortened_in_a_line():
    assert short_name("x" * 40) == "x" * 40
    assert short_name("x" * 41) == "x" * 40 + "\u2026"
