"""In which order the epochs see the sequences: a function of seed and place, in flat memory.

Up to a window of sequences, the order of an epoch is one permutation of all. Of more, blocks that
lie together are shuffled, and then the sequences within each window of so many blocks: so no
epoch's order is ever held whole, and a store in a bucket is read a block at a time, once an epoch.
A block has so many tokens, however long its sequences are, so that a window is as much to read.
"""

from dataclasses import dataclass

import numpy as np

from mlm.data.tokens.read_window import BLOCK, BLOCKS_A_WINDOW

# Second entry of every seed of the data, so that no two kinds of draws share a stream.
ORDER, MASKS, EVALUATION_MASKS, GROUPS = range(4)


@dataclass(frozen=True)
class _Window:
    """Consecutive places of an epoch: the sequences that come from place `first` on."""

    epoch: int
    first: int
    sequences: np.ndarray  # (W,) int64

    def __contains__(self, place: tuple[int, int]) -> bool:
        epoch, within = place
        return epoch == self.epoch and 0 <= within - self.first < len(self.sequences)


class DataOrder:
    """The endless run of shuffled epochs over `num_sequences` sequences of `length` tokens."""

    def __init__(self, num_sequences: int, seed: int, length: int):
        self.num_sequences, self._seed = num_sequences, seed
        self._block = max(1, BLOCK // length)  # sequences
        self._blocks: tuple[int, np.ndarray, np.ndarray] | None = None  # of one epoch
        self._window = _Window(-1, 0, np.empty(0, np.int64))

    def at(self, first: int, count: int) -> np.ndarray:
        """(count,) int64: the sequences from place `first` of the run on."""
        parts = []
        while count:
            epoch, within = divmod(first, self.num_sequences)
            window = self._window_at(epoch, within)
            parts.append(window.sequences[within - window.first :][:count])
            first, count = first + len(parts[-1]), count - len(parts[-1])
        return np.concatenate(parts)

    def _window_at(self, epoch: int, within: int) -> _Window:
        window = self._window
        if (epoch, within) not in window:
            whole = self.num_sequences <= BLOCKS_A_WINDOW * self._block
            window = self._epoch_of(epoch) if whole else self._drawn(epoch, within)
            self._window = window  # one assignment: other threads see the old one or the new
        return window

    def _epoch_of(self, epoch: int) -> _Window:
        rng = np.random.default_rng([self._seed, ORDER, epoch])
        return _Window(epoch, 0, rng.permutation(self.num_sequences))

    def _drawn(self, epoch: int, within: int) -> _Window:
        blocks, firsts = self._blocks_of(epoch)
        number = int(np.searchsorted(firsts, within, side="right")) - 1
        many = BLOCKS_A_WINDOW
        begins = blocks[number * many : (number + 1) * many] * self._block
        ends = np.minimum(begins + self._block, self.num_sequences)
        sequences = np.concatenate([np.arange(b, e) for b, e in zip(begins, ends, strict=True)])
        rng = np.random.default_rng([self._seed, ORDER, epoch, number])
        return _Window(epoch, int(firsts[number]), rng.permutation(sequences))

    def _blocks_of(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """The blocks of an epoch in its order, and the places at which its windows begin."""
        kept = self._blocks
        if kept is not None and kept[0] == epoch:
            return kept[1:]
        count = -(-self.num_sequences // self._block)
        blocks = np.random.default_rng([self._seed, ORDER, epoch]).permutation(count)
        sizes = np.minimum(self.num_sequences - blocks * self._block, self._block)
        firsts = np.concatenate([[0], np.cumsum(sizes)[:-1]])[::BLOCKS_A_WINDOW]
        self._blocks = (epoch, blocks, firsts)
        return blocks, firsts
