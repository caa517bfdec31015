"""Word spans: an encoded text cut into its words, each with its tokens and its characters.

Words are those of the masks (word_boundaries.py), except that a punctuation mark is always a word.
"""

import unicodedata
from typing import NamedTuple

import numpy as np

from mlm.inference.vocabulary import Vocabulary

JOINER = "\u200d"  # zero-width joiner: makes one emoji of two


class WordSpan(NamedTuple):
    """One word of a text: tokens [first, last), characters [start, end)."""

    first: int
    last: int
    start: int
    end: int
    unknown: bool  # not in the vocabulary, or a special token in the text, as [SEP]


def split_words(
    vocabulary: Vocabulary, text: str, input_ids: list[int], offsets: list[tuple[int, int]]
) -> list[WordSpan]:
    """Cut an encoded text into words; a punctuation mark is a word, white space is not.

    Args:
        vocabulary: of the tokenizer.
        text: the text.
        input_ids: its ids, special tokens included.
        offsets: the characters [start, end) of each id.

    Returns:
        The words from left to right. A token of white space is one of the tokens of the word after
        it, but its characters are not part of the word.
    """
    words: list[WordSpan] = []
    starts = vocabulary.boundaries.starts(np.array([input_ids]))[0]
    for i, (token_id, (start, end)) in enumerate(zip(input_ids, offsets, strict=True)):
        special = token_id in vocabulary.special
        if special and start == end:  # added around the text by the tokenizer
            continue
        token = WordSpan(i, i + 1, start, _end_of_accents(text, end), special)
        if words and _continues_word(vocabulary, text, token, words[-1], bool(starts[i])):
            words[-1] = _merge(words[-1], token)
        else:
            words.append(token)
    if len(words) > 1 and _is_blank(text, words[-1]):  # at the end of the text
        words[-2:] = [_merge(*words[-2:])]
    return [_trim(text, word) for word in words if not _is_blank(text, word)]


def _continues_word(
    vocabulary: Vocabulary, text: str, token: WordSpan, word: WordSpan, starts_word: bool
) -> bool:
    """Return True if a token belongs to the word before it.

    starts_word: as masking sees it.
    """
    if token.start < word.end:  # a character of several tokens: part of an emoji, the 2 of ½
        return True
    if _is_blank(text, word):
        return not token.unknown
    if word.unknown or token.unknown:
        return False
    if _follows_joiner(text, token.start):
        return True
    if starts_word:
        return False
    return not (vocabulary.marks_spaces and _is_beside_punctuation(text, token.start))


def _end_of_accents(text: str, end: int) -> int:
    """Return where the combining marks at `end` stop; a tokenizer may strip them off a letter."""
    while end < len(text) and unicodedata.category(text[end])[0] == "M":
        end += 1
    return end


def _follows_joiner(text: str, start: int) -> bool:
    """Return True if an invisible joining character is at `start` or before it, as in emojis."""
    return unicodedata.category(text[start : start + 1] or "a") == "Cf" or text[start - 1] == JOINER


def _is_beside_punctuation(text: str, start: int) -> bool:
    """Return True if punctuation or another sign is at `start` or before it."""
    kinds = [unicodedata.category(letter)[0] for letter in text[start - 1 : start + 1]]
    if len(kinds) < 2 or kinds[1] == "M":
        return False
    return any(kind not in "LMN" for kind in kinds)


def _is_blank(text: str, word: WordSpan) -> bool:
    """Return True if nothing of a word is visible: white space and format characters only."""
    return not word.unknown and all(
        letter.isspace() or unicodedata.category(letter) == "Cf"
        for letter in text[word.start : word.end]
    )


def _merge(word: WordSpan, token: WordSpan) -> WordSpan:
    end = max(word.end, token.end)
    return WordSpan(word.first, token.last, word.start, end, word.unknown or token.unknown)


def _trim(text: str, word: WordSpan) -> WordSpan:
    """Leave out the white space that byte-level BPE and SentencePiece include in a word."""
    characters = text[word.start : word.end]
    start = word.start + len(characters) - len(characters.lstrip())
    return word._replace(start=start, end=start + len(characters.strip()))
