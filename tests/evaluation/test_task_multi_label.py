"""Figures of a multi-label task against scikit-learn's."""

import warnings

import numpy as np
import pytest

from mlm.checkpoint.task import Task
from mlm.evaluation.task.measurement import figures_of

sklearn = pytest.importorskip("sklearn.metrics")
EXACT = {"rel": 0, "abs": 1e-9}
RNG = np.random.default_rng(0)
LABELS = (RNG.random((200, 4)) < [0.5, 0.1, 0.9, 0.3]).astype(np.float32)
LOGITS = (RNG.normal(size=(200, 4)) + 2 * LABELS - 1).astype(np.float32)
NONE, ALL = np.zeros((20, 4), np.float32), np.ones((20, 4), np.float32)
CASES = {
    "random": (LOGITS, LABELS),
    "perfect": (20 * LABELS - 10, LABELS),
    "nothing predicted": (np.full((200, 4), -1.0), LABELS),
    "everything predicted": (np.full((200, 4), 1.0), LABELS),
    "a label that is never there": (LOGITS, LABELS * [1, 0, 1, 1]),
    "a label neither there nor predicted": (LOGITS - [0, 99, 0, 0], LABELS * [1, 0, 1, 1]),
    "nothing there, something predicted": (ALL, NONE),
    "everything there": (LOGITS[:20], ALL),
    "at the threshold": (np.zeros((20, 4)), ALL),
    "one text": (LOGITS[:1], LABELS[:1]),
    "huge logits": (1e6 * LOGITS, LABELS),
}


def measure(logits, labels):
    task = Task("multi_label_classification", ("a", "b", "c", "d"))
    return figures_of(task, logits, labels)


def mean_area(logits, labels) -> float | None:
    varied = [i for i in range(4) if len(set(labels[:, i])) == 2]
    areas = [sklearn.roc_auc_score(labels[:, i], logits[:, i]) for i in varied]
    return float(np.mean(areas)) if areas else None


@pytest.mark.parametrize("name", CASES)
def test_figures_are_those_of_scikit_learn(name):
    logits, labels = CASES[name]
    predicted, found = (logits > 0).astype(int), measure(logits, labels)
    nan = {"zero_division": np.nan}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = {
            "f1_micro": sklearn.f1_score(labels, predicted, average="micro", **nan),
            "f1_macro": sklearn.f1_score(labels, predicted, average="macro", **nan),
            "subset_accuracy": sklearn.accuracy_score(labels, predicted),
        }
        by_label = sklearn.precision_recall_fscore_support(labels, predicted, **nan)
    assert {key: found.score(key) for key in expected} == pytest.approx(expected, **EXACT)
    area = mean_area(logits, labels)
    assert found.metrics["auroc"] == (area if area is None else pytest.approx(area, **EXACT))
    for figures, row in zip(found.per_label, zip(*by_label, strict=True), strict=True):
        columns = [figures.precision, figures.recall, figures.f1, figures.support]
        numbers = [np.nan if value is None else value for value in columns]
        assert numbers == pytest.approx(list(row), nan_ok=True, **EXACT)


def test_the_loss_is_the_mean_of_each_labels_log_loss():
    probabilities = 1 / (1 + np.exp(-LOGITS.astype(np.float64)))
    losses = [sklearn.log_loss(LABELS[:, i], probabilities[:, i]) for i in range(4)]
    assert measure(LOGITS, LABELS).loss == pytest.approx(np.mean(losses), **EXACT)


def test_nothing_there_and_nothing_predicted_is_undefined():
    found = measure(-ALL, NONE)
    assert found.metrics == {
        "f1_micro": None,
        "f1_macro": None,
        "subset_accuracy": 1.0,
        "auroc": None,
    }
    assert found.line() == (
        "micro-F1 undefined, macro-F1 undefined, all labels right 100.0 %, loss 0.3133, 20 texts"
    )


def test_the_intervals_are_those_of_drawing_texts():
    found, rng = measure(LOGITS, LABELS), np.random.default_rng(1)
    drawn = [rng.integers(0, 200, 200) for _ in range(200)]
    for average in ("micro", "macro"):
        scores = [sklearn.f1_score(LABELS[i], LOGITS[i] > 0, average=average) for i in drawn]
        ends = np.quantile(scores, [0.025, 0.975])
        assert found.intervals[f"f1_{average}"] == pytest.approx(ends, abs=0.03)


def test_the_names_of_run_classification_work():
    found = measure(LOGITS, LABELS)
    assert found.score("f1") == found.score("f1_micro") == found.headline.value
    assert found.score("accuracy") == found.score("subset_accuracy")
