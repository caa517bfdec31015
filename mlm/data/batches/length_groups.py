"""Batches of sequences of similar length (--group_by_length), so that they hold little padding.

Each epoch is divided into groups of consecutive batches. The sequences of a group are sorted by
length and dealt into batches, whose order is shuffled. Each epoch thus still sees the same
sequences. The batches are a function of (seed, step).
"""

import math
from collections.abc import Callable

import numpy as np

from mlm.data.batches.data_order import GROUPS, DataOrder

MAX_BATCHES_PER_GROUP = 50


class LengthGroups:
    """The batches over the shuffled epochs of `order`, each of sequences of similar length.

    lengths: function from sequence indices to their lengths in tokens.
    """

    def __init__(
        self,
        order: DataOrder,
        lengths: Callable[[np.ndarray], np.ndarray],
        batch_size: int,
        seed: int,
    ):
        self._order, self._lengths = order, lengths
        self._batch_size, self._seed = batch_size, seed
        self._group: tuple[int, np.ndarray] = (-1, np.empty((0, batch_size), np.int64))

    def at(self, step: int) -> np.ndarray:
        """Return the sequences of a step: (B,) int64."""
        first, batches = self._group
        if not 0 <= step - first < len(batches):
            first, end = self._group_bounds(step)
            batches = self._shuffle_group(first, end)
            self._group = first, batches  # one assignment: other threads see old or new
        sequences: np.ndarray = batches[step - first]
        return sequences

    def _group_bounds(self, step: int) -> tuple[int, int]:
        """Return the first step of a step's group, and the first step after the group."""
        epoch = step * self._batch_size // self._order.num_sequences
        first, end = self._first_step(epoch), self._first_step(epoch + 1)
        steps = end - first
        groups = math.ceil(steps / MAX_BATCHES_PER_GROUP)
        number = ((step - first + 1) * groups - 1) // steps
        return first + steps * number // groups, first + steps * (number + 1) // groups

    def _first_step(self, epoch: int) -> int:
        """Return the first step that begins in an epoch; the step before may run into it."""
        return -(-epoch * self._order.num_sequences // self._batch_size)

    def _shuffle_group(self, first: int, end: int) -> np.ndarray:
        """Return the batches of a group in their shuffled order: (end - first, B) int64."""
        size = self._batch_size
        sequences = self._order.at(first * size, (end - first) * size)
        by_length = sequences[np.argsort(self._lengths(sequences), kind="stable")]
        rng = np.random.default_rng([self._seed, GROUPS, first])
        return rng.permutation(by_length.reshape(end - first, size))
