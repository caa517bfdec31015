"""Losses in reading a text: words out of the vocabulary, characters that the tokenizer drops."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mlm.inference.vocabulary import Vocabulary

SHOWN = 3  # words or characters that a note names
SHOWN_LENGTH = 20  # characters of a word in a note


class ReadingLosses(NamedTuple):
    """Words that are read as the unknown token, and characters that the tokenizer drops.

    knows_words: False if the text has words and the vocabulary has none of them.
    """

    unknown: list[str]
    dropped: list[str]
    knows_words: bool

    def warning(self) -> str | None:
        """Return a sentence for a text of which the model knows no word, else None."""
        if self.knows_words:
            return None
        return (
            "The model knows no word of this text: none is in its vocabulary, and each is read as "
            "an unknown word."
        )

    def note(self) -> str | None:
        """Return sentences about what the model does not see, None if it sees everything."""
        known = self.warning() or (
            f"Not in the model's vocabulary, read as unknown: {list_some(self.unknown)}."
            if self.unknown
            else None
        )
        return " ".join(filter(None, [known, note_on_dropped(self.dropped)])) or None


def find_losses(
    vocabulary: Vocabulary, text: str, input_ids: Sequence[int], offsets: Sequence[tuple[int, int]]
) -> ReadingLosses:
    """Return what the model does not see of a text.

    Args:
        vocabulary: of the tokenizer.
        text: the text as it was encoded.
        input_ids: its ids, special tokens included.
        offsets: the characters [start, end) of each id.
    """
    dropped = find_dropped(vocabulary, text, offsets)
    if vocabulary.unknown_id not in input_ids:
        return ReadingLosses([], dropped, True)
    spelt = [(i, text[start:end]) for i, (start, end) in zip(input_ids, offsets, strict=True)]
    unknown = [word.strip() for i, word in spelt if i == vocabulary.unknown_id]
    known = [word for i, word in spelt if i not in vocabulary.special]
    knows_words = any(_is_word(word) for word in known) or not any(map(_is_word, unknown))
    return ReadingLosses(unknown, dropped, knows_words)


def find_dropped(
    vocabulary: Vocabulary, text: str, offsets: Iterable[tuple[int, int]]
) -> list[str]:
    """Return the characters that are in no token, in their order, except white space.

    An accent that is taken off its letter is not counted: "e" for "é" is how such models read.
    """
    if text.isascii() and text.isprintable():
        return []
    covered = bytearray(len(text))
    for start, end in offsets:
        covered[start:end] = b"\1" * (end - start)
    dropped = {character for character in set(text) if vocabulary.drops(character)}
    return [
        character
        for at, character in enumerate(text)
        if not character.isspace()
        and (not covered[at] or character in dropped)
        and not _is_accent(text[at - 1 : at], character)
    ]


def note_on_dropped(dropped: Sequence[str]) -> str | None:
    """Return a sentence about characters that the tokenizer drops, None if there are none."""
    if not dropped:
        return None
    names = [
        f"U+{ord(character):04X}" + (f" ({count} times)" if count > 1 else "")
        for character, count in Counter(dropped).items()
    ]
    return f"Dropped by the tokenizer, not seen by the model: {list_some(names)}."


def list_some(words: Iterable[str]) -> str:
    """Return the first distinct words as a list for a sentence, and the number of the others."""
    distinct = list(dict.fromkeys(word[:SHOWN_LENGTH] for word in words))
    more = f" and {len(distinct) - SHOWN} more" if len(distinct) > SHOWN else ""
    return ", ".join(distinct[:SHOWN]) + more


def _is_word(text: str) -> bool:
    return any(character.isalnum() for character in text)


def _is_accent(before: str, mark: str) -> bool:
    """Return True if a combining mark and the letter before it are one character in Unicode."""
    return (
        bool(unicodedata.combining(mark)) and len(unicodedata.normalize("NFC", before + mark)) < 2
    )
