"""Entities against seqeval where it can be imported, and against its recorded numbers elsewhere."""

import warnings

import numpy as np
import pytest

from mlm.checkpoint.task import Task
from mlm.evaluation.task.entities import are_plain, entities_in, parse_tag
from mlm.evaluation.task.measurement import figures_of
from mlm.evaluation.task.tables import tables_of

EXACT = {"rel": 0, "abs": 1e-9}
BIO = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
ALL_TAGS = (*BIO, "E-PER", "S-LOC", "I", "B", "B-A-B", "I-B")


def case(names: tuple[str, ...], seed: int, size: int = 60, length: int = 9, right: float = 0.6):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(names), (size, length))
    noise = rng.integers(0, len(names), (size, length))
    predicted = np.where(rng.random((size, length)) < right, labels, noise)
    weights = (rng.random((size, length)) < 0.8).astype(np.float32)
    weights[3] = 0  # a row of padding
    return labels, predicted, weights


def measure(names, labels, predicted, weights=None):
    logits = 2.0 * np.eye(len(names), dtype=np.float32)[predicted]
    return figures_of(Task("token_classification", names), logits, labels, weights)


def sentences(names, ids, weights) -> list[list[str]]:
    rows = zip(ids, weights, strict=True)
    return [[names[i] for i, w in zip(*row, strict=True) if w] for row in rows if row[1].any()]


CASES = {
    **{f"BIO, seed {seed}": (BIO, *case(BIO, seed)) for seed in range(6)},
    **{f"all tags, seed {seed}": (ALL_TAGS, *case(ALL_TAGS, seed)) for seed in range(6)},
    "perfect": (BIO, *case(BIO, 7, right=1.0)),
    "all wrong types": (
        BIO,
        np.tile([1, 2, 0], (4, 3)),
        np.tile([3, 4, 0], (4, 3)),
        np.ones((4, 9)),
    ),
    "nothing found": (BIO, case(BIO, 8)[0], np.zeros((60, 9), int), np.ones((60, 9))),
    "nothing there": (BIO, np.zeros((60, 9), int), case(BIO, 8)[1], np.ones((60, 9))),
    "neither": (BIO, np.zeros((2, 3), int), np.zeros((2, 3), int), np.ones((2, 3))),
    "one token a sentence": (BIO, *case(BIO, 9, length=1)),
}


@pytest.mark.parametrize("name", CASES)
def test_figures_are_those_of_seqeval(name):
    metrics = pytest.importorskip("seqeval.metrics.sequence_labeling")
    names, labels, predicted, weights = CASES[name]
    found = measure(names, labels, predicted, weights)
    both = sentences(names, labels, weights), sentences(names, predicted, weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of undefined figures, which it takes for 0
        expected = {
            "f1": metrics.f1_score(*both),
            "precision": metrics.precision_score(*both),
            "recall": metrics.recall_score(*both),
            "accuracy": metrics.accuracy_score(*both),
        }
        columns = metrics.precision_recall_fscore_support(*both, average=None)
    assert {key: found.metrics[key] or 0 for key in expected} == pytest.approx(expected, **EXACT)
    by_type = [(f.precision or 0, f.recall or 0, f.f1 or 0, f.support) for f in found.per_label]
    assert by_type == [pytest.approx(row, **EXACT) for row in zip(*columns, strict=True)]
    assert [f.label for f in found.per_label] == sorted(f.label for f in found.per_label)
    assert found.num_examples == len(both[0])


# get_entities(tags.split()) of seqeval 1.2.2, with (type, first, last):
#     from seqeval.metrics.sequence_labeling import get_entities
#     for tags in RECORDED: print(tags, get_entities(tags.split()))
RECORDED = {
    "O O": [],
    "B-PER I-PER O": [("PER", 0, 1)],
    "B-PER B-PER I-PER": [("PER", 0, 0), ("PER", 1, 2)],
    "I-PER I-PER": [("PER", 0, 1)],
    "I-LOC O I-LOC": [("LOC", 0, 0), ("LOC", 2, 2)],
    "O I-PER I-LOC B-LOC": [("PER", 1, 1), ("LOC", 2, 2), ("LOC", 3, 3)],
    "B-PER I-LOC I-PER O": [("PER", 0, 0), ("LOC", 1, 1), ("PER", 2, 2)],
    "S-PER E-PER I-PER E-PER O": [("PER", 0, 0), ("PER", 1, 1), ("PER", 2, 3)],
    "B I O I": [("_", 0, 1), ("_", 3, 3)],
    "B-A-B I-A-B I-B": [("A-B", 0, 1), ("B", 2, 2)],
}


@pytest.mark.parametrize("tags", RECORDED)
def test_entities_are_those_that_seqeval_recorded(tags):
    assert sorted(entities_in([parse_tag(tag) for tag in tags.split()])) == sorted(RECORDED[tags])


# Of the sentences of CASES["BIO, seed 0"], as in the first test, with seqeval 1.2.2:
#     scores = (f1_score, precision_score, recall_score, accuracy_score)
#     print({score.__name__: score(*both) for score in scores})
#     print(precision_recall_fscore_support(*both, average=None))
def test_figures_of_one_case_are_those_that_seqeval_recorded():
    found = measure(*CASES["BIO, seed 0"])
    expected = {
        "f1": 0.58195211786372,
        "precision": 0.5830258302583026,
        "recall": 0.5808823529411765,
        "accuracy": 0.6690647482014388,
    }
    assert found.metrics == pytest.approx(expected, **EXACT)
    assert [(f.label, f.support) for f in found.per_label] == [("LOC", 144), ("PER", 128)]
    assert [round(f.f1, 4) for f in found.per_label] == [0.5836, 0.5802]
    assert found.headline[:2] == ("f1", found.metrics["f1"])


def test_the_loss_is_the_mean_over_labelled_tokens():
    names, labels, predicted, weights = CASES["BIO, seed 1"]
    right, wrong = -np.log(np.exp(2) / (np.exp(2) + 4)), -np.log(1 / (np.exp(2) + 4))
    losses = np.where(labels == predicted, right, wrong)[weights > 0]
    assert measure(names, labels, predicted, weights).loss == pytest.approx(losses.mean(), **EXACT)


def test_padding_may_hold_anything():
    names, labels, predicted, weights = CASES["BIO, seed 2"]
    clean = measure(names, labels, predicted, weights)
    logits = 2.0 * np.eye(len(names), dtype=np.float32)[predicted]
    logits[weights == 0], labels = np.nan, np.where(weights > 0, labels, -100)
    task = Task("token_classification", names)
    assert figures_of(task, logits, labels, weights) == clean


def test_the_interval_is_that_of_drawing_sentences():
    metrics = pytest.importorskip("seqeval.metrics.sequence_labeling")
    names, labels, predicted, weights = CASES["BIO, seed 3"]
    found = measure(names, labels, predicted, weights)
    both = sentences(names, labels, weights), sentences(names, predicted, weights)
    rng, scores = np.random.default_rng(1), []
    for _ in range(300):
        drawn = rng.integers(0, len(both[0]), len(both[0]))
        scores.append(metrics.f1_score(*([each[i] for i in drawn] for each in both)))
    assert found.intervals["f1"] == pytest.approx(np.quantile(scores, [0.025, 0.975]), abs=0.02)


def test_the_line_for_people():
    names, labels, predicted, weights = CASES["BIO, seed 0"]
    line = measure(names, labels, predicted, weights).line()
    assert line == (
        "entity F1 58.2 % (95 % interval 52.0 to 63.9), precision 58.3 %, recall 58.1 %, "
        "token accuracy 66.9 %, loss 1.0945, 59 sentences"
    )


@pytest.mark.parametrize("names", [("DET", "NOUN", "VERB"), ("I", "N", "S")])
def test_plain_tags_are_counted_by_token(names):
    from sklearn.metrics import precision_recall_fscore_support

    rng = np.random.default_rng(3)
    labels, predicted = rng.integers(0, 3, (2, 6, 5))
    task = Task("token_classification", names)
    figures = figures_of(task, np.eye(3)[predicted], labels, np.ones((6, 5)))
    accuracy = (labels == predicted).mean()
    for name in ("f1", "precision", "recall", "accuracy"):
        assert figures.metrics[name] == pytest.approx(accuracy, abs=1e-12)
    expected = precision_recall_fscore_support(labels.ravel(), predicted.ravel())
    found = [(each.precision, each.recall, each.f1, each.support) for each in figures.per_label]
    np.testing.assert_allclose(found, np.transpose(expected), atol=1e-12)
    assert figures.line().startswith("F1 ")
    assert [table.header[0] for table in tables_of(figures)] == ["", "label"]


@pytest.mark.parametrize(
    ("names", "is_plain"),
    [
        (("DET", "O"), True),
        (("I", "N", "S"), True),  # an interjection, a noun, an adposition
        (("B", "I", "O"), False),
        (("B-PER", "I", "X"), False),
        (("O",), False),
    ],
)
def test_tags_of_single_words_are_told_from_those_of_entities(names, is_plain):
    assert are_plain(names) is is_plain
