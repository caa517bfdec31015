"""Stream raw rows from files: paths, globs and URLs, opened by fsspec.

    for row in read_rows("hf://datasets/me/reviews/train.csv.gz", None, encoding=None): ...

Texts are not changed here; see cleaning.py. A file is never in memory as a whole: it is
decompressed, decoded and parsed while it is read. If that fails, a `CorpusError` names the file and
the remedy.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path, PurePosixPath

import fsspec

from mlm.data.texts.containers import Member, find_members
from mlm.data.texts.csv_rows import Note
from mlm.data.texts.encoding_detection import decoding_error, iso_2022_error, utf16_error
from mlm.data.texts.encodings import (
    Codec,
    DecodedText,
    encoding_of_bom,
    encoding_of_zeros,
    has_japanese_escapes,
    is_latin_1,
)
from mlm.data.texts.text_column import Chosen, ColumnChooser, Columns, Row, choose_column
from mlm.data.texts.text_formats import Reader, read_parquet, read_plain, reader_of, suffix_of
from mlm.errors import CorpusError, one_line


def expand_files(
    files: Sequence[str | Path], readers: Mapping[str, Reader] | None = None
) -> list[str]:
    """Return the paths and URLs that `files` names: globs expanded in sorted order, each file once.

    readers: of more suffixes; see `read_columns`.

    Raises:
        CorpusError: a file is missing, a glob matches nothing, or a name is that of a folder or
            has an unknown suffix.
    """
    found = expand_paths([files] if isinstance(files, (str, Path)) else files)
    if not found:
        raise CorpusError("no text file was given: name one with --train_file")
    for url in found:
        _reader_of(url, readers)
    return found


def expand_paths(patterns: Sequence[str | Path]) -> list[str]:
    """Return what `expand_files` does, for files of any format and possibly none."""
    found = (_expand(os.fspath(pattern)) for pattern in patterns)
    return list(dict.fromkeys(chain.from_iterable(found)))


def file_identity(url: str) -> dict[str, str | int]:
    """Return what distinguishes versions of a file: `name`, `size` in bytes, and `sha256`.

    A remote file has `listing_sha256` instead, over its file system's metadata (etag, blob id,
    ...), because hashing its bytes would download it at every start. The name does not include the
    local folder, because manifests are published with checkpoints.
    """
    with reading_errors(url):
        filesystem, path = fsspec.core.url_to_fs(url)
        name, size = PurePosixPath(path).name, int(filesystem.size(path) or 0)
        if is_remote(url):
            name = url if url.startswith("hf://") else name
            return {"name": name, "size": size, "listing_sha256": str(filesystem.ukey(path))}
        with Path(path).open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return {"name": name, "size": size, "sha256": digest}


def version_of(url: str) -> tuple[int, int] | None:
    """Return size and time of change of a local file, None of a remote one.

    They tell whether a file was written while it was read.
    """
    if is_remote(url):
        return None
    with reading_errors(url):
        _, path = fsspec.core.url_to_fs(url)
        status = Path(path).stat()
    return status.st_size, status.st_mtime_ns


def read_rows(
    url: str,
    text_column: str | None,
    *,
    encoding: str | None,
    encoding_errors: str = "strict",
    on_column: Callable[[str, str], object] = lambda name, column: None,
    note: Callable[[str], object] = lambda text: None,
) -> Iterator[str]:
    """Yield the raw texts of one file in its order, "" for a row without a text.

    Args:
        url: a path or URL; its suffix gives the format. Of a zip, all files of the format are read.
        text_column: None finds the one obvious column.
        encoding: None is UTF-8; a byte order mark overrules it.
        encoding_errors: "strict", "replace" or "ignore", for bytes that cannot be decoded.
        on_column: called with the name of a file, or entry of a zip, and the column that is read.
        note: called with remarks about what was unusual and how it was read.

    Raises:
        CorpusError: the file cannot be opened, decoded or parsed, or has no such column.
    """

    def choose(columns: Columns, name: str, own: Note) -> Chosen:
        column = choose_column(text_column, columns, name, own)
        on_column(name, column)
        return Chosen((column,))

    rows = read_columns(url, choose, encoding=encoding, encoding_errors=encoding_errors, note=note)
    return (text for (text,) in rows)


def read_columns(
    url: str,
    choose: Callable[[Columns, str, Note], Chosen],
    *,
    encoding: str | None,
    encoding_errors: str = "strict",
    note: Note = lambda text: None,
    readers: Mapping[str, Reader] | None = None,
    shows_all: bool = False,
) -> Iterator[Row]:
    """Yield the values of some columns of one file, a tuple per row in its order.

    Args:
        url: a path or URL; see `read_rows`.
        choose: called with the first rows as {column: values}, the name of the file or entry of a
            zip, and a function for remarks; returns the columns. Not called for plain text, whose
            rows are the lines.
        encoding: see `read_rows`.
        encoding_errors: see `read_rows`.
        note: called with remarks about what was unusual and how it was read.
        readers: suffix -> reader, beside and before the usual ones.
        shows_all: see `read_parquet`.

    Raises:
        CorpusError: the file cannot be opened, decoded or parsed; or from `choose`.
    """
    with reading_errors(url):
        members, notes = find_members(url, suffix_of(url))
    for text in notes:
        note(text)
    read = _reader_of(url, readers)
    if read is read_parquet:
        read = partial(read_parquet, shows_all=shows_all)
    for member in members:
        own = _note_with(f"{member.entry}: ", note) if len(members) > 1 else note
        chooser = _with_name(choose, str(member), own)
        with reading_errors(str(member)):
            yield from _read_member(member, read, chooser, own, encoding, encoding_errors)


def _reader_of(url: str, readers: Mapping[str, Reader] | None) -> Reader:
    return (readers or {}).get(suffix_of(url)) or reader_of(url)


def _note_with(prefix: str, note: Note) -> Note:
    return lambda text: note(f"{prefix}{text}")


def _with_name(
    choose: Callable[[Columns, str, Note], Chosen], name: str, note: Note
) -> ColumnChooser:
    return lambda columns: choose(columns, name, note)


def _read_member(
    member: Member,
    read: Reader,
    choose: ColumnChooser,
    note: Note,
    encoding: str | None,
    encoding_errors: str,
) -> Iterator[Row]:
    if has_encoding(member.url):
        yield from _read_characters(member, read, choose, note, encoding, encoding_errors)
        return
    with member.open() as stream:
        yield from read(stream, choose, note)


def _read_characters(
    member: Member,
    read: Reader,
    choose: ColumnChooser,
    note: Note,
    encoding: str | None,
    encoding_errors: str,
) -> Iterator[Row]:
    codec = _find_codec(member, encoding, note)
    try:
        with member.open() as stream:
            text = codec.decode(stream, encoding_errors)
            yield from read(text, choose, note)
            if isinstance(text, DecodedText) and text.invalid:
                done = "replaced by U+FFFD" if encoding_errors == "replace" else "left out"
                note(
                    f"{text.invalid:,} invalid byte sequence{'s' * (text.invalid > 1)} {done}, "
                    f"the first in “{text.example}”"
                )
    except UnicodeError:
        raise decoding_error(member, codec.name) from None


def _find_codec(member: Member, encoding: str | None, note: Note) -> Codec:
    """Return the codec of a byte order mark, else of the user's encoding, else UTF-8.

    The mark comes first, as in browsers: an encoding is given for all files of a run.
    """
    head = member.head()
    marked, given = encoding_of_bom(head), Codec.of(encoding)
    if marked and given.name.removesuffix("-sig") != marked:
        instead = f", not as {encoding}" if encoding else ""
        note(f"read as {marked.upper()}, as its byte order mark says{instead}")
        return Codec.of(marked)
    if encoding is not None:
        if is_latin_1(encoding):
            note(f"{encoding} is read as Windows-1252, as browsers do")
        return given
    if found := encoding_of_zeros(head):
        raise utf16_error(member, found)
    if has_japanese_escapes(head):
        raise iso_2022_error(member)
    return Codec.of(None)


def has_columns(url: str) -> bool:
    """Return whether the file's format has named columns (all but plain text)."""
    return reader_of(url) is not read_plain


def has_encoding(url: str) -> bool:
    """Return whether the file's format depends on an encoding (all but Parquet)."""
    return suffix_of(url) != ".parquet"


def is_remote(url: str) -> bool:
    """Return whether the URL has a scheme other than `file`."""
    return "://" in url and not url.startswith("file://")


# Opening ------------------------------------------------------------------------------------------


def _expand(pattern: str) -> list[str]:
    with reading_errors(pattern):
        if not pattern.strip():
            raise CorpusError("a file's name is empty: name a text file")
        filesystem, path = fsspec.core.url_to_fs(pattern)
        kind = _type_of(filesystem, path)
        if kind == "file":
            return [pattern]
        if kind == "other":
            raise CorpusError(
                f"{pattern} is a pipe or a device, which cannot be read twice: write it to a file"
            )
        if kind == "directory":
            example = f"{pattern.rstrip('/')}/*.csv"
            raise CorpusError(f"{pattern} is a folder: name its files, for example '{example}'")
        if not any(sign in path for sign in "*?["):
            raise FileNotFoundError
        found = sorted(filesystem.glob(path, detail=True).items())
        names = [
            name for name, info in found if info["type"] == "file" and not _is_hidden(name, path)
        ]
        if not names:
            raise CorpusError(f"{pattern} matches no file: check the pattern")
        return (
            [filesystem.unstrip_protocol(name) for name in names] if is_remote(pattern) else names
        )


def _is_hidden(name: str, pattern: str) -> bool:
    """Return whether a shell would leave out a file: a part begins with a dot, unlike the pattern.

    macOS writes `._reviews.csv` beside `reviews.csv` on other systems' disks.
    """
    hidden = {part for part in PurePosixPath(name).parts if part.startswith(".")}
    return any(part not in PurePosixPath(pattern).parts for part in hidden) and not any(
        part.startswith(".") and any(sign in part for sign in "*?[")
        for part in PurePosixPath(pattern).parts
    )


def _type_of(filesystem: fsspec.AbstractFileSystem, path: str) -> str | None:
    """Return "file", "directory", "other" or None.

    Unlike `isfile`, which is also False for a file that cannot be reached, this raises then.
    """
    try:
        kind: str = filesystem.info(path)["type"]
    except FileNotFoundError:
        return None
    return kind


@contextmanager
def reading_errors(url: str) -> Iterator[None]:
    """Turn the errors of opening and parsing `url` into CorpusErrors of one line."""
    try:
        yield
    except CorpusError:
        raise
    except FileNotFoundError:
        raise CorpusError(f"{url}: no such file: check the path") from None
    except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        reason = _reason(error)
        raise CorpusError(f"{url} is cut short or damaged ({reason}): fetch it again") from None
    except (OSError, ImportError) as error:
        raise CorpusError(f"{url} cannot be opened: {_reason(error)}") from None
    except ValueError as error:
        raise CorpusError(f"{url} cannot be read: {_reason(error)}") from None
    except Exception as error:
        # Of a parser, or of the HTTP client of a remote file system (httpx, botocore, ...).
        done = "fetched" if is_remote(url) else "read"
        reason = f"{type(error).__name__}: {_reason(error)}"
        raise CorpusError(f"{url} cannot be {done}: {reason}") from None


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    return one_line(error) or type(error).__name__
