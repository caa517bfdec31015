"""Many masked sentences at once: a CSV, TSV or text file in, words row by row, a CSV out.

    table = read_rows("sentences.csv")
    results = list(fill_rows(fill, table.rows, top_k=5))
    Path("filled.csv").write_bytes(to_csv(results))

A row that cannot be read or filled says why in its own place and stops nothing.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from mlm.data.texts.text_column import choose_column
from mlm.errors import CorpusError, InputError, UserError
from mlm.inference.fill_mask import FillMask
from mlm.inference.filling import Filling, find_masks
from mlm.inference.masked_text import MAX_CHARACTERS

MAX_ROWS = 1_000
MAX_BYTES = 1_000_000  # of a file
MAX_COLUMNS = 100
MAX_ANSWER = 10_000_000  # characters of all filled sentences; 50 words for 32 masks add up
ROWS_AT_ONCE = 32  # that the model is asked about together
MASKS_AT_ONCE = 64  # each is a row of the whole vocabulary in memory
SEPARATORS = {
    ".csv": ",;\t",
    ".tsv": "\t",
}  # that a file may have; a spreadsheet decides by country
SUFFIXES = (*SEPARATORS, ".txt")
MOST_LINES = 100  # of one row of a CSV: beyond them a quote has been forgotten
SAMPLE = 20  # rows that show which separator a file has
COLUMNS = ("row", "text", "mask", "rank", "word", "score", "sequence", "error")
FORMULA_SIGNS = tuple("=+-@\t\r\n＝＋－＠")  # what a spreadsheet runs, or strips and then runs


class Row(NamedTuple):
    """A row of a file: its number as a spreadsheet or an editor shows it, from 1."""

    number: int
    text: Any
    error: str | None = None  # why it cannot be read


class Table(NamedTuple):
    """What a file holds: its columns (none in plain text), the one that is read, and its rows."""

    columns: list[str]
    column: str | None
    rows: list[Row]


@dataclass(frozen=True)
class RowResult:
    """What became of a row: its filling, or in one line why there is none."""

    number: int
    text: str
    filling: Filling | None
    error: str | None = None


class _Record(NamedTuple):
    number: int
    cells: list[str]
    error: str | None = None


# Reading ------------------------------------------------------------------------------------------


def read_rows(
    path: str | Path, text_column: str | None = None, mask_token: str = "[MASK]"
) -> Table:
    """The rows of a .csv, .tsv or .txt file in UTF-8, with or without a byte order mark.

    A file of columns whose first row already holds a mask has no header; its columns are called
    "column 1", ... Rows with nothing in them are left out, and keep their number.

    Args:
        text_column: None is the column in which most cells hold a mask or, where none does, the
            one that text_column.py finds.
    Raises:
        InputError: another kind of file, too large, too many rows, not UTF-8, no such column.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(
            f"The file is called {_cut(path.name)}; expected a name that ends in "
            f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}."
        )
    text = _decoded(_bytes(path))
    if suffix == ".txt":
        return Table([], None, rows_of_lines(text))
    records = islice(_records(text, _separator(text, SEPARATORS[suffix])), MAX_ROWS + 2)
    return _table(list(records), text_column, mask_token)


def rows_of_lines(text: Any) -> list[Row]:
    """A row for each line that has anything on it.

    Raises:
        InputError: no text, too large, nothing in it, too many lines.
    """
    if not isinstance(text, str):
        raise InputError(f"The lines are of type {type(text).__name__}; expected a text.")
    if len(text) > MAX_BYTES:
        raise InputError(f"The text has {len(text):,} characters; at most {MAX_BYTES:,} are read.")
    lines = (line.removesuffix("\n") for line in io.StringIO(text, newline=None))
    rows = (Row(number, line) for number, line in enumerate(lines, 1) if line.strip())
    return _few(rows)


def rows_of(texts: Sequence[Any]) -> list[Row]:
    """A row for each text, whatever it is."""
    return [Row(number, text) for number, text in enumerate(texts, 1)]


def _few(rows: Iterable[Row]) -> list[Row]:
    few = list(islice(rows, MAX_ROWS + 1))
    if not few:
        raise InputError("There is no sentence in it: write one a line, each with a [MASK].")
    if len(few) > MAX_ROWS:
        raise InputError(
            f"There are more than {MAX_ROWS:,} rows; at most {MAX_ROWS:,} are filled at once: "
            "split the file."
        )
    return few


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError:
        raise InputError(f"The file {_cut(path.name)} cannot be opened: give it again.") from None
    if len(content) > MAX_BYTES:
        raise InputError(
            f"The file has more than {MAX_BYTES:,} bytes, which is the most that is read: split it."
        )
    return content


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        byte = content[error.start]
        raise InputError(
            f"The file is not in UTF-8 (byte 0x{byte:02x} at offset {error.start:,}): save it as "
            "UTF-8, which a spreadsheet calls “CSV UTF-8”."
        ) from None


def _separator(text: str, allowed: str) -> str:
    """The separator that cuts the first row into most cells; of equals, the rows most evenly."""

    def fits(separator: str) -> tuple[int, int]:
        widths = [len(r.cells) for r in islice(_records(text, separator), SAMPLE) if not r.error]
        return (widths[0] if widths and widths[0] > 1 else 0), -len(set(widths))

    return max(allowed, key=fits)  # of equals the first


def _records(text: str, separator: str) -> Iterator[_Record]:
    """The rows that have anything in them; one with broken quotes has an error instead of cells."""
    # The limit is the process's own and below MAX_BYTES; a huge cell is to be a bad row, not more.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_BYTES))
    lines = io.StringIO(text, newline="").readlines()
    at, number = 0, 0
    while at < len(lines):
        number += 1
        reader = csv.reader(lines[at : at + MOST_LINES], delimiter=separator, strict=True)
        try:
            cells = next(reader)
        except csv.Error:  # go on with the next line: the rest is not to be lost for a quote
            yield _Record(number, [], "Its quotes do not match: write a quote inside quotes twice.")
            at += 1
            continue
        at += reader.line_num
        if any(cell.strip() for cell in cells):
            yield _Record(number, cells)


def _table(records: list[_Record], text_column: str | None, mask_token: str) -> Table:
    columns, records = _header(records, mask_token)
    if len(columns) > MAX_COLUMNS:
        raise InputError(f"The file has {len(columns):,} columns; at most {MAX_COLUMNS} are read.")
    chosen = _chosen(columns, records, text_column, mask_token)
    place = columns.index(chosen)
    return Table(columns, chosen, _few(_row(record, columns, place) for record in records))


def _header(records: list[_Record], mask_token: str) -> tuple[list[str], list[_Record]]:
    """The names of the columns, each once, and the rows below them."""
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


def _chosen(
    columns: list[str], records: list[_Record], text_column: str | None, mask_token: str
) -> str:
    shown = ", ".join(_cut(name) for name in columns[:20])
    if text_column is not None:
        if text_column in columns:
            return text_column
        raise InputError(f"There is no column {_cut(str(text_column))}; the columns are {shown}.")
    cells = {
        name: [r.cells[place] if place < len(r.cells) else "" for r in records]
        for place, name in enumerate(columns)
    }
    masked = {name: sum(_holds_mask(c, mask_token) for c in cells[name]) for name in columns}
    best = max(columns, key=lambda name: masked[name])  # of equals the first
    if masked[best]:
        return best
    try:
        return choose_column(None, cells, "the file")
    except CorpusError:
        raise InputError(
            f"No column holds a mask: write {mask_token} or ___ for a word in one of {shown}."
        ) from None


def _holds_mask(cell: str, mask_token: str) -> bool:
    return bool(find_masks(cell[:MAX_CHARACTERS], mask_token))


def _row(record: _Record, columns: list[str], place: int) -> Row:
    cells = record.cells
    text = cells[place] if place < len(cells) else ""
    error = record.error
    if error is None and any(cell.strip() for cell in cells[len(columns) :]):
        error = (
            f"The row has {len(cells)} cells and the file {len(columns)} columns: put quotes "
            "around a text that holds the separator."
        )
    elif error is None and not text.strip():
        error = "There is no text in this column."
    return Row(record.number, text, error)


# Filling ------------------------------------------------------------------------------------------


def fill_rows(
    model: FillMask, rows: Sequence[Row], top_k: int, *, merge: bool = False
) -> Iterator[RowResult]:
    """One result a row, in their order, as soon as it is there.

    Args:
        top_k: words for each mask, from 1; no more than the model has.
        merge: as FillMask.answer.
    """
    top_k = min(top_k, model.vocab_size)
    for chunk in _chunks(_within_budget(rows, top_k, model.mask_token), model.mask_token):
        asked = [row.text for row in chunk if row.error is None]
        try:
            fillings: list[Filling | str] = list(model.answer(asked, top_k, merge=merge))
        except UserError:
            fillings = [_alone(model, text, top_k, merge) for text in asked]
        found = iter(fillings)
        for row in chunk:
            yield _result(row, row.error if row.error is not None else next(found))


def _alone(model: FillMask, text: Any, top_k: int, merge: bool) -> Filling | str:
    try:
        return model.answer([text], top_k, merge=merge)[0]
    except UserError as error:
        return str(error)


def _result(row: Row, found: Filling | str) -> RowResult:
    text = row.text if isinstance(row.text, str) else ""
    if isinstance(found, str):
        return RowResult(row.number, text, None, found)
    return RowResult(row.number, text, found)


def _within_budget(rows: Iterable[Row], top_k: int, mask_token: str) -> Iterator[Row]:
    """The rows; those that would make the answer larger than MAX_ANSWER with an error."""
    left = MAX_ANSWER
    for row in rows:
        masks = _masks(row, mask_token)
        cost = masks * top_k * len(row.text) if masks else 0
        if cost > left:
            much = f"The answer would hold more than {MAX_ANSWER:,} characters"
            yield row._replace(error=f"{much}: ask for fewer words or fewer rows.")
        else:
            left -= cost
            yield row


def _chunks(rows: Iterable[Row], mask_token: str) -> Iterator[list[Row]]:
    """Of at most ROWS_AT_ONCE rows, and MASKS_AT_ONCE masks."""
    chunk: list[Row] = []
    masks = 0
    for row in rows:
        more = _masks(row, mask_token)
        if chunk and (len(chunk) == ROWS_AT_ONCE or masks + more > MASKS_AT_ONCE):
            yield chunk
            chunk, masks = [], 0
        chunk.append(row)
        masks += more
    if chunk:
        yield chunk


def _masks(row: Row, mask_token: str) -> int:
    """How many masks the model will be asked about, 0 where it refuses the text unread."""
    text = row.text
    if row.error is not None or not isinstance(text, str) or len(text) > MAX_CHARACTERS:
        return 0
    return len(find_masks(text, mask_token))


# Writing ------------------------------------------------------------------------------------------


def to_csv(results: Iterable[RowResult]) -> bytes:
    """A CSV in UTF-8 with a byte order mark, without which Excel takes it for another encoding.

    One line a word, with the columns of COLUMNS; a row without words has one line with its error.
    `mask` and `rank` count from 1; `score` is the probability, in full. A cell that a spreadsheet
    would run as a formula (it begins with =, +, -, @, a tab or a line break) gets an apostrophe in
    front.
    """
    written = io.StringIO(newline="")
    writer = csv.writer(written)
    writer.writerow(COLUMNS)
    for result in results:
        writer.writerows([_safe(cell) for cell in line] for line in _lines(result))
    # A lone surrogate, which has no UTF-8, becomes a question mark.
    return written.getvalue().encode("utf-8-sig", "replace")


def _lines(result: RowResult) -> Iterator[tuple[Any, ...]]:
    if result.filling is None:
        yield (result.number, result.text, "", "", "", "", "", result.error)
        return
    for mask, candidates in enumerate(result.filling.masks, 1):
        for rank, candidate in enumerate(candidates, 1):
            about = candidate.word, candidate.score, candidate.sequence
            yield (result.number, result.text, mask, rank, *about, "")


def _safe(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_SIGNS) else cell


def _cut(name: str) -> str:
    return repr(name if len(name) <= 60 else f"{name[:57]}...")
