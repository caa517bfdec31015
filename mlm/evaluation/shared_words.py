"""The same hidden words in the same passages for several models, however each tokenizes them.

Perplexity and accuracy count tokens, and those differ between vocabularies: short tokens are easier
to predict. Words do not differ. A text is cut where a word ends and no tokenizer has a token that
goes on, and into passages short enough for every model; 15 % of the words are drawn by their place
in the text. A word that some tokenizer spells differently (lower case, no accents, [UNK]) is left
out for all, because it would be an easier question for that model.
"""

import hashlib
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice, pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlm.checkpoint.tokenizer import Encoded, encode_with_offsets
from mlm.data.tokens.word_boundaries import MARK, UNSPACED, character_kinds
from mlm.errors import CorpusError
from mlm.inference.vocabulary import Vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

WORD_SHARE = 0.15  # of the words are hidden
SEED = 0
TEXTS_AT_ONCE = 256  # encoded together

Span = tuple[int, int]  # [first, last)


class Passage(NamedTuple):
    """A part of a text as one model reads it, without special tokens.

    input_ids: (n,) int32, nothing hidden yet; words: the tokens of each hidden word.
    """

    input_ids: np.ndarray
    words: list[Span]


@dataclass(frozen=True)
class SharedWords:
    """Hidden words, numbered from 0, and the passages that hold them, as each model reads them.

    Attributes:
        passages: for each model the same passages, with the words in the order of their numbers.
        characters: (W,) int64, the characters of each word.
        documents: (W,) int64, the index of the text that each word is from.
        num_left_out: drawn words that some tokenizer spells differently.
    """

    passages: list[list[Passage]]
    characters: np.ndarray
    documents: np.ndarray
    num_left_out: int


def choose_shared_words(
    texts: Sequence[str],
    tokenizers: Sequence["PreTrainedTokenizerFast"],
    *,
    max_seq_length: int,
    max_passages: int | None = None,
) -> SharedWords:
    """Choose the words to hide.

    Args:
        texts: the texts.
        tokenizers: one for each model.
        max_seq_length: the most tokens of a passage for any model, special tokens included.
        max_passages: use only the first ones; None uses all.

    Raises:
        CorpusError: no word can be hidden from all models.
    """
    spellers = [_Speller(tokenizer) for tokenizer in tokenizers]
    passages: list[list[Passage]] = [[] for _ in tokenizers]
    characters: list[int] = []
    documents: list[int] = []
    num_left_out = 0
    found = _passages_of(texts, tokenizers, max_seq_length - 2)
    for document, text, first, last in islice(found, max_passages):
        drawn = [word for word in range(first, last) if text.drawn[word]]
        lengths = [text.shared_length(word, spellers) for word in drawn]
        hidden = [word for word, length in zip(drawn, lengths, strict=True) if length]
        num_left_out += len(drawn) - len(hidden)
        characters += filter(None, lengths)
        documents += [document] * len(hidden)
        if hidden:
            for model, known in enumerate(passages):
                known.append(text.passage(model, first, last, hidden))
    if not characters:
        raise CorpusError(
            "no word of these texts can be compared: the tokenizers spell none of the sampled "
            "words alike; give more texts, or measure one model at a time"
        )
    return SharedWords(passages, np.array(characters), np.array(documents), num_left_out)


class _Speller:
    """Spells tokens of one tokenizer."""

    def __init__(self, tokenizer: "PreTrainedTokenizerFast"):
        self._vocabulary, self._unknown = Vocabulary(tokenizer), tokenizer.unk_token_id

    def spell(self, ids: list[int]) -> str:
        """Return the characters of a word, "" if a token is the unknown one."""
        return "" if self._unknown in ids else self._vocabulary.spelling(ids)


@dataclass(frozen=True)
class _TokenizedText:
    """A text cut into words, and the tokens of each word in each tokenizer.

    drawn: (words,) bool; ids: for each tokenizer (n,) int32; starts: (tokenizers, words + 1) int64,
    the first token of each word, then the number of tokens.
    """

    drawn: np.ndarray
    ids: list[np.ndarray]
    starts: np.ndarray

    def passages(self, size: int) -> Iterator[Span]:
        """Yield the words of each passage; a word of more than `size` tokens is in none."""
        first, num_words = 0, len(self.drawn)
        while first < num_words:
            ends = [
                np.searchsorted(starts, starts[first] + size, side="right") - 1
                for starts in self.starts
            ]
            last = min(map(int, ends))
            if last > first:
                yield first, min(last, num_words)
            first = max(last, first + 1)

    def shared_length(self, word: int, spellers: Sequence[_Speller]) -> int:
        """Return the characters of a word; 0 if it is not spelled alike by all."""
        spellings = {
            speller.spell(ids[starts[word] : starts[word + 1]].tolist())
            for speller, ids, starts in zip(spellers, self.ids, self.starts, strict=True)
        }
        return len(spellings.pop()) if len(spellings) == 1 else 0

    def passage(self, model: int, first: int, last: int, hidden: Sequence[int]) -> Passage:
        """Return the words [first, last) as one model reads them, some of them hidden."""
        starts = self.starts[model]
        base = int(starts[first])
        words = [(int(starts[word]) - base, int(starts[word + 1]) - base) for word in hidden]
        return Passage(self.ids[model][base : starts[last]], words)


def _passages_of(
    texts: Sequence[str], tokenizers: Sequence["PreTrainedTokenizerFast"], size: int
) -> Iterator[tuple[int, _TokenizedText, int, int]]:
    """Yield the index of a text, the text, and the words [first, last) of a passage."""
    for document, text in enumerate(_tokenize(texts, tokenizers)):
        for first, last in text.passages(size):
            yield document, text, first, last


def _tokenize(
    texts: Sequence[str], tokenizers: Sequence["PreTrainedTokenizerFast"]
) -> Iterator[_TokenizedText]:
    for first in range(0, len(texts), TEXTS_AT_ONCE):
        some = list(texts[first : first + TEXTS_AT_ONCE])
        encoded = [encode_with_offsets(tokenizer, some) for tokenizer in tokenizers]
        for text, *by_tokenizer in zip(some, *encoded, strict=True):
            yield _tokenized_text(text, by_tokenizer)


def _tokenized_text(text: str, encoded: Sequence[Encoded]) -> _TokenizedText:
    tokens = [_without_space(text, each.offsets) for each in encoded]
    words = shared_spans(text, tokens)
    begins = np.array([first for first, _ in words], np.int64)
    starts = [np.searchsorted([first for first, _ in each], begins) for each in tokens]
    ends = [[len(each)] for each in tokens]
    return _TokenizedText(
        drawn=_draw(text, words),
        ids=[np.array(each.ids, np.int32) for each in encoded],
        starts=np.concatenate([np.array(starts, np.int64).reshape(len(ends), -1), ends], axis=1),
    )


def _without_space(text: str, offsets: Sequence[Span]) -> list[Span]:
    """Return the characters of each token without the spaces before; the starts never fall.

    A token of spaces alone gets those of the next word, which it belongs to.
    """
    spans: list[Span] = []
    begin = 0
    for first, last in offsets:
        while first < len(text) and text[first].isspace():
            first += 1
        begin = max(begin, first)
        spans.append((begin, max(begin, last)))
    return spans


def shared_spans(text: str, tokens: Sequence[Sequence[Span]]) -> list[Span]:
    """Return the words of a text, joined where a token of any tokenizer holds parts of both.

    Args:
        text: the text.
        tokens: for each tokenizer the characters of its tokens, without spaces before.
    """
    inside = np.zeros(len(text) + 2, np.int64)  # how many tokens go on at each character
    for spans in tokens:
        bounds = np.array(spans, np.int64).reshape(-1, 2)
        longer = bounds[bounds[:, 1] > bounds[:, 0] + 1]
        np.add.at(inside, longer[:, 0] + 1, 1)
        np.add.at(inside, longer[:, 1], -1)
    goes_on = inside.cumsum() > 0
    joined: list[Span] = []
    for first, last in split_at_words(text):
        if joined and goes_on[joined[-1][1]]:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return joined


def split_at_words(text: str) -> list[Span]:
    """Return runs of letters and digits, and each other visible character, from left to right.

    In a script without spaces each letter is a word, with its marks.
    """
    kinds = [_kind(character) for character in text]
    edges = [0]
    for position, (before, kind) in enumerate(pairwise(kinds), 1):
        if kind != "mark" and (kind != "letter" or before not in ("letter", "mark")):
            edges.append(position)
    edges.append(len(text))
    spans = pairwise(edges) if text else ()
    return [(first, last) for first, last in spans if kinds[first] != "space"]


@cache
def _kind(character: str) -> str:
    """Return "space", "letter" (of words with spaces, or a digit), "mark", or "single"."""
    category = unicodedata.category(character)
    if character.isspace():
        return "space"
    kind = character_kinds()[ord(character)]
    if kind >= MARK or category == "Cf":
        return "mark"
    return "letter" if category[0] in "LN" and kind != UNSPACED else "single"


def _draw(text: str, words: Sequence[Span]) -> np.ndarray:
    """Return the words to hide, if they have a letter or digit: (words,) bool.

    The draw depends on the text and on the place of the word in it, not on any tokenizer.
    """
    key = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    draws = np.random.default_rng([SEED, int.from_bytes(key)]).random(len(text) + 1)
    return np.array(
        [
            draws[first] < WORD_SHARE and any(map(str.isalnum, text[first:last]))
            for first, last in words
        ],
        np.bool_,
    )
