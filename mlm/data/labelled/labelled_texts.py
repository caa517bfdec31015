"""LabelledTexts: texts, labels and their task, in columns of equal length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlm.checkpoint.task import Task
from mlm.data.labelled.labelled_columns import LabelledColumns
from mlm.data.texts.seen_texts import text_digest


@dataclass(frozen=True, eq=False)
class LabelledTexts:
    """Texts with labels.

    texts: clean; those of words are the words joined by spaces.
    second_texts: of pairs, else None.
    words: the words of each text if each word has a label, else None.
    labels: names of classes (single label), lists of names (multi-label), numbers (regression), or
        a list of tags for each text's words.
    task: the problem type and the order of the names.
    columns: those that were read; None of files without named columns.
    """

    texts: list[str]
    labels: list[Any]
    task: Task
    columns: LabelledColumns | None
    second_texts: list[str] | None = None
    words: list[list[str]] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Iterable[int]) -> LabelledTexts:
        """Return some rows, in the given order."""
        chosen = [int(row) for row in rows]
        return replace(
            self,
            texts=_take(self.texts, chosen),
            labels=_take(self.labels, chosen),
            second_texts=None if self.second_texts is None else _take(self.second_texts, chosen),
            words=None if self.words is None else _take(self.words, chosen),
        )

    def digests(self) -> list[bytes]:
        """Return a digest of each text, or pair: equal ones are the same text."""
        if self.second_texts is None:
            return [text_digest(text) for text in self.texts]
        pairs = zip(self.texts, self.second_texts, strict=True)
        return [text_digest("\n".join(pair)) for pair in pairs]  # clean texts have no line ends

    def label_array(self) -> np.ndarray:
        """Return the labels of the texts as numbers, in the order of the task's names.

        Returns:
            (N,) int32 ids of classes; (N, L) float32 of 0 and 1; or (N,) float32 numbers.

        Raises:
            ValueError: each word has a label; see `tag_arrays`.
        """
        ids = {name: number for number, name in enumerate(self.task.labels)}
        match self.task.problem_type:
            case "single_label_classification":
                return np.array([ids[name] for name in self.labels], np.int32)
            case "regression":
                return np.array(self.labels, np.float32)
            case "multi_label_classification":
                found = np.zeros((len(self), len(ids)), np.float32)
                for row, names in enumerate(self.labels):
                    found[row, [ids[name] for name in names]] = 1
                return found
        raise ValueError("each word has a label")

    def tag_arrays(self) -> list[np.ndarray]:
        """Return the ids of the words' labels, int32, an array for each text."""
        ids = {name: number for number, name in enumerate(self.task.labels)}
        return [np.array([ids[tag] for tag in tags], np.int32) for tags in self.labels]


def _take(values: Sequence[Any], rows: Sequence[int]) -> list[Any]:
    return [values[row] for row in rows]
