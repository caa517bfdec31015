"""Order of the sequences: each once an epoch, a function of (seed, position), constant memory."""

import tracemalloc

import numpy as np
import pytest

from mlm.data.batches import data_order
from mlm.data.batches.data_order import DataOrder
from mlm.data.tokens.read_window import BLOCK_TOKENS, BLOCKS_PER_WINDOW

LENGTH = 126
WINDOW = BLOCKS_PER_WINDOW * (BLOCK_TOKENS // LENGTH)  # sequences


@pytest.fixture
def small_windows(monkeypatch):
    """Make windows of four blocks of eight sequences."""
    monkeypatch.setattr(data_order, "BLOCK_TOKENS", 8 * LENGTH)
    monkeypatch.setattr(data_order, "BLOCKS_PER_WINDOW", 4)


@pytest.mark.parametrize("count", [1, 7, 32, 33, 95, 96, 97, 1000])
def test_each_epoch_has_each_sequence_once(small_windows, count):
    order = DataOrder(count, seed=3, length=LENGTH)
    epochs = [order.at(epoch * count, count) for epoch in range(3)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(count))
    if count > 7:
        assert not np.array_equal(epochs[0], epochs[1])


@pytest.mark.parametrize("count", [32, 95, 1000])
def test_a_position_has_the_same_sequence_in_any_access_order(small_windows, count):
    straight = DataOrder(count, seed=3, length=LENGTH).at(0, 3 * count)
    jumping = DataOrder(count, seed=3, length=LENGTH)
    for first in (2 * count + 5, 0, count - 1, count // 2, 2 * count - 3):
        assert np.array_equal(jumping.at(first, count // 2), straight[first:][: count // 2])
    assert not np.array_equal(DataOrder(count, seed=4, length=LENGTH).at(0, 3 * count), straight)


def test_up_to_a_window_the_permutation_is_that_of_earlier_versions():
    """Existing states and models were trained in this order."""
    for epoch in range(2):
        expected = np.random.default_rng([42, 0, epoch]).permutation(1000)
        assert np.array_equal(
            DataOrder(1000, seed=42, length=LENGTH).at(epoch * 1000, 1000), expected
        )


def test_a_window_holds_few_blocks_and_mixes_them(small_windows):
    order = DataOrder(960, seed=3, length=LENGTH).at(0, 960).reshape(-1, 32)
    blocks = order // 8
    assert all(len(set(window)) == 4 for window in blocks)
    assert not any((np.diff(window) >= 0).all() for window in blocks)
    assert len({tuple(sorted(set(window))) for window in blocks}) == len(blocks)
    firsts = sorted(min(window) for window in order)
    assert [min(window) for window in order] != firsts


def test_memory_does_not_grow_with_the_sequences():
    def peak(count: int) -> int:
        tracemalloc.start()
        order = DataOrder(count, seed=0, length=LENGTH)
        for position in (0, count // 2, count - 1, 3 * count // 2):
            order.at(position, 64)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    assert peak(10 * WINDOW) < 2 * peak(WINDOW)
    assert peak(4000 * WINDOW) < peak(10 * WINDOW) + 100 * 4000 * BLOCKS_PER_WINDOW
