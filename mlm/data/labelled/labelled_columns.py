"""Find the columns of a labelled file: texts, the second texts of pairs, words, labels.

A wrong guess would train on the wrong labels. If the label column is not obvious, a `CorpusError`
names the candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mlm.data.labelled.labelled_settings import LabelledSettings
from mlm.data.texts.text_column import Chosen, Columns, choose_column, format_names
from mlm.errors import CorpusError

_LABEL_NAMES = (
    "label",
    "labels",
    "polarity",
    "sentiment",
    "class",
    "category",
    "target",
    "topic",
    "intent",
    "emotion",
    "rating",
    "stars",
    "score",
)
_WORD_NAMES = ("tokens", "words")
_TAG_NAMES = ("tags", "ner_tags", "labels", "ner")
_PAIRS = (
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("text1", "text2"),
    ("text_a", "text_b"),
)
_NUMBERS = {"", "id", "nr", "no", "no.", "index", "idx", "row", "row_number", "unnamed: 0"}

Note = Callable[[str], object]


@dataclass(frozen=True)
class LabelledColumns:
    """The columns of a labelled file; those of words have no texts."""

    label: str
    texts: tuple[str, ...] = ()
    words: str | None = None

    def chosen(self) -> Chosen:
        """Return the columns to read, the label last."""
        others = (self.label,) if self.words is None else (self.words, self.label)
        return Chosen(self.texts, others)

    def names(self) -> tuple[str, ...]:
        """Return all names."""
        return (*self.texts, *((self.words,) if self.words else ()), self.label)

    def __str__(self) -> str:
        """Return the columns as a report has them."""
        texts = f"words: {self.words}" if self.words else f"text: {', '.join(self.texts)}"
        return f"{texts}; label: {self.label}"


def find_columns(
    settings: LabelledSettings, columns: Columns, url: str, note: Note
) -> LabelledColumns:
    """Return the columns of a file, the given ones or those that are obvious.

    Args:
        settings: the names that the user gave.
        columns: the first rows, {column: values}.
        url: the file, for messages.
        note: gets remarks.

    Raises:
        CorpusError: a given column does not exist, or one that is not given is not obvious.
    """
    given = (*settings.text_column_names, settings.label_column_name)
    options = ["text_column_names"] * len(settings.text_column_names) + ["label_column_name"]
    for option, name in zip(options, given, strict=True):
        if name is not None:
            _check_exists(name, columns, url, option)
    if words := _find_words(settings, columns):
        return LabelledColumns(_find_tags(settings, columns, url, words), (), words)
    label = settings.label_column_name or _find_by_name(settings.text_column_names, columns, url)
    texts = settings.text_column_names or _find_texts(columns, label, url, note)
    return LabelledColumns(label or _find_rest(columns, texts, url), texts)


def check_same_columns(wanted: LabelledColumns, columns: Columns, url: str) -> None:
    """Raise CorpusError if a file lacks a column of the files before it."""
    for name in wanted.names():
        if name not in columns:
            raise CorpusError(
                f"{url} has no column {name!r}, which other files of this run have; its columns "
                f"are {format_names(columns)}: rename it, or leave this file out"
            )


def _check_exists(name: str, columns: Columns, url: str, option: str) -> None:
    if name not in columns:
        raise CorpusError(
            f"{url} has no column {name!r}; its columns are {format_names(columns)}: "
            f"correct --{option}"
        )


def _find_words(settings: LabelledSettings, columns: Columns) -> str | None:
    """Return the column of lists of words: the given one, or one of a known name."""
    for name in settings.text_column_names or _matches(_WORD_NAMES, columns):
        present = [value for value in columns[name] if value is not None]
        if present and all(isinstance(value, list) for value in present):
            return name
    return None


def _find_tags(settings: LabelledSettings, columns: Columns, url: str, words: str) -> str:
    if settings.label_column_name:
        return settings.label_column_name
    found = _matches(_TAG_NAMES, columns)
    if len(found) == 1:
        return found[0]
    raise _label_error(columns, found or [name for name in columns if name != words], url)


def _find_by_name(texts: Sequence[str], columns: Columns, url: str) -> str | None:
    """Return the only column with a name that labels have; None if there is none."""
    found = [name for name in _matches(_LABEL_NAMES, columns) if name not in texts]
    if len(found) > 1:
        raise _label_error(columns, found, url)
    return found[0] if found else None


def _matches(known: Sequence[str], columns: Columns) -> list[str]:
    return [name for name in columns if name.strip().lower() in known]


def _find_texts(columns: Columns, label: str | None, url: str, note: Note) -> tuple[str, ...]:
    """Return the two columns of a known pair, or the one that is clearly the text."""
    lower = {name.strip().lower(): name for name in columns if name != label}
    for first, second in _PAIRS:
        if first in lower and second in lower:
            return lower[first], lower[second]
    others = {name: values for name, values in columns.items() if name != label}
    return (choose_column(None, others, url, note, option="--text_column_names"),)


def _find_rest(columns: Columns, texts: Sequence[str], url: str) -> str:
    """Return the only column that is neither a text nor a row number."""
    left = [name for name in columns if name not in texts]
    found = [name for name in left if not _is_number_of_rows(name, columns[name])]
    if len(found) == 1:
        return found[0]
    if not found:
        raise CorpusError(
            f"{url} has no column of labels; its columns are {format_names(columns)}: add one, or "
            "name it with --label_column_name"
        )
    raise _label_error(columns, found, url)


def _is_number_of_rows(name: str, values: Sequence[object]) -> bool:
    """Return whether a column seems to number rows: by its name, or by values that never repeat."""
    is_distinct = len(values) > 1 and len(set(map(str, values))) == len(values)
    return name.strip().lower() in _NUMBERS or is_distinct


def _label_error(columns: Columns, candidates: Sequence[str], url: str) -> CorpusError:
    return CorpusError(
        f"{url}: the column of labels is not obvious; it may be {' or '.join(candidates[:10])}; "
        f"its columns are {format_names(columns)}: name it with --label_column_name"
    )
