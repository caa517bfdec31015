"""Mean and spread over seeds."""

import statistics

import pytest

from mlm.evaluation.task.seeds import Spread, spread_of


def test_mean_deviation_and_ends():
    values = [0.81, 0.79, 0.86, 0.8]
    found = spread_of(values)
    assert (found.mean, found.deviation) == pytest.approx(
        (statistics.mean(values), statistics.stdev(values)), rel=1e-12
    )
    assert (found.low, found.high, found.count) == (0.79, 0.86, 4)


def test_one_run_has_no_deviation():
    assert spread_of([0.5]) == Spread(0.5, None, 0.5, 0.5, 1)


def test_equal_runs_have_a_deviation_of_0():
    assert spread_of([0.1] * 3) == Spread(
        pytest.approx(0.1), pytest.approx(0, abs=1e-15), 0.1, 0.1, 3
    )


@pytest.mark.parametrize("values", [[], [0.5, float("nan")]])
def test_what_has_no_mean_is_refused(values):
    with pytest.raises(ValueError, match="expected at least one finite number"):
        spread_of(values)
