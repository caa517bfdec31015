"""The results of many rows as a CSV that spreadsheets open safely."""

import csv
import io
from collections.abc import Iterable, Iterator

from mlm.inference.row_filling import RowResult

COLUMNS = ("row", "text", "mask", "rank", "word", "score", "sequence", "error")
FORMULA_SIGNS = tuple("=+-@\t\r\n＝＋－＠")  # begin a formula, if only once stripped


def to_csv(results: Iterable[RowResult]) -> bytes:
    """Return a CSV in UTF-8 with a byte order mark, without which Excel assumes another encoding.

    One line for each word, with the columns of COLUMNS; a row without words has one line with its
    error. `mask` and `rank` count from 1; `score` is the probability with all its digits. A cell
    that a spreadsheet would run as a formula (it begins with =, +, -, @, a tab or a line break)
    gets an apostrophe in front.
    """
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(COLUMNS)
    for result in results:
        writer.writerows([_defuse(cell) for cell in line] for line in _lines(result))
    # A lone surrogate, which UTF-8 cannot encode, becomes a question mark.
    return stream.getvalue().encode("utf-8-sig", "replace")


def _lines(result: RowResult) -> Iterator[tuple[object, ...]]:
    if result.filling is None:
        yield (result.number, result.text, "", "", "", "", "", result.error)
        return
    for mask, candidates in enumerate(result.filling.masks, 1):
        for rank, candidate in enumerate(candidates, 1):
            answer = candidate.word, candidate.score, candidate.sequence
            yield (result.number, result.text, mask, rank, *answer, "")


def _defuse(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_SIGNS) else cell
