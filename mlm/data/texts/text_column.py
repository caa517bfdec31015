"""Which column holds the texts: the one asked for, or the one that plainly does.

A guess trains hours on the wrong thing: what is not plain is a `CorpusError` listing the columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mlm.errors import CorpusError

Columns = Mapping[str, Sequence[Any]]  # the first rows of a file: column name -> its values

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
_CLEARLY_LONGER = 3  # times the mean length of the next column
_LONGEST_NAME = 80  # characters; what is longer in a header is a text


def choose_column(text_column: str | None, columns: Columns, url: str) -> str:
    """The name of the text column of `url`.

    Raises:
        CorpusError: `text_column` is not there, or is None and no column is plainly the text.
    """
    if text_column is None:
        return _obvious(columns, url)
    if text_column not in columns:
        raise CorpusError(
            f"{url} has no column {text_column!r}; its columns are {_listed(columns)}: "
            "give one of them as --text_column"
        )
    return text_column


def _obvious(columns: Columns, url: str) -> str:
    texts = {name: _mean_length(values) for name, values in columns.items() if _is_text(values)}
    chosen = _by_name(columns, texts) or _by_length(texts)
    if chosen is None:
        raise CorpusError(
            f"{url}: no column is plainly the text; its columns are {_listed(columns)}: "
            "name one with --text_column"
        )
    if any(_is_number(name) or len(name) > _LONGEST_NAME for name in columns):
        raise CorpusError(
            f"{url}: its first line looks like data, not like column names ({_listed(columns)}): "
            "put a line of column names first, or name one with --text_column"
        )
    return chosen


def _by_name(columns: Columns, texts: Mapping[str, float]) -> str | None:
    for known in _KNOWN_NAMES:
        named = [name for name in columns if name.strip().lower() == known]
        if len(named) == 1 and (named[0] in texts or not any(columns[named[0]])):
            return named[0]
    return None


def _by_length(texts: Mapping[str, float]) -> str | None:
    longest = sorted(texts, key=lambda name: texts[name], reverse=True)
    if len(longest) == 1:
        return longest[0]
    if longest and texts[longest[0]] >= _CLEARLY_LONGER * texts[longest[1]]:
        return longest[0]
    return None


def _is_text(values: Iterable[Any]) -> bool:
    present = [value for value in values if value not in (None, "")]
    strings = all(isinstance(value, str) for value in present)
    return bool(present) and strings and not all(_is_number(value) for value in present)


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _mean_length(values: Sequence[Any]) -> float:
    return sum(len(value or "") for value in values) / max(len(values), 1)


def _listed(columns: Iterable[str]) -> str:
    shown = [name if len(name) <= 40 else f"{name[:37]}..." for name in columns]
    return ", ".join(shown[:20]) + (", ..." if len(shown) > 20 else "")
