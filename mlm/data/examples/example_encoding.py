"""Encode texts, pairs and words to ids of at most max_seq_length, with special tokens.

    encoder = ExampleEncoder(tokenizer, max_seq_length=256, truncation="head_tail")
    encoder.encode(["A fine film."])[0].ids
    encoder.encode(["A premise."], ["A hypothesis."])[0].second_start
    encoder.encode_words([["A", "fine", "film"]])[0].word_starts

A special token spelled out in a text ("[SEP]") gets the ids of its letters, not the token's; else
the ids are those of transformers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from mlm.checkpoint.tokenizer import encode_texts, encode_words
from mlm.data.examples.special_tokens import SpecialTokens
from mlm.data.examples.truncation import Truncation, check_truncation, share_room, truncate
from mlm.errors import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


Encode = Callable[[list[str]], list[list[int]]]


class Example(NamedTuple):
    """An encoded text, pair or list of words.

    ids: with special tokens; lost: tokens that were cut off; second_start: where token type 1
    begins, None in a single text; word_starts: the position of the first token of each word, of the
    words that have one.
    """

    ids: list[int]
    lost: int = 0
    second_start: int | None = None
    word_starts: dict[int, int] | None = None


class ExampleEncoder:
    """Encoder of texts for a model of tasks.

    Attributes:
        special: the special tokens of the tokenizer.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        max_seq_length: int,
        truncation: Truncation = "head_tail",
        encode: Encode | None = None,
    ):
        """Set up the encoder. Raises ConfigError if no token of a text has room.

        encode: texts -> the ids of each, without special tokens; None asks the tokenizer.
        """
        check_truncation(truncation)
        self._tokenizer, self._truncation = tokenizer, truncation
        self._encode: Encode = encode or partial(encode_texts, tokenizer)
        self.special = SpecialTokens.of(tokenizer)
        self.max_seq_length = max_seq_length
        if max_seq_length <= (needed := self.special.count(pairs=True) + 1):
            raise ConfigError(
                f"max_seq_length is {max_seq_length}, but two texts and their special tokens need "
                f"{needed + 1}: raise it."
            )

    def encode(
        self, texts: Sequence[str], second_texts: Sequence[str] | None = None
    ) -> list[Example]:
        """Return the examples of texts, or of pairs."""
        first = self._encode(list(texts))
        if second_texts is None:
            return [self._single(ids) for ids in first]
        second = self._encode(list(second_texts))
        return [self._pair(ids, others) for ids, others in zip(first, second, strict=True)]

    def encode_words(self, texts: Sequence[Sequence[str]]) -> list[Example]:
        """Return the examples of texts of words, cut at the end only."""
        room = self.max_seq_length - self.special.count(pairs=False)
        before = len(self.special.single.parts[0])
        examples = []
        for ids, words in encode_words(self._tokenizer, texts):
            starts: dict[int, int] = {}
            for at, word in enumerate(words[:room]):
                starts.setdefault(word, before + at)
            kept = ids[:room]
            lost = len(ids) - len(kept)
            examples.append(Example(self.special.around(kept), lost, word_starts=starts))
        return examples

    def _single(self, ids: list[int]) -> Example:
        room = self.max_seq_length - self.special.count(pairs=False)
        kept = truncate(ids, room, self._truncation)
        return Example(self.special.around(kept), len(ids) - len(kept))

    def _pair(self, first: list[int], second: list[int]) -> Example:
        room = self.max_seq_length - self.special.count(pairs=True)
        rooms = share_room(len(first), len(second), room)
        one, other = (
            truncate(ids, share, self._truncation)
            for ids, share in zip((first, second), rooms, strict=True)
        )
        lost = len(first) + len(second) - len(one) - len(other)
        start = self.special.second_start(one)
        return Example(self.special.around(one, other), lost, second_start=start)
