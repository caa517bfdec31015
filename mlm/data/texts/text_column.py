"""Choose the column that holds the texts: the given one, or the only obvious one.

A wrong guess would train on the wrong data for hours. If no column is clearly the text, a
`CorpusError` lists the columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from mlm.errors import CorpusError

Columns = Mapping[str, Sequence[object]]  # the first rows of a file: column name -> its values

Row = tuple[Any, ...]  # the values of the chosen columns


class Chosen(NamedTuple):
    """The columns of a file to read; a row has the values of `texts`, then those of `others`.

    texts: columns of strings; a missing value is "". others: values of any type, as they are in the
    file; a missing one is None, in a table "".
    """

    texts: tuple[str, ...]
    others: tuple[str, ...] = ()


ColumnChooser = Callable[[Columns], Chosen]

_KNOWN_NAMES = (  # in order of preference
    "text",
    "review",
    "sentence",
    "content",
    "body",
    "document",
    "review_text",
    "reviewtext",
    "review_body",
    "comment",
    "article",
    "message",
    "tweet",
)
UNNAMED = "Unnamed: "  # and a number: what pandas calls a column without a name
_CLEARLY_LONGER = 3  # times the mean length of the next column
_WORDS_OF_PROSE = 4  # a column of known name with fewer words a text may lose to a longer one
_LONGEST_NAME = 80  # characters; a longer one in a header is a text


def choose_column(
    text_column: str | None,
    columns: Columns,
    url: str,
    note: Callable[[str], object] = lambda text: None,
    option: str = "--text_column",
) -> str:
    """Return the name of the text column of `url`; `note` gets a remark if a known name loses.

    option: the name of the setting that decides, for messages.

    Raises:
        CorpusError: `text_column` does not exist, or is None and no column is clearly the text.
    """
    if text_column is None:
        return _find_text_column(columns, url, note, option)
    if text_column not in columns:
        raise CorpusError(
            f"{url} has no column {text_column!r}; its columns are {format_names(columns)}: "
            f"give one of them as {option}, or leave this file out"
        )
    return text_column


def _find_text_column(
    columns: Columns, url: str, note: Callable[[str], object], option: str
) -> str:
    if any(is_number(name) or len(name) > _LONGEST_NAME for name in columns):
        raise CorpusError(
            f"{url}: its first line looks like data, not like column names "
            f"({format_names(columns)}): put a line of column names first, or name one with "
            f"{option}"
        )
    found = _find_by_content(columns, note, option)
    if found is None:
        raise CorpusError(
            f"{url}: no column is clearly the text; its columns are {format_names(columns)}: "
            f"name one with {option}, or leave this file out"
        )
    if found.startswith(UNNAMED):
        raise CorpusError(
            f"{url}: the column that seems to be the text has no name in the first line "
            f"({format_names(columns)}): delete lines above the column names, or give "
            f"{option} '{found}'"
        )
    return found


def _find_by_content(columns: Columns, note: Callable[[str], object], option: str) -> str | None:
    """Return the column of a known name, or the one with clearly longer prose."""
    lengths = {name: _mean_length(values) for name, values in columns.items() if _is_text(values)}
    named = _find_by_name(columns, lengths)
    prose = {name: mean for name, mean in lengths.items() if _is_prose(columns[name])}
    longest = _find_by_length(prose)
    if named and longest and longest != named and _holds_no_prose(named, longest, columns, lengths):
        note(
            f"column {longest!r} is read, because {named!r} holds {lengths[named]:.0f} characters "
            f"a row and it {lengths[longest]:.0f}; {option} decides"
        )
        return longest
    return named or longest


def _find_by_name(columns: Columns, lengths: Mapping[str, float]) -> str | None:
    """Return the column with the best-known name that is the only one so named, a text or empty."""
    for known in _KNOWN_NAMES:
        matches = [name for name in columns if name.strip().lower() == known]
        if len(matches) == 1 and (matches[0] in lengths or not any(columns[matches[0]])):
            return matches[0]
    return None


def _find_by_length(lengths: Mapping[str, float]) -> str | None:
    """Return the only column of texts, or the one whose texts are clearly longer."""
    longest = sorted(lengths, key=lambda name: lengths[name], reverse=True)
    if len(longest) == 1:
        return longest[0]
    if longest and lengths[longest[0]] >= _CLEARLY_LONGER * lengths[longest[1]]:
        return longest[0]
    return None


def _holds_no_prose(
    named: str, longest: str, columns: Columns, lengths: Mapping[str, float]
) -> bool:
    """Return whether a column of known name holds a few words, and another clearly longer texts."""
    texts = _strings(columns[named])
    words = sum(len(text.split()) for text in texts) / max(len(texts), 1)
    return words < _WORDS_OF_PROSE and lengths[longest] >= _CLEARLY_LONGER * lengths[named] > 0


def _is_prose(values: Iterable[object]) -> bool:
    """Return whether most values are words: not ids, dates, links or labels of one token.

    Scripts without spaces are told from tokens by not being ASCII.
    """
    texts = _strings(values)
    words = [text for text in texts if _has_words(text)]
    return 2 * len(words) > len(texts)


def _has_words(text: str) -> bool:
    letters = sum(character.isalpha() or ord(character) > 127 for character in text)
    return 2 * letters > len(text) and (" " in text.strip() or not text.isascii())


def _strings(values: Iterable[object]) -> list[str]:
    return [value for value in values if isinstance(value, str) and value.strip()]


def _is_text(values: Iterable[object]) -> bool:
    """Return whether the values that are present are strings, and not all of them numbers."""
    present = [value for value in values if value not in (None, "")]
    strings = [value for value in present if isinstance(value, str)]
    return len(strings) == len(present) and not all(map(is_number, strings))


def is_number(value: str) -> bool:
    """Return whether a value is a number as Python writes it."""
    try:
        float(value)
    except ValueError:
        return False
    return True


def _mean_length(values: Sequence[object]) -> float:
    return sum(len(value) for value in values if isinstance(value, str)) / max(len(values), 1)


def format_names(columns: Iterable[str]) -> str:
    """Return the names of columns for a message, the first twenty, cut if they are long."""
    lines = (" ".join(name.split()) for name in columns)
    shown = [name if len(name) <= 40 else f"{name[:37]}..." for name in lines]
    return ", ".join(shown[:20]) + (", ..." if len(shown) > 20 else "")
