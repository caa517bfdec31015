"""Several masks together: words that fit the text and each other.

`FillMask.fill` gives the best words of each mask while the others stay open, and these need not go
together. Here a beam search fills one mask after the other, the surest first, each time with what
was filled already in place. The fillings that it ends with are then scored anew: every word is
hidden once more while all the others stand, and the mean of the logarithms of the probabilities
that the model gives them back with is a filling's score, its pseudo-log-likelihood a word.

Source: Wang and Cho 2019, BERT has a Mouth, and It Must Speak (the re-masking); Salazar et al.
2020, Masked Language Model Scoring (the pseudo-log-likelihood).
"""

from typing import NamedTuple

import numpy as np

from mlm.inference.engines.keras_engine import Question
from mlm.inference.predictor import Predictor
from mlm.inference.ranking import best_first
from mlm.inference.vocabulary import Vocabulary

BEAMS = 8
MAX_JOINT_MASKS = 8


class JointTokens(NamedTuple):
    """One token a mask, and the logarithm of the probability of each, given all the others."""

    tokens: tuple[int, ...]
    log_probabilities: tuple[float, ...]

    @property
    def score(self) -> float:
        """The geometric mean of the probabilities, in [0, 1]."""
        return float(np.exp(np.mean(self.log_probabilities)))


def search_jointly(
    predictor: Predictor, vocabulary: Vocabulary, question: Question, beams: int = BEAMS
) -> list[JointTokens]:
    """At most `beams` fillings of all masks of a question, the best first."""
    words = vocabulary.ids[vocabulary.ids < predictor.num_rows]
    words = np.setdiff1d(words, list(vocabulary.special))
    found = [question.input_ids]
    paths = np.zeros(1)
    for position in _surest_first(predictor, question):
        rows = predictor.log_probabilities([Question(ids, [position]) for ids in found])
        scores = paths[:, None] + np.stack([row[0, words] for row in rows])
        best = best_first(scores.ravel(), beams)
        came_from, taken = np.unravel_index(best, scores.shape)
        found = [
            _with_token(found[i], position, int(words[j]))
            for i, j in zip(came_from, taken, strict=True)
        ]
        paths = scores[came_from, taken]
    return sorted(_re_masked(predictor, found, question.positions), key=lambda f: -f.score)


def _surest_first(predictor: Predictor, question: Question) -> list[int]:
    """The masks in the order of how probable the best word of each is on its own."""
    rows = predictor.log_probabilities([question])[0]
    return [question.positions[i] for i in np.argsort(-rows.max(axis=1), kind="stable")]


def _re_masked(
    predictor: Predictor, found: list[list[int]], positions: list[int]
) -> list[JointTokens]:
    """Each filling, scored: all its words are hidden in turn."""
    hidden = [
        Question(_with_token(ids, p, predictor.mask_id), [p]) for ids in found for p in positions
    ]
    rows = iter(predictor.log_probabilities(hidden))
    return [
        JointTokens(
            tuple(ids[p] for p in positions),
            tuple(float(next(rows)[0, ids[p]]) for p in positions),
        )
        for ids in found
    ]


def _with_token(ids: list[int], position: int, token_id: int) -> list[int]:
    return [*ids[:position], token_id, *ids[position + 1 :]]
