"""Raw rows to clean texts: strip mark-up and control characters, normalize, drop duplicates.

    report = TextReport()
    texts = read_texts(["reviews/*.csv.gz"], text_column=None, encoding=None, report=report)
    for text in texts: ...
    print(report.summary())

Texts are read as a stream, and digests of those seen are kept in a temporary SQLite file, so that a
million rows take no more memory than ten thousand (scripts/benchmarks/memory_of_reading.py).
"""

from __future__ import annotations

import hashlib
import html
import re
import sqlite3
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from types import TracebackType

from mlm.data.texts.long_documents import parts_of
from mlm.data.texts.text_files import (
    codec_name,
    expand_files,
    has_columns,
    has_encoding,
    read_rows,
    repair_command,
)
from mlm.errors import CorpusError

CLEANING_VERSION = 2  # raise it if results of clean_text change: stores are then rebuilt

# Block tags become a space, inline tags are removed. Unknown tags (`<grin>`) are kept as text.
_ATTRIBUTES = r"(?:\s+[\w-]+\s*=[^<>]*)?\s*/?>"
_BLOCK_TAG = re.compile(
    rf"</?(?:br|p|div|hr|ul|ol|li|table|tr|td|th|h[1-6]|blockquote){_ATTRIBUTES}", re.IGNORECASE
)
_INLINE_TAG = re.compile(
    rf"</?(?:i|b|u|s|em|strong|small|big|sub|sup|span|font|a|tt){_ATTRIBUTES}", re.IGNORECASE
)
# The semicolon is required: `AT&T` and `R&Ds` are names, not entities.
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
# Control characters, byte order marks, and lone surrogates, which cannot be encoded.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ufeff\ud800-\udfff]")


@dataclass
class TextReport:
    """Row counts and warnings, summed over one or more passes of `read_texts`."""

    rows: int = 0
    files: int = 0
    empty: int = 0
    repeated: int = 0
    held_out: int = 0  # dropped from training because they are also in the validation files
    with_html: int = 0
    cut: int = 0  # rows that were too long for one document
    parts: int = 0  # into which they were cut
    columns: set[str] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """Return one line with the rows read, dropped and cleaned."""
        column = f" (column {', '.join(sorted(self.columns))})" if self.columns else ""
        files = f"{self.files:,} file" + ("s" if self.files != 1 else "")
        held_out = f", {self.held_out:,} also in the validation files" if self.held_out else ""
        return (
            f"{self.rows:,} rows read from {files}{column}: {self.empty:,} empty and "
            f"{self.repeated:,} repeated{held_out} dropped, {self.with_html:,} with HTML cleaned"
        )


def clean_text(text: str) -> tuple[str, bool]:
    """Return the text as one line of plain characters in Unicode form NFC, and whether it had HTML.

    NFC gives `é` and `e` plus combining accent one encoding, so that a text cannot be in the
    training split in one and in the validation split in the other. Entities are resolved before
    tags are removed, because scraped text often contains `&lt;br /&gt;`.
    """
    plain = _ENTITY.sub(_resolve_entity, text) if "&" in text else text
    if "<" in plain:
        plain = _INLINE_TAG.sub("", _BLOCK_TAG.sub(" ", plain))
    had_html = plain != text
    plain = " ".join(plain.split())
    if not plain.isprintable():
        plain = " ".join(_UNPRINTABLE.sub("", plain).split())
    return unicodedata.normalize("NFC", plain), had_html


def text_digest(text: str) -> bytes:
    """Return a 16-byte digest of a clean text; 128 bits make a chance collision negligible."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


class SeenTexts:
    """Set of text digests in a temporary SQLite file. A context manager that closes it.

    Uses SQLite's page cache, at most 8 MiB, whatever the number of texts. The file takes about 35
    bytes a text in SQLite's temporary folder, has no name and is removed with the process.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        for setting in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-8192"):
            self._database.execute(f"PRAGMA {setting}")
        self._database.execute("CREATE TABLE seen (digest BLOB PRIMARY KEY) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def add(self, digest: bytes) -> bool:
        """Add a digest; return whether it is new."""
        try:
            insert = "INSERT OR IGNORE INTO seen VALUES (?)"
            return self._database.execute(insert, (digest,)).rowcount == 1
        except sqlite3.OperationalError as error:
            raise CorpusError(
                f"the temporary file of text digests cannot be written ({error}): free space in "
                "the temporary folder, or set SQLITE_TMPDIR to a folder with more"
            ) from None

    def __contains__(self, digest: bytes) -> bool:
        found = self._database.execute("SELECT 1 FROM seen WHERE digest = ?", (digest,))
        return found.fetchone() is not None

    def __enter__(self) -> SeenTexts:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._database.close()


def read_texts(
    files: Sequence[str],
    *,
    text_column: str | None,
    encoding: str | None,
    report: TextReport,
    held_out: SeenTexts | None = None,
    remember: SeenTexts | None = None,
) -> Iterator[str]:
    """Yield the distinct clean texts of `files`, in the order of the files.

    Args:
        files: paths, globs, `hf://datasets/...` or other fsspec URLs. The suffix gives the format,
            also before `.gz`.
        text_column: None finds the one obvious column.
        encoding: None is UTF-8.
        report: its counts grow while the stream is consumed.
        held_out: texts in this set are dropped and counted.
        remember: the set to record the texts in, for later use; None makes one for this pass.

    Raises:
        CorpusError: a file is missing, not decodable, not of its format, or has no such column.
    """
    urls = expand_files(files)
    check_settings(urls, text_column, encoding)
    report.files += len(urls)
    if remember is not None:
        yield from _new_texts(urls, text_column, encoding, report, held_out, remember)
        return
    with SeenTexts() as seen:
        yield from _new_texts(urls, text_column, encoding, report, held_out, seen)


def check_settings(urls: Sequence[str], text_column: str | None, encoding: str | None) -> None:
    """Raise CorpusError if a setting applies to none of the files, or the encoding is unknown."""
    codec_name(encoding)
    if text_column and not any(map(has_columns, urls)):
        raise CorpusError(
            f"--text_column {text_column} was given, but plain text has no columns: leave it out"
        )
    if encoding and not any(map(has_encoding, urls)):
        raise CorpusError(
            f"--encoding {encoding} was given, but Parquet is always UTF-8: leave it out"
        )


def _new_texts(
    urls: Sequence[str],
    text_column: str | None,
    encoding: str | None,
    report: TextReport,
    held_out: SeenTexts | None,
    seen: SeenTexts,
) -> Iterator[str]:
    for text in _clean_texts(urls, text_column, encoding, report):
        digest = text_digest(text)
        if held_out is not None and digest in held_out:
            report.held_out += 1
        elif seen.add(digest):
            yield text
        else:
            report.repeated += 1


def _clean_texts(
    urls: Sequence[str], text_column: str | None, encoding: str | None, report: TextReport
) -> Iterator[str]:
    for url in urls:
        check = _EncodingCheck(url, encoding if has_encoding(url) else None)
        rows = read_rows(url, text_column, encoding=encoding, on_column=report.columns.add)
        for row in rows:
            report.rows += 1
            check.add(row)
            yield from _clean_row(row, report)
        report.warnings.extend(check.warnings())


def _clean_row(row: str, report: TextReport) -> Iterator[str]:
    """Yield the clean text of a row, or those of its parts if it is too long for one document."""
    has_html, texts = False, 0
    for part in parts_of(row):
        text, had_html = clean_text(part)
        has_html |= had_html
        if text:
            texts += 1
            yield text
    report.with_html += has_html
    report.empty += not texts
    if texts > 1:
        report.cut, report.parts = report.cut + 1, report.parts + texts


def _resolve_entity(match: re.Match[str]) -> str:
    return html.unescape(match.group())


@dataclass
class _EncodingCheck:
    """Count of a file's rows that look like UTF-8 decoded as a one-byte encoding (`cafÃ©`)."""

    url: str
    encoding: str | None
    accented: int = 0
    utf8: int = 0

    def add(self, row: str) -> None:
        if self.encoding is None or row.isascii():
            return
        self.accented += 1
        try:
            data = row.encode(self.encoding)
            data.decode("utf-8")
        except UnicodeError:
            return
        self.utf8 += len(data) == len(row)  # one byte a character: not UTF-8 or UTF-16

    def warnings(self) -> list[str]:
        """Return one line with the count and advice if most accented rows look so, else none."""
        if 2 * self.utf8 <= self.accented:
            return []
        name = PurePosixPath(self.url).name
        rows = f"{self.utf8:,} of the {self.accented:,} rows of {name} with accents"
        warning = f"warning: {rows} look like UTF-8 read as {self.encoding}"
        if self.utf8 == self.accented:
            return [f"{warning}; leave --encoding out"]
        command = repair_command(self.url)
        return [f"{warning}; drop the invalid rest with `{command}` and leave --encoding out"]
