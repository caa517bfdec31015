"""Read words and their tags from lines: a word and its tag each, a blank line after a sentence.

    EU      NNP  B-ORG
    rejects VBZ  O

The first column is the word, the last the tag, as in the files of CoNLL 2003.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from mlm.data.labelled.tags import is_tag
from mlm.data.texts.csv_rows import Note
from mlm.data.texts.text_column import ColumnChooser, Row
from mlm.data.texts.text_formats import Reader

_DOCUMENT = "-DOCSTART-"
_COMMENT = re.compile(r"# *\w+( id)? *=|# id ")  # as CoNLL-U and MultiCoNER write them
_FIELD = re.compile(r"[^ \t\r\n]+")  # other spaces belong to a word, such as that of 10\xa0000
_LEAST_COLUMNS = 2
_SAMPLE = 100  # lines


def read_sentences(stream: Iterable[str], choose: ColumnChooser, note: Note) -> Iterator[Row]:
    """Yield the words of each sentence and their tags, two lists.

    Raises:
        ValueError: a line has another number of columns than the first one.
    """
    words: list[str] = []
    tags: list[str] = []
    width = None
    for number, line in enumerate(stream, 1):
        fields = _FIELD.findall(line)
        if not fields:
            if words:
                yield words, tags
            words, tags = [], []
        elif not _is_skipped(line):
            width = width or max(len(fields), _LEAST_COLUMNS)
            if len(fields) != width:
                columns = "1 column" if len(fields) == 1 else f"{len(fields)} columns"
                raise ValueError(
                    f"line {number:,} has {columns}, expected {width}: a word, its tag "
                    "and what is between them, separated by spaces or tabs"
                )
            words.append(fields[0])
            tags.append(fields[-1])
    if words:
        yield words, tags


def read_lines_as_sentences(
    stream: Iterable[str], choose: ColumnChooser, note: Note
) -> Iterator[Row]:
    """Yield what `read_sentences` does of a .txt file.

    Raises:
        ValueError: its first lines are not words with tags.
    """
    lines = iter(stream)
    sample = list(islice(lines, _SAMPLE))
    if not _are_tagged(sample):
        raise ValueError(
            "plain text has no labels; give a table, JSON lines or Parquet, a folder with a folder "
            "of texts for each class, or lines of a word and its tag"
        )
    yield from read_sentences(_joined(sample, lines), choose, note)


def _joined(first: Iterable[str], rest: Iterable[str]) -> Iterator[str]:
    yield from first
    yield from rest


def _is_skipped(line: str) -> bool:
    return line.startswith(_DOCUMENT) or bool(_COMMENT.match(line))


def _are_tagged(lines: Iterable[str]) -> bool:
    """Return whether lines are words with tags, in the same number of columns."""
    rows = [_FIELD.findall(line) for line in lines if line.strip() and not _is_skipped(line)]
    widths = {len(row) for row in rows}
    return len(widths) == 1 and min(widths) >= _LEAST_COLUMNS and all(is_tag(r[-1]) for r in rows)


READERS: dict[str, Reader] = {
    **dict.fromkeys((".conll", ".bio", ".iob", ".iob2"), read_sentences),
    ".txt": read_lines_as_sentences,
}
