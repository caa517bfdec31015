r"""Read labelled texts from files of any format that training reads.

    report = LabelledReport()
    train = read_labelled(["train.csv.gz"], LabelledSettings(), report)
    train.task                    # Task("single_label_classification", ("0", "1"))
    print(report.summary(), *report.remarks(), sep="\n")

Texts are cleaned as for training, but no text is dropped for being repeated: its row has a label.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mlm.checkpoint.task import ProblemType, Task
from mlm.data.labelled import checks
from mlm.data.labelled.class_folders import class_folder_rows
from mlm.data.labelled.conll import READERS
from mlm.data.labelled.label_remarks import label_remarks
from mlm.data.labelled.labelled_columns import LabelledColumns, check_same_columns, find_columns
from mlm.data.labelled.labelled_report import LabelledReport
from mlm.data.labelled.labelled_settings import AUTO, LabelledSettings
from mlm.data.labelled.labelled_sources import check_sources, labelled_sources
from mlm.data.labelled.labelled_texts import LabelledTexts
from mlm.data.labelled.problem_types import (
    find_problem_type,
    find_unlabelled_numbers,
    is_missing,
    label_names,
    read_labels,
)
from mlm.data.labelled.tags import to_bio
from mlm.data.texts.clean_text import clean_text
from mlm.data.texts.cleaning import EncodingCheck, clean_whole
from mlm.data.texts.csv_rows import Note
from mlm.data.texts.text_column import Chosen, Columns, Row
from mlm.data.texts.text_files import has_encoding, read_columns
from mlm.data.texts.text_formats import suffix_of
from mlm.errors import CorpusError
from mlm.terminal.progress import counted


def read_labelled(
    files: Sequence[str | Path],
    settings: LabelledSettings,
    report: LabelledReport,
    like: LabelledTexts | None = None,
    side: str = "training",
) -> LabelledTexts:
    """Read the labelled texts of `files`, in their order.

    Args:
        files: paths, globs, `hf://datasets/...` or other fsspec URLs, or folders with a folder of
            .txt files for each class.
        settings: the columns, the problem type, and how to read.
        report: gets counts, and a line for all that is guessed or left out.
        like: the training texts, for the files of another side: their columns are read, and their
            task is kept.
        side: "training", "validation" or "test", for messages.

    Raises:
        CorpusError: a file cannot be read, columns are not obvious, labels are missing, or a label
            is not one of the task of `like`.
    """
    urls, folders = labelled_sources(files)
    check_sources(files, settings)
    report.files += len(urls)
    reader = _RowReader(settings, report, None if like is None else like.columns)
    rows = list(counted(reader.rows(urls, folders), "reading labelled texts", unit="texts"))
    return reader.labelled(rows, like, side)


class _RowReader:
    """Reader of the rows of files that have the same columns."""

    def __init__(
        self, settings: LabelledSettings, report: LabelledReport, columns: LabelledColumns | None
    ) -> None:
        self._settings, self._report, self._columns = settings, report, columns
        self._cleaning = settings.reading()
        self._has_words: bool | None = None

    def rows(self, urls: Sequence[str], folders: Sequence[str | Path]) -> Iterator[Row]:
        """Yield clean texts, or words, and raw labels, without rows that lack one; count those."""
        for folder in folders:
            rows = class_folder_rows(folder, self._settings, self._report)
            yield from self._clean_rows(rows, str(folder))
        for url in urls:
            yield from self._clean_rows(self._raw_rows(url), url)

    def _clean_rows(self, rows: Iterator[Row], url: str) -> Iterator[Row]:
        encoding = self._settings.encoding if has_encoding(url) else None
        check = EncodingCheck(url, encoding)
        for *texts, label in rows:
            self._report.rows += 1
            clean = [self._clean(text, check) for text in texts]
            if not all(clean):
                self._report.empty += 1
            elif is_missing(label):
                self._report.unlabelled += 1
            else:
                yield (*clean, label)
        self._report.warnings.extend(check.warnings())

    def _clean(self, text: Any, check: EncodingCheck) -> Any:
        has_words = isinstance(text, list)
        if self._has_words is None:
            self._has_words = has_words
        if text and has_words != self._has_words:
            raise CorpusError(
                "some rows have a list of words and others a text: give files of one kind"
            )
        if has_words:
            return [clean_text(str(word), "no").text or "\ufffd" for word in text]
        check.add(text)
        return clean_whole(text, self._cleaning, self._report)

    def _raw_rows(self, url: str) -> Iterator[Row]:
        if suffix_of(url) in READERS:
            self._report.read = "words: first column; tags: last column"
        return read_columns(
            url,
            self._choose,
            encoding=self._settings.encoding,
            encoding_errors=self._settings.encoding_errors,
            note=lambda text: self._report.note(url, text),
            readers=READERS,
            shows_all=True,
        )

    def _choose(self, columns: Columns, name: str, note: Note) -> Chosen:
        if self._columns is None:
            self._columns = find_columns(self._settings, columns, name, note)
        check_same_columns(self._columns, columns, name)
        self._report.read = str(self._columns)
        return self._columns.chosen()

    def labelled(self, rows: Sequence[Row], like: LabelledTexts | None, side: str) -> LabelledTexts:
        """Return the rows as texts and labels of a task."""
        checks.check_not_empty(len(rows), side, self._report)
        problem_type = self._problem_type([row[-1] for row in rows], like)
        rows = self._without_unlabelled_numbers(rows, problem_type, like, side)
        *texts, raws = ([row[at] for row in rows] for at in range(len(rows[0])))
        labels = self._read_labels(raws, problem_type, texts[0])
        name = "label" if self._columns is None else self._columns.label
        task = Task(problem_type, label_names(problem_type, labels, name))
        if problem_type != "regression":
            spelt = raws if problem_type == "single_label_classification" else ()
            self._report.lines.extend(label_remarks(spelt, task.labels))
        if like is not None:
            checks.check_known_labels(task, like.task, labels, side)
        words = texts[0] if self._has_words else None
        return LabelledTexts(
            [" ".join(each) for each in words] if words else texts[0],
            labels,
            task if like is None else like.task,
            self._columns,
            second_texts=texts[1] if len(texts) > 1 else None,
            words=words,
        )

    def _read_labels(
        self, raws: Sequence[Any], problem_type: ProblemType, words: Sequence[Any]
    ) -> list[Any]:
        if problem_type != "token_classification":
            return read_labels(raws, problem_type)
        checks.check_tag_counts(words, raws)
        return to_bio(raws, self._report)

    def _without_unlabelled_numbers(
        self,
        rows: Sequence[Row],
        problem_type: ProblemType,
        like: LabelledTexts | None,
        side: str,
    ) -> Sequence[Row]:
        """Return the rows without those of label -1, if it stands for no label; count those."""
        known = () if like is None else like.task.labels
        unlabelled = find_unlabelled_numbers([row[-1] for row in rows], problem_type, known)
        if not unlabelled:
            return rows
        self._report.unlabelled += len(unlabelled)
        self._report.say(
            f"{len(unlabelled):,} rows with label -1 are left out as unlabelled; if -1 is a class, "
            "write the labels as words"
        )
        left = [row for at, row in enumerate(rows) if at not in unlabelled]
        checks.check_not_empty(len(left), side, self._report)
        return left

    def _problem_type(self, raws: Sequence[Any], like: LabelledTexts | None) -> ProblemType:
        given = self._settings.problem_type
        if like is not None:
            given = like.task.problem_type
        if self._has_words != (given == "token_classification") and given != AUTO:
            raise checks.words_error(given, has_words=bool(self._has_words))
        if given != AUTO:
            return given  # type: ignore[return-value]
        if self._has_words:
            problem_type, reason = "token_classification", "each word has a tag"
        else:
            problem_type, reason = find_problem_type(raws)
        self._report.say(f"problem type: {problem_type}, because {reason} (--problem_type decides)")
        return problem_type  # type: ignore[return-value]
