"""Sequences of like length in one batch (--group_by_length), so that little of it is padding.

The batches of an epoch are parted into groups of some that follow each other; the sequences of a
group are sorted by length and shared out anew, and in which order its batches come is drawn. So
after each epoch the same sequences have been seen as without it. A function of seed and step.
"""

import math
from collections.abc import Callable

import numpy as np

from mlm.data.batches.data_order import GROUPS, DataOrder

BATCHES_A_GROUP = 50  # at most


class LengthGroups:
    """The batches of a run over shuffled epochs, each of sequences of like length.

    lengths: of the sequences of these numbers.
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
        """(B,) int64: the sequences of a step."""
        first, batches = self._group
        if not 0 <= step - first < len(batches):
            first, end = self._group_of(step)
            batches = self._drawn(first, end)
            self._group = first, batches  # one assignment: other threads see old or new
        return batches[step - first]

    def _group_of(self, step: int) -> tuple[int, int]:
        """The steps from which to which the group of a step goes."""
        epoch = step * self._batch_size // self._order.num_sequences
        first, end = self._first_step(epoch), self._first_step(epoch + 1)
        steps = end - first
        groups = math.ceil(steps / BATCHES_A_GROUP)
        number = ((step - first + 1) * groups - 1) // steps
        return first + steps * number // groups, first + steps * (number + 1) // groups

    def _first_step(self, epoch: int) -> int:
        """That begins in an epoch; the one before may go on into it."""
        return -(-epoch * self._order.num_sequences // self._batch_size)

    def _drawn(self, first: int, end: int) -> np.ndarray:
        size = self._batch_size
        sequences = self._order.at(first * size, (end - first) * size)
        by_length = sequences[np.argsort(self._lengths(sequences), kind="stable")]
        rng = np.random.default_rng([self._seed, GROUPS, first])
        return rng.permutation(by_length.reshape(end - first, size))
