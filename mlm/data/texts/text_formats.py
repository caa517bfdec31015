"""Read raw texts from open streams of CSV, TSV, JSON lines, Parquet and plain text.

Every reader takes the stream and `choose`, a function from the first rows as {column: values} to
the name of the text column. It yields one string per row, "" for a row without a text. About a
thousand rows are in memory at a time. If a row cannot be parsed, it raises a ValueError with the
place and the reason.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from mlm.data.texts.text_column import Columns
from mlm.errors import CorpusError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

ROWS_AT_ONCE = 1000
COMPRESSIONS = {".gz", ".bz2", ".xz", ".zip"}  # fsspec opens them by their suffix

ColumnChooser = Callable[[Columns], str]
Reader = Callable[[IO[Any], ColumnChooser], Iterator[str]]  # of characters; Parquet: of bytes


def read_csv(stream: IO[str], choose: ColumnChooser, separator: str = ",") -> Iterator[str]:
    """Read CSV; quoted fields may contain separators, doubled quotes and any line breaks."""
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


def _strict_chunks(table: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Yield the chunks of a table; raise ValueError if a row has more fields than the header.

    pandas raises for most such rows, but if the first row is one, it truncates it with a warning.
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
    """Read tab-separated values, otherwise as CSV."""
    return read_csv(stream, choose, separator="\t")


def read_json_lines(stream: IO[str], choose: ColumnChooser) -> Iterator[str]:
    """Read one JSON object per line; blank lines are skipped."""
    rows = _json_objects(stream)
    sample = list(islice(rows, ROWS_AT_ONCE))
    columns: dict[str, list[object]] = {}
    for name, value in chain.from_iterable(row.items() for _, row in sample):
        columns.setdefault(name, []).append(value)
    column = choose(columns) if sample else ""
    for number, row in chain(sample, rows):
        value = row.get(column)
        if value is not None and not isinstance(value, (str, int, float)):
            found = type(value).__name__
            raise ValueError(f"line {number}: {column!r} holds a {found}, expected a text")
        yield "" if value is None else str(value)


def _json_objects(stream: IO[str]) -> Iterator[tuple[int, dict[str, object]]]:
    """Yield (line number, object)."""
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"line {number}: {error.msg}; expected an object per line") from None
        if not isinstance(row, dict):
            found = type(row).__name__
            raise ValueError(f"line {number} holds a {found}; expected an object per line")
        yield number, row


def read_parquet(stream: IO[bytes], choose: ColumnChooser) -> Iterator[str]:
    """Read a column of strings of any Arrow type; other columns are not read."""
    import pyarrow.parquet as pq

    # Without a buffer size, a whole column chunk, possibly the whole file, is read at once.
    file = pq.ParquetFile(stream, buffer_size=1 << 20, pre_buffer=False)
    strings = [field.name for field in file.schema_arrow if _is_string(field.type)]
    first = next(file.iter_batches(ROWS_AT_ONCE, columns=strings), None) if strings else None
    columns: dict[str, list[object]] = {name: [] for name in file.schema_arrow.names}
    if first is not None:
        columns |= {name: first[name].to_pylist() for name in strings}
    column = choose(columns)
    if column not in strings:
        kind = file.schema_arrow.field(column).type
        raise ValueError(f"column {column!r} is of type {kind}, expected strings")
    for batch in file.iter_batches(ROWS_AT_ONCE, columns=[column]):
        yield from (value or "" for value in batch[column].to_pylist())


def _is_string(kind: pa.DataType) -> bool:
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    types = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(is_type(kind) for is_type in types)


def read_plain(stream: IO[str], choose: ColumnChooser) -> Iterator[str]:
    """Read one text per line; `choose` is not called, because plain text has no columns."""
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
    """Return the suffix that gives the format: ".csv" of `reviews.CSV.gz`."""
    path = PurePosixPath(url.lower())
    return PurePosixPath(path.stem).suffix if path.suffix in COMPRESSIONS else path.suffix


def reader_of(url: str) -> Reader:
    """Return the reader for the file's suffix.

    Raises:
        CorpusError: the suffix is unknown.
    """
    suffix = suffix_of(url)
    if suffix not in _READERS:
        raise CorpusError(
            f"{url}: no known format; known are {', '.join(_READERS)}, each also as .gz: "
            "convert or rename the file"
        )
    return _READERS[suffix]
