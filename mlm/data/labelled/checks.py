"""Refuse labelled texts that cannot be learned from or measured on, each in one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from mlm.checkpoint.task import Task
from mlm.data.labelled.label_remarks import short_name
from mlm.data.labelled.labelled_report import LabelledReport
from mlm.data.labelled.labelled_texts import LabelledTexts
from mlm.errors import CorpusError

LEAST_EXAMPLES = 2  # of a class
_LIKE_AN_ID = 0.8  # share of rows with a label of their own
_FEWEST_ROWS = 10  # before labels can look like an id
_SHOWN = 5


def check_not_empty(rows: int, side: str, report: LabelledReport) -> None:
    """Raise CorpusError if no labelled text is left."""
    if rows:
        return
    if report.unlabelled:
        raise CorpusError(
            f"the {side} texts have no labels ({report.summary()}): give a file with labels, or "
            "name their column with --label_column_name"
        )
    raise CorpusError(
        f"the {side} files have no texts ({report.summary()}): give a file with texts; of pairs, "
        "both texts are needed"
    )


def check_known_labels(own: Task, known: Task, labels: Sequence[Any], side: str) -> None:
    """Raise CorpusError if texts have a label that the training texts never have."""
    if known.problem_type == "regression":
        return
    unknown = [name for name in own.labels if name not in known.labels]
    if unknown:
        flat = labels if isinstance(labels[0], str) else list(chain.from_iterable(labels))
        count = sum(name in unknown for name in flat)
        raise CorpusError(
            f"the {side} texts have the label{'s' * (len(unknown) > 1)} {_listed(unknown)} "
            f"({'once' if count == 1 else f'{count:,} times'}), which the training texts "
            f"never have; those have {_listed(known.labels)}: correct the labels, or leave "
            "these texts out"
        )


def check_tag_counts(words: Sequence[Sequence[str]], tags: Sequence[Any]) -> None:
    """Raise CorpusError if a text has not as many tags as words."""
    for number, (text, own) in enumerate(zip(words, tags, strict=True), 1):
        if not isinstance(own, list) or len(own) != len(text):
            found = f"{len(own)} tags" if isinstance(own, list) else f"the tags {str(own)[:40]!r}"
            raise CorpusError(
                f"text {number:,} has {len(text)} words and {found}, expected a list of one tag "
                "for each word: correct it"
            )


def words_error(problem_type: str, *, has_words: bool) -> CorpusError:
    """Return the error of a problem type that does not suit the files."""
    if has_words:
        return CorpusError(
            f"the problem type is {problem_type}, but the files have lists of words: give texts, "
            "or --problem_type token_classification"
        )
    return CorpusError(
        "the problem type is token_classification, but the files have texts: give lines of a word "
        "and its tag (.conll), or JSON lines with 'tokens' and 'tags'"
    )


def check_classes(texts: LabelledTexts, side: str) -> None:
    """Raise CorpusError if labels look like ids, there is one class, or one has too few examples.

    Ids and rare classes are looked for in training only: others have its labels, and may be rare.
    Of several labels a text, or of tags, none has to occur.
    """
    if texts.task.problem_type == "regression":
        _check_numbers(texts, side)
    if side == "training":
        _check_labels_differ(texts)
    if texts.task.problem_type != "single_label_classification":
        return
    counts = Counter(texts.labels)
    if side == "training":
        _check_not_ids(counts, len(texts), texts)
    _check_several_classes(counts, len(texts), side)
    if side == "training":
        _check_not_rare(counts, texts.task)


def check_left(texts: LabelledTexts) -> None:
    """Raise CorpusError for training texts that cannot work without those of the other sides."""
    if texts.task.problem_type == "regression":
        _check_numbers(texts, "training")
    if texts.task.problem_type == "single_label_classification":
        counts = Counter(texts.labels)
        _check_several_classes(counts, len(texts), "training")
        _check_not_rare(counts, texts.task, " without those of validation and test")


def _check_labels_differ(texts: LabelledTexts) -> None:
    """Raise CorpusError if all training texts have the same labels, or all words the same tag."""
    if texts.task.is_of_tokens and len(texts.task.labels) == 1:
        raise CorpusError(
            f"all words of the {len(texts):,} training texts have the tag "
            f"{texts.task.labels[0]!r}; expected different tags: give texts with others too, or "
            "name the column of tags with --label_column_name"
        )
    if (
        texts.task.problem_type == "multi_label_classification"
        and len({frozenset(names) for names in texts.labels}) == 1
    ):
        raise CorpusError(
            f"all {len(texts):,} training texts have the labels "
            f"{_listed(texts.labels[0]) or 'of an empty list'}; expected different ones: give "
            "texts with others too"
        )


def _check_several_classes(counts: Counter[str], rows: int, side: str) -> None:
    if len(counts) < 2:
        raise CorpusError(
            f"all {rows:,} {side} texts have the label {_listed(counts)}; expected two classes or "
            f"more: give {side} texts of other classes too"
        )


def _check_not_rare(counts: Counter[str], task: Task, without: str = "") -> None:
    """Raise CorpusError for classes with fewer than LEAST_EXAMPLES training texts, or none.

    without: which texts do not count, for the message.
    """
    rare = sorted(name for name in task.labels if counts[name] < LEAST_EXAMPLES)
    if rare:
        is_one = len(rare) == 1
        raise CorpusError(
            f"the class{'' if is_one else 'es'} {_listed(rare)} {'has' if is_one else 'have'} "
            f"fewer than {LEAST_EXAMPLES} training texts{without}: give more, or leave these "
            "rows out"
        )


def _check_numbers(texts: LabelledTexts, side: str) -> None:
    if len(set(texts.labels)) < 2:
        raise CorpusError(
            f"all {len(texts):,} {side} texts have the number {texts.labels[0]:g}; expected "
            "different ones: give other texts too"
        )


def _check_not_ids(counts: Counter[str], rows: int, texts: LabelledTexts) -> None:
    if rows < _FEWEST_ROWS or len(counts) < _LIKE_AN_ID * rows:
        return
    column = "label" if texts.columns is None else texts.columns.label
    way_out = "name the column of classes with --label_column_name"
    if all(name.lstrip("-").isdigit() for name in counts):
        way_out += ", or give --problem_type regression if it holds amounts"
    raise CorpusError(
        f"the labels in column {column!r} look like ids: {len(counts):,} different ones in "
        f"{rows:,} rows: {way_out}"
    )


def _listed(names: Iterable[str]) -> str:
    all_names = list(names)
    shown = ", ".join(repr(short_name(name)) for name in all_names[:_SHOWN])
    return f"{shown} and {len(all_names) - _SHOWN:,} more" if len(all_names) > _SHOWN else shown
