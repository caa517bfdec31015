"""mlm.data.labelled: sides that share no text, samples of all classes, and what is refused."""

import csv
import gzip
import io
import json
import random
from collections import Counter

import pytest

from mlm.checkpoint.task import Task
from mlm.data.labelled.labelled_files import read_labelled
from mlm.data.labelled.labelled_report import LabelledReport
from mlm.data.labelled.labelled_settings import LabelledSettings
from mlm.data.labelled.labelled_texts import LabelledTexts
from mlm.data.labelled.sampling import rows_per_class, sample_texts
from mlm.data.labelled.sides import describe, read_sides
from mlm.data.labelled.splitting import split_off_validation
from mlm.errors import ConfigError, CorpusError
from tests.support.places import SHARED

IMDB = SHARED / "data" / "imdb"
SINGLE = "single_label_classification"


def drawn_per_class(texts: LabelledTexts, count: int, seed: int) -> LabelledTexts:
    return texts.take(rows_per_class(texts, count, seed))


def texts_of(labels, problem_type=SINGLE, names=None):
    """Return texts that are all different, with these labels."""
    names = names or tuple(sorted(set(labels)))
    texts = [f"text {number}" for number in range(len(labels))]
    return LabelledTexts(texts, list(labels), Task(problem_type, names), None)


@pytest.fixture
def write(tmp_path):
    """Return a function that writes rows of a text and a label as a CSV and returns its path."""

    def write_rows(name, rows):
        with (tmp_path / name).open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([("text", "label"), *rows])
        return tmp_path / name

    return write_rows


def rows_of(label, count, start=0):
    return [(f"{label} number {at}", label) for at in range(start, start + count)]


def sides_of(train, report=None, validation=(), test=(), settings=None, **others):
    return read_sides(
        settings or LabelledSettings(),
        report or LabelledReport(),
        train_files=[train],
        validation_files=[validation] if validation else (),
        test_files=[test] if test else (),
        **others,
    )


def refused(train, **settings) -> str:
    with pytest.raises((CorpusError, ConfigError)) as caught:
        sides_of(train, **settings)
    return str(caught.value)


# Split --------------------------------------------------------------------------------------------


def test_each_class_has_its_share_of_validation():
    texts = texts_of(["a"] * 100 + ["b"] * 40 + ["c"] * 2)
    train, validation = split_off_validation(texts, 10)
    assert Counter(validation.labels) == {"a": 10, "b": 4}
    assert Counter(train.labels) == {"a": 90, "b": 36, "c": 2}
    assert sorted(train.texts + validation.texts) == sorted(texts.texts)


def test_the_split_depends_on_the_texts_only():
    texts = texts_of(["a", "b"] * 50)
    rows = list(range(100))
    random.Random(1).shuffle(rows)
    first, second = split_off_validation(texts, 10), split_off_validation(texts.take(rows), 10)
    assert set(first[1].texts) == set(second[1].texts)


def test_all_rows_of_a_text_are_on_one_side():
    texts = texts_of(["a", "b"] * 50)
    texts = texts.take([*range(100), *range(100)])
    train, validation = split_off_validation(texts, 20)
    assert not set(train.texts) & set(validation.texts)
    assert len(validation) == 40


def test_classes_that_are_too_small_for_a_share_give_one_text_each():
    train, validation = split_off_validation(texts_of(["a", "a", "b", "b", "b", "c"]), 5)
    assert Counter(validation.labels) == {"b": 1}
    assert Counter(train.labels) == {"a": 2, "b": 2, "c": 1}


@pytest.mark.parametrize(
    ("problem_type", "labels"),
    [
        ("regression", [0.5, 2.0] * 20),
        ("multi_label_classification", [["a"], []] * 20),
        ("token_classification", [["O"], ["B-a"]] * 20),
    ],
)
def test_texts_without_one_class_are_split_by_their_hash(problem_type, labels):
    texts = texts_of(labels, problem_type, ("a",))
    train, validation = split_off_validation(texts, 10)
    assert (len(train), len(validation)) == (36, 4)
    assert len(sample_texts(texts, 5, seed=0)) == 5


@pytest.mark.parametrize("percentage", [0, 100, -1])
def test_a_percentage_that_cannot_work_is_refused(percentage):
    with pytest.raises(ConfigError, match=r"percentage is .*, expected more than 0"):
        split_off_validation(texts_of(["a", "b"] * 5), percentage)


def test_too_few_texts_to_split_are_refused():
    with pytest.raises(CorpusError) as caught:
        split_off_validation(texts_of([0.5], "regression", ("x",)), 10)
    assert str(caught.value) == (
        "1 text leaves none for validation at --validation_split_percentage 10: give more texts, "
        "or a --validation_file"
    )
    with pytest.raises(CorpusError) as caught:
        split_off_validation(texts_of(["a", "a", "b", "b"]), 10)
    assert str(caught.value) == (
        "4 texts leave none for validation at --validation_split_percentage 10, as each class "
        "keeps 2 for training: give more texts, or a --validation_file"
    )


# Samples ------------------------------------------------------------------------------------------


def test_a_sample_is_the_beginning_of_a_larger_one():
    texts = texts_of(["a"] * 30 + ["b"] * 30 + ["c"] * 30)
    for seed in (0, 1):
        small, large = (drawn_per_class(texts, count, seed) for count in (4, 8))
        assert large.texts[: len(small)] == small.texts
        assert Counter(small.labels) == dict.fromkeys("abc", 4)
        small, large = (sample_texts(texts, count, seed) for count in (7, 50))
        assert large.texts[:7] == small.texts
    assert drawn_per_class(texts, 4, 0).texts != drawn_per_class(texts, 4, 1).texts


def test_a_sample_keeps_the_shares_of_the_classes_whatever_the_order_of_the_file():
    texts = texts_of(["a"] * 900 + ["b"] * 90 + ["c"] * 10)
    sample = sample_texts(texts, 100, seed=0)
    assert Counter(sample.labels) == {"a": 90, "b": 9, "c": 1}
    assert set(sample_texts(texts, 3, seed=0).labels) == {"a", "b", "c"}
    rows = list(range(1000))
    random.Random(2).shuffle(rows)
    assert set(sample_texts(texts.take(rows), 100, seed=0).texts) == set(sample.texts)


def test_repeats_come_after_different_texts():
    texts = texts_of(["a", "b"] * 5)
    texts = texts.take([*range(10), *range(10)])
    assert len(set(drawn_per_class(texts, 5, seed=0).texts)) == 10
    assert len(sample_texts(texts, 100, seed=0)) == 20


@pytest.mark.parametrize(
    ("count", "problem_type", "line"),
    [
        (0, SINGLE, "--labels_per_class is 0, expected 1 or more, or leave it out"),
        (
            6,
            SINGLE,
            "--labels_per_class is 6, but the class 'b' has 5 training texts: lower it, or give "
            "more texts",
        ),
        (
            1,
            "regression",
            "--labels_per_class is for texts that have one class each; this task is regression: "
            "give --max_train_samples",
        ),
    ],
)
def test_samples_that_cannot_be_drawn_are_refused(count, problem_type, line):
    with pytest.raises((ConfigError, CorpusError)) as caught:
        drawn_per_class(texts_of(["a"] * 9 + ["b"] * 5, problem_type), count, seed=0)
    assert str(caught.value) == line


# Sides --------------------------------------------------------------------------------------------


def test_texts_of_two_sides_are_removed_from_training_and_said(write):
    a, b = rows_of("a", 20), rows_of("b", 20)
    train = write("train.csv", [*a, *b, a[0], ("a number 1", "b")])
    validation = write("validation.csv", [a[0], b[0], b[3]])
    test = write("test.csv", [a[2], b[2], b[3], ("new", "a")])
    report = LabelledReport()
    sides = sides_of(train, report, validation, test)
    assert not set(sides.train.texts) & {"a number 0", "b number 0", "a number 2", "b number 3"}
    assert (len(sides.train), len(sides.validation), len(sides.test)) == (36, 2, 4)
    assert report.lines[1:] == [
        "2 training rows repeat the text of another, and are kept; 1 of the repeated texts has "
        "different labels",
        "1 validation text is also among the test texts, and left out of validation",
        "3 training texts are also among the test texts, and left out of training",
        "3 training texts are also among the validation texts, and left out of training",
        "training: 36 texts (a: 18, b: 18), 3 words at the median, 3 at most",
        "validation: 2 texts (a: 1, b: 1), 3 words at the median, 3 at most",
        "test: 4 texts (a: 2, b: 2), 3 words at the median, 3 at most",
    ]


def test_a_sorted_file_gives_all_classes(write):
    train = write("train.csv", [*rows_of("a", 50), *rows_of("b", 50), *rows_of("c", 50)])
    report = LabelledReport()
    sides = sides_of(train, report, max_train_samples=9)
    assert Counter(sides.train.labels) == {"a": 3, "b": 3, "c": 3}
    assert Counter(sides.validation.labels) == {"a": 5, "b": 5, "c": 5}
    assert sides.test is None
    assert "126 training texts left out by --max_train_samples, drawn with seed 0" in report.lines
    few = sides_of(train, max_train_samples=6)
    assert Counter(few.train.labels) == {"a": 2, "b": 2, "c": 2}
    assert few.validation.texts == sides.validation.texts


ENOUGH = [*rows_of("a", 10), *rows_of("b", 10)]


@pytest.mark.parametrize(
    ("train", "test", "line"),
    [
        (
            rows_of("a", 10),
            None,
            "all 10 training texts have the label 'a'; expected two classes or more: give training "
            "texts of other classes too",
        ),
        (
            ENOUGH,
            rows_of("a", 3),
            "all 3 test texts have the label 'a'; expected two classes or more: give test texts of "
            "other classes too",
        ),
        (
            [*ENOUGH, ("one", "c"), ("two", "d")],
            None,
            "the classes 'c', 'd' have fewer than 2 training texts: give more, or leave these rows "
            "out",
        ),
        (
            [*ENOUGH, ("one", "c")],
            None,
            "the class 'c' has fewer than 2 training texts: give more, or leave these rows out",
        ),
        (
            ENOUGH,
            [*rows_of("a", 3), ("one", "c"), ("two", "d"), ("three", "d")],
            "the test texts have the labels 'c', 'd' (3 times), which the training texts never "
            "have; those have 'a', 'b': correct the labels, or leave these texts out",
        ),
        (
            [(f"text {number}", number) for number in range(100)],
            None,
            "the labels in column 'label' look like ids: 100 different ones in 100 rows: name the "
            "column of classes with --label_column_name, or give --problem_type regression if it "
            "holds amounts",
        ),
        (
            [(f"text {number}", f"{number}_x") for number in range(100)],
            None,
            "the labels in column 'label' look like ids: 100 different ones in 100 rows: name the "
            "column of classes with --label_column_name",
        ),
        (ENOUGH, ENOUGH, "all training texts are also test texts: give different files"),
        (
            [("one", 0.5), ("two", 0.5)],
            None,
            "all 2 training texts have the number 0.5; expected different ones: give other texts "
            "too",
        ),
    ],
)
def test_texts_that_cannot_be_learned_from_or_measured_are_refused(write, train, test, line):
    test_file = write("test.csv", test) if test else ()
    assert refused(write("train.csv", train), test=test_file) == line


def test_a_class_that_is_only_left_with_one_text_is_refused(write):
    train = write("train.csv", [*ENOUGH, *rows_of("c", 2)])
    test = write("test.csv", [*rows_of("c", 1), ("a film", "a")])
    assert refused(train, test=test) == (
        "the class 'c' has fewer than 2 training texts without those of validation and test: give "
        "more, or leave these rows out"
    )


def test_a_class_all_of_whose_texts_are_in_the_test_is_refused(write):
    train = write("train.csv", [*ENOUGH, *rows_of("c", 2)])
    test = write("test.csv", [*rows_of("c", 2), ("a film", "a")])
    assert "the class 'c' has fewer than 2 training texts" in refused(train, test=test)


def test_classes_without_a_text_in_the_sample_are_said(write):
    classes = [f"class {number:02}" for number in range(20)]
    train = write("train.csv", [row for name in classes for row in rows_of(name, 5)])
    report = LabelledReport()
    sides_of(train, report, max_train_samples=7)
    assert (
        "--max_train_samples 7 leaves no training text of the classes class 07, class 08, class "
        "09, class 10, class 11, class 12, class 13, class 14, class 15, class 16 and 3 more: give "
        "20 or more"
    ) in report.lines
    enough = LabelledReport()
    sides_of(train, enough, max_train_samples=20)
    assert not any("leaves no training text" in line for line in enough.lines)


def test_a_sample_of_one_class_is_refused(write):
    assert refused(write("train.csv", ENOUGH), max_train_samples=1) == (
        "--max_train_samples 1 leaves training texts of one class only: give 2 or more"
    )


def test_many_classes_of_few_texts_are_not_taken_for_ids(write):
    classes = [f"class {number}" for number in range(20)]
    train = write("train.csv", [row for name in classes for row in rows_of(name, 3)])
    sides = sides_of(train)
    assert (len(sides.train), len(sides.validation)) == (40, 20)


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        (
            [(f"text {number}", ["a"]) for number in range(4)],
            "all 4 training texts have the labels 'a'; expected different ones: give texts with "
            "others too",
        ),
        (
            [(["one", str(number)], ["O", "O"]) for number in range(4)],
            "all words of the 4 training texts have the tag 'O'; expected different tags: give "
            "texts with others too, or name the column of tags with --label_column_name",
        ),
    ],
)
def test_labels_that_do_not_differ_are_refused(tmp_path, rows, line):
    path = tmp_path / "train.jsonl"
    names = ("tokens", "tags") if isinstance(rows[0][0], list) else ("text", "labels")
    path.write_text("\n".join(json.dumps(dict(zip(names, row, strict=True))) for row in rows))
    assert refused(path) == line


def test_few_test_texts_of_many_classes_are_not_taken_for_ids(write):
    classes = [f"class {number}" for number in range(20)]
    train = write("train.csv", [row for name in classes for row in rows_of(name, 5)])
    test = write("test.csv", [row for name in classes for row in rows_of(name, 1, start=9)])
    assert len(sides_of(train, test=test).test) == 20


def test_few_amounts_are_not_taken_for_ids(write):
    rows = [(f"text {number}", number) for number in range(100)]
    settings = LabelledSettings(problem_type="regression")
    report = LabelledReport()
    sides = sides_of(write("train.csv", rows), report, settings=settings)
    assert len(sides.validation) == 10
    assert report.lines[0].startswith("training: 90 texts (1 to 99), 2 words at the median")


def test_descriptions_name_the_labels_of_texts_and_words():
    texts = texts_of([["a", "b"], ["b"], []], "multi_label_classification", ("a", "b"))
    assert describe(texts) == "3 texts (a: 1, b: 2), 2 words at the median, 2 at most"
    many = texts_of([f"{number:02}" for number in range(12)])
    assert describe(many).endswith("09: 1, and 2 labels more), 2 words at the median, 2 at most")


@pytest.mark.skipif(not IMDB.is_dir(), reason="the IMDB reviews are absent")
def test_real_reviews_sorted_by_label(tmp_path):
    csv.field_size_limit(10**9)
    with gzip.open(IMDB / "test_4k.csv.gz", "rt", encoding="utf-8") as stream:
        rows = list(csv.DictReader(io.StringIO(stream.read())))
    rows.sort(key=lambda row: row["polarity"])
    with (tmp_path / "sorted.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows([*rows, *rows[:7]])
    report = LabelledReport()
    sides = sides_of(tmp_path / "sorted.csv", report, max_train_samples=16)
    assert Counter(sides.train.labels) == {"0": 8, "1": 8}
    assert 400 <= len(sides.validation) < 407
    assert len(set(sides.validation.texts)) == 400
    assert any("rows repeat the text of another, and are kept" in line for line in report.lines)
    settings = LabelledSettings(label_column_name="id")
    assert refused(tmp_path / "sorted.csv", settings=settings).startswith(
        "the labels in column 'id' look like ids: 4,000 different ones in 4,007 rows: name the"
    )


@pytest.mark.slow
@pytest.mark.skipif(not IMDB.is_dir(), reason="the IMDB reviews are absent")
def test_repeats_of_real_training_reviews():
    report = LabelledReport()
    sides = sides_of(IMDB / "train.csv.gz", report, test=IMDB / "test_4k.csv.gz")
    assert any(line.startswith("98 training rows repeat") for line in report.lines)
    whole = read_labelled([IMDB / "train.csv.gz"], LabelledSettings(), LabelledReport())
    assert len(sides.train) + len(sides.validation) == len(whole) == 25_000
