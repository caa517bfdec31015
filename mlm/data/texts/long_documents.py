"""Cut a document that is too long for one, such as a book in a line, into parts.

A part is a document of its own from there on: it is cleaned, tokenized, and on one side of the
train/validation split. Else a single book would be in one of them as a whole, and memory would grow
with the longest document.
"""

import re
from collections.abc import Iterator

LONGEST_DOCUMENT = 100_000  # characters; others are not touched
PART = 5_000  # characters at most, some 1,000 words
_SENTENCE_END = re.compile(
    r"[.!?\u2026][\"')\]\u00bb\u201d\u2019]*\s+"  # and the space after it
    r"|[\u3002\uff01\uff1f\u0964\u0965\u061f\u06d4\u104b\u17d4]\s*"  # of scripts without, or others
    r"|\n+"
)
_SPACE = re.compile(r"\s+")


def parts_of(document: str) -> Iterator[str]:
    """Yield a document, or its parts if it is longer than LONGEST_DOCUMENT.

    A part ends at the last end of a sentence in its second half, else at the last white space
    there, else anywhere. The parts together are the document.
    """
    if len(document) <= LONGEST_DOCUMENT:
        yield document
        return
    start = 0
    while start < len(document):
        end = _end_of_part(document, start)
        yield document[start:end]
        start = end


def _end_of_part(document: str, start: int) -> int:
    limit = start + PART
    if limit >= len(document):
        return len(document)
    for pattern in (_SENTENCE_END, _SPACE):
        ends = [found.end() for found in pattern.finditer(document, start + PART // 2, limit)]
        if ends:
            return ends[-1]
    return limit


def describe_cut(documents: int, parts: int) -> list[str]:
    """Return a line about documents that were cut, for people; none if there were none."""
    if not documents:
        return []
    were = "1 document" if documents == 1 else f"{documents:,} documents"
    was = "was" if documents == 1 else "were"
    return [
        f"{were} of over {LONGEST_DOCUMENT:,} characters {was} cut at the ends of sentences into "
        f"{parts:,} documents of at most {PART:,}, so that some can be held out"
    ]
