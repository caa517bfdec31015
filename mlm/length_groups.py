"""Sequences of like length in one batch (--group_by_length), so that little of it is padding.

Of so many batches of the run, the sequences are sorted by length and shared out anew; in which
order those batches come is drawn. A function of seed and step, as the run that it is made from.
"""

from collections.abc import Callable

import numpy as np

from mlm.data_order import DataOrder

GROUPS = 3  # second entry of the seed; batches.py has the others
BATCHES_A_GROUP = 50


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
        # Of more than an epoch, the same sequence would stand beside itself.
        self._many = min(BATCHES_A_GROUP, max(1, order.num_sequences // batch_size))
        self._group: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))

    def at(self, step: int) -> np.ndarray:
        """(B,) int64: the sequences of a step."""
        number, within = divmod(step, self._many)
        kept, batches = self._group
        if kept != number:
            batches = self._drawn(number)
            self._group = number, batches  # one assignment: other threads see old or new
        return batches[within]

    def _drawn(self, number: int) -> np.ndarray:
        size = self._many * self._batch_size
        sequences = self._order.at(number * size, size)
        by_length = sequences[np.argsort(self._lengths(sequences), kind="stable")]
        rng = np.random.default_rng([self._seed, GROUPS, number])
        return rng.permutation(by_length.reshape(self._many, self._batch_size))
