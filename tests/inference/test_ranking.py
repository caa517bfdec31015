"""Ranking: the highest scores, ties in order."""

import numpy as np
import pytest

from mlm.inference.ranking import best_first


@pytest.mark.parametrize("count", [1, 2, 5, 99, 100, 200])
@pytest.mark.parametrize("distinct", [3, 1000])
def test_the_order_is_that_of_a_stable_sort(count, distinct):
    scores = np.random.default_rng(0).integers(0, distinct, 100).astype(np.float64)
    scores[7] = -np.inf
    expected = np.argsort(-scores, kind="stable")[:count]
    np.testing.assert_array_equal(best_first(scores, count), expected)
