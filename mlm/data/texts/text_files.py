"""Files to raw rows: paths, globs and URLs, opened by fsspec, in a stream.

    for row in read_rows("hf://datasets/me/reviews/train.csv.gz", None, encoding=None): ...

Nothing here changes a text; cleaning is `texts.py`. A file is never held whole: it is decompressed,
decoded and parsed as it arrives. What cannot be is a `CorpusError` naming the file and the way out.
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
from typing import IO, Any

import fsspec

from mlm.data.texts.text_column import Columns, choose_column
from mlm.data.texts.text_formats import read_parquet, read_plain, reader_of, suffix_of
from mlm.errors import CorpusError

_BLOCK = 1 << 20  # bytes


def expand_files(files: Sequence[str | Path]) -> list[str]:
    """The paths and URLs that `files` names: globs expanded in sorted order, each file once.

    Raises:
        CorpusError: a file is missing, a glob matches nothing, a folder is given, a suffix unknown.
    """
    found = expand_paths([files] if isinstance(files, (str, Path)) else files)
    if not found:
        raise CorpusError("no text file was given: name one with --train_file")
    for url in found:
        reader_of(url)
    return found


def expand_paths(patterns: Sequence[str | Path]) -> list[str]:
    """As `expand_files`, for files of any kind."""
    found = (_expand(os.fspath(pattern)) for pattern in patterns)
    return list(dict.fromkeys(chain.from_iterable(found)))


def file_identity(url: str) -> dict[str, Any]:
    """What tells one version of a file from another: `name`, `size` in bytes, and `sha256`.

    A remote file has `listing_sha256` for it, over what its file system says of it (etag, blob id,
    ...), because hashing its bytes would be a download at every start.
    The name carries no local folder: manifests are published with checkpoints.
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
    """Yield the texts of one file in its order, "" where a row has none.

    Args:
        text_column: None finds the one obvious column.
        encoding: of the characters; None is UTF-8.
        on_column: is told the column that is read, once.
    Raises:
        CorpusError: the file cannot be opened, decoded or parsed, or has no such column.
    """

    def choose(columns: Columns) -> str:
        column = choose_column(text_column, columns, url)
        on_column(column)
        return column

    read = reader_of(url)
    codec = codec_name(encoding)
    with reading_errors(url, codec), _open(url) as stream:
        source = stream if read is read_parquet else io.TextIOWrapper(stream, codec, newline="")
        yield from read(source, choose)


def codec_name(encoding: str | None) -> str:
    """Python's name for an encoding; UTF-8, also where None, skips a byte order mark.

    Raises:
        CorpusError: there is no such text encoding.
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
    """Whether the file's format has named columns (all but plain text)."""
    return reader_of(url) is not read_plain


def has_encoding(url: str) -> bool:
    """Whether the file is characters in some encoding (all but Parquet)."""
    return reader_of(url) is not read_parquet


def is_remote(url: str) -> bool:
    """Whether the file is reached through a URL scheme other than `file`."""
    return "://" in url and not url.startswith("file://")


def mending_command(url: str) -> str:
    """The shell command that drops the characters of a file that are not UTF-8."""
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


def _type_of(filesystem: Any, path: str) -> str | None:
    """ "file", "directory" or None. (`isfile` says no to a file that cannot be reached, too.)"""
    try:
        return filesystem.info(path)["type"]
    except FileNotFoundError:
        return None


def _open(url: str) -> IO[bytes]:
    return fsspec.open(url, "rb", compression="infer").open()


@contextmanager
def reading_errors(url: str, codec: str = "utf-8-sig") -> Iterator[None]:
    """Turn what opening, decoding and parsing `url` may raise into CorpusErrors of one line."""
    try:
        yield
    except CorpusError:
        raise
    except UnicodeError:
        raise _undecodable(url, codec) from None
    except FileNotFoundError:
        raise CorpusError(f"{url}: no such file: check the path") from None
    except (EOFError, zlib.error) as error:
        reason = _one_line(error)
        raise CorpusError(f"{url} is cut short or damaged ({reason}): fetch it again") from None
    except (OSError, ImportError) as error:
        raise CorpusError(f"{url} cannot be opened: {_one_line(error)}") from None
    except ValueError as error:
        raise CorpusError(f"{url} cannot be read: {_one_line(error)}") from None
    except Exception as error:
        # A remote file system raises whatever its HTTP client does (httpx, botocore, ...).
        if not is_remote(url):
            raise
        reason = f"{type(error).__name__}: {_one_line(error)}"
        raise CorpusError(f"{url} cannot be fetched: {reason}") from None


def _one_line(error: Exception) -> str:
    if type(error).__name__ == "EmptyDataError":  # pandas: "No columns to parse from file"
        return "it is empty; give a file with a header and texts"
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    return " ".join(str(error).split()) or type(error).__name__


# Bytes that are not in the encoding ---------------------------------------------------------------


def _undecodable(url: str, codec: str) -> CorpusError:
    """The error for such bytes: which and where, and the setting that may help."""
    name = codec.removesuffix("-sig")
    with _open(url) as stream:
        where = _first_bad_byte(stream, name)
    if name != "utf-8":
        advice = "leave --encoding out for UTF-8, or try --encoding ISO-8859-1"
    else:
        with _open(url) as stream:
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
            # error.object is the block with what the decoder kept of the one before in front.
            offset = read - len(error.object) + error.start
            return f"byte 0x{error.object[error.start]:02x} at offset {offset:,}"
        except UnicodeError as error:  # UTF-16 without a byte order mark
            return _one_line(error)
    return "bytes that cannot be decoded"


def _advice_for_utf8(stream: IO[bytes], url: str) -> str:
    """What to do; a few broken characters are no reason to read all as something else."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    block = stream.read(_BLOCK)
    if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "try --encoding utf-16"
    broken = accented = 0
    while block:
        text = decoder.decode(block)
        broken += text.count("\ufffd")
        accented += len(text) - len(text.encode("ascii", "ignore"))
        block = stream.read(_BLOCK)
    if accented > 2 * broken:
        command = mending_command(url)
        return f"all but {broken:,} of its characters are, so drop those with `{command}`"
    return "try --encoding ISO-8859-1 or --encoding cp1252"
