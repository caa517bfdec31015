"""Tables of figures, as text and as Markdown, with names that are not ours."""

import numpy as np
import pytest

from mlm.checkpoint.task import Task
from mlm.evaluation.task.measurement import figures_of
from mlm.evaluation.task.tables import markdown_tables, printable, tables_of, text_tables

LABELS = np.tile([1, 0, 1, 0], 100)
LOGITS = np.tile([[0.0, 1], [1, 0], [0, 2], [0, 1]], (100, 1))


def single(labels: tuple[str, ...], seed: int = 0):
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, len(labels), 500)
    logits = rng.normal(size=(500, len(labels))) + 2 * np.eye(len(labels))[ids]
    return figures_of(Task("single_label_classification", labels), logits, ids)


TWO_LABELS = """\
Figures of 400 texts
                    value   95 % interval
accuracy           75.0 %  70.5 to 79.0 %
macro-F1           73.3 %  68.8 to 77.4 %
F1 of good         80.0 %  76.2 to 83.4 %
AUROC               0.875               -
MCC                 0.577  0.521 to 0.630
calibration error   7.8 %               -

By label
label  precision   recall      F1  support  predicted
bad      100.0 %   50.0 %  66.7 %      200        100
good      66.7 %  100.0 %  80.0 %      200        300

Confusion matrix (rows: the right label, columns: the predicted one)
      bad  good
bad   100   100
good    0   200"""


def test_the_tables_of_two_labels():
    task = Task("single_label_classification", ("bad", "good"))
    assert text_tables(figures_of(task, LOGITS, LABELS)) == TWO_LABELS


def test_markdown_shows_any_name_as_it_is():
    text = markdown_tables(single(("a|b", "<b>bold</b>\nline", "[x](http://y) `c` *d*")))
    assert "| a\\|b |" in text
    assert "\\<b>bold\\</b> line" in text and "<b>bold</b>" not in text.replace("\\<", "")
    assert "[x]\\(http://y) \\`c\\` \\*d\\*" in text
    heads = [line for line in text.splitlines() if line.startswith("|  |")]
    assert [line.count(" | ") for line in heads] == [2, 3]


@pytest.mark.parametrize("count", [12, 13])
def test_a_matrix_up_to_twelve_labels_and_confused_pairs_beyond(count):
    found = single(tuple(f"label {i}" for i in range(count)))
    last = tables_of(found)[-1]
    if count == 12:
        assert [row[1:] for row in last.rows] == found.confusion.astype(str).tolist()
        assert "12 label 11" in text_tables(found)  # numbers in a header of twelve names
    else:
        assert last.title == (
            f"Most frequent confusions (10 of {len(wrong_cells(found))} pairs; no matrix above 12 "
            "labels)"
        )
        assert [int(row[2]) for row in last.rows] == sorted(wrong_cells(found))[:-11:-1]


def wrong_cells(figures) -> list[int]:
    return [count for label, predicted, count in figures.confusion_cells if label != predicted]


def test_many_labels_are_cut_to_those_with_the_most_support():
    table = tables_of(single(tuple(map(str, range(60)))))[1]
    assert table.title == "By label (the 40 with the most support, of 60)"
    supports = [int(row[4]) for row in table.rows]
    assert len(supports) == 40 and supports == sorted(supports, reverse=True)


def test_a_terminal_gets_neither_long_names_nor_control_characters():
    text = text_tables(single(("\x1b[31mred", "x" * 500, "two\nlines")))
    assert "\x1b" not in text and "two lines" in text
    assert max(map(len, text.splitlines())) <= 80
    assert printable("a\u202eb\tc") == "a\N{REPLACEMENT CHARACTER}b c"


def test_what_is_undefined_is_a_dash_or_the_word():
    task = Task("multi_label_classification", ("a", "b"))
    text = text_tables(figures_of(task, np.full((3, 2), -1.0), np.zeros((3, 2))))
    assert "undefined" in text and "nan" not in text
    assert [line.split()[1:4] for line in text.splitlines() if line.startswith("a  ")] == [
        ["-"] * 3
    ]


@pytest.mark.parametrize("kind", ["regression", "token_classification"])
def test_other_tasks_have_no_confusion_matrix(kind):
    if kind == "regression":
        found = figures_of(Task(kind, ("stars",)), np.arange(5.0), np.arange(5.0) ** 2)
        assert len(tables_of(found)) == 1
    else:
        ids = np.array([[0, 1, 2], [1, 0, 0]])
        found = figures_of(Task(kind, ("O", "B-X", "I-X")), np.eye(3)[ids], ids)
        assert [table.header[0] for table in tables_of(found)] == ["", "type of entity"]
