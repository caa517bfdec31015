"""How much each word of a text surprises a model: pseudo-log-likelihoods.

Every piece of a word is hidden together with the pieces of the word that follow it, and the model
is asked for it; a word's log-probability is the sum over its pieces, a text's over its words. With
only the piece itself hidden, the rest of a long word would give it away.

Source: Kauf and Ivanova 2023, A Better Way to Do Masked Language Model Scoring (ACL), where it is
called PLL-word-l2r.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from mlm.errors import InputError
from mlm.masked_text import check_text
from mlm.predictor import Predictor, Question
from mlm.vocabulary import Vocabulary

MAX_SCORED_TOKENS = 512
GUESSES = 3  # words shown that the model would have written
VALUES_AT_ONCE = 2**24  # of (questions, V) float64: 128 MiB


class Guess(NamedTuple):
    """A word that the model would have written, and its probability."""

    word: str
    probability: float


@dataclass(frozen=True)
class ScoredWord:
    """One word of a text.

    start, end: where it stands in the text.
    log_probability: in nats, the sum over its pieces; None for a word that the vocabulary has no
        pieces for, whose probability would mean nothing.
    guesses: what the model finds most probable in its place.
    """

    text: str
    start: int
    end: int
    num_tokens: int
    log_probability: float | None
    guesses: tuple[Guess, ...]

    @property
    def unknown(self) -> bool:
        return self.log_probability is None

    @property
    def probability(self) -> float | None:
        return None if self.log_probability is None else math.exp(self.log_probability)

    def as_dict(self) -> dict[str, Any]:
        return {
            "text": self.text,
            "start": self.start,
            "end": self.end,
            "log_probability": self.log_probability,
            "probability": self.probability,
            "num_tokens": self.num_tokens,
            "unknown": self.unknown,
            "guesses": [guess._asdict() for guess in self.guesses],
        }


@dataclass(frozen=True)
class TextScore:
    """A text and its words, in their order; sums are over the words that are known."""

    text: str
    words: tuple[ScoredWord, ...]

    @property
    def num_tokens(self) -> int:
        return sum(word.num_tokens for word in self.words if not word.unknown)

    @property
    def pseudo_log_likelihood(self) -> float:
        """In nats."""
        return sum(word.log_probability or 0.0 for word in self.words)

    @property
    def perplexity(self) -> float:
        """exp of the mean surprise of a token: pseudo-perplexity, not a left-to-right model's."""
        return math.exp(-self.pseudo_log_likelihood / self.num_tokens)

    @property
    def note(self) -> str | None:
        """What was left out of the sums."""
        unknown = list(dict.fromkeys(word.text for word in self.words if word.unknown))
        if not unknown:
            return None
        shown = ", ".join(unknown[:5]) + (", ..." if len(unknown) > 5 else "")
        return f"Not in the vocabulary, and left out: {shown}."

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the text's figures, and for each word what ScoredWord says."""
        return {
            "text": self.text,
            "pseudo_log_likelihood": self.pseudo_log_likelihood,
            "num_tokens": self.num_tokens,
            "perplexity": self.perplexity,
            "note": self.note,
            "words": [word.as_dict() for word in self.words],
        }


def score_text(predictor: Predictor, vocabulary: Vocabulary, text: Any) -> TextScore:
    """Score every word of a text.

    Raises:
        InputError: not a text, no word in it that is known, masks, or more than 512 tokens.
    """
    check_text(text)
    input_ids, offsets = predictor.read_with_offsets(text)
    words = _words(vocabulary, predictor, input_ids, offsets)
    unknown = [_is_unknown(vocabulary, [input_ids[i] for i in word]) for word in words]
    if all(unknown):
        raise InputError("There is no word in the text that the model knows: write a sentence.")
    surprises = _log_probabilities(predictor, input_ids, words)
    guesses = _guesses(predictor, vocabulary, input_ids, words)
    scored = []
    for word, is_unknown, guessed in zip(words, unknown, guesses, strict=True):
        start, end = _span(text, offsets[word[0]][0], offsets[word[-1]][1])
        log_probability = None if is_unknown else sum(surprises[i] for i in word)
        scored.append(ScoredWord(text[start:end], start, end, len(word), log_probability, guessed))
    return TextScore(text, tuple(scored))


def _words(
    vocabulary: Vocabulary,
    predictor: Predictor,
    input_ids: list[int],
    offsets: list[tuple[int, int]],
) -> list[range]:
    """The positions of each word's tokens; the special tokens around the text are in none."""
    if predictor.mask_id in input_ids:
        raise InputError("The text has a mask: to score it, write the word in its place.")
    of_text = [i for i, (start, end) in enumerate(offsets) if end > start]
    if len(of_text) > MAX_SCORED_TOKENS:
        raise InputError(
            f"The text has {len(of_text)} tokens; at most {MAX_SCORED_TOKENS} are scored: "
            "shorten it."
        )
    if not of_text:
        raise InputError("The text is empty: write a sentence.")
    starts = [i for i in of_text if vocabulary.starts_word[input_ids[i]]]
    starts = sorted({of_text[0], *starts})
    return [range(start, end) for start, end in pairwise([*starts, of_text[-1] + 1])]


def _is_unknown(vocabulary: Vocabulary, pieces: Sequence[int]) -> bool:
    return not vocabulary.special.isdisjoint(pieces)


def _log_probabilities(
    predictor: Predictor, input_ids: list[int], words: Sequence[range]
) -> dict[int, float]:
    """Of each token, hidden with the later ones of its word."""
    hidden = [(i, range(i, word.stop)) for word in words for i in word]
    questions = [_hiding(predictor, input_ids, span, [i]) for i, span in hidden]
    rows = _asked(predictor, questions)
    return {i: float(row[input_ids[i]]) for (i, _), row in zip(hidden, rows, strict=True)}


def _guesses(
    predictor: Predictor, vocabulary: Vocabulary, input_ids: list[int], words: Sequence[range]
) -> Iterator[tuple[Guess, ...]]:
    """For each word the best in its place, the whole of it behind one mask."""
    questions = []
    for word in words:
        ids = [*input_ids[: word.start], predictor.mask_id, *input_ids[word.stop :]]
        questions.append(Question(ids, [word.start]))
    names = vocabulary.words.names
    for row in _asked(predictor, questions):
        scores = vocabulary.words.probabilities(row)
        best = np.argsort(-scores, kind="stable")[:GUESSES]
        yield tuple(Guess(names[i], float(scores[i])) for i in best)


def _hiding(
    predictor: Predictor, input_ids: list[int], span: range, positions: list[int]
) -> Question:
    hidden = [predictor.mask_id] * len(span)
    return Question([*input_ids[: span.start], *hidden, *input_ids[span.stop :]], positions)


def _asked(predictor: Predictor, questions: Sequence[Question]) -> Iterator[np.ndarray]:
    """For each question of one position the logarithms (V,), few at a time in memory."""
    at_once = max(1, VALUES_AT_ONCE // predictor.num_rows)
    for start in range(0, len(questions), at_once):
        for row in predictor.log_probabilities(questions[start : start + at_once]):
            yield row[0]


def _span(text: str, start: int, end: int) -> tuple[int, int]:
    """Without the space that some tokenizers count to the word behind it."""
    while start < end - 1 and text[start].isspace():
        start += 1
    return start, end
