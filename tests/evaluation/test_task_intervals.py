"""95 % intervals against scipy's, and bootstrap sums against drawing one by one."""

import numpy as np
import pytest

from mlm.evaluation.task.intervals import (
    RESAMPLES,
    percentile_interval,
    resample_counts,
    resampled_sums,
    wilson_interval,
)


@pytest.mark.parametrize("successes, total", [(0, 1), (1, 1), (0, 50), (50, 50), (3650, 4000)])
def test_wilson_is_that_of_scipy(successes, total):
    stats = pytest.importorskip("scipy.stats")
    expected = stats.binomtest(successes, total).proportion_ci(0.95, method="wilson")
    assert wilson_interval(successes, total) == pytest.approx(tuple(expected), rel=0, abs=1e-9)


def test_counts_of_resamples_sum_to_the_elements_and_follow_their_shares():
    counts = resample_counts(np.array([10, 0, 30]), seed=0)
    assert counts.shape == (RESAMPLES, 3)
    assert (counts.sum(1) == 40).all() and (counts[:, 1] == 0).all()
    assert counts.mean(0) == pytest.approx([10, 0, 30], abs=0.5)


@pytest.mark.parametrize("rows", [np.arange(40.0) ** 2, np.arange(40.0) % 2])
def test_sums_have_the_mean_and_spread_of_drawing_with_replacement(rows):
    sums = resampled_sums(rows[:, None], seed=0)
    assert sums.shape == (RESAMPLES, 1)
    assert sums.mean() == pytest.approx(rows.sum(), rel=0.02)
    assert sums.std() == pytest.approx(rows.std() * np.sqrt(40), rel=0.06)


def test_one_element_is_always_drawn():
    assert (resampled_sums(np.array([[3.0, 4.0]]), seed=0) == [3, 4]).all()


def test_many_elements_are_drawn_in_several_parts(monkeypatch):
    rows = np.random.default_rng(0).normal(size=(50, 2))
    whole = resampled_sums(rows, seed=0)
    monkeypatch.setattr("mlm.evaluation.task.intervals.VALUES_AT_ONCE", 50 * 7)
    assert resampled_sums(rows, seed=0) == pytest.approx(whole)


def test_undefined_values_are_left_out_of_an_interval():
    values = np.append(np.arange(201.0), [np.nan] * 5)
    assert percentile_interval(values) == pytest.approx((5, 195))
    assert percentile_interval(np.full(3, np.nan)) is None
