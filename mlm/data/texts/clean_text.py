"""A clean text: one line, no mark-up, no control characters, Unicode form NFC."""

import re
import unicodedata
from typing import NamedTuple

from mlm.data.texts.html_markup import remove_html

# Control characters, byte order marks, and lone surrogates, which cannot be encoded.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ufeff\ud800-\udfff]")


class CleanText(NamedTuple):
    """A clean text, whether it had HTML, and the control characters that it had."""

    text: str
    had_html: bool
    control_characters: str


def clean_text(text: str, clean_html: str = "auto") -> CleanText:
    """Return the text as one line of plain characters in Unicode form NFC.

    NFC gives `é` and `e` plus combining accent one encoding, so that a text cannot be in the
    training split in one and in the validation split in the other.

    Args:
        text: as it was read.
        clean_html: "auto", "yes" or "no"; see html_markup.py.
    """
    plain = remove_html(text, clean_html)
    had_html = plain != text
    plain, removed = " ".join(plain.split()), ""
    if not plain.isprintable():
        removed = "".join(_UNPRINTABLE.findall(plain)).replace("\ufeff", "")
        plain = " ".join(_UNPRINTABLE.sub("", plain).split())
    return CleanText(unicodedata.normalize("NFC", plain), had_html, removed)
