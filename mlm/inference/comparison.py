"""Words that rise and fall between two answers to one mask: of two models, or to two texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from mlm.errors import InputError
from mlm.inference.fill_mask import FillMask
from mlm.inference.masked_text import MaskedText


class Difference(NamedTuple):
    """A word's probability in both answers; None if it is not in the vocabulary."""

    word: str
    first: float | None
    second: float | None

    @property
    def change(self) -> float:
        """The second probability minus the first."""
        return (self.second or 0.0) - (self.first or 0.0)

    def as_dict(self) -> dict[str, str | float | None]:
        """Return the difference for JSON: word, first, second, change."""
        return {**self._asdict(), "change": self.change}


@dataclass(frozen=True)
class Comparison:
    """The words of one mask that rose most and fell most, from first to second."""

    rose: list[Difference]  # the largest change first
    fell: list[Difference]  # the largest change first
    note: str | None = None  # if a model knows no word of a text

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison for JSON: rose, fell; and note, if there is one."""
        return {
            "rose": [difference.as_dict() for difference in self.rose],
            "fell": [difference.as_dict() for difference in self.fell],
            **({"note": self.note} if self.note else {}),
        }


def compare_models(first: FillMask, second: FillMask, text: str, top_k: int) -> list[Comparison]:
    """Compare two models on one text; return a Comparison for each mask.

    Raises:
        InputError, CheckpointError: see `FillMask.word_probabilities`; or the models find different
            numbers of masks.
    """
    read = first.read(text), second.read(text)
    answers = first.word_probabilities(read[0]), second.word_probabilities(read[1])
    return _compare_masks(answers, top_k, [(first.name, read[0]), (second.name, read[1])])


def compare_texts(model: FillMask, first: str, second: str, top_k: int) -> list[Comparison]:
    """Compare two texts with the same number of masks; return a Comparison for each mask.

    Raises:
        InputError: the numbers of masks differ; or see `FillMask.word_probabilities`.
    """
    read = model.read(first), model.read(second)
    answers = model.word_probabilities(read[0]), model.word_probabilities(read[1])
    return _compare_masks(
        answers, top_k, [("the first text", read[0]), ("the second text", read[1])]
    )


def _compare_masks(
    answers: tuple[list[dict[str, float]], list[dict[str, float]]],
    top_k: int,
    sides: Sequence[tuple[str, MaskedText]],
) -> list[Comparison]:
    """Return a Comparison for each mask, with a note on sides of which no word is known."""
    if len(answers[0]) != len(answers[1]):
        raise InputError(
            f"Masks for {sides[0][0]}: {len(answers[0])}, for {sides[1][0]}: {len(answers[1])}; "
            "give both the same number, all spelt alike."
        )
    note = " ".join(f"For {name}: {each.warning}" for name, each in sides if each.warning)
    return [
        replace(compare(*pair, top_k), note=note or None) for pair in zip(*answers, strict=True)
    ]


def compare(first: Mapping[str, float], second: Mapping[str, float], top_k: int) -> Comparison:
    """Return the `top_k` words that rose most and fell most; capitals do not distinguish words.

    Args:
        first: the probability of each word before.
        second: the probability of each word after.
        top_k: words on each side, at most.
    """
    named = {name.casefold(): name for name in [*first, *second]}
    before = {name.casefold(): score for name, score in first.items()}
    after = {name.casefold(): score for name, score in second.items()}
    every = [Difference(name, before.get(key), after.get(key)) for key, name in named.items()]
    every.sort(key=lambda difference: -difference.change)
    return Comparison(
        [difference for difference in every[:top_k] if difference.change > 0],
        [difference for difference in reversed(every[-top_k:]) if difference.change < 0],
    )
