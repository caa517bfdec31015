"""Documents to ids, each followed by the separator; words that come again are not cut again.

A BERT tokenizer cuts at every space and at every punctuation mark, so what it makes of a text is
what it makes of the parts between, one after the other. Of an English corpus nearly all were met
before; where few were, as in a script without spaces, texts are cut whole again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from mlm.checkpoint.tokenizer import encode_texts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

BYTES_KEPT = 2**25  # of words, and of parts of words; later ones are cut every time
LOOK_EVERY = 1_000_000  # characters: whether remembering was worth it
_PARTS = re.compile(r"[!-/:-@\[-`{-~]|[^!-/:-@\[-`{-~]+")  # ASCII's punctuation; what is between

# Texts -> the ids of all, one after the other, and how many each has, int64.
Cut = Callable[[list[str]], tuple[np.ndarray, np.ndarray]]


class DocumentEncoder:
    """Encodes documents in batches; what it remembers of one serves the next."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, dtype: np.dtype):
        self._separator = tokenizer.sep_token_id
        self._cut_whole: Cut = partial(_cut_whole, tokenizer, dtype)
        self._words: _Remembered | None = None
        if cuts_at_spaces_and_marks(tokenizer):
            parts = _Remembered(_PARTS.findall, self._cut_whole, dtype)
            self._words = _Remembered(lambda text: text.split(" "), parts, dtype)

    def encode(self, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """The ids of all documents, (N,), and where each ends, its separator counted, (D,) int64.

        Raises CheckpointError: the tokenizer breaks on a text.
        """
        ids, lengths = (self._cut_whole if self._words is None else self._words)(texts)
        if self._words is not None and self._words.gains_little():
            self._words = None
        return np.insert(ids, np.cumsum(lengths), self._separator), np.cumsum(lengths + 1)


def cuts_at_spaces_and_marks(tokenizer: PreTrainedTokenizerFast) -> bool:
    """Whether a text's ids are those of its parts between these, one after the other.

    Of BERT's tokenizers that is known; an added word may have a space in it.
    """
    backend = tokenizer.backend_tokenizer
    kinds = [type(part).__name__ for part in (backend.normalizer, backend.pre_tokenizer)]
    return kinds == ["BertNormalizer", "BertPreTokenizer"] and all(
        token.special for token in tokenizer.added_tokens_decoder.values()
    )


def _cut_whole(
    tokenizer: PreTrainedTokenizerFast, dtype: np.dtype, texts: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    cut = encode_texts(tokenizer, texts) if texts else []
    parts = [np.array(ids, dtype) for ids in cut]
    ids = np.concatenate(parts) if parts else np.empty(0, dtype)
    return ids, np.array([len(part) for part in parts], np.int64)


class _Remembered(dict):
    """Cuts texts by their parts, each new one by `cut`: a part -> the number of its row of ids."""

    def __init__(self, split: Callable[[str], list[str]], cut: Cut, dtype: np.dtype):
        super().__init__()
        self._split, self._cut = split, cut
        self._ids = np.empty(0, dtype)  # of all parts, one after the other
        self._ends = np.empty(0, np.int64)  # of each part in them
        self._new: list[str] = []
        self._bytes = 0  # about, of what is kept
        self._asked = self._asked_of_new = 0  # characters, since gains_little last looked

    def gains_little(self) -> bool:
        """Whether most of the last LOOK_EVERY characters were of parts not met before."""
        if self._asked < LOOK_EVERY:
            return False
        little = self._asked_of_new > self._asked // 2
        self._asked = self._asked_of_new = 0
        return little

    def __missing__(self, part: str) -> int:
        number = self[part] = len(self)
        self._new.append(part)
        return number

    def __call__(self, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """See Cut."""
        parts = [self._split(text) for text in texts]
        self._asked += sum(map(len, texts))
        ends_of_texts = np.cumsum([len(of_text) for of_text in parts], dtype=np.int64)
        count = int(ends_of_texts[-1]) if texts else 0
        found = map(self.__getitem__, chain.from_iterable(parts))
        rows = np.fromiter(found, np.int64, count)
        ids, ends = self._with_new()
        lengths = np.diff(ends, prepend=0)[rows]
        ends_of_parts = np.cumsum(lengths)
        # Of each id of the result, how far behind its place in the table it stands.
        behind = np.repeat(ends[rows] - ends_of_parts, lengths)
        ends_of_texts = np.concatenate([[0], ends_of_parts])[ends_of_texts]
        return ids[behind + np.arange(len(behind))], np.diff(ends_of_texts, prepend=0)

    def _with_new(self) -> tuple[np.ndarray, np.ndarray]:
        """The table with the new parts, which stay in it while there is room."""
        if not self._new:
            return self._ids, self._ends
        new, lengths = self._cut(self._new)
        characters = sum(map(len, self._new))
        self._asked_of_new += characters
        ids = np.concatenate([self._ids, new])
        ends = np.concatenate([self._ends, len(self._ids) + np.cumsum(lengths)])
        needed = 100 * len(self._new) + 8 * characters  # a dict's entry; a string and its ids
        if self._bytes + needed <= BYTES_KEPT:
            self._ids, self._ends, self._bytes = ids, ends, self._bytes + needed
        else:
            for part in self._new:
                del self[part]
        self._new = []
        return ids, ends
