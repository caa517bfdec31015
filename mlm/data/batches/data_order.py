"""Order in which the epochs see the sequences: a function of (seed, position), in constant memory.

If all sequences fit in one window (see read_window.py), an epoch's order is one permutation. Else
the blocks of consecutive sequences are shuffled, and then the sequences within each window of
blocks. So no epoch's order is ever held whole, and a remote store is read one block at a time, once
an epoch. A block holds a fixed number of tokens, however long its sequences are, so that every
window is the same amount to read.
"""

from dataclasses import dataclass

import numpy as np

from mlm.data.tokens.read_window import BLOCK_TOKENS, BLOCKS_PER_WINDOW

# Second entry of every data seed, so that no two kinds of draws share a random stream.
ORDER, MASKS, EVALUATION_MASKS, GROUPS = range(4)


@dataclass(frozen=True)
class _Window:
    """Consecutive positions of an epoch: the sequences from position `first` on."""

    epoch: int
    first: int
    sequences: np.ndarray  # (W,) int64

    def __contains__(self, position: tuple[int, int]) -> bool:
        epoch, within = position
        return epoch == self.epoch and 0 <= within - self.first < len(self.sequences)


class DataOrder:
    """The endless stream of shuffled epochs over `num_sequences` sequences of `length` tokens."""

    def __init__(self, num_sequences: int, seed: int, length: int):
        self.num_sequences, self._seed = num_sequences, seed
        self._block = max(1, BLOCK_TOKENS // length)  # sequences
        self._epoch_blocks: tuple[int, np.ndarray, np.ndarray] | None = None
        self._window = _Window(-1, 0, np.empty(0, np.int64))

    def at(self, first: int, count: int) -> np.ndarray:
        """Return the sequences at positions `first` to `first + count`: (count,) int64."""
        pieces = []
        while count:
            epoch, within = divmod(first, self.num_sequences)
            window = self._window_at(epoch, within)
            pieces.append(window.sequences[within - window.first :][:count])
            first, count = first + len(pieces[-1]), count - len(pieces[-1])
        return np.concatenate(pieces)

    def _window_at(self, epoch: int, within: int) -> _Window:
        window = self._window
        if (epoch, within) not in window:
            if self.num_sequences <= BLOCKS_PER_WINDOW * self._block:
                window = self._shuffle_epoch(epoch)
            else:
                window = self._shuffle_window(epoch, within)
            self._window = window  # one assignment: other threads see the old one or the new one
        return window

    def _shuffle_epoch(self, epoch: int) -> _Window:
        rng = np.random.default_rng([self._seed, ORDER, epoch])
        return _Window(epoch, 0, rng.permutation(self.num_sequences))

    def _shuffle_window(self, epoch: int, within: int) -> _Window:
        """Return the window that holds position `within` of an epoch."""
        blocks, firsts = self._shuffle_blocks(epoch)
        number = int(np.searchsorted(firsts, within, side="right")) - 1
        own = blocks[number * BLOCKS_PER_WINDOW : (number + 1) * BLOCKS_PER_WINDOW]
        begins = own * self._block
        ends = np.minimum(begins + self._block, self.num_sequences)
        sequences = np.concatenate([np.arange(b, e) for b, e in zip(begins, ends, strict=True)])
        rng = np.random.default_rng([self._seed, ORDER, epoch, number])
        return _Window(epoch, int(firsts[number]), rng.permutation(sequences))

    def _shuffle_blocks(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Return an epoch's blocks in its order, and the first position of each of its windows."""
        cached = self._epoch_blocks
        if cached is not None and cached[0] == epoch:
            return cached[1:]
        count = -(-self.num_sequences // self._block)
        blocks = np.random.default_rng([self._seed, ORDER, epoch]).permutation(count)
        sizes = np.minimum(self.num_sequences - blocks * self._block, self._block)
        firsts = np.concatenate([[0], np.cumsum(sizes)[:-1]])[::BLOCKS_PER_WINDOW]
        self._epoch_blocks = (epoch, blocks, firsts)
        return blocks, firsts
