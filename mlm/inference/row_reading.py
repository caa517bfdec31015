"""The rows of a CSV, TSV or text file of masked sentences.

    table = read_rows("sentences.csv")
    results = list(fill_rows(fill, table.rows, top_k=5))
    Path("filled.csv").write_bytes(to_csv(results))

A row that cannot be read carries its error and does not stop the others.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from mlm.data.texts.text_column import choose_column
from mlm.errors import CorpusError, InputError
from mlm.inference.filling import find_masks
from mlm.inference.masked_text import MAX_CHARACTERS

MAX_ROWS = 1_000
MAX_BYTES = 1_000_000  # of a file
MAX_COLUMNS = 100
SEPARATORS = {".csv": ",;\t", ".tsv": "\t"}  # that a file may use; spreadsheets go by country
SUFFIXES = (*SEPARATORS, ".txt")
MAX_LINES_PER_ROW = 100  # of a CSV; more are taken for a missing quote
SAMPLE_ROWS = 20  # from which the separator is chosen


class Row(NamedTuple):
    """A row of a file."""

    number: int  # from 1, as a spreadsheet or an editor shows it
    text: object  # checked when it is filled
    error: str | None = None  # why it cannot be read


class Table(NamedTuple):
    """The content of a file."""

    columns: list[str]  # none in plain text
    column: str | None  # the column that the texts are from
    rows: list[Row]


class _Record(NamedTuple):
    number: int
    cells: list[str]
    error: str | None = None


def read_rows(
    path: str | Path,
    text_column: str | None = None,
    mask_token: str = "[MASK]",
    *,
    limited: bool = True,
) -> Table:
    """Read the rows of a .csv, .tsv or .txt file in UTF-8, with or without a byte order mark.

    If the first row of a table holds a mask, the file has no header; its columns are called
    "column 1", ... Empty rows are left out, and the others keep their numbers.

    Args:
        path: of the file.
        text_column: None chooses the column in which most cells hold a mask; if none does, the one
            that text_column.py finds.
        mask_token: the model's own.
        limited: False reads a file of any size: not for what a visitor sends.

    Raises:
        InputError: another kind of file, too large, too many rows, not UTF-8, no such column.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(
            f"The file is called {_quote(path.name)}; expected a name that ends in "
            f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}."
        )
    text = _decode(_read_bytes(path, MAX_BYTES if limited else None))
    most = MAX_ROWS if limited else None
    if suffix == ".txt":
        return Table([], None, _rows_of_lines(text, most))
    records = _records(text, _find_separator(text, SEPARATORS[suffix]))
    if most is not None:
        records = islice(records, most + 2)
    return _make_table(list(records), text_column, mask_token, most)


def rows_of_lines(text: object) -> list[Row]:
    """Return a row for each line that is not blank.

    Raises:
        InputError: not a string, too large, only blank lines, too many lines.
    """
    if not isinstance(text, str):
        raise InputError(f"The lines are of type {type(text).__name__}; expected a text.")
    if len(text) > MAX_BYTES:
        raise InputError(f"The text has {len(text):,} characters; at most {MAX_BYTES:,} are read.")
    return _rows_of_lines(text, MAX_ROWS)


def _rows_of_lines(text: str, most: int | None) -> list[Row]:
    lines = (line.removesuffix("\n") for line in io.StringIO(text, newline=None))
    rows = (Row(number, line) for number, line in enumerate(lines, 1) if line.strip())
    return _check_count(rows, most)


def rows_of(texts: Sequence[object]) -> list[Row]:
    """Return a row for each text, of whatever type."""
    return [Row(number, text) for number, text in enumerate(texts, 1)]


def _check_count(rows: Iterable[Row], most: int | None) -> list[Row]:
    """Return the rows; raise InputError for an empty list or more than `most`."""
    first = list(rows if most is None else islice(rows, most + 1))
    if not first:
        raise InputError("No sentences found: write one a line, each with a [MASK].")
    if most is not None and len(first) > most:
        raise InputError(
            f"There are more than {most:,} rows; at most {most:,} are filled at once: "
            "split the file."
        )
    return first


def _read_bytes(path: Path, most: int | None) -> bytes:
    try:
        with path.open("rb") as stream:
            content = stream.read(-1 if most is None else most + 1)
    except OSError:
        raise InputError(f"The file {_quote(path.name)} cannot be opened: give it again.") from None
    if most is not None and len(content) > most:
        raise InputError(
            f"The file has more than {most:,} bytes, which is the most that is read: split it."
        )
    return content


def _decode(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        byte = content[error.start]
        raise InputError(
            f"The file is not in UTF-8 (byte 0x{byte:02x} at offset {error.start:,}): save it as "
            "UTF-8, which a spreadsheet calls “CSV UTF-8”."
        ) from None


def _find_separator(text: str, allowed: str) -> str:
    """Return the separator that cuts the first row into most cells, then the rows most evenly."""

    def fit(separator: str) -> tuple[int, int]:
        sample = islice(_records(text, separator), SAMPLE_ROWS)
        widths = [len(record.cells) for record in sample if not record.error]
        return (widths[0] if widths and widths[0] > 1 else 0), -len(set(widths))

    return max(allowed, key=fit)  # the first of several equals


def _records(text: str, separator: str) -> Iterator[_Record]:
    """Yield the rows that are not blank; one with unmatched quotes has an error and no cells."""
    # The limit is the whole process's; a larger cell is to be one bad row, not a failure.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_BYTES, len(text)))
    lines = io.StringIO(text, newline="").readlines()
    at, number = 0, 0
    while at < len(lines):
        number += 1
        reader = csv.reader(lines[at : at + MAX_LINES_PER_ROW], delimiter=separator, strict=True)
        try:
            cells = next(reader)
        except csv.Error:  # resume at the next line: a quote must not cost the rest of the file
            yield _Record(number, [], "Its quotes do not match: write a quote inside quotes twice.")
            at += 1
            continue
        at += reader.line_num
        if any(cell.strip() for cell in cells):
            yield _Record(number, cells)


def _make_table(
    records: list[_Record], text_column: str | None, mask_token: str, most: int | None
) -> Table:
    columns, records = _split_header(records, mask_token)
    if len(columns) > MAX_COLUMNS:
        raise InputError(f"The file has {len(columns):,} columns; at most {MAX_COLUMNS} are read.")
    column = _choose_text_column(columns, records, text_column, mask_token)
    index = columns.index(column)
    rows = _check_count((_make_row(record, columns, index) for record in records), most)
    return Table(columns, column, rows)


def _split_header(records: list[_Record], mask_token: str) -> tuple[list[str], list[_Record]]:
    """Return the names of the columns, all different, and the rows below them."""
    if not records or records[0].error:
        raise InputError("The file has no first row that can be read: name the columns there.")
    first = records[0].cells
    if any(find_masks(cell, mask_token) for cell in first):
        return [f"column {i + 1}" for i in range(len(first))], records
    names: list[str] = []
    for i, cell in enumerate(first):
        name = " ".join(cell.split()) or f"column {i + 1}"
        names.append(f"{name} ({i + 1})" if name in names else name)
    return names, records[1:]


def _choose_text_column(
    columns: list[str], records: list[_Record], text_column: str | None, mask_token: str
) -> str:
    shown = ", ".join(_quote(name) for name in columns[:20])
    if text_column is not None:
        if text_column in columns:
            return text_column
        raise InputError(
            f"The file has no column {_quote(str(text_column))}; the columns are {shown}."
        )
    cells = {
        name: [r.cells[index] if index < len(r.cells) else "" for r in records]
        for index, name in enumerate(columns)
    }
    counts = {name: sum(_has_mask(c, mask_token) for c in cells[name]) for name in columns}
    best = max(columns, key=lambda name: counts[name])  # the first of several equals
    if counts[best]:
        return best
    try:
        return choose_column(None, cells, "the file")
    except CorpusError:
        raise InputError(
            f"No column holds a mask: write {mask_token} or ___ for a word in one of {shown}."
        ) from None


def _has_mask(cell: str, mask_token: str) -> bool:
    return bool(find_masks(cell[:MAX_CHARACTERS], mask_token))


def _make_row(record: _Record, columns: list[str], index: int) -> Row:
    cells = record.cells
    text = cells[index] if index < len(cells) else ""
    error = record.error
    if error is None and any(cell.strip() for cell in cells[len(columns) :]):
        error = (
            f"The row has {len(cells)} cells and the file {len(columns)} columns: put quotes "
            "around a text that holds the separator."
        )
    elif error is None and not text.strip():
        error = "The row has no text in this column."
    return Row(record.number, text, error)


def _quote(name: str) -> str:
    """Return a name in quotes, short enough for a message."""
    return repr(name if len(name) <= 60 else f"{name[:57]}...")
