"""The labels of many rows, as a CSV that spreadsheets open safely or as JSON lines."""

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mlm.checkpoint.task import Task
from mlm.inference.classification import Classification
from mlm.inference.entities import Entity
from mlm.inference.row_classifying import ClassifiedRow
from mlm.inference.row_writing import TableWriter, TextStream

MOST_SCORES = 10  # labels; of more, a CSV has the best one's score only
LEAST_PROBABLE = 0.5  # of several labels, those that a text has
LABEL_SEPARATOR = "|"  # between them, as training files have it
TEXTS = ("text", "text_pair")


class Columns(NamedTuple):
    """The columns of a CSV of labels, behind the number of the row and its other cells."""

    texts: tuple[str, ...]
    answer: tuple[str, ...]
    scores: tuple[str, ...]  # of the labels by id

    @property
    def names(self) -> tuple[str, ...]:
        """All names, from the number of the row on."""
        return ("row", *self.texts, *self.answer, *self.scores, "note", "error")

    @classmethod
    def of(cls, task: Task, *, of_pairs: bool) -> "Columns":
        """Return those of a task."""
        texts = TEXTS if of_pairs else TEXTS[:1]
        if task.is_of_tokens:
            return cls(texts, ("label", "score", "words", "start", "end"), ())
        few = 1 < len(task.labels) <= MOST_SCORES
        scores = tuple(f"score_{label}" for label in task.labels) if few else ()
        return cls(texts, ("label", "score"), scores)


class LabelsCsvWriter:
    """Writes labels as a CSV, one row after the other; see TableWriter.

    One line for a text: the best label, its score, and, of at most MOST_SCORES labels, the score of
    each. If a text may have several labels, `label` has those of at least LEAST_PROBABLE, best
    first, with LABEL_SEPARATOR between them, and `score` is the best one's. Of a classifier of
    words, one line for each entity, with its characters [start, end); a text without entities has
    one line too, as one with an error.
    """

    def __init__(
        self,
        stream: TextStream,
        task: Task,
        others: Sequence[str] = (),
        separator: str = ",",
        *,
        of_pairs: bool = False,
    ):
        """Write the names of the columns; `others` are the cells that each row brings along."""
        self._task, self._columns = task, Columns.of(task, of_pairs=of_pairs)
        self._table = TableWriter(stream, self._columns.names, others, separator)

    def write(self, result: ClassifiedRow) -> None:
        """Write the lines of one row."""
        columns, answer = self._columns, result.answer
        width = len(columns.answer) + len(columns.scores)
        lines = [] if answer is None else list(self._lines(answer))
        note = (answer.note if answer else None) or ""
        for line in lines or [("",) * width]:
            self._table.write_line(
                [result.number, *result.others, *result.texts, *line, note, result.error or ""]
            )

    def _lines(self, answer: Classification) -> Iterator[tuple[object, ...]]:
        """Yield the cells of the answer: of a text once, of its entities each."""
        if self._task.is_of_tokens:
            for entity in answer.labels:
                if isinstance(entity, Entity):
                    words = answer.text[entity.start : entity.end]
                    yield entity.label, entity.score, words, entity.start, entity.end
            return
        scores = {each.label: each.score for each in answer.labels}
        best = answer.labels[0]
        named = best.label
        if self._task.problem_type == "multi_label_classification":
            probable = (label for label, score in scores.items() if score >= LEAST_PROBABLE)
            named = LABEL_SEPARATOR.join(probable)
        each = [scores[label] for label in self._task.labels] if self._columns.scores else []
        yield named, best.score, *each


class LabelsJsonWriter:
    """Writes labels as JSON lines, one object a row.

    {"row", "text", "text_pair" of a pair, "labels": what the pipeline of transformers returns,
    "note", "error", "columns": the cells that the row brings along}; labels is [] beside an error.
    """

    def __init__(self, stream: TextStream, others: Sequence[str] = ()):
        self._stream, self._others = stream, others

    def write(self, result: ClassifiedRow) -> None:
        """Write the line of one row."""
        answer = result.answer
        line = {
            "row": result.number,
            **dict(zip(TEXTS, result.texts, strict=False)),
            "labels": [] if answer is None else answer.as_pipeline(),
            "note": answer and answer.note,
            "error": result.error,
            "columns": dict(zip(self._others, result.others, strict=True)),
        }
        self._stream.write(json.dumps(line, ensure_ascii=False) + "\n")
