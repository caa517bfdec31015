"""Encode documents to ids, each followed by the separator, with a cache of words.

A BERT tokenizer splits at every space and punctuation mark, so the ids of a text are those of its
parts in a row. Nearly all parts of an English corpus repeat and come from the cache. If few do, as
in a script without spaces, texts are encoded whole again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from mlm.checkpoint.tokenizer import encode_texts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

CACHE_BYTES = 2**25  # of words, and of parts of words; later ones are encoded every time
CHECK_EVERY = 1_000_000  # characters, before the use of the cache is checked
_PARTS = re.compile(r"[!-/:-@\[-`{-~]|[^!-/:-@\[-`{-~]+")  # ASCII punctuation, or text between it

# Texts -> the ids of all texts in a row, and the number of ids of each text, int64.
Encode = Callable[[list[str]], tuple[np.ndarray, np.ndarray]]


class DocumentEncoder:
    """Encoder of batches of documents; its cache is kept from batch to batch."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, dtype: np.dtype):
        self._separator = tokenizer.sep_token_id
        self._encode_whole: Encode = partial(_encode_whole, tokenizer, dtype)
        self._cached: _CachedEncoder | None = None
        if splits_at_spaces_and_punctuation(tokenizer):
            parts = _CachedEncoder(_PARTS.findall, self._encode_whole, dtype)
            self._cached = _CachedEncoder(lambda text: text.split(" "), parts, dtype)

    def encode(self, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return all ids with separators, (N,), and the end of each document in them, (D,) int64.

        Raises CheckpointError: the tokenizer fails on a text.
        """
        ids, lengths = (self._encode_whole if self._cached is None else self._cached)(texts)
        if self._cached is not None and self._cached.is_rarely_hit():
            self._cached = None
        return np.insert(ids, np.cumsum(lengths), self._separator), np.cumsum(lengths + 1)


def splits_at_spaces_and_punctuation(tokenizer: PreTrainedTokenizerFast) -> bool:
    """Return whether a text's ids are those of its parts between spaces and punctuation, in a row.

    True of BERT's tokenizers and of our own WordPiece, unless a word was added, which may contain a
    space.
    """
    backend = tokenizer.backend_tokenizer
    content = json.loads(backend.to_str())
    normalizer, pre_tokenizer = content["normalizer"] or {}, content["pre_tokenizer"] or {}
    steps = [step["type"] for step in normalizer.get("normalizers", [normalizer]) if step]
    return (
        steps in (["BertNormalizer"], ["NFC", "BertNormalizer"])
        and pre_tokenizer.get("type") == "BertPreTokenizer"
        and all(token.special for token in tokenizer.added_tokens_decoder.values())
    )


def _encode_whole(
    tokenizer: PreTrainedTokenizerFast, dtype: np.dtype, texts: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    encoded = encode_texts(tokenizer, texts) if texts else []
    rows = [np.array(ids, dtype) for ids in encoded]
    ids = np.concatenate(rows) if rows else np.empty(0, dtype)
    return ids, np.array([len(row) for row in rows], np.int64)


class _CachedEncoder(dict[str, int]):
    """Encoder of texts by their parts; new parts are encoded by `encode`.

    Maps a part to its number in a table of ids.
    """

    def __init__(self, split: Callable[[str], list[str]], encode: Encode, dtype: np.dtype):
        super().__init__()
        self._split, self._encode = split, encode
        self._ids = np.empty(0, dtype)  # of all parts, in a row
        self._ends = np.empty(0, np.int64)  # of each part in self._ids
        self._new: list[str] = []
        self._bytes = 0  # of the cache, about
        self._characters = self._new_characters = 0  # since the last check of is_rarely_hit

    def is_rarely_hit(self) -> bool:
        """Return whether most of the last CHECK_EVERY characters were in parts not cached."""
        if self._characters < CHECK_EVERY:
            return False
        is_rarely_hit = self._new_characters > self._characters // 2
        self._characters = self._new_characters = 0
        return is_rarely_hit

    def __missing__(self, part: str) -> int:
        number = self[part] = len(self)
        self._new.append(part)
        return number

    def __call__(self, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Encode texts; see Encode."""
        parts = [self._split(text) for text in texts]
        self._characters += sum(map(len, texts))
        last_parts = np.cumsum([len(of_text) for of_text in parts], dtype=np.int64)
        count = int(last_parts[-1]) if texts else 0
        numbers = map(self.__getitem__, chain.from_iterable(parts))
        rows = np.fromiter(numbers, np.int64, count)
        ids, ends = self._encode_new()
        lengths = np.diff(ends, prepend=0)[rows]
        ends_of_parts = np.cumsum(lengths)
        # For each id of the result, its distance to its place in the table.
        offsets = np.repeat(ends[rows] - ends_of_parts, lengths)
        ends_of_texts = np.concatenate([[0], ends_of_parts])[last_parts]
        return ids[offsets + np.arange(len(offsets))], np.diff(ends_of_texts, prepend=0)

    def _encode_new(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the table's ids and ends with the new parts, which it keeps if there is room."""
        if not self._new:
            return self._ids, self._ends
        new, lengths = self._encode(self._new)
        characters = sum(map(len, self._new))
        self._new_characters += characters
        ids = np.concatenate([self._ids, new])
        ends = np.concatenate([self._ends, len(self._ids) + np.cumsum(lengths)])
        needed = 100 * len(self._new) + 8 * characters  # a dict entry; a string and its ids
        if self._bytes + needed <= CACHE_BYTES:
            self._ids, self._ends, self._bytes = ids, ends, self._bytes + needed
        else:
            for part in self._new:
                del self[part]
        self._new = []
        return ids, ends
