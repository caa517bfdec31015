"""Figures of a regression against scikit-learn's and scipy's."""

import numpy as np
import pytest

from mlm.checkpoint.task import Task
from mlm.evaluation.task.measurement import figures_of

stats = pytest.importorskip("scipy.stats")
sklearn = pytest.importorskip("sklearn.metrics")
EXACT = {"rel": 1e-9, "abs": 1e-9}
TASK = Task("regression", ("stars",))
RNG = np.random.default_rng(0)
LABELS = RNG.normal(3, 1, 200).astype(np.float32)
PREDICTIONS = (0.7 * LABELS + RNG.normal(0, 0.5, 200)).astype(np.float32)
CASES = {
    "random": (PREDICTIONS, LABELS),
    "perfect": (LABELS, LABELS),
    "inverse": (-LABELS, LABELS),
    "ties": (np.round(PREDICTIONS), np.round(LABELS)),
    "far from 0": (PREDICTIONS.astype(np.float64) + 1e6, LABELS.astype(np.float64) + 1e6),
    "two texts": (PREDICTIONS[:2], LABELS[:2]),
}


@pytest.mark.parametrize("name", CASES)
def test_figures_are_those_of_scikit_learn_and_scipy(name):
    predictions, labels = (np.asarray(each, np.float64) for each in CASES[name])
    found = figures_of(TASK, CASES[name][0][:, None], CASES[name][1])
    mse = sklearn.mean_squared_error(labels, predictions)
    assert found.metrics == pytest.approx(
        {
            "r2": sklearn.r2_score(labels, predictions),
            "pearson": stats.pearsonr(labels, predictions).statistic,
            "spearmanr": stats.spearmanr(labels, predictions).statistic,
            "mae": sklearn.mean_absolute_error(labels, predictions),
            "rmse": sklearn.root_mean_squared_error(labels, predictions),
            "mse": mse,
        },
        **EXACT,
    )
    assert found.loss == pytest.approx(mse, **EXACT)


def test_one_number_for_all_texts_has_no_correlation():
    found = figures_of(TASK, np.full(200, 0.1), LABELS)
    assert (found.metrics["pearson"], found.metrics["spearmanr"]) == (None, None)
    assert found.metrics["r2"] == pytest.approx(
        sklearn.r2_score(LABELS.astype(float), np.full(200, 0.1)), **EXACT
    )
    assert "pearson" not in found.intervals


@pytest.mark.parametrize("size", [1, 5])
def test_equal_labels_have_errors_only(size):
    found = figures_of(TASK, PREDICTIONS[:size], np.full(size, 0.1))
    assert [name for name, value in found.metrics.items() if value is not None] == [
        "mae",
        "rmse",
        "mse",
    ]
    assert list(found.intervals) == ["mae", "rmse", "mse"]
    assert found.line().startswith("R² undefined, Pearson's r undefined, ")


def test_intervals_are_those_of_drawing_texts():
    found, rng = figures_of(TASK, PREDICTIONS, LABELS), np.random.default_rng(1)
    drawn = [rng.integers(0, 200, 200) for _ in range(500)]
    for name, of_draw in {
        "r2": lambda i: sklearn.r2_score(LABELS[i], PREDICTIONS[i]),
        "pearson": lambda i: stats.pearsonr(LABELS[i], PREDICTIONS[i]).statistic,
        "mae": lambda i: sklearn.mean_absolute_error(LABELS[i], PREDICTIONS[i]),
        "rmse": lambda i: sklearn.root_mean_squared_error(LABELS[i], PREDICTIONS[i]),
    }.items():
        ends = np.quantile([of_draw(i) for i in drawn], [0.025, 0.975])
        assert found.intervals[name] == pytest.approx(ends, abs=0.04)


def test_the_line_for_people():
    assert figures_of(TASK, PREDICTIONS, LABELS).line() == (
        "R² -0.370 (95 % interval -0.724 to -0.124), Pearson's r 0.781, Spearman's rho 0.787, "
        "mean absolute error 0.9823, loss 1.2654, 200 texts"
    )
