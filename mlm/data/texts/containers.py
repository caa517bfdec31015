"""Open what a text file really is, by its first bytes: plain, compressed, or a zip with entries.

    members, notes = find_members("reviews.csv.zip", ".csv")
    with members[0].open() as stream: ...

A name may promise what its bytes do not hold. Compressed bytes are decompressed whatever the name
says; a workbook, a PDF or a web page is refused with the way to turn it into texts.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, cast

import fsspec

from mlm.errors import CorpusError

COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zip": "zip"}
_SIGNATURES = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",  # without entries
}
HEAD_BYTES = 4096
_TO_TEXT = "save it as “CSV UTF-8”, or convert it: pandas.read_excel(...).to_parquet(...)"
_UNPACK = "unpack it, and name its files"
_TO_LINES = "rename it to .txt, to read each line as a text"
WAYS_OUT = {  # suffix of a format that is not read -> the way to one that is
    **dict.fromkeys((".xlsx", ".xls", ".xlsm", ".ods"), _TO_TEXT),
    **dict.fromkeys((".docx", ".doc", ".odt", ".rtf", ".pptx", ".epub"), "save it as plain text"),
    **dict.fromkeys((".html", ".htm", ".xml"), "save its texts as .txt or .csv"),
    **dict.fromkeys((".tar", ".tgz", ".tbz2", ".txz", ".7z", ".rar"), _UNPACK),
    **dict.fromkeys((".md", ".rst", ".log", ".text"), _TO_LINES),
    **dict.fromkeys((".db", ".sqlite", ".sqlite3", ".sql"), "export the texts as CSV"),
    ".arrow": "convert it: datasets.Dataset.from_file(...).to_parquet(...)",
    ".feather": "convert it: pandas.read_feather(...).to_parquet(...)",
    ".pdf": "extract its text, for example with pdftotext",
    ".zst": "decompress it, or use .gz",
    ".tab": "rename it to .tsv",
}
_FOREIGN = {  # first bytes -> what they are, and the way to texts
    b"PAR1": "is a Parquet file: rename it to .parquet",
    b"ARROW1": "is an Arrow file: convert it: pandas.read_feather(...).to_parquet(...)",
    b"%PDF": "is a PDF: extract its text, for example with pdftotext",
    **dict.fromkeys((b"\x89PNG", b"GIF8", b"\xff\xd8\xff"), "is an image: give a file of texts"),
    b"{\\rtf": "is a rich-text document: save it as plain text",
    b"\xd0\xcf\x11\xe0": f"is an old Office document: {_TO_TEXT}",
    b"\x28\xb5\x2f\xfd": "is compressed by zstd, which is not read: decompress it, or use .gz",
    b"7z\xbc\xaf\x27\x1c": "is a 7z archive, which is not read: unpack it, or use .zip",
    b"SQLite format 3": "is an SQLite database: export the texts as CSV",
    b"version https://git-lfs": "is a pointer of Git LFS, not the file: run `git lfs pull`",
}
_WEB_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html)[\s>]", re.IGNORECASE)
_OFFICE = b"PK\x03\x04\x14\x00\x06\x00"  # as Microsoft's programs begin their files
_OFFICE_ENTRIES = {"[Content_Types].xml", "mimetype"}  # of Microsoft's files, and of OpenDocument


@dataclass(frozen=True)
class Member:
    """A file, or an entry of a zip.

    compression: "gzip", "bz2", "xz", "zip" or None; entry: its name in the zip.
    """

    url: str
    compression: str | None
    entry: str | None = None

    def __str__(self) -> str:
        """Return the path or URL, with the entry."""
        return f"{self.url}: {self.entry}" if self.entry else self.url

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Open the decompressed bytes."""
        with ExitStack() as opened:
            raw = opened.enter_context(open_raw(self.url))
            yield opened.enter_context(self._decompress(raw, opened))

    def _decompress(self, raw: IO[bytes], opened: ExitStack) -> IO[bytes]:
        if self.compression == "gzip":
            return cast(IO[bytes], gzip.GzipFile(fileobj=raw))
        if self.compression == "bz2":
            return cast(IO[bytes], bz2.BZ2File(raw))
        if self.compression == "xz":
            return cast(IO[bytes], lzma.LZMAFile(raw))
        if self.compression == "zip":
            return opened.enter_context(zipfile.ZipFile(raw)).open(self.entry or "")
        return raw

    def head(self) -> bytes:
        """Return the first bytes, decompressed."""
        with self.open() as stream:
            return stream.read(HEAD_BYTES)


def open_raw(url: str) -> IO[bytes]:
    """Open a path or URL, not decompressed."""
    stream: IO[bytes] = fsspec.open(url, "rb", compression=None).open()
    return stream


def find_members(url: str, suffix: str) -> tuple[list[Member], list[str]]:
    """Return what to read of a file, and notes for its user.

    Args:
        url: a path or URL.
        suffix: of the format to read, such as ".csv"; entries of a zip with another are skipped.

    Raises:
        CorpusError: its bytes are not of this format, or a zip holds nothing to read.
        OSError, zipfile.BadZipFile, ...: it cannot be opened.
    """
    with open_raw(url) as raw:
        head = raw.read(HEAD_BYTES)
    found = next((kind for start, kind in _SIGNATURES.items() if head.startswith(start)), None)
    named = COMPRESSIONS.get(PurePosixPath(url.lower()).suffix)
    if head.startswith(_OFFICE):
        raise _office_error(url)
    if found is None and named:
        problem = "is empty" if not head else f"is not compressed by {named}, as its name says"
        raise CorpusError(f"{url} {problem}: fetch it again, or rename it")
    notes = [] if found == named else [f"decompressed: it is a {found} file, whatever its name"]
    if found == "zip":
        members, skipped = _zip_members(url, suffix)
        notes += skipped
    else:
        members = [Member(url, found)]
    for member in members:
        _refuse_foreign(member, suffix)
    return members, notes


def _zip_members(url: str, suffix: str) -> tuple[list[Member], list[str]]:
    """Return the entries of the format; folders, hidden files and those of macOS do not count."""
    with open_raw(url) as raw, zipfile.ZipFile(raw) as archive:
        entries = [entry for entry in archive.infolist() if not _is_hidden(entry)]
    if _OFFICE_ENTRIES & {entry.filename for entry in entries}:
        raise _office_error(url)
    chosen = [entry for entry in entries if entry.filename.lower().endswith(suffix)]
    if not chosen and len(entries) == 1 and not PurePosixPath(entries[0].filename).suffix:
        chosen = entries
    names = ", ".join(entry.filename for entry in entries[:5]) or "no files"
    if not chosen:
        raise CorpusError(f"{url} holds {names}, expected files that end in {suffix}")
    if any(entry.flag_bits & 1 for entry in chosen):
        raise CorpusError(f"{url} is encrypted: unpack it with its password first")
    others = [entry.filename for entry in entries if entry not in chosen]
    notes = []
    if len(chosen) > 1:
        notes.append(f"{len(chosen):,} files in it are read")
    if others:
        skipped = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
        notes.append(f"{skipped} in it skipped, expected {suffix}")
    return [Member(url, "zip", entry.filename) for entry in chosen], notes


def _office_error(url: str) -> CorpusError:
    return CorpusError(f"{url} is a workbook such as .xlsx, or another Office document: {_TO_TEXT}")


def _is_hidden(entry: zipfile.ZipInfo) -> bool:
    parts = PurePosixPath(entry.filename).parts
    return entry.is_dir() or "__MACOSX" in parts or any(part.startswith(".") for part in parts)


def _refuse_foreign(member: Member, suffix: str) -> None:
    """Raise CorpusError if the first bytes are those of something that is not a text file."""
    head = member.head()
    if head[257:262] == b"ustar":
        raise CorpusError(f"{member} is a tar archive: {_UNPACK}")
    for start, problem in _FOREIGN.items():
        if head.startswith(start) and not (start == b"PAR1" and suffix == ".parquet"):
            raise CorpusError(f"{member} {problem}")
    if _WEB_PAGE.match(head):
        raise CorpusError(
            f"{member} is a web page, perhaps the error message of a download: fetch it again, or "
            "save the page's text"
        )
