"""Figures of a single-label task against scikit-learn's and slow computations."""

import math
import warnings

import numpy as np
import pytest

from mlm.checkpoint.task import Task
from mlm.evaluation.task.measurement import figures_of
from mlm.evaluation.task.single_label import BINS, calibration_error

sklearn = pytest.importorskip("sklearn.metrics")
EXACT = {"rel": 0, "abs": 1e-9}


def task_of(num_labels: int) -> Task:
    return Task("single_label_classification", tuple(f"L{i}" for i in range(num_labels)))


def random_case(num_labels: int, seed: int, size: int = 300) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.choice(num_labels, size, p=rng.dirichlet(np.ones(num_labels)))
    logits = rng.normal(size=(size, num_labels)).astype(np.float32)
    logits[np.arange(size), labels] += rng.normal(1, 1, size).astype(np.float32)
    return logits, labels


def perfect(num_labels: int) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(40) % num_labels
    return 9 * np.eye(num_labels)[labels], labels


CASES = {
    **{f"random {n} labels": random_case(n, seed=n) for n in (2, 3, 7, 30)},
    "perfect": perfect(3),
    "perfect, two labels": perfect(2),
    "one label predicted": (np.tile([1.0, 0, 0], (30, 1)), np.arange(30) % 3),
    "one of two predicted": (np.tile([1.0, 0], (30, 1)), np.arange(30) % 2),
    "one label in the data": (random_case(2, 5)[0], np.ones(300, int)),
    "one label, all right": (np.tile([0.0, 2], (10, 1)), np.ones(10, int)),
    "ties": (np.zeros((10, 2)), np.arange(10) % 2),
    "tied scores": (np.round(random_case(2, 1)[0]), random_case(2, 1)[1]),
    "all wrong": (np.eye(2)[np.arange(10) % 2], 1 - np.arange(10) % 2),
    "one text": (np.array([[1.0, 2]]), np.array([1])),
    "huge logits": (1e6 * random_case(3, 2)[0], random_case(3, 2)[1]),
}


def slow_calibration_error(logits, labels) -> float:
    shifted = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
    probabilities = shifted / shifted.sum(-1, keepdims=True)
    total = 0.0
    for i in range(BINS):
        low, high = i / BINS, (i + 1) / BINS
        best = probabilities.max(-1)
        inside = (best > low) & (best <= high)
        if inside.any():
            accuracy = (probabilities.argmax(-1) == labels)[inside].mean()
            total += inside.mean() * abs(accuracy - best[inside].mean())
    return total


@pytest.mark.parametrize("name", CASES)
def test_figures_are_those_of_scikit_learn(name):
    logits, labels = CASES[name]
    size, predicted = logits.shape[1], logits.argmax(-1)
    found = figures_of(task_of(size), logits, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of undefined figures, which it takes for 0
        expected = {
            "accuracy": sklearn.accuracy_score(labels, predicted),
            "f1_macro": sklearn.f1_score(labels, predicted, average="macro"),
            "mcc": sklearn.matthews_corrcoef(labels, predicted),
            "ece": slow_calibration_error(logits, labels),
        }
        ids = list(range(size))
        confusion = sklearn.confusion_matrix(labels, predicted, labels=ids)
        by_label = sklearn.precision_recall_fscore_support(
            labels, predicted, labels=ids, zero_division=np.nan
        )
        if size == 2:
            expected["f1"] = sklearn.f1_score(labels, predicted)
            if len(set(labels)) == 2:
                scores = logits.astype(np.float64)[:, 1] - logits.astype(np.float64)[:, 0]
                expected["auroc"] = sklearn.roc_auc_score(labels, scores)
        expected["loss"] = (
            sklearn.log_loss(
                labels,
                np.exp(logits - np.logaddexp.reduce(logits.astype(np.float64), -1)[:, None]),
                labels=ids,
            )
            if name != "huge logits"
            else found.loss
        )  # it clips probabilities of 0
    assert {key: found.score(key) for key in expected} == pytest.approx(expected, **EXACT)
    assert (found.confusion == confusion).all()
    columns = [(f.precision, f.recall, f.f1, f.support) for f in found.per_label]
    assert [[math.nan if v is None else v for v in row] for row in columns] == [
        pytest.approx(list(row), nan_ok=True, **EXACT) for row in zip(*by_label, strict=True)
    ]
    assert [f.predicted for f in found.per_label] == np.bincount(predicted, minlength=size).tolist()
    assert np.isfinite(found.loss) and found.num_examples == len(labels)


def test_the_calibration_error_of_a_known_case():
    # Confidence 0.9 and half of them right; confidence 0.6 and all right.
    logits = np.log([[0.9, 0.1]] * 4 + [[0.4, 0.6]] * 4)
    labels = np.array([0, 0, 1, 1, 1, 1, 1, 1])
    assert calibration_error(logits, labels) == pytest.approx(0.5 * 0.4 + 0.5 * 0.4)


def test_the_interval_of_macro_f1_is_that_of_drawing_texts():
    logits, labels = random_case(3, 3, size=200)
    found = figures_of(task_of(3), logits, labels)
    rng, predicted = np.random.default_rng(1), logits.argmax(-1)
    drawn = [rng.integers(0, 200, 200) for _ in range(250)]
    values = [sklearn.f1_score(labels[i], predicted[i], average="macro") for i in drawn]
    assert found.intervals["f1_macro"] == pytest.approx(
        np.quantile(values, [0.025, 0.975]), abs=0.02
    )
    values = [sklearn.matthews_corrcoef(labels[i], predicted[i]) for i in drawn]
    ends = np.quantile(values, [0.025, 0.975])
    assert found.intervals["mcc"] == pytest.approx(ends, abs=0.03)


def test_the_seed_decides_the_bootstrap_only():
    case = random_case(3, 3)
    first, again, other = (figures_of(task_of(3), *case, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.intervals["f1_macro"] != other.intervals["f1_macro"]
    assert (first.metrics, first.loss) == (other.metrics, other.loss)


def test_elements_of_weight_0_are_left_out():
    logits, labels = random_case(3, 4)
    padded = np.concatenate([logits, np.full((5, 3), 7.0)]), np.append(labels, [0] * 5)
    weights = np.append(np.full(len(labels), 1 / 300), [0] * 5)
    assert figures_of(task_of(3), *padded, weights) == figures_of(task_of(3), logits, labels)
