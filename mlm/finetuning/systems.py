"""The systems of a learning curve: the adapted model, its base, random weights, TF-IDF.

Each gives logits of the test texts after learning from some rows of the training texts.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from mlm.checkpoint.task import Task
from mlm.data.examples.encoded_examples import EncodedExamples
from mlm.data.labelled.labelled_texts import LabelledTexts
from mlm.finetuning.linear import fit_linear
from mlm.finetuning.probe import labelled_rows
from mlm.finetuning.tfidf import tfidf_scores

ADAPTED, BASE, RANDOM, TFIDF = "adapted", "base", "random", "TF-IDF"


class System(Protocol):
    """A way to learn a task from labels.

    name: in tables.
    """

    name: str

    def logits(self, rows: np.ndarray, seed: int) -> np.ndarray:
        """Return the logits of the test texts, after learning from rows of the training texts."""


class ProbeSystem:
    """A linear probe of an encoder; the model is made and run at the first use."""

    def __init__(
        self,
        name: str,
        make_features: Callable[[], tuple[np.ndarray, np.ndarray]],
        train: EncodedExamples,
        *,
        balanced: bool,
    ):
        """Set up the probe; `make_features` gives the features of training and test texts."""
        self.name = name
        self._make, self._train, self._balanced = make_features, train, balanced
        self._features: tuple[np.ndarray, np.ndarray] | None = None

    def logits(self, rows: np.ndarray, seed: int) -> np.ndarray:
        """See System."""
        if self._features is None:
            self._features = self._make()
        train, test = self._features
        features, labels = labelled_rows(train[rows], self._train.take(rows))
        model = fit_linear(features, labels, self._train.task, balanced=self._balanced)
        return model.logits(test)


class TfidfSystem:
    """TF-IDF and logistic regression, without any encoder."""

    def __init__(self, train: LabelledTexts, test: LabelledTexts, *, balanced: bool = False):
        """Set up the baseline; pairs are joined to one text."""
        self.name = TFIDF
        self._train, self._test, self._balanced = train, test, balanced

    def logits(self, rows: np.ndarray, seed: int) -> np.ndarray:
        """See System."""
        some = self._train.take(rows)
        return tfidf_scores(
            _joined(some),
            some.label_array(),
            _joined(self._test),
            self._train.task,
            balanced=self._balanced,
        )


def _joined(texts: LabelledTexts) -> Sequence[str]:
    if texts.second_texts is None:
        return texts.texts
    return [f"{a} {b}" for a, b in zip(texts.texts, texts.second_texts, strict=True)]


def can_use_tfidf(task: Task) -> bool:
    """Return whether TF-IDF is a system for the task: it has no features of single words."""
    return not task.is_of_tokens
