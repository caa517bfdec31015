"""A file of texts in and a file of results out, as `mlm fill` and `mlm classify` have them."""

import codecs
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, TypeVar

from mlm.backend.atomic_files import replacing_file
from mlm.errors import ConfigError
from mlm.terminal.progress import Bar, progress

if TYPE_CHECKING:
    from mlm.inference.row_reading import Table

USUAL_SEPARATORS = {".csv": ",", ".tsv": "\t"}
FILE_ENDINGS = (*USUAL_SEPARATORS, ".txt")


class Result(Protocol):
    """The result of a row."""

    @property
    def number(self) -> int:
        """The row's number."""

    @property
    def error(self) -> str | None:
        """The reason why the row has no answer, or None."""


Written = TypeVar("Written", bound=Result, contravariant=True)


class ResultWriter(Protocol[Written]):
    """Writes results one after the other."""

    def write(self, result: Written, /) -> None:
        """Write the lines of one row."""


def is_row_file(text: str) -> bool:
    """Return True if an argument names a file: a file that exists, or one word that ends so."""
    if text.lower().endswith(FILE_ENDINGS) and not any(map(str.isspace, text)):
        return True
    with suppress(OSError, ValueError):  # too long for a name, or a zero byte
        return Path(text).is_file()
    return False


def check_files(output: Path | None, input_file: Path | None) -> None:
    """Raise ConfigError for a file that does not exist, or an output that cannot be written."""
    if input_file and not input_file.exists():
        raise ConfigError(f"the file {str(input_file)!r} does not exist: check its name")
    if output is None:
        return
    if not output.absolute().parent.is_dir():
        raise ConfigError(
            f"--output is {str(output)!r}, whose folder does not exist; make it, or choose another"
        )
    if output.is_dir():
        raise ConfigError(f"--output is {str(output)!r}, a folder; give the name of a file")
    if input_file and output.exists() and output.samefile(input_file):
        raise ConfigError("--output is the file that is read: choose another name")


@contextmanager
def open_output(path: Path | None) -> Iterator[BinaryIO]:
    """Open the output, None for standard output. Raises ConfigError if it cannot be written."""
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        with replacing_file(path) as stream:
            yield stream
    except OSError as error:
        raise ConfigError(
            f"cannot write {str(path)!r}: {error.strerror}; choose another --output"
        ) from None


def row_progress(doing: str, output: Path | None) -> AbstractContextManager[Bar]:
    """Show how far it is, unless the rows themselves appear on the terminal."""
    if output is None and sys.stdout.isatty():
        return nullcontext(Bar(doing))
    return progress(doing, unit="rows")


class TextEncoder:
    """Encodes what is written to it; half a character, which UTF-8 has not, as `?`."""

    def __init__(self, stream: BinaryIO, *, is_csv_file: bool = False):
        """Take a stream; a CSV in a file has a byte order mark, which Excel needs."""
        self._stream = stream
        if is_csv_file:
            stream.write(codecs.BOM_UTF8)

    def write(self, text: str) -> None:
        """Write a text."""
        self._stream.write(text.encode("utf-8", "replace"))


def write_rows(
    results: Iterable[Written], writer: ResultWriter[Written], bar: Bar, lacking: str
) -> tuple[str, str]:
    """Write each row as soon as it has its result.

    Returns:
        The number of rows, such as "3 rows", and of those `lacking` a result, or "".
    """
    written, refused, first = 0, 0, ""
    for result in results:
        writer.write(result)
        bar.advance()
        written += 1
        if result.error:
            refused += 1
            first = first or f"the first in row {result.number}: {result.error}"
    bad = f"; {refused:,} without {lacking}, {first}" if refused else ""
    return f"{written:,} row" + ("s" if written != 1 else ""), bad


def file_notes(
    table: "Table", path: Path, columns: Sequence[str] | None, output: Path | None
) -> Iterator[str]:
    """Yield lines about how the file was read and where the result is.

    columns: the names that the result adds, of a CSV; None for JSON lines.
    """
    from mlm.data.texts.csv_dialect import NAMES
    from mlm.inference.row_writing import free_names

    if table.columns and table.separator != USUAL_SEPARATORS[path.suffix.lower()]:
        yield f"its cells are separated by {NAMES[table.separator]}"
    if columns is not None:
        for old, new in zip(table.others, free_names(table.others, columns), strict=True):
            if new != old:
                yield f"its column {old!r} is called {new!r} in the result"
    if output:
        yield f"written to {output}"
