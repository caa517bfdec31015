"""The file formats: CSV, TSV, JSON lines, Parquet and plain text, each an open stream to raw texts.

Every reader takes the stream and `choose`, which is given the first rows as {column: values} and
returns the text column; it yields one string a row, "" where the row has no text. About a thousand
rows are in memory at a time. What cannot be parsed is a ValueError that says what and where.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import PurePosixPath
from typing import IO, Any

from mlm.data.texts.text_column import Columns
from mlm.errors import CorpusError

ROWS_AT_ONCE = 1000
COMPRESSIONS = {".gz", ".bz2", ".xz", ".zip"}  # fsspec opens them by their suffix

ColumnChooser = Callable[[Columns], str]
Reader = Callable[[Any, ColumnChooser], Iterator[str]]


def read_csv(stream: IO[str], choose: ColumnChooser, separator: str = ",") -> Iterator[str]:
    """Quoted fields may hold separators, doubled quotes and line breaks (LF, CRLF or CR)."""
    import pandas as pd

    table = pd.read_csv(
        stream,
        sep=separator,
        dtype=str,
        keep_default_na=False,
        index_col=False,
        chunksize=ROWS_AT_ONCE,
    )
    column = None
    for chunk in _strict_chunks(table):
        column = column or choose({name: chunk[name].tolist() for name in chunk.columns})
        yield from (value if isinstance(value, str) else "" for value in chunk[column].tolist())


def _strict_chunks(table: Iterator[Any]) -> Iterator[Any]:
    """The chunks of a table in which no row has more fields than the header.

    pandas raises for most of those, and only warns that it cuts where the first row is one.
    """
    import pandas as pd

    while True:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.ParserWarning)
                chunk = next(table)
        except StopIteration:
            return
        except pd.errors.ParserWarning:
            raise ValueError(
                "its rows have more fields than its header; quote fields that hold a separator"
            ) from None
        except pd.errors.ParserError as error:
            raise ValueError(f"{error}; quote fields that hold a separator or quotes") from None
        yield chunk


def read_tsv(stream: IO[str], choose: ColumnChooser) -> Iterator[str]:
    """As CSV, with tabs."""
    return read_csv(stream, choose, separator="\t")


def read_json_lines(stream: IO[str], choose: ColumnChooser) -> Iterator[str]:
    """One JSON object a line; blank lines are skipped."""
    rows = _json_objects(stream)
    sample = list(islice(rows, ROWS_AT_ONCE))
    columns: dict[str, list[Any]] = {}
    for name, value in chain.from_iterable(row.items() for _, row in sample):
        columns.setdefault(name, []).append(value)
    column = choose(columns) if sample else ""
    for number, row in chain(sample, rows):
        value = row.get(column)
        if value is not None and not isinstance(value, (str, int, float)):
            found = type(value).__name__
            raise ValueError(f"line {number}: {column!r} holds a {found}, expected a text")
        yield "" if value is None else str(value)


def _json_objects(stream: IO[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"line {number}: {error.msg}; expected an object a line") from None
        if not isinstance(row, dict):
            found = type(row).__name__
            raise ValueError(f"line {number} holds a {found}; expected an object a line")
        yield number, row


def read_parquet(stream: IO[bytes], choose: ColumnChooser) -> Iterator[str]:
    """Columns of strings, of any of Arrow's widths; no other column is read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Without a buffer size a whole column chunk, which may be the whole file, is read at once.
    file = pq.ParquetFile(stream, buffer_size=1 << 20, pre_buffer=False)
    strings = [field.name for field in file.schema_arrow if _holds_strings(field.type, pa)]
    first = next(file.iter_batches(ROWS_AT_ONCE, columns=strings), None) if strings else None
    columns: dict[str, list[Any]] = {name: [] for name in file.schema_arrow.names}
    if first is not None:
        columns |= {name: first[name].to_pylist() for name in strings}
    column = choose(columns)
    if column not in strings:
        kind = file.schema_arrow.field(column).type
        raise ValueError(f"column {column!r} is of type {kind}, expected strings")
    for batch in file.iter_batches(ROWS_AT_ONCE, columns=[column]):
        yield from (value or "" for value in batch[column].to_pylist())


def _holds_strings(kind: Any, pa: Any) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    types = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(is_type(kind) for is_type in types)


def read_plain(stream: IO[str], choose: ColumnChooser) -> Iterator[str]:
    """One text a line; `choose` is not asked, there are no columns."""
    return iter(stream)


_READERS: dict[str, Reader] = {
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json_lines,
    ".parquet": read_parquet,
    ".txt": read_plain,
}


def suffix_of(url: str) -> str:
    """The suffix that tells the format: ".csv" of `reviews.CSV.gz`."""
    path = PurePosixPath(url.lower())
    return PurePosixPath(path.stem).suffix if path.suffix in COMPRESSIONS else path.suffix


def reader_of(url: str) -> Reader:
    """The reader for the file's suffix.

    Raises:
        CorpusError: the suffix is unknown.
    """
    suffix = suffix_of(url)
    if suffix not in _READERS:
        raise CorpusError(
            f"{url}: no known format; known are {', '.join(_READERS)}, each also as .gz: "
            "convert or rename it"
        )
    return _READERS[suffix]
