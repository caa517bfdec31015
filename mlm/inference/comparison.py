"""What two answers to one gap say differently: of two models, or to two sentences."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from mlm.errors import InputError
from mlm.inference.fill_mask import FillMask


class Difference(NamedTuple):
    """A word's probability in both answers; None where a vocabulary does not have the word."""

    word: str
    first: float | None
    second: float | None

    @property
    def change(self) -> float:
        return (self.second or 0.0) - (self.first or 0.0)

    def as_dict(self) -> dict[str, Any]:
        return {**self._asdict(), "change": self.change}


@dataclass(frozen=True)
class Comparison:
    """Of one mask the words that rose most and those that fell most from first to second."""

    rose: list[Difference]  # the largest change first
    fell: list[Difference]  # the largest change first

    def as_dict(self) -> dict[str, Any]:
        """`rose` and `fell`, lists of word, first, second, change."""
        return {
            "rose": [difference.as_dict() for difference in self.rose],
            "fell": [difference.as_dict() for difference in self.fell],
        }


def compare_models(first: FillMask, second: FillMask, text: str, top_k: int) -> list[Comparison]:
    """One text, two models: a Comparison for each mask. Raises InputError, CheckpointError."""
    answers = first.word_probabilities(text), second.word_probabilities(text)
    return [compare(*pair, top_k) for pair in zip(*answers, strict=True)]


def compare_texts(model: FillMask, first: str, second: str, top_k: int) -> list[Comparison]:
    """One model, two texts with the same number of masks. Raises InputError, CheckpointError."""
    answers = model.word_probabilities(first), model.word_probabilities(second)
    if len(answers[0]) != len(answers[1]):
        raise InputError(
            f"Masks in the first text: {len(answers[0])}, in the second: {len(answers[1])}; give "
            "both the same number."
        )
    return [compare(*pair, top_k) for pair in zip(*answers, strict=True)]


def compare(first: Mapping[str, float], second: Mapping[str, float], top_k: int) -> Comparison:
    """The `top_k` words that rose most and fell most; words are the same whatever their capitals.

    Args: the probability of each word, before and after.
    """
    named = {name.casefold(): name for name in [*first, *second]}
    one = {name.casefold(): score for name, score in first.items()}
    other = {name.casefold(): score for name, score in second.items()}
    every = [Difference(name, one.get(key), other.get(key)) for key, name in named.items()]
    every.sort(key=lambda difference: -difference.change)
    return Comparison(
        [difference for difference in every[:top_k] if difference.change > 0],
        [difference for difference in reversed(every[-top_k:]) if difference.change < 0],
    )
