"""Unicode form NFC for texts that are encoded, as the training texts have it (clean_text.py).

"é" may be typed as one character or as "e" and a combining accent; the model knows one of them.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple


class ComposedText(NamedTuple):
    """A text in form NFC, and the characters of the original behind each of its characters."""

    text: str
    spans: list[tuple[int, int]] | None  # [start, end) for each character; None if nothing changed

    def span_in_original(self, start: int, end: int) -> tuple[int, int]:
        """Return the characters [start, end) of the original behind those of this text."""
        if self.spans is None:
            return start, end
        if start == end:  # no characters, as a special token
            begin = self.spans[start][0] if start < len(self.spans) else self.spans[-1][1]
            return begin, begin
        return self.spans[start][0], self.spans[end - 1][1]


def compose_text(text: str, mask_token: str = "") -> ComposedText:
    """Return a text in form NFC; no mask token is combined with an accent behind it."""
    if unicodedata.is_normalized("NFC", text):
        return ComposedText(text, None)
    composed: list[str] = []
    spans: list[tuple[int, int]] = []
    for start, end in _characters_with_marks(text, mask_token):
        written = text[start:end]
        character = unicodedata.normalize("NFC", written)
        composed.append(character)
        if character == written:
            spans += [(at, at + 1) for at in range(start, end)]
        else:
            spans += [(start, end)] * len(character)
    return ComposedText("".join(composed), spans)


def _characters_with_marks(text: str, mask_token: str) -> Iterator[tuple[int, int]]:
    """Yield the characters [start, end) of parts that composition does not reach across."""
    masks = re.finditer(re.escape(mask_token), text) if mask_token else ()
    begins = {0, *(mask.end() for mask in masks)}
    begins |= {at for at, letter in enumerate(text) if not _may_combine(letter)}
    ordered = sorted(begins - {len(text)})
    yield from zip(ordered, [*ordered[1:], len(text)], strict=True)


def _may_combine(letter: str) -> bool:
    """Return True for marks, and for the vowels and last consonants of Korean syllables."""
    return unicodedata.category(letter)[0] == "M" or "\u1160" <= letter <= "\u11ff"
