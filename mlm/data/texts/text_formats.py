"""Read raw texts from open streams of JSON lines, Parquet and plain text; find a file's reader.

Every reader takes the stream, `choose`, a function from the first rows as {column: values} to the
columns to read, and `note`, which gets remarks for the user. It yields one tuple per row: the
strings of the text columns, "" for a row without a text, then the values of the other columns.
About a thousand rows are in memory at a time. If a row cannot be parsed, it raises a ValueError
with the place and the reason.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from mlm.data.texts.containers import COMPRESSIONS, WAYS_OUT
from mlm.data.texts.csv_dialect import NAMES, SEPARATORS
from mlm.data.texts.csv_rows import ROWS_AT_ONCE, Note, read_csv, read_tsv
from mlm.data.texts.text_column import Chosen, ColumnChooser, Row
from mlm.errors import CorpusError

if TYPE_CHECKING:
    import pyarrow as pa

Reader = Callable[[Any, ColumnChooser, Note], Iterator[Row]]  # of characters; Parquet: of bytes
_NOT_ONE_A_LINE = (
    "expected an object per line; of a list make lines with "
    'pandas.read_json(...).to_json(..., orient="records", lines=True)'
)
_TO_STRINGS = (
    "name another column with --text_column, or make it one of strings, in pandas with explode, "
    "json_normalize or str.decode"
)
_FIRST_LINES = 100  # of plain text, which may be the rows of a table
_FEWEST_ROWS = 10


def read_json_lines(stream: Iterable[str], choose: ColumnChooser, note: Note) -> Iterator[Row]:
    """Read one JSON object per line; blank lines are skipped, null and NaN are empty texts."""
    rows = _json_objects(stream)
    sample = list(islice(rows, ROWS_AT_ONCE))
    columns: dict[str, list[object]] = {}
    for name, value in chain.from_iterable(row.items() for _, row in sample):
        columns.setdefault(name, []).append(value)
    chosen = choose(columns) if sample else Chosen(())
    for number, row in chain(sample, rows):
        texts = (_text_of(row.get(column), column, number) for column in chosen.texts)
        yield (*texts, *map(row.get, chosen.others))


def _text_of(value: object, column: str, line: int) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)):
        return json.dumps(value)
    found = type(value).__name__
    raise ValueError(f"line {line}: {column!r} holds a {found}, expected a text: {_TO_STRINGS}")


def _json_objects(stream: Iterable[str]) -> Iterator[tuple[int, dict[str, object]]]:
    """Yield (line number, object)."""
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line.removeprefix("\ufeff"))
        except RecursionError:
            raise ValueError(f"line {number}: its values are nested too deeply") from None
        except ValueError as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else error
            raise ValueError(f"line {number}: {reason}; {_NOT_ONE_A_LINE}") from None
        if not isinstance(row, dict):
            found = type(row).__name__
            raise ValueError(f"line {number} holds a {found}; {_NOT_ONE_A_LINE}")
        yield number, row


def read_parquet(
    stream: IO[bytes], choose: ColumnChooser, note: Note, *, shows_all: bool = False
) -> Iterator[Row]:
    """Read columns of strings of any Arrow type, and others; columns not chosen are not read.

    shows_all: `choose` sees values of all columns, not only of those of strings.
    """
    import pyarrow.parquet as pq

    # Without a buffer size, a whole column chunk, possibly the whole file, is read at once.
    file = pq.ParquetFile(stream, buffer_size=1 << 20, pre_buffer=False)
    names = Counter(file.schema_arrow.names)
    shown = [
        field.name
        for field in file.schema_arrow
        if (shows_all or _is_string(field.type)) and names[field.name] == 1
    ]
    first = next(file.iter_batches(ROWS_AT_ONCE, columns=shown), None) if shown else None
    columns: dict[str, list[object]] = {name: [] for name in names}
    if first is not None:
        columns |= {name: first[name].to_pylist() for name in shown}
    chosen = choose(columns)
    _check_columns(file.schema_arrow, chosen)
    names_read = [*dict.fromkeys(chosen.texts + chosen.others)]
    named = {name: _class_names(file.schema_arrow, name) for name in chosen.others}
    for name, classes in named.items():
        if classes:
            note(f"the numbers of {name!r} have names in the file: {', '.join(classes[:10])}")
    for batch in file.iter_batches(ROWS_AT_ONCE, columns=names_read):
        texts = ([value or "" for value in batch[name].to_pylist()] for name in chosen.texts)
        others = (
            [_with_name(value, named[name]) for value in batch[name].to_pylist()]
            if named[name]
            else batch[name].to_pylist()
            for name in chosen.others
        )
        yield from zip(*texts, *others, strict=True)


def _class_names(schema: pa.Schema, column: str) -> list[str]:
    """Return the names that `datasets` has written for the numbers of a column; none if it has not.

    They are in the schema's metadata: {"info": {"features": {column: {"names": [...]}}}}, for lists
    one level below.
    """
    try:
        content = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        feature = content["info"]["features"][column]
        names = feature.get("feature", feature)["names"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
    return names if isinstance(names, list) and all(isinstance(n, str) for n in names) else []


def _with_name(value: Any, names: list[str]) -> Any:
    """Return the name of a number, or those of a list; -1 stands for none."""
    if isinstance(value, list):
        return [_with_name(each, names) for each in value]
    if isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    return None if value == -1 else value


def _check_columns(schema: pa.Schema, chosen: Chosen) -> None:
    """Raise ValueError if a name is that of several columns, or a text column has no strings."""
    for column in chosen.texts + chosen.others:
        if schema.names.count(column) > 1:
            raise ValueError(f"several columns are called {column!r}: rename the others")
        kind = schema.field(column).type
        if column in chosen.texts and not _is_string(kind):
            raise ValueError(
                f"column {column!r} is of type {kind}, expected strings: {_TO_STRINGS}"
            )


def _is_string(kind: pa.DataType) -> bool:
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    types = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(is_type(kind) for is_type in types)


def read_plain(stream: Iterable[str], choose: ColumnChooser, note: Note) -> Iterator[Row]:
    """Read one text per line; `choose` is not called, because plain text has no columns."""
    counts: list[tuple[int, ...]] = []  # of each separator in the first lines
    for line in stream:
        if len(counts) < _FIRST_LINES and line.strip():
            counts.append(tuple(map(line.count, SEPARATORS)))
        yield (line,)
    for text in _notes_on_rows(counts):
        note(text)


def _notes_on_rows(counts: list[tuple[int, ...]]) -> Iterator[str]:
    """Say that lines with the same number of a separator look like the rows of a table."""
    if len(counts) < _FEWEST_ROWS:
        return
    for separator, of_lines in zip(SEPARATORS, zip(*counts, strict=True), strict=True):
        if of_lines[0] and len(set(of_lines)) == 1:
            suffix = ".tsv" if separator == "\t" else ".csv"
            yield (
                f"each line is a text, but they look like rows of {of_lines[0] + 1} columns "
                f"separated by {NAMES[separator]}; to read one column, rename it to {suffix}"
            )
            return


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
        raise _format_error(url, suffix)
    return _READERS[suffix]


def _format_error(url: str, suffix: str) -> CorpusError:
    """Return the error of a suffix that is not read, with the way out."""
    path = PurePosixPath(url)
    if not suffix and path.suffix.lower() in COMPRESSIONS:
        example = f"{path.stem}.csv{path.suffix}"
        return CorpusError(
            f"{url}: its name does not say the format inside; if it is CSV, rename it to {example}"
        )
    if way_out := WAYS_OUT.get(suffix):
        return CorpusError(f"{url}: {suffix} is not a format that is read: {way_out}")
    return CorpusError(
        f"{url}: no known format; known are {', '.join(_READERS)}, each also as .gz, "
        ".bz2, .xz or .zip, such as reviews.csv.zip: convert or rename the file"
    )
