"""Batches of similar length: each sequence once an epoch, little padding, a function of step."""

import numpy as np
import pytest

from mlm.data.batches.data_order import DataOrder
from mlm.data.batches.length_groups import MAX_BATCHES_PER_GROUP, LengthGroups

COUNT, ROWS = 2000, 8
LENGTHS = np.random.default_rng(1).integers(1, 100, COUNT)


def groups(count: int = COUNT, seed: int = 4) -> LengthGroups:
    lengths = LENGTHS[:count]
    return LengthGroups(DataOrder(count, seed, 100), lambda numbers: lengths[numbers], ROWS, seed)


@pytest.mark.parametrize("batches", [1, 7, 50, 51, 60, 75, 100, 250])
def test_an_epoch_has_each_sequence_once(batches):
    made, count = groups(batches * ROWS), batches * ROWS
    for epoch in range(3):
        steps = range(epoch * batches, (epoch + 1) * batches)
        of_epoch = np.concatenate([made.at(step) for step in steps])
        assert sorted(of_epoch.tolist()) == list(range(count))


@pytest.mark.parametrize("count", [3, 9, 101, 597])
def test_after_an_epoch_the_same_sequences_were_seen_as_without_groups(count):
    made, order = groups(count), DataOrder(count, 4, 100)
    for epoch in range(1, 4):
        steps = -(-epoch * count // ROWS)
        seen = np.concatenate([made.at(step) for step in range(steps)])
        assert sorted(seen.tolist()) == sorted(order.at(0, steps * ROWS).tolist())


def test_little_is_padding():
    made = groups()
    batches = [LENGTHS[made.at(step)] for step in range(COUNT // ROWS)]
    padded = sum(batch.max() * ROWS for batch in batches) / LENGTHS.sum()
    shuffled = LENGTHS.reshape(-1, ROWS).max(axis=1).sum() * ROWS / LENGTHS.sum()
    print(f"{padded:.2f} of the tokens, {shuffled:.2f} without groups")
    assert padded < 1.1 < 1.5 < shuffled


def test_batches_do_not_come_by_length():
    made = groups()
    longest = [int(LENGTHS[made.at(step)].max()) for step in range(MAX_BATCHES_PER_GROUP)]
    assert longest != sorted(longest)
    assert longest != sorted(longest, reverse=True)


def test_a_step_is_the_same_in_any_access_order():
    steps = (0, 49, 50, 51, 3, 700)
    made = groups()
    for step in steps:
        np.testing.assert_array_equal(made.at(step), groups().at(step))
    assert (made.at(0) != groups(seed=5).at(0)).any()


@pytest.mark.parametrize("count", [1, 5, 8, 9, 100])
def test_no_group_is_more_than_an_epoch(count):
    made = groups(count)
    for step in range(60):
        batch = made.at(step)
        assert batch.shape == (ROWS,)
        assert np.isin(batch, np.arange(count)).all()
        assert np.bincount(batch).max() <= -(-ROWS // count) + 1
