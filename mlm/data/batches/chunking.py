"""Cut a split into sequences of tokens: packed, or one document each.

Tokens are read only when a batch needs them. Packed sequences take no memory, however many there
are.
"""

import numpy as np

from mlm.data.batches import check_max_seq_length
from mlm.data.tokens.token_facts import TokenFacts
from mlm.data.tokens.token_store import TokenSplit

SEQUENCES_AT_ONCE = 1024  # read at a time to find a candidate


class Chunking:
    """A split as sequences [CLS] content [SEP] of at most T = max_seq_length tokens, padded to T.

    Packed, the documents are one stream that is cut every T - 2 tokens. With `line_by_line`, each
    document is a sequence, truncated to T - 2 tokens.
    """

    def __init__(
        self,
        split: TokenSplit,
        facts: TokenFacts,
        *,
        max_seq_length: int,
        line_by_line: bool = False,
        keep_remainder: bool = False,
    ):
        """Set up the sequences; no token is read yet.

        keep_remainder: keep the last, shorter sequence of a packed split.
        """
        check_max_seq_length(max_seq_length)
        self.max_seq_length = max_seq_length
        self._tokens = split.tokens
        self._facts = facts
        self._is_special = np.zeros(facts.vocab_size, np.bool_)
        self._is_special[facts.special_ids] = True
        size = max_seq_length - 2
        self._layout: _Packed | _LineByLine
        if line_by_line:
            self._layout = _LineByLine(split.offsets, size)
        else:
            self._layout = _Packed(len(split.tokens), size, keep_remainder)

    @property
    def num_sequences(self) -> int:
        """Number of sequences in an epoch."""
        return len(self._layout)

    @property
    def has_candidates(self) -> bool:
        """True if a sequence holds a token that may be a target; stops reading at the first one."""
        count = self.num_sequences
        firsts = range(0, count, SEQUENCES_AT_ONCE)
        blocks = (np.arange(i, min(i + SEQUENCES_AT_ONCE, count)) for i in firsts)
        return any(not self.sequences(block)[2].all() for block in blocks)

    @property
    def is_padded(self) -> bool:
        """True if any sequence is shorter than T, so that attention needs a mask."""
        return self._layout.shortest < self.max_seq_length - 2

    @property
    def mean_length(self) -> float:
        """Mean tokens of a sequence, including [CLS] and [SEP], without padding."""
        return self._layout.mean + 2

    def lengths(self, indices: np.ndarray) -> np.ndarray:
        """Return the tokens of these sequences, including [CLS] and [SEP], without padding."""
        return self._layout.locate(indices)[1] + 2

    def sequences(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (B, T) arrays: input_ids int32, attention_mask int32, special_tokens_mask bool.

        The index -1 gives an empty sequence, [CLS] [SEP] and padding, to fill up a batch.
        """
        facts, num_rows = self._facts, len(indices)
        starts, lengths = self._layout.locate(np.maximum(indices, 0))
        lengths = np.where(indices < 0, 0, lengths)
        columns = np.arange(self.max_seq_length)
        positions = starts[:, None] + columns[:-2]
        content = self._tokens[np.minimum(positions, len(self._tokens) - 1)]

        input_ids = np.full((num_rows, self.max_seq_length), facts.pad_id, np.int32)
        input_ids[:, 0] = facts.cls_id
        input_ids[:, 1:-1] = np.where(columns[:-2] < lengths[:, None], content, facts.pad_id)
        input_ids[np.arange(num_rows), lengths + 1] = facts.sep_id
        attended = columns < lengths[:, None] + 2
        return input_ids, attended.astype(np.int32), self._is_special[input_ids] | ~attended


class _Packed:
    """Slices of `size` tokens over all documents, computed when needed."""

    def __init__(self, num_tokens: int, size: int, keep_remainder: bool):
        self._num_tokens, self._size = num_tokens, size
        whole = num_tokens // size
        # A split shorter than one slice consists of its remainder, which is kept in any case.
        self._count = -(-num_tokens // size) if keep_remainder or whole == 0 else whole

    def __len__(self) -> int:
        return self._count

    @property
    def shortest(self) -> int:
        return min(self._size, self._num_tokens - (self._count - 1) * self._size)

    @property
    def mean(self) -> float:
        return min(self._size, self._num_tokens / self._count)

    def locate(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the start and the length of these slices, in tokens."""
        starts = indices.astype(np.int64) * self._size
        return starts, np.minimum(self._size, self._num_tokens - starts)


class _LineByLine:
    """One document a sequence, truncated to `size` tokens; takes 16 bytes a document."""

    def __init__(self, offsets: np.ndarray, size: int):
        starts = np.asarray(offsets[:-1], np.int64)
        lengths = np.minimum(np.diff(offsets) - 1, size)  # without the separator
        self._starts, self._lengths = starts[lengths > 0], lengths[lengths > 0]

    def __len__(self) -> int:
        return len(self._starts)

    @property
    def shortest(self) -> int:
        return int(self._lengths.min(initial=1 << 62))

    @property
    def mean(self) -> float:
        return float(self._lengths.mean())

    def locate(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the start and the length of these documents, in tokens."""
        return self._starts[indices], self._lengths[indices]
