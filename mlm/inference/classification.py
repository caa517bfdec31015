"""The answers of a classifier: the labels of a text with their scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mlm.inference.entities import Entity

Function = Literal["softmax", "sigmoid", "none"]


@dataclass(frozen=True)
class LabelScore:
    """A label and its score: a probability, or the value itself of a regression."""

    label: str
    score: float

    def as_dict(self) -> dict[str, Any]:
        """Return {label, score}."""
        return {"label": self.label, "score": self.score}

    def shown_in(self, text: str) -> str:
        """Return the label as people read it."""
        return self.label


@dataclass(frozen=True)
class Classification:
    """The answer for one text, or one pair of texts.

    Attributes:
        text, text_pair: what the user wrote.
        labels: best first; of a classifier of tokens the entities, in the order of the text.
        note: what is to be known about how the text was read, such as that it was cut; or None.
        num_tokens: the tokens that the model read, special ones included.
    """

    text: str
    labels: Sequence[LabelScore] | Sequence[Entity]
    note: str | None
    num_tokens: int
    text_pair: str | None = None

    def as_pipeline(self) -> list[dict[str, Any]]:
        """Return what a pipeline of transformers returns for the text."""
        return [label.as_dict() for label in self.labels]

    def as_json(self) -> dict[str, Any]:
        """Return {text, text_pair, labels, note}; text_pair of a pair only."""
        pair = {} if self.text_pair is None else {"text_pair": self.text_pair}
        return {"text": self.text, **pair, "labels": self.as_pipeline(), "note": self.note}


def function_of(problem_type: str | None, num_labels: int) -> Function:
    """Return how logits become scores, as a pipeline of transformers decides it.

    problem_type: as config.json states it.
    """
    if problem_type == "regression":
        return "none"
    if problem_type == "multi_label_classification" or num_labels == 1:
        return "sigmoid"
    return "softmax"


def rank_labels(
    logits: np.ndarray, names: Sequence[str], function: Function, top_k: int | None
) -> list[LabelScore]:
    """Return the labels of logits (L,), best first; all of them, or `top_k`."""
    scores = _scores(logits.astype(np.float64), function)
    order = np.argsort(-scores, kind="stable")[:top_k]
    return [LabelScore(names[index], float(scores[index])) for index in order]


def _scores(logits: np.ndarray, function: Function) -> np.ndarray:
    if function == "none":
        return logits
    if function == "softmax":
        return softmax(logits)
    probabilities: np.ndarray = 1 / (1 + np.exp(-np.clip(logits, -700, 700)))  # no overflow
    return probabilities


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the softmax over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(axis=-1, keepdims=True)
    return shares
