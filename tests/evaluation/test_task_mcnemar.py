"""McNemar's test against scipy's distributions and known numbers."""

import numpy as np
import pytest

from mlm.evaluation.task.mcnemar import McNemar, mcnemar

stats = pytest.importorskip("scipy.stats")


def answers(only_before: int, only_after: int) -> tuple[np.ndarray, np.ndarray]:
    both = [(1, 0)] * only_before + [(0, 1)] * only_after + [(1, 1)] * 30 + [(0, 0)] * 7
    before, after = np.array(both, bool).T
    return before, after


@pytest.mark.parametrize("only_before, only_after", [(0, 1), (3, 9), (9, 3), (12, 12), (0, 24)])
def test_few_differences_are_tested_exactly(only_before, only_after):
    found = mcnemar(*answers(only_before, only_after))
    expected = stats.binomtest(only_before, only_before + only_after, 0.5).pvalue
    assert found == McNemar(only_before, only_after, pytest.approx(expected, rel=0, abs=1e-9))


@pytest.mark.parametrize(
    "only_before, only_after", [(0, 25), (10, 40), (40, 10), (61, 60), (30, 30)]
)
def test_many_differences_are_tested_by_chi_square(only_before, only_after):
    found = mcnemar(*answers(only_before, only_after))
    distance = max(abs(only_before - only_after) - 1, 0)
    expected = 1 - stats.chi2.cdf(distance**2 / (only_before + only_after), 1)
    assert found.p == pytest.approx(expected, rel=0, abs=1e-9)
    exact = stats.binomtest(only_before, only_before + only_after).pvalue
    assert found.p == pytest.approx(exact, abs=0.01)


def test_known_numbers():
    # R: mcnemar.test(matrix(c(101, 59, 121, 33), 2)): chi-squared 20.672, p 5.45e-06
    assert mcnemar(*answers(59, 121)).p == pytest.approx(5.45e-06, rel=1e-3)


def test_models_that_never_differ():
    assert mcnemar(*answers(0, 0)) == McNemar(0, 0, 1.0)


def test_answers_of_other_texts_are_refused():
    with pytest.raises(ValueError, match="expected equal ones"):
        mcnemar(np.ones(3, bool), np.ones(4, bool))


def test_the_line_for_people():
    assert mcnemar(*answers(59, 121)).line() == (
        "only after is right on 121 texts, only before on 59: a clear difference "
        "(McNemar's p < 0.001)"
    )
    assert mcnemar(*answers(3, 9)).line("base", "adapted") == (
        "only adapted is right on 9 texts, only base on 3: not a clear difference "
        "(McNemar's p = 0.146)"
    )
