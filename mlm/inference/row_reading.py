"""The rows of a CSV, TSV or text file of masked sentences, or of texts to classify.

    with open_rows("sentences.csv") as table:
        for result in fill_rows(fill, table.rows, top_k=5, limited=False): ...
    with open_rows("reviews.csv", mask_token=None) as table:
        for result in classify_rows(classifier, table.rows): ...

A file is read as its rows are asked for, in bounded memory. A row that cannot be read carries its
error and does not stop the others.
"""

import codecs
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

from mlm.data.texts.csv_dialect import SEPARATORS, find_dialect
from mlm.data.texts.text_column import choose_column
from mlm.errors import CorpusError, InputError
from mlm.inference.csv_records import Record, decoding_error, read_lines, read_records
from mlm.inference.filling import find_masks
from mlm.inference.masked_text import MAX_CHARACTERS

MAX_ROWS = 1_000  # of a visitor's file; the first rows of others, by which a column is chosen
MAX_BYTES = 1_000_000  # of a visitor's file; the first bytes of others, by which they are checked
MAX_COLUMNS = 100
DIALECT_SAMPLE = 65_536  # characters by which the separator is found
USUAL = {".csv": ",", ".tsv": "\t"}  # separators
SUFFIXES = (*USUAL, ".txt")


class Row(NamedTuple):
    """A row of a file."""

    number: int  # from 1, as a spreadsheet or an editor shows it
    text: object  # checked when it is filled
    error: str | None = None  # why it cannot be read
    others: tuple[str, ...] = ()  # the cells of the columns beside that of the texts


class Table(NamedTuple):
    """The content of a file."""

    columns: list[str]  # none in plain text
    column: str | None  # the column that the texts are from
    rows: Iterable[Row]
    separator: str = ","
    has_header: bool = True  # False if the first row is one of the rows to fill
    second_column: str | None = None  # that of the second texts of pairs

    @property
    def others(self) -> list[str]:
        """The names of the columns beside those of the texts."""
        return [name for name in self.columns if name not in (self.column, self.second_column)]


def read_rows(
    path: str | Path, text_column: str | None = None, mask_token: str = "[MASK]"
) -> Table:
    """Read all rows of a visitor's file; see `open_rows`.

    Raises:
        InputError: see `open_rows`; or more than MAX_BYTES bytes or MAX_ROWS rows.
    """
    with _open(Path(path)) as stream:
        if len(stream.read(MAX_BYTES + 1)) > MAX_BYTES:
            raise InputError(
                f"The file has more than {MAX_BYTES:,} bytes, which is the most that is read: "
                "split it."
            )
    with open_rows(path, text_column, mask_token) as table:
        return table._replace(rows=_check_count(table.rows))


@contextmanager
def open_rows(
    path: str | Path,
    text_column: str | None = None,
    mask_token: str | None = "[MASK]",
    second_column: str | None = None,
) -> Iterator[Table]:
    """Open a .csv, .tsv or .txt file in UTF-8, with or without a byte order mark.

    A table's separator is found by csv_dialect.py. If the first row holds a sentence with a mask,
    the file has no header; its columns are called "column 1", ... Empty rows are left out, and the
    others keep their numbers. The rows can be read once, in the block.

    Args:
        path: of the file.
        text_column: None chooses the column in which most of the first cells hold a mask; if none
            does, the one that text_column.py finds.
        mask_token: the model's own; None for texts without masks, whose first row names the
            columns.
        second_column: of a pair of texts; a row's text is then {"text", "text_pair"}.

    Raises:
        InputError: another kind of file, not UTF-8, no rows, no such column.
        CorpusError: no column is clearly the text, where no masks are looked for.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(
            f"The file is called {_quote(path.name)}; expected a name that ends in "
            f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}."
        )
    with _open(path) as binary:
        sample = _read_sample(binary)
        # A line that is not UTF-8, further on, becomes one bad row: its bytes are lone surrogates.
        stream = io.TextIOWrapper(binary, "utf-8-sig", "surrogateescape", newline="")
        if suffix == ".txt":
            rows = _check_any(_rows_of_lines(read_lines(stream)), mask_token)
            yield Table([], None, rows)
        else:
            separators = USUAL[suffix] if suffix == ".tsv" else SEPARATORS
            head = sample[:DIALECT_SAMPLE]
            dialect = find_dialect(
                head, USUAL[suffix], separators=separators, whole=len(head) < DIALECT_SAMPLE
            )
            records = read_records(islice(read_lines(stream), int(dialect.sep_line), None), dialect)
            chosen = _Chosen(text_column, second_column, mask_token, path.name)
            yield _make_table(records, chosen)._replace(separator=dialect.separator)


def rows_of_lines(text: object) -> list[Row]:
    """Return a row for each line that is not blank.

    Raises:
        InputError: not a string, too large, only blank lines, too many lines.
    """
    if not isinstance(text, str):
        raise InputError(f"The lines are of type {type(text).__name__}; expected a text.")
    if len(text) > MAX_BYTES:
        raise InputError(f"The text has {len(text):,} characters; at most {MAX_BYTES:,} are read.")
    return _check_count(_rows_of_lines(read_lines(io.StringIO(text, newline=""))))


def rows_of(texts: Sequence[object]) -> list[Row]:
    """Return a row for each text, of whatever type."""
    return [Row(number, text) for number, text in enumerate(texts, 1)]


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError:
        raise InputError(f"The file {_quote(path.name)} cannot be opened: give it again.") from None


def _read_sample(stream: BinaryIO) -> str:
    """Return the first MAX_BYTES of a file as text, and go back to its beginning."""
    content = stream.read(MAX_BYTES)
    stream.seek(0)
    try:
        decoder = codecs.getincrementaldecoder("utf-8-sig")()
        return decoder.decode(content, final=len(content) < MAX_BYTES)
    except UnicodeDecodeError as error:
        byte = content[error.start]
        raise InputError(
            f"The file is not in UTF-8 (byte 0x{byte:02x} at offset {error.start:,}): save it as "
            "UTF-8, which a spreadsheet calls “CSV UTF-8”."
        ) from None


def _rows_of_lines(lines: Iterable[str]) -> Iterator[Row]:
    texts = (line.rstrip("\r\n") for line in lines)
    return (
        Row(number, text, decoding_error(text))
        for number, text in enumerate(texts, 1)
        if text.strip()
    )


def _check_count(rows: Iterable[Row]) -> list[Row]:
    """Return the rows; raise InputError for none or more than MAX_ROWS."""
    first = list(islice(_check_any(rows), MAX_ROWS + 1))
    if len(first) > MAX_ROWS:
        raise InputError(
            f"There are more than {MAX_ROWS:,} rows; at most {MAX_ROWS:,} are filled at once: "
            "split the file."
        )
    return first


def _check_any(rows: Iterable[Row], mask_token: str | None = "[MASK]") -> Iterator[Row]:
    """Return the rows; raise InputError if there are none."""
    remaining = iter(rows)
    for first in remaining:
        return chain([first], remaining)
    if mask_token is None:
        raise InputError("No texts found: write one a line, below the names of the columns.")
    raise InputError("No sentences found: write one a line, each with a [MASK].")


class _Chosen(NamedTuple):
    """The columns that the caller names, the mask token to look for, and the file's name."""

    text_column: str | None
    second_column: str | None
    mask_token: str | None
    file: str


def _make_table(records: Iterator[Record], chosen: _Chosen) -> Table:
    first = list(islice(records, MAX_ROWS + 1))
    columns, sample = _split_header(first, chosen.mask_token)
    if len(columns) > MAX_COLUMNS:
        raise InputError(f"The file has {len(columns):,} columns; at most {MAX_COLUMNS} are read.")
    names = [_choose_text_column(columns, sample, chosen)]
    if chosen.second_column is not None:
        names.append(_check_column(columns, chosen.second_column))
    indices = [columns.index(name) for name in names]
    rows = (_make_row(record, columns, indices) for record in chain(sample, records))
    return Table(
        columns,
        names[0],
        _check_any(rows, chosen.mask_token),
        has_header=len(sample) < len(first),
        second_column=chosen.second_column,
    )


def _split_header(records: list[Record], mask_token: str | None) -> tuple[list[str], list[Record]]:
    """Return the names of the columns, all different, and the rows below them."""
    if not records or records[0].error:
        raise InputError("The file has no first row that can be read: name the columns there.")
    first = records[0].cells
    if mask_token is not None and any(_is_sentence(cell, mask_token) for cell in first):
        return [f"column {i + 1}" for i in range(len(first))], records
    names: list[str] = []
    for i, cell in enumerate(first):
        name = " ".join(cell.split()) or f"column {i + 1}"
        names.append(f"{name} ({i + 1})" if name in names else name)
    return names, records[1:]


def _is_sentence(cell: str, mask_token: str) -> bool:
    """Return True if a cell of the first row is a text to fill, and not a name like `_`, `a___1`.

    A mask token always is; underscores are only beside a word.
    """
    masks = find_masks(cell[:MAX_CHARACTERS], mask_token)
    return bool(masks) and (masks[0][0].strip("_") != "" or len(cell.split()) > 1)


def _check_column(columns: list[str], name: str) -> str:
    """Return the name of a column; raise InputError if the file has none of that name."""
    if name in columns:
        return name
    raise InputError(
        f"The file has no column {_quote(str(name))}; the columns are {_shown(columns)}: "
        "name one of them."
    )


def _shown(columns: list[str]) -> str:
    return ", ".join(_quote(name) for name in columns[:20])


def _choose_text_column(columns: list[str], records: list[Record], chosen: _Chosen) -> str:
    if chosen.text_column is not None:
        return _check_column(columns, chosen.text_column)
    cells = {
        name: [r.cells[index] if index < len(r.cells) else "" for r in records]
        for index, name in enumerate(columns)
    }
    if (mask_token := chosen.mask_token) is None:
        return choose_column(None, cells, chosen.file)
    counts = {name: sum(_has_mask(c, mask_token) for c in cells[name]) for name in columns}
    best = max(columns, key=lambda name: counts[name])  # the first of several equals
    if counts[best]:
        return best
    try:
        return choose_column(None, cells, "the file")
    except CorpusError:
        raise InputError(
            f"No column holds a mask: write {mask_token} or ___ for a word in one of "
            f"{_shown(columns)}."
        ) from None


def _has_mask(cell: str, mask_token: str) -> bool:
    return bool(find_masks(cell[:MAX_CHARACTERS], mask_token))


def _make_row(record: Record, columns: list[str], indices: list[int]) -> Row:
    """Return a row; `indices` are of the column of the texts, and of their second texts."""
    cells = record.cells + [""] * (len(columns) - len(record.cells))
    error = record.error
    if error is None and any(cell.strip() for cell in cells[len(columns) :]):
        error = (
            f"The row has {len(cells)} cells and the file {len(columns)} columns: put quotes "
            "around a text that holds the separator."
        )
    elif error is None and not all(cells[index].strip() for index in indices):
        error = "The row has no text in this column."
    others = tuple(cells[i] for i in range(len(columns)) if i not in indices)
    texts = [cells[index] for index in indices]
    text = texts[0] if len(texts) == 1 else dict(zip(("text", "text_pair"), texts, strict=True))
    return Row(record.number, text, error, others)


def _quote(name: str) -> str:
    """Return a name in quotes, short enough for a message."""
    return repr(name if len(name) <= 60 else f"{name[:57]}...")
