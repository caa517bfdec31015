r"""Find how a table of texts is written: its separator, its quotes, Excel's `sep=` line.

    dialect = find_dialect("id;text\n1;The soup, warm\n")
    dialect.separator                              # ";"
    rows = dialect.reader(io.StringIO(content, newline=""))

Pure functions of the first rows of a file; csv_rows.py reads the rest of it.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

SEPARATORS = ",;\t|"
NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "'|'"}
_SAMPLE_ROWS = 200
_MOST_AGREE = 0.8  # share of rows as wide as the header, for a separator that is not the usual one
_ONE_MORE = 0.9  # weight of rows with one field more than the header, beside rows as wide as it
_LINE_END = re.compile(r"\r\n|\n|\r")
_SEP_LINE = re.compile(r'\ufeff?"?sep=([,;\t|])"?(?:\r\n|\n|\r)', re.IGNORECASE)


@dataclass(frozen=True)
class Dialect:
    r"""Format of the rows of a table.

    separator: between fields; sep_line: whether the first line is Excel's `sep=;`, which is not a
    row; quoting: whether quotes enclose fields, or are characters like others; escape: whether a
    quote inside quotes may be written `\"`; skip_spaces: whether spaces after a separator are no
    part of a field, as in `1, "a text"`.
    """

    separator: str = ","
    sep_line: bool = False
    quoting: bool = True
    escape: bool = False
    skip_spaces: bool = False

    def reader(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """Return a csv.reader over lines with their ends, after removing the `sep=` line."""
        return csv.reader(islice(lines, int(self.sep_line), None), **self.settings())

    def settings(self) -> dict[str, Any]:
        """Return the settings of csv.reader, which are those of pandas.read_csv as well."""
        return {
            "delimiter": self.separator,
            "quoting": csv.QUOTE_MINIMAL if self.quoting else csv.QUOTE_NONE,
            "escapechar": "\\" if self.escape else None,
            "skipinitialspace": self.skip_spaces,
        }

    def notes(self, usual: str) -> list[str]:
        """Describe what differs from a plain table with the `usual` separator."""
        found = []
        if self.separator != usual:
            found.append(f"fields are separated by {NAMES[self.separator]}")
        if self.sep_line:
            found.append("the first line, sep=, is skipped")
        if self.escape:
            found.append(r"quotes are escaped as \"")
        if self.skip_spaces:
            found.append("spaces between a separator and a quote are skipped")
        return found


def find_dialect(
    sample: str, usual: str = ",", *, separators: str = SEPARATORS, whole: bool = True
) -> Dialect:
    """Return the dialect of a table.

    Args:
        sample: the first rows, with their line ends.
        usual: the separator that the file's name suggests; it wins if nothing speaks against it.
        separators: those that are possible.
        whole: False if the sample may end within a row, which is then left out.
    """
    if not whole:
        sample = _up_to_last_line_end(sample)
    sep_line = _SEP_LINE.match(sample)
    if sep_line:
        rows, separator = sample[sep_line.end() :], sep_line[1]
    else:
        rows = sample.removeprefix("\ufeff")
        separator = _find_separator(rows, usual, separators)
    quoting, escape = _find_quoting(rows, separator)
    skip_spaces = quoting and _are_spaces_before_quotes(rows, Dialect(separator, escape=escape))
    return Dialect(separator, bool(sep_line), quoting, escape, skip_spaces)


def _up_to_last_line_end(sample: str) -> str:
    ends = [match.end() for match in _LINE_END.finditer(sample)]
    return sample[: ends[-1]] if ends else sample


# Separator ----------------------------------------------------------------------------------------


def _find_separator(sample: str, usual: str, separators: str) -> str:
    """Return the separator with which most rows are as wide as a header of several fields.

    If the usual one is not in the header, and another is there and as often in most rows, that is
    it, although rows are wider: their texts hold it without quotes, which reading will refuse.
    """
    order = [usual, *(each for each in separators if each != usual)]
    widths = {each: _widths(sample, Dialect(each)) for each in order}
    fits = {each: _share_of_even_rows(widths[each]) for each in order}
    best = max(order, key=lambda each: fits[each])  # the first of several equals
    if fits[best] >= (_MOST_AGREE if fits[usual] < 0 else fits[usual]):
        return best
    wide = [each for each in order if _share_of_wide_rows(widths[each]) >= _MOST_AGREE]
    return wide[0] if wide and fits[usual] < 0 else usual


def _widths(sample: str, dialect: Dialect) -> list[int]:
    """Return the number of fields of the header and the first rows."""
    widths = []
    try:
        for cells in islice(dialect.reader(_lines_of(sample)), _SAMPLE_ROWS):
            if cells:
                widths.append(len(cells))
    except csv.Error:  # a field of more than 128 KiB: an unclosed quote
        pass
    return widths


def _share_of_even_rows(widths: list[int]) -> float:
    """Return the share of rows that have as many fields as the header; -1 if that has one field.

    Rows with one field more nearly agree too: their last one is empty, or the first has no name.
    """
    if not widths or widths[0] == 1:
        return -1.0
    header, *rows = widths
    counts = Counter(rows)
    return max(counts[header], _ONE_MORE * counts[header + 1]) / len(rows) if rows else 1.0


def _share_of_wide_rows(widths: list[int]) -> float:
    """Return the share of rows with at least the fields of the header; -1 if that has one field."""
    if not widths or widths[0] == 1:
        return -1.0
    header, *rows = widths
    return sum(width >= header for width in rows) / max(len(rows), 1)


def _lines_of(text: str) -> Iterator[str]:
    return io.StringIO(text, newline="")


# Quotes -------------------------------------------------------------------------------------------


def _find_quoting(sample: str, separator: str) -> tuple[bool, bool]:
    """Return `quoting` and `escape` of a Dialect."""
    if '"' not in sample:
        return separator != "\t", False
    quoted = _quoted_fields(sample, separator)
    if quoted is None and '\\"' in sample and _quoted_fields(sample, separator, escape=True):
        return True, True
    if quoted is None:
        return separator != "\t" and not _are_lines_rows(sample, separator), False
    if any(_LINE_END.search(field) for field in quoted) and _are_lines_rows(sample, separator):
        return False, False
    return separator != "\t" or _need_quotes(quoted, sample), False


def _quoted_fields(sample: str, separator: str, *, escape: bool = False) -> list[str] | None:
    r"""Return the quoted fields with their quotes; None if a field is not quoted properly.

    escape: a quote inside quotes may also be written `\"`.
    """
    inside = r'[^"\\]*(?:(?:\\.|"")[^"\\]*)*' if escape else r'[^"]*(?:""[^"]*)*'
    other = rf"[^{re.escape(separator)}\r\n]*"
    field = re.compile(rf'("{inside}")(?=[{re.escape(separator)}\r\n]|\Z)|{other}', re.DOTALL)
    quoted, at = [], 0
    while at < len(sample):
        match = field.match(sample, at)
        assert match  # the second alternative always matches
        if match[1]:
            quoted.append(match[1])
        elif sample[at] == '"':
            return None
        at = match.end() + 1
    return quoted


def _are_spaces_before_quotes(sample: str, dialect: Dialect) -> bool:
    """Return whether rows are as wide as the header only if spaces before quotes are skipped."""
    if not re.search(rf'{re.escape(dialect.separator)} +"', sample):
        return False
    skipping = replace(dialect, skip_spaces=True)
    found = _share_of_even_rows(_widths(sample, skipping))
    return found >= _MOST_AGREE and found > _share_of_even_rows(_widths(sample, dialect))


def _are_lines_rows(sample: str, separator: str) -> bool:
    """Return whether each line has as many separators as the header: none needs its quotes."""
    counts = {line.count(separator) for line in _LINE_END.split(sample) if line.strip()}
    return len(counts) == 1 and 0 not in counts


def _need_quotes(quoted: list[str], sample: str) -> bool:
    """Return whether quotes of tab-separated values are more than characters of the texts."""
    needed = re.compile(r'(?<!^)""(?!$)|[\t\r\n]')
    return sample.startswith('"') or any(needed.search(field) for field in quoted)
