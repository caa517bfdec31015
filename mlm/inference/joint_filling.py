"""Several masks together: words that fit the text and each other.

`FillMask.fill` returns the best words of each mask while the other masks stay open; such words may
not fit together. Here a beam search fills one mask after the other, beginning with the mask whose
best word is most probable. Each complete filling is then scored by pseudo-log-likelihood: each of
its words is masked again, given all the others, and the log-probabilities are averaged.

Source: Wang and Cho 2019, BERT has a Mouth, and It Must Speak (masking again); Salazar et al. 2020,
Masked Language Model Scoring (pseudo-log-likelihood).
"""

from typing import NamedTuple

import numpy as np

from mlm.inference.engines.engine import Question
from mlm.inference.predictor import Predictor
from mlm.inference.ranking import best_first
from mlm.inference.vocabulary import Vocabulary

BEAMS = 8
MAX_JOINT_MASKS = 8


class JointTokens(NamedTuple):
    """One token for each mask, and the log-probability of each given all the others."""

    tokens: tuple[int, ...]
    log_probabilities: tuple[float, ...]

    @property
    def score(self) -> float:
        """The geometric mean of the probabilities, in [0, 1]."""
        return float(np.exp(np.mean(self.log_probabilities)))


def search_jointly(
    predictor: Predictor, vocabulary: Vocabulary, question: Question, beams: int = BEAMS
) -> list[JointTokens]:
    """Return at most `beams` fillings of all masks of a question, the best first."""
    words = vocabulary.ids[vocabulary.ids < predictor.num_rows]
    words = np.setdiff1d(words, list(vocabulary.special))
    found = [question.input_ids]
    log_probabilities = np.zeros(1)  # of each filling so far
    for position in _most_certain_first(predictor, question):
        rows = predictor.log_probabilities([Question(ids, [position]) for ids in found])
        scores = log_probabilities[:, None] + np.stack([row[0, words] for row in rows])
        best = best_first(scores.ravel(), beams)
        parents, chosen = np.unravel_index(best, scores.shape)
        found = [
            _with_token(found[i], position, int(words[j]))
            for i, j in zip(parents, chosen, strict=True)
        ]
        log_probabilities = scores[parents, chosen]
    fillings = _score_fillings(predictor, found, question.positions)
    return sorted(fillings, key=lambda filling: -filling.score)


def _most_certain_first(predictor: Predictor, question: Question) -> list[int]:
    """Return the positions in descending probability of the best token of each on its own."""
    rows = predictor.log_probabilities([question])[0]
    return [question.positions[i] for i in np.argsort(-rows.max(axis=1), kind="stable")]


def _score_fillings(
    predictor: Predictor, found: list[list[int]], positions: list[int]
) -> list[JointTokens]:
    """Score each filling: each of its words is masked again, given the others."""
    questions = [
        Question(_with_token(ids, p, predictor.mask_id), [p]) for ids in found for p in positions
    ]
    rows = iter(predictor.log_probabilities(questions))
    return [
        JointTokens(
            tuple(ids[p] for p in positions),
            tuple(float(next(rows)[0, ids[p]]) for p in positions),
        )
        for ids in found
    ]


def _with_token(ids: list[int], position: int, token_id: int) -> list[int]:
    return [*ids[:position], token_id, *ids[position + 1 :]]
