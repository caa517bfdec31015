"""A split cut into sequences of tokens: packed, or one document each.

Nothing is read before it is asked for, and packed sequences take no memory, however many there are.
"""

import numpy as np

from mlm.data.tokens.token_facts import TokenFacts
from mlm.data.tokens.token_store import TokenSplit
from mlm.errors import ConfigError

SEQUENCES_AT_ONCE = 1024  # that are looked through for a token to choose


class Chunking:
    """Cuts a split into sequences [CLS] content [SEP] of at most T tokens, padded to T.

    Packed, the documents run on through the sequences, T - 2 tokens in each; line by line, a
    sequence is one document, cut off after T - 2 tokens.
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
        """`keep_remainder`: whether the last, shorter slice of a packed split is a sequence too."""
        if max_seq_length < 3:
            raise ConfigError(
                f"max_seq_length is {max_seq_length}: [CLS], one token and [SEP] need 3, raise it."
            )
        self.max_seq_length = max_seq_length
        self._tokens = split.tokens
        self._facts = facts
        self._is_special = np.zeros(facts.vocab_size, np.bool_)
        self._is_special[facts.special_ids] = True
        size = max_seq_length - 2
        self._cuts: _Slices | _Documents
        if line_by_line:
            self._cuts = _Documents(split.offsets, size)
        else:
            self._cuts = _Slices(len(split.tokens), size, keep_remainder)

    @property
    def num_sequences(self) -> int:
        return len(self._cuts)

    @property
    def has_candidates(self) -> bool:
        """Whether any sequence holds a token that may be chosen; read no further than to it."""
        count = self.num_sequences
        firsts = range(0, count, SEQUENCES_AT_ONCE)
        blocks = (np.arange(i, min(i + SEQUENCES_AT_ONCE, count)) for i in firsts)
        return any(not self.sequences(block)[2].all() for block in blocks)

    @property
    def is_padded(self) -> bool:
        """True if any sequence is shorter than T, so that attention needs a mask."""
        return self._cuts.shortest < self.max_seq_length - 2

    @property
    def mean_length(self) -> float:
        """Tokens of a sequence, [CLS] and [SEP] included, padding not."""
        return self._cuts.mean + 2

    def lengths(self, indices: np.ndarray) -> np.ndarray:
        """Tokens of these sequences, [CLS] and [SEP] included, padding not."""
        return self._cuts.of(indices)[1] + 2

    def sequences(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Arrays (B, T): input_ids int32, attention_mask int32, special_tokens_mask bool.

        The index -1 gives an empty sequence, [CLS] [SEP] and padding, to fill a batch up.
        """
        facts, num_rows = self._facts, len(indices)
        starts, lengths = self._cuts.of(np.maximum(indices, 0))
        lengths = np.where(indices < 0, 0, lengths)
        columns = np.arange(self.max_seq_length)
        places = starts[:, None] + columns[:-2]
        content = self._tokens[np.minimum(places, len(self._tokens) - 1)]

        input_ids = np.full((num_rows, self.max_seq_length), facts.pad_id, np.int32)
        input_ids[:, 0] = facts.cls_id
        input_ids[:, 1:-1] = np.where(columns[:-2] < lengths[:, None], content, facts.pad_id)
        input_ids[np.arange(num_rows), lengths + 1] = facts.sep_id
        attended = columns < lengths[:, None] + 2
        return input_ids, attended.astype(np.int32), self._is_special[input_ids] | ~attended


class _Slices:
    """Packed documents, cut every `size` tokens. Nothing is held, however many there are."""

    def __init__(self, num_tokens: int, size: int, keep_remainder: bool):
        self._num_tokens, self._size = num_tokens, size
        # A split shorter than one slice has nothing but its remainder.
        whole = num_tokens // size
        self._count = -(-num_tokens // size) if keep_remainder or whole == 0 else whole

    def __len__(self) -> int:
        return self._count

    @property
    def shortest(self) -> int:
        return min(self._size, self._num_tokens - (self._count - 1) * self._size)

    @property
    def mean(self) -> float:
        return min(self._size, self._num_tokens / self._count)

    def of(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where they begin, and how many tokens they have."""
        starts = indices.astype(np.int64) * self._size
        return starts, np.minimum(self._size, self._num_tokens - starts)


class _Documents:
    """One document a sequence, cut off after `size` tokens; 16 bytes each are held."""

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

    def of(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where they begin, and how many tokens they have."""
        return self._starts[indices], self._lengths[indices]
