"""Stream raw rows from files: paths, globs and URLs, opened by fsspec.

    for row in read_rows("hf://datasets/me/reviews/train.csv.gz", None, encoding=None): ...

Texts are not changed here; see cleaning.py. A file is never in memory as a whole: it is
decompressed, decoded and parsed while it is read. If that fails, a `CorpusError` names the file and
the remedy.
"""

from __future__ import annotations

import codecs
import hashlib
import io
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import IO

import fsspec

from mlm.data.texts.text_column import Columns, choose_column
from mlm.data.texts.text_formats import read_parquet, read_plain, reader_of, suffix_of
from mlm.errors import CorpusError, one_line

_BLOCK = 1 << 20  # bytes


def expand_files(files: Sequence[str | Path]) -> list[str]:
    """Return the paths and URLs that `files` names: globs expanded in sorted order, each file once.

    Raises:
        CorpusError: a file is missing, a glob matches nothing, or a name is that of a folder or
            has an unknown suffix.
    """
    found = expand_paths([files] if isinstance(files, (str, Path)) else files)
    if not found:
        raise CorpusError("no text file was given: name one with --train_file")
    for url in found:
        reader_of(url)
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


def read_rows(
    url: str,
    text_column: str | None,
    *,
    encoding: str | None,
    on_column: Callable[[str], object] = lambda column: None,
) -> Iterator[str]:
    """Yield the raw texts of one file in its order, "" for a row without a text.

    Args:
        url: a path or URL; its suffix gives the format.
        text_column: None finds the one obvious column.
        encoding: None is UTF-8.
        on_column: called once, with the name of the column that is read.

    Raises:
        CorpusError: the file cannot be opened, decoded or parsed, or has no such column.
    """

    def choose(columns: Columns) -> str:
        column = choose_column(text_column, columns, url)
        on_column(column)
        return column

    read = reader_of(url)
    codec = codec_name(encoding)
    with reading_errors(url, codec), _open_binary(url) as stream:
        source = stream if read is read_parquet else io.TextIOWrapper(stream, codec, newline="")
        yield from read(source, choose)


def codec_name(encoding: str | None) -> str:
    """Return Python's name for an encoding; None is UTF-8, which skips a byte order mark.

    Raises:
        CorpusError: the text encoding is unknown.
    """
    try:
        "".encode(encoding or "utf-8")
        name = codecs.lookup(encoding or "utf-8").name
    except (LookupError, ValueError):
        raise CorpusError(
            f"--encoding {encoding} is not known: use utf-8, ISO-8859-1, cp1252, utf-16, ..."
        ) from None
    return "utf-8-sig" if name == "utf-8" else name


def has_columns(url: str) -> bool:
    """Return whether the file's format has named columns (all but plain text)."""
    return reader_of(url) is not read_plain


def has_encoding(url: str) -> bool:
    """Return whether the file's format depends on an encoding (all but Parquet)."""
    return reader_of(url) is not read_parquet


def is_remote(url: str) -> bool:
    """Return whether the URL has a scheme other than `file`."""
    return "://" in url and not url.startswith("file://")


def repair_command(url: str) -> str:
    """Return the shell command that drops the bytes of a file that are not UTF-8."""
    name = PurePosixPath(url).name
    source = f"zcat {name} | iconv" if name.endswith(".gz") else "iconv"
    file = "" if name.endswith(".gz") else f" {name}"
    return f"{source} -c -f utf-8 -t utf-8{file} > mended{suffix_of(url)}"


# Opening ------------------------------------------------------------------------------------------


def _expand(pattern: str) -> list[str]:
    with reading_errors(pattern):
        filesystem, path = fsspec.core.url_to_fs(pattern)
        if _type_of(filesystem, path) == "file":
            return [pattern]
        if _type_of(filesystem, path) == "directory":
            example = f"{pattern.rstrip('/')}/*.csv"
            raise CorpusError(f"{pattern} is a folder: name its files, for example '{example}'")
        if not any(sign in path for sign in "*?["):
            raise FileNotFoundError
        found = sorted(filesystem.glob(path, detail=True).items())
        names = [name for name, info in found if info["type"] == "file"]
        if not names:
            raise CorpusError(f"{pattern} matches no file: check the pattern")
        return (
            [filesystem.unstrip_protocol(name) for name in names] if is_remote(pattern) else names
        )


def _type_of(filesystem: fsspec.AbstractFileSystem, path: str) -> str | None:
    """Return "file", "directory" or None.

    Unlike `isfile`, which is also False for a file that cannot be reached, this raises then.
    """
    try:
        kind: str = filesystem.info(path)["type"]
    except FileNotFoundError:
        return None
    return kind


def _open_binary(url: str) -> IO[bytes]:
    stream: IO[bytes] = fsspec.open(url, "rb", compression="infer").open()
    return stream


@contextmanager
def reading_errors(url: str, codec: str = "utf-8-sig") -> Iterator[None]:
    """Turn the errors of opening, decoding and parsing `url` into CorpusErrors of one line."""
    try:
        yield
    except CorpusError:
        raise
    except UnicodeError:
        raise _decoding_error(url, codec) from None
    except FileNotFoundError:
        raise CorpusError(f"{url}: no such file: check the path") from None
    except (EOFError, zlib.error) as error:
        reason = _reason(error)
        raise CorpusError(f"{url} is cut short or damaged ({reason}): fetch it again") from None
    except (OSError, ImportError) as error:
        raise CorpusError(f"{url} cannot be opened: {_reason(error)}") from None
    except ValueError as error:
        raise CorpusError(f"{url} cannot be read: {_reason(error)}") from None
    except Exception as error:
        # A remote file system passes on the errors of its HTTP client (httpx, botocore, ...).
        if not is_remote(url):
            raise
        reason = f"{type(error).__name__}: {_reason(error)}"
        raise CorpusError(f"{url} cannot be fetched: {reason}") from None


def _reason(error: Exception) -> str:
    if type(error).__name__ == "EmptyDataError":  # pandas: "No columns to parse from file"
        return "it is empty; give a file with a header and texts"
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    return one_line(error) or type(error).__name__


# Bytes that cannot be decoded ---------------------------------------------------------------------


def _decoding_error(url: str, codec: str) -> CorpusError:
    """Return the error that names the first bad byte, its offset and the setting that may help."""
    name = codec.removesuffix("-sig")
    with _open_binary(url) as stream:
        where = _first_bad_byte(stream, name)
    if name != "utf-8":
        advice = "leave --encoding out for UTF-8, or try --encoding ISO-8859-1"
    else:
        with _open_binary(url) as stream:
            advice = _advice_for_utf8(stream, url)
    return CorpusError(f"{url} is not {name.upper()}: {where}; {advice}")


def _first_bad_byte(stream: IO[bytes], codec: str) -> str:
    decoder = codecs.getincrementaldecoder(codec)()
    read, block = 0, b"-"
    while block:
        block = stream.read(_BLOCK)
        read += len(block)
        try:
            decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            # error.object begins with the bytes that the decoder kept of the previous block.
            offset = read - len(error.object) + error.start
            return f"byte 0x{error.object[error.start]:02x} at offset {offset:,}"
        except UnicodeError as error:  # UTF-16 without a byte order mark
            return _reason(error)
    return "bytes that cannot be decoded"


def _advice_for_utf8(stream: IO[bytes], url: str) -> str:
    """Return the advice; a few invalid bytes alone do not suggest another encoding."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    block = stream.read(_BLOCK)
    if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "try --encoding utf-16"
    invalid = accented = 0
    while block:
        text = decoder.decode(block)
        invalid += text.count("\ufffd")
        accented += len(text) - len(text.encode("ascii", "ignore"))
        block = stream.read(_BLOCK)
    if accented > 2 * invalid:
        command = repair_command(url)
        return f"all but {invalid:,} of its characters are valid, so drop those with `{command}`"
    return "try --encoding ISO-8859-1 or --encoding cp1252"
