"""Many rows classified: each has its labels or its error, and what a file of them looks like."""

import csv
import io

import pytest

from mlm.checkpoint.task import Task
from mlm.inference import row_classifying
from mlm.inference.classified_writing import Columns, LabelsCsvWriter
from mlm.inference.classifier import Classifier
from mlm.inference.row_classifying import classify_rows
from mlm.inference.row_reading import Row, rows_of
from tests.support.small_classifiers import save_classifier

SEVERAL = Task("multi_label_classification", ("warm", "=rainy", "cold"))


@pytest.fixture(scope="module")
def classifier(tmp_path_factory) -> Classifier:
    return Classifier.from_pretrained(save_classifier(tmp_path_factory.mktemp("it"), task=SEVERAL))


def test_a_row_without_labels_stops_no_other(classifier):
    rows = [*rows_of(["one", 7, "two"]), Row(4, "cut", "It cannot be read.", ("x",))]
    results = list(classify_rows(classifier, rows))
    assert [result.number for result in results] == [1, 2, 3, 4]
    assert [result.error for result in results] == [
        None,
        "The text is of type int; expected a string.",
        None,
        "It cannot be read.",
    ]
    assert results[2].answer.as_pipeline() == classifier("two")
    assert (results[1].texts, results[3].others) == (("",), ("x",))


def test_rows_are_read_as_they_are_classified(classifier, monkeypatch):
    monkeypatch.setattr(row_classifying, "ROWS_AT_ONCE", 2)
    read: list[int] = []
    rows = (read.append(row.number) or row for row in rows_of(["one"] * 7))
    next(classify_rows(classifier, rows))
    assert read == [1, 2]


def written(classifier: Classifier, task: Task, texts: list[str]) -> list[dict[str, str]]:
    stream = io.StringIO(newline="")
    writer = LabelsCsvWriter(stream, task)
    for result in classify_rows(classifier, rows_of(texts)):
        writer.write(result)
    return list(csv.DictReader(io.StringIO(stream.getvalue())))


def test_a_text_of_several_labels_has_those_that_are_probable(classifier):
    texts = ["one", "judge my vow", "the lazy film", ""]
    for text, row in zip(texts, written(classifier, SEVERAL, texts), strict=True):
        found = classifier(text)
        probable = [each["label"] for each in found if each["score"] >= 0.5]
        assert row["label"].removeprefix("'") == "|".join(probable)
        assert float(row["score"]) == found[0]["score"]
        by_label = {each["label"]: each["score"] for each in found}
        assert float(row["score_=rainy"]) == by_label["=rainy"]


def test_of_many_labels_only_the_best_has_its_score():
    many = Task("single_label_classification", tuple(f"label {i}" for i in range(11)))
    assert Columns.of(many, of_pairs=False).names == (
        "row",
        "text",
        "label",
        "score",
        "note",
        "error",
    )
