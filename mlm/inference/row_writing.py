"""The results of many rows, as a CSV that spreadsheets open safely or as JSON lines."""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from mlm.inference.row_filling import RowResult

COLUMNS = ("row", "text", "mask", "rank", "word", "score", "sequence", "error", "note")
SIGNS = r"=+\-@＝＋－＠"  # begin a formula
# Where a cell begins a formula, in this reading of the file or in that with another separator.
# A tab or a line break at the beginning may be stripped.
CELL_START = re.compile(f'(^)(?=[{SIGNS}\t\r\n]| +[=＝])|([,;|\t\r\n])(?="*[{SIGNS}]|[ "]+[=＝])')


class TextStream(Protocol):
    """A stream of texts that does not translate line ends."""

    def write(self, text: str, /) -> object:
        """Write a text."""


class TableWriter:
    """Writes lines of a CSV, one after the other.

    Where a spreadsheet would run a formula (a cell begins with =, +, -, @, a tab or a line break,
    or would with another separator) the text gets an apostrophe in front of it.
    """

    def __init__(
        self, stream: TextStream, columns: Sequence[str], others: Sequence[str], separator: str
    ):
        """Write the names of the columns.

        Args:
            stream: what the lines are written to.
            columns: the names; the first one is that of the row's number.
            others: the names of the cells that each row brings along, which come second.
            separator: of cells.
        """
        self._writer = csv.writer(stream, delimiter=separator)
        row, *remaining = columns
        self.write_line([row, *free_names(others, columns), *remaining])

    def write_line(self, cells: Iterable[object]) -> None:
        """Write a line."""
        self._writer.writerow([defuse(cell) if isinstance(cell, str) else cell for cell in cells])


class CsvWriter:
    """Writes results as a CSV, one after the other; see TableWriter.

    One line for each word, with the cells of `others` behind the number of the row and then those
    of COLUMNS; a row without words has one line with its error. `mask` and `rank` count from 1;
    `score` is the probability with all its digits.
    """

    def __init__(self, stream: TextStream, others: Sequence[str] = (), separator: str = ","):
        self._table = TableWriter(stream, COLUMNS, others, separator)

    def write(self, result: RowResult) -> None:
        """Write the lines of one row."""
        for line in _lines(result):
            self._table.write_line([result.number, *result.others, *line])


class JsonWriter:
    """Writes results as JSON lines, one object a row.

    {"row", "text", "masks": a list of {score, token, token_str, sequence} for each mask, "note",
    "error", "columns": the cells that the row brings along}; masks is [] beside an error.
    """

    def __init__(self, stream: TextStream, others: Sequence[str] = ()):
        self._stream, self._others = stream, others

    def write(self, result: RowResult) -> None:
        """Write the line of one row."""
        filling = result.filling
        line = {
            "row": result.number,
            "text": result.text,
            "masks": [] if filling is None else filling.as_lists(),
            "note": filling and filling.note,
            "error": result.error,
            "columns": dict(zip(self._others, result.others, strict=True)),
        }
        self._stream.write(json.dumps(line, ensure_ascii=False) + "\n")


def to_csv(results: Iterable[RowResult], others: Sequence[str] = (), separator: str = ",") -> bytes:
    """Return a CSV in UTF-8 with a byte order mark, without which Excel assumes another encoding.

    See CsvWriter. A lone surrogate, which UTF-8 cannot encode, becomes a question mark.
    """
    stream = io.StringIO(newline="")
    writer = CsvWriter(stream, others, separator)
    for result in results:
        writer.write(result)
    return stream.getvalue().encode("utf-8-sig", "replace")


def free_names(names: Iterable[str], taken: Iterable[str]) -> list[str]:
    """Return names that differ from those that are taken: "input_word" for "word"."""
    used, found = {*taken}, []
    for name in names:
        while name in used:
            name = f"input_{name}"
        used.add(name)
        found.append(name)
    return found


def defuse(text: str) -> str:
    """Return a text in which no cell begins a formula, whatever separator a reader takes."""
    return CELL_START.sub(lambda match: f"{match[0]}'", text)


def _lines(result: RowResult) -> Iterator[tuple[object, ...]]:
    """Yield the cells from `text` on."""
    if result.filling is None:
        yield (result.text, "", "", "", "", "", result.error, "")
        return
    note = result.filling.note or ""
    for mask, candidates in enumerate(result.filling.masks, 1):
        for rank, candidate in enumerate(candidates, 1):
            answer = candidate.word, candidate.score, candidate.sequence
            yield (result.text, mask, rank, *answer, "", note)
