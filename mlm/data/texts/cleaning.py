"""Raw rows to clean texts: strip mark-up and control characters, normalize, drop duplicates.

    report = TextReport()
    texts = read_texts(["reviews/*.csv.gz"], text_column=None, encoding=None, report=report)
    for text in texts: ...
    print(report.summary())

Texts are read as a stream, and digests of those seen are kept in a temporary SQLite file, so that a
million rows take no more memory than ten thousand (scripts/benchmarks/memory_of_reading.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from mlm.data.texts.choices import CLEAN_HTML, ENCODING_ERRORS
from mlm.data.texts.clean_text import clean_text
from mlm.data.texts.encodings import Codec
from mlm.data.texts.html_markup import has_escaped_tag
from mlm.data.texts.long_documents import parts_of
from mlm.data.texts.seen_texts import SeenTexts, text_digest
from mlm.data.texts.text_files import expand_files, has_columns, has_encoding, read_rows
from mlm.data.texts.text_report import TextReport
from mlm.errors import CorpusError

CLEANING_VERSION = 3  # raise it if results of clean_text change: stores are then rebuilt


@dataclass(frozen=True)
class ReadingSettings:
    """The settings that decide how files become texts; see `read_texts`."""

    text_column: str | None = None
    encoding: str | None = None
    encoding_errors: str = "strict"
    clean_html: str = "auto"

    def check(self, urls: Sequence[str]) -> None:
        """Raise CorpusError if a setting applies to none of the files, or is unknown."""
        Codec.of(self.encoding)
        _check_choice("encoding_errors", self.encoding_errors, ENCODING_ERRORS)
        _check_choice("clean_html", self.clean_html, CLEAN_HTML)
        if self.text_column and not any(map(has_columns, urls)):
            raise CorpusError(
                f"--text_column {self.text_column} was given, but plain text has no columns: "
                "leave it out"
            )
        if any(map(has_encoding, urls)):
            return
        for name, is_given in (
            (f"--encoding {self.encoding}", self.encoding),
            (f"--encoding_errors {self.encoding_errors}", self.encoding_errors != "strict"),
        ):
            if is_given:
                raise CorpusError(f"{name} was given, but Parquet is always UTF-8: leave it out")


def read_texts(
    files: Sequence[str],
    *,
    report: TextReport,
    text_column: str | None = None,
    encoding: str | None = None,
    encoding_errors: str = "strict",
    clean_html: str = "auto",
    held_out: SeenTexts | None = None,
    remember: SeenTexts | None = None,
) -> Iterator[str]:
    """Yield the distinct clean texts of `files`, in the order of the files.

    Args:
        files: paths, globs, `hf://datasets/...` or other fsspec URLs. The suffix gives the format,
            also before `.gz`.
        report: its counts grow while the stream is consumed.
        text_column: None finds the one obvious column.
        encoding: None is UTF-8.
        encoding_errors: for bytes that the encoding does not know: "strict" raises; "replace" puts
            U+FFFD in their place and "ignore" nothing, and the report says how many there were.
        clean_html: "auto", "yes" or "no"; see html_markup.py.
        held_out: texts in this set are dropped and counted.
        remember: the set to record the texts in, for later use; None makes one for this pass.

    Raises:
        CorpusError: a file is missing, not decodable, not of its format, or has no such column;
            or the texts of two files are in columns of different names.
    """
    urls = expand_files(files)
    settings = ReadingSettings(text_column, encoding, encoding_errors, clean_html)
    settings.check(urls)
    report.files += len(urls)
    if remember is not None:
        yield from _new_texts(urls, settings, report, held_out, remember)
        return
    with SeenTexts() as seen:
        yield from _new_texts(urls, settings, report, held_out, seen)


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise CorpusError(f"--{name} is {value!r}; expected one of {', '.join(choices)}")


def _new_texts(
    urls: Sequence[str],
    settings: ReadingSettings,
    report: TextReport,
    held_out: SeenTexts | None,
    seen: SeenTexts,
) -> Iterator[str]:
    for text in _clean_texts(urls, settings, report):
        digest = text_digest(text)
        if held_out is not None and digest in held_out:
            report.held_out += 1
        elif seen.add(digest):
            yield text
        else:
            report.repeated += 1


def _clean_texts(
    urls: Sequence[str], settings: ReadingSettings, report: TextReport
) -> Iterator[str]:
    columns = _OneColumn(settings.text_column)
    for url in urls:
        check = EncodingCheck(url, settings.encoding if has_encoding(url) else None)
        for row in read_rows(
            url,
            settings.text_column,
            encoding=settings.encoding,
            encoding_errors=settings.encoding_errors,
            on_column=lambda name, column: columns.add(name, column, report),
            note=lambda text, url=url: report.note(url, text),  # type: ignore[misc]
        ):
            report.rows += 1
            check.add(row)
            yield from _clean_row(row, settings, report)
        report.warnings.extend(check.warnings())


def _clean_row(row: str, settings: ReadingSettings, report: TextReport) -> Iterator[str]:
    """Yield the clean text of a row, or those of its parts if it is too long for one document."""
    had_html, removed, texts = False, "", 0
    for part in parts_of(row):
        clean = clean_text(part, settings.clean_html)
        had_html |= clean.had_html
        removed += clean.control_characters
        if clean.text:
            texts += 1
            yield clean.text
    report.empty += not texts
    report.cut += texts > 1
    report.parts += texts if texts > 1 else 0
    _count_oddities(row, had_html, removed, settings, report)


def clean_whole(row: str, settings: ReadingSettings, report: TextReport) -> str:
    """Return the clean text of a row, however long it is, and count what was unusual in it."""
    clean = clean_text(row, settings.clean_html)
    _count_oddities(row, clean.had_html, clean.control_characters, settings, report)
    return clean.text


def _count_oddities(
    row: str, had_html: bool, removed: str, settings: ReadingSettings, report: TextReport
) -> None:
    report.with_html += had_html
    if removed:
        report.control_characters.update(removed)
        report.with_control_characters += 1
    if settings.encoding_errors != "replace":  # which counts its own
        report.with_lost_characters += "\ufffd" in row
    if "&" in row and settings.clean_html == "auto":
        report.with_escaped_tags += has_escaped_tag(row)


class _OneColumn:
    """The column that the files of a pass agree on."""

    def __init__(self, text_column: str | None) -> None:
        self._given = text_column
        self._first: tuple[str, str] | None = None  # a file and its column

    def add(self, name: str, column: str, report: TextReport) -> None:
        """Record the column of a file; raise CorpusError if that of another has another name."""
        report.columns.add(column)
        self._first = self._first or (name, column)
        if self._given is None and column != self._first[1]:
            raise CorpusError(
                f"the files do not agree: the texts of {self._first[0]} seem to be in column "
                f"{self._first[1]!r}, those of {name} in {column!r}; name the files that belong "
                "together, or the column with --text_column"
            )


@dataclass
class EncodingCheck:
    """Count of a file's rows that look like UTF-8 decoded as a one-byte encoding (`cafÃ©`).

    Without an encoding, they have come into the file so: a program that wrote it read it wrongly.
    """

    url: str
    encoding: str | None
    accented: int = 0
    utf8: int = 0

    def __post_init__(self) -> None:
        self._codec = Codec.of(self.encoding or "cp1252")

    def add(self, row: str) -> None:
        """Count a row."""
        if row.isascii():
            return
        self.accented += 1
        try:
            data = self._codec.encode(row)
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
        if self.encoding is None:
            return [
                f"warning: {rows} look like UTF-8 that was read as Windows-1252 before it was "
                "saved; mend them, for example with ftfy.fix_text"
            ]
        warning = f"warning: {rows} look like UTF-8 read as {self.encoding}; leave --encoding out"
        if self.utf8 == self.accented:
            return [warning]
        return [f"{warning}, and give --encoding_errors replace for the invalid rest"]
