"""Read the rows of CSV and TSV files as any allowed version of pandas would read them right.

pandas parses; what its versions do differently is decided before and after it. Until 3.0.3 a row
with too many fields at the start of a chunk is cut without a word: here every row has more columns
than the header, and what is found there is refused. Until 3.0 a NUL ends a field: here pandas
never sees one. The separator and the quotes are found in csv_dialect.py.
"""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from mlm.data.texts.csv_dialect import NAMES, Dialect, find_dialect
from mlm.data.texts.text_column import UNNAMED, ColumnChooser, Row
from mlm.data.texts.whole_rows import RowFinder

if TYPE_CHECKING:
    import pandas as pd

ROWS_AT_ONCE = 1000
_SAMPLE = 1 << 18  # characters in which the dialect is found
_SAMPLE_ROWS = 200
_SURPLUS = 3  # columns beyond the header, in which a row that has too many fields shows
_NUMBERED = {"", "id", "nr", "no", "no.", "index", "row"}  # names of a column of row numbers
_LONE_CR = re.compile(r"\r(?!\n)")

Note = Callable[[str], object]


class Characters(Protocol):
    """A stream of characters."""

    def read(self, size: int, /) -> str:
        """Return at most `size` characters, fewer only at the end."""


def read_csv(
    stream: Characters, choose: ColumnChooser, note: Note, usual: str = ","
) -> Iterator[Row]:
    """Yield the chosen values of each row, strings, "" where there is none.

    Args:
        stream: of characters, with line ends as they are.
        choose: returns the columns to read, from the first rows as {column: values}.
        note: is called with what was unusual and how it was read.
        usual: the separator that the file's name suggests.

    Raises:
        ValueError: it is empty, a row has more fields than the header, or quotes do not match.
    """
    table = _Table(stream, usual)
    for text in table.dialect.notes(usual):
        note(text)
    columns = None
    for cells in table.chunks():
        if columns is None:
            chosen = choose(dict(zip(table.names, cells, strict=True)))
            columns = [table.index_of(name) for name in chosen.texts + chosen.others]
        yield from table.rows(cells, columns)
    for text in table.notes():
        note(text)


def read_tsv(stream: Characters, choose: ColumnChooser, note: Note) -> Iterator[Row]:
    """Yield the chosen values of each row of tab-separated values; see read_csv."""
    return read_csv(stream, choose, note, usual="\t")


class _Table:
    """Rows of a file in chunks, and counts of what was unusual in them.

    names: of the columns, all different; header: the same as they are in the file.
    """

    def __init__(self, stream: Characters, usual: str) -> None:
        self._source = _CsvSource(stream)
        sample = self._source.read(_SAMPLE)
        whole = len(sample) < _SAMPLE
        if not sample.strip():
            raise ValueError("it is empty; give a file with a header and texts")
        self.dialect = find_dialect(sample, usual, whole=whole)
        self.header, rest = _split_header(sample, self.dialect)
        _check_header(self.header)
        self._lines_before = sample[: len(sample) - len(rest)].count("\n")
        self._source.put_back(rest)
        self._literal_quotes = not self.dialect.quoting and '"' in sample
        surplus = _surplus_fields(rest, self.dialect, self.header)
        self._has_index = surplus == "index"
        self._ends_with_separator = surplus == "empty"
        if self._has_index:
            self.header = ["", *self.header]
        self.names = _distinct_names(self.header)
        self._rows = RowFinder(self.dialect.separator, len(self.header))
        self._counts: Counter[str] = Counter()

    def index_of(self, name: str) -> int:
        """Return the place of a column; ValueError if the header names it twice."""
        if self.header.count(name) > 1:
            raise ValueError(f"its header names {name!r} more than once: rename the others")
        return self.names.index(name)

    def chunks(self) -> Iterator[list[list[str]]]:
        """Yield the values of each column of a thousand rows; one chunk without rows if none."""
        width, rows = len(self.header), 0
        for chunk in self._parse():
            cells = [
                [value if isinstance(value, str) else "" for value in chunk[at].tolist()]
                for at in chunk.columns
            ]
            self._check_width(cells[width:], rows)
            yield cells[:width]
            rows += len(chunk)
        if not rows:
            yield [[] for _ in range(width)]

    def _parse(self) -> Iterator[pd.DataFrame]:
        import pandas as pd

        try:
            with warnings.catch_warnings():
                # Says that the first row is too long, which _check_width finds as well.
                warnings.simplefilter("ignore", pd.errors.ParserWarning)
                yield from pd.read_csv(self._source, **self._pandas_settings())
        except pd.errors.EmptyDataError:
            return
        except pd.errors.ParserError as error:
            raise ValueError(self._explain(str(error))) from None

    def _pandas_settings(self) -> dict[str, Any]:
        return {
            **self.dialect.settings(),
            "header": None,
            "names": range(len(self.header) + _SURPLUS),
            "dtype": str,
            "keep_default_na": False,
            "index_col": False,
            "chunksize": ROWS_AT_ONCE,
        }

    def _explain(self, error: str) -> str:
        """Return pandas' error in terms of the file."""
        advice = self._advice("or quotes")
        if match := re.search(r"Expected \d+ fields in line (\d+), saw (\d+)", error):
            line, fields = self._lines_before + int(match[1]), int(match[2])
            return f"line {line:,} has {fields} fields, its header {len(self.header)}; {advice}"
        if match := re.search(r"EOF inside string starting at row (\d+)", error):
            row = int(match[1]) + 1
            return f"a quote that opens in row {row:,} below the header is never closed; {advice}"
        return f"{error}; {advice}"

    def _check_width(self, surplus: list[list[str]], rows: int) -> None:
        """Raise ValueError if a row has more fields than the header, unless those are empty."""
        for number, values in enumerate(zip(*surplus, strict=True), rows + 1):
            if any(values) and any(map(str.strip, values)):
                raise ValueError(
                    f"row {number:,} below the header has more fields than its header, which "
                    f"has {len(self.header)}; {self._advice()}"
                )

    def _advice(self, others: str = "") -> str:
        """Return the way out of rows with too many fields."""
        advice = f"quote fields that hold {NAMES[self.dialect.separator]} {others}".rstrip()
        if len(self.header) > 1:
            return advice
        return (
            f"if its first line is a title, delete the lines above the column names; if each line "
            f"is a text, rename it to .txt; else {advice}"
        )

    def rows(self, cells: list[list[str]], columns: list[int]) -> Iterator[Row]:
        """Yield the rows of a chunk without repeated headers; count what looks wrong."""
        texts = cells[columns[0]]
        repeated = set(self._repeated_headers(cells, columns[0]))
        self._counts["repeated header"] += len(repeated)
        self._rows.add(cells)
        if not self.dialect.escape:
            self._counts["backslash"] += sum('\\"' in text for text in texts)
        rows: Iterator[Row] = zip(*(cells[column] for column in columns), strict=True)
        if repeated:
            rows = (row for at, row in enumerate(rows) if at not in repeated)
        yield from rows

    def _repeated_headers(self, cells: list[list[str]], column: int) -> Iterator[int]:
        name = self.header[column]
        if name in cells[column]:
            for at, value in enumerate(cells[column]):
                if value == name and [values[at] for values in cells] == self.header:
                    yield at

    def notes(self) -> Iterator[str]:
        """Describe what was unusual in the rows."""
        if self._literal_quotes:
            yield "its quotes do not enclose fields; they are read as characters"
        if self._has_index:
            yield "its first column has no name; it is taken for row numbers"
        if self._ends_with_separator:
            yield "rows end with a separator; the empty field after it is ignored"
        if count := self._counts["repeated header"]:
            yield f"{count:,} repeated header{'s' * (count > 1)} between the rows dropped"
        if count := self._source.carriage_returns:
            yield f"{count:,} carriage return{'s' * (count > 1)} within rows read as spaces"
        if count := self._source.nuls:
            yield f"{count:,} NUL character{'s' * (count > 1)} removed"
        if count := self._source.byte_order_marks:
            yield f"{count:,} byte order mark{'s' * (count > 1)} within the file dropped"
        if count := self._counts["backslash"]:
            yield f'\\" is in {count:,} texts, where \\ is read as a character like others'
        yield from self._rows.notes()


def _split_header(sample: str, dialect: Dialect) -> tuple[list[str], str]:
    """Return the fields of the header, and what follows it."""
    lines = io.StringIO(sample, newline="")
    rows = dialect.reader(lines)
    header = next((cells for cells in rows if any(cell.strip() for cell in cells)), [])
    return header, lines.read()


def _check_header(header: Sequence[str]) -> None:
    """Raise ValueError if the first line names no column."""
    if not header:
        raise ValueError("no line names its columns; give a file with a header and texts")
    if header[0].lower().startswith("sep="):
        raise ValueError(
            f"its first line is {header[0]!r}, which is not a separator that is known; expected "
            f"one of {', '.join(NAMES.values())}"
        )


def _surplus_fields(sample: str, dialect: Dialect, header: Sequence[str]) -> str | None:
    """Return what it is that each row of a sample has beyond the header.

    Returns:
        "empty" if each ends with a separator or several; "index" if a number is in front for which
        the header has no name, another one in each row; None if a row has nothing beyond the
        header, or it is neither.
    """
    width = len(header)
    try:
        below = replace(dialect, sep_line=False).reader(io.StringIO(sample, newline=""))
        rows = list(islice(below, _SAMPLE_ROWS))
    except csv.Error:
        return None
    rows = [cells for cells in rows if cells][: max(1, len(rows) - 1)]  # the last may be cut
    if not rows or any(len(cells) <= width for cells in rows):
        return None
    if not any("".join(cells[width:]).strip() for cells in rows):
        return "empty"
    numbered = all(len(cells) == width + 1 and cells[0].isdigit() for cells in rows)
    numbered &= len({cells[0] for cells in rows}) == len(rows)
    if header[0].strip().lower() in _NUMBERED or _are_cut(rows):
        return None
    return "index" if numbered else None


def _are_cut(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether most rows seem to have a text cut at a comma, because a space follows it."""
    cut = sum(any(cell.startswith(" ") for cell in cells[2:]) for cells in rows)
    return 2 * cut > len(rows)


def _distinct_names(header: Sequence[str]) -> list[str]:
    """Return names as pandas gives them: "Unnamed: 0" for an empty one, "text.1" for a second."""
    names: list[str] = []
    for at, name in enumerate(header):
        name = name or f"{UNNAMED}{at}"
        count = sum(other == name for other in header[:at])
        names.append(f"{name}.{count}" if count else name)
    return names


class _CsvSource:
    """Characters of a CSV without those that parsers, or versions of one, take in several ways.

    A carriage return within a line becomes a space, unless it is the file's line end; byte order
    marks of files that were joined are removed, and so is NUL, as cleaning would do.
    """

    def __init__(self, stream: Characters) -> None:
        self._stream = stream
        self._waiting = ""  # read before, to be read again
        self._ends_lines: bool | None = None  # whether a lone carriage return does
        self.nuls = 0
        self.carriage_returns = 0
        self.byte_order_marks = 0

    def put_back(self, text: str) -> None:
        """Let the next `read` return `text`."""
        self._waiting = text

    def read(self, size: int = -1) -> str:
        """Return at most `size` characters, or one more."""
        if self._waiting:
            end = len(self._waiting) if size < 0 else size
            text, self._waiting = self._waiting[:end], self._waiting[end:]
            return text
        text = self._stream.read(size)
        if text.endswith("\r"):
            text += self._stream.read(1)
        return self._without_oddities(text)

    def __iter__(self) -> Iterator[str]:
        """Yield the rest; pandas takes an object without this for a path."""
        yield self.read()

    def _without_oddities(self, text: str) -> str:
        if "\x00" in text:
            self.nuls += text.count("\x00")
            text = text.replace("\x00", "")
        if "\ufeff" in text:
            self.byte_order_marks += text.count("\ufeff")
            text = text.replace("\ufeff", "")
        if self._ends_lines is None and text:
            self._ends_lines = len(_LONE_CR.findall(text)) > text.count("\n")
        if "\r" in text and not self._ends_lines:
            text, count = _LONE_CR.subn(" ", text)
            self.carriage_returns += count
        return text
