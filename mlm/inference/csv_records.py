"""The lines of a file and the rows of a table, one after the other in bounded memory.

A row with unmatched quotes, or with bytes that are not UTF-8, carries its error.
"""

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import count
from typing import NamedTuple, TextIO

from mlm.data.texts.csv_dialect import Dialect

MAX_LINE = 1_000_000  # characters; the rest of a longer line is not read
MAX_LINES_PER_ROW = 100  # of a CSV; more are taken for a missing quote
UNDECODED = re.compile("[\udc80-\udcff]")  # bytes that are not UTF-8, by surrogateescape


class Record(NamedTuple):
    """A row of a table; its number is from 1, as a spreadsheet shows it."""

    number: int
    cells: list[str]
    error: str | None = None


def read_lines(stream: TextIO) -> Iterator[str]:
    """Yield the lines with their ends; of a line longer than MAX_LINE its beginning."""
    while line := stream.readline(MAX_LINE):
        yield line
        while len(line) == MAX_LINE and line[-1] not in "\r\n":
            line = stream.readline(MAX_LINE)


def read_records(lines: Iterable[str], dialect: Dialect) -> Iterator[Record]:
    """Yield the rows that are not blank; one with unmatched quotes has an error and no cells."""
    # The limit is the whole process's; a larger cell is to be one bad row, not a failure.
    csv.field_size_limit(MAX_LINE * MAX_LINES_PER_ROW)
    source, ahead = iter(lines), deque[str]()
    # Quotes enclose fields even if some do not match: these are bad rows, which are named.
    settings = replace(dialect, quoting=True).settings()
    for number in count(1):
        reader = csv.reader(_look_ahead(source, ahead), **settings, strict=True)
        try:
            cells = next(reader, None)
        except csv.Error:  # resume at the next line: a quote must not cost the rest of the file
            yield Record(number, [], "Its quotes do not match: write a quote inside quotes twice.")
            ahead.popleft()
            continue
        if cells is None:
            return
        for _ in range(reader.line_num):
            ahead.popleft()
        if any(cell.strip() for cell in cells):
            yield Record(number, cells, next(filter(None, map(decoding_error, cells)), None))


def _look_ahead(source: Iterator[str], ahead: deque[str]) -> Iterator[str]:
    """Yield the next lines, at most MAX_LINES_PER_ROW, and keep them in `ahead`."""
    for i in range(MAX_LINES_PER_ROW):
        if i == len(ahead):
            line = next(source, None)
            if line is None:
                return
            ahead.append(line)
        yield ahead[i]


def decoding_error(text: str) -> str | None:
    """Return the error of a text with bytes that are not UTF-8, read as lone surrogates."""
    if text.isascii() or not (found := UNDECODED.search(text)):
        return None
    byte = ord(found[0]) - 0xDC00
    return f"The row is not in UTF-8 (byte 0x{byte:02x}): save the file as UTF-8."
