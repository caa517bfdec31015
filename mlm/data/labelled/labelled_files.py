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
from mlm.data.labelled.labelled_columns import LabelledColumns, check_same_columns, find_columns
from mlm.data.labelled.labelled_report import LabelledReport
from mlm.data.labelled.labelled_settings import AUTO, LabelledSettings
from mlm.data.labelled.labelled_texts import LabelledTexts
from mlm.data.labelled.problem_types import (
    find_problem_type,
    is_missing,
    label_names,
    read_labels,
)
from mlm.data.texts.cleaning import EncodingCheck, clean_whole
from mlm.data.texts.csv_rows import Note
from mlm.data.texts.text_column import Chosen, Columns, Row
from mlm.data.texts.text_files import expand_files, has_encoding, read_columns
from mlm.errors import CorpusError
from mlm.terminal.progress import counted


def read_labelled(
    files: Sequence[str | Path],
    settings: LabelledSettings,
    report: LabelledReport,
    like: LabelledTexts | None = None,
) -> LabelledTexts:
    """Read the labelled texts of `files`, in their order.

    Args:
        files: paths, globs, `hf://datasets/...` or other fsspec URLs.
        settings: the columns, the problem type, and how to read.
        report: gets counts, and a line for all that is guessed or left out.
        like: the training texts, for the files of another side: their columns and problem type are
            read, and their task is kept; see `checks.check_known_labels`.

    Raises:
        CorpusError: a file cannot be read, columns are not obvious, or labels are missing.
    """
    urls = expand_files(files)
    settings.check(urls)
    report.files += len(urls)
    reader = _RowReader(settings, report, None if like is None else like.columns)
    rows = list(counted(reader.rows(urls), "reading labelled texts", unit="texts"))
    return reader.labelled(rows, like)


class _RowReader:
    """Reader of the rows of files that have the same columns."""

    def __init__(
        self, settings: LabelledSettings, report: LabelledReport, columns: LabelledColumns | None
    ) -> None:
        self._settings, self._report, self._columns = settings, report, columns
        self._cleaning = settings.reading()

    def rows(self, urls: Sequence[str]) -> Iterator[Row]:
        """Yield clean texts and raw labels, without rows that lack one; count those."""
        for url in urls:
            encoding = self._settings.encoding if has_encoding(url) else None
            check = EncodingCheck(url, encoding)
            for *texts, label in self._raw_rows(url):
                self._report.rows += 1
                for text in texts:
                    check.add(text)
                clean = [clean_whole(text, self._cleaning, self._report) for text in texts]
                if not all(clean):
                    self._report.empty += 1
                elif is_missing(label):
                    self._report.unlabelled += 1
                else:
                    yield (*clean, label)
            self._report.warnings.extend(check.warnings())

    def _raw_rows(self, url: str) -> Iterator[Row]:
        return read_columns(
            url,
            self._choose,
            encoding=self._settings.encoding,
            encoding_errors=self._settings.encoding_errors,
            note=lambda text: self._report.note(url, text),
            shows_all=True,
        )

    def _choose(self, columns: Columns, name: str, note: Note) -> Chosen:
        if self._columns is None:
            self._columns = find_columns(self._settings, columns, name, note)
        check_same_columns(self._columns, columns, name)
        self._report.read = str(self._columns)
        return self._columns.chosen()

    def labelled(self, rows: Sequence[Row], like: LabelledTexts | None) -> LabelledTexts:
        """Return the rows as texts and labels of a task."""
        if not rows or self._columns is None:
            raise CorpusError(
                f"no text with a label is left ({self._report.summary()}): give a file with texts "
                "and labels"
            )
        *texts, raws = ([row[at] for row in rows] for at in range(len(rows[0])))
        problem_type = self._problem_type(raws, like)
        labels = read_labels(raws, problem_type)
        names = label_names(problem_type, labels, self._columns.label)
        return LabelledTexts(
            texts[0],
            labels,
            Task(problem_type, names) if like is None else like.task,
            self._columns,
            second_texts=texts[1] if len(texts) > 1 else None,
        )

    def _problem_type(self, raws: Sequence[Any], like: LabelledTexts | None) -> ProblemType:
        if like is not None:
            return like.task.problem_type
        if self._settings.problem_type != AUTO:
            return self._settings.problem_type  # type: ignore[return-value]
        problem_type, reason = find_problem_type(raws)
        self._report.say(f"problem type: {problem_type}, because {reason} (--problem_type decides)")
        return problem_type
