"""Words of several pieces: "unwatchable" if the vocabulary has only "un", "##watch" and "##able".

For a word of n pieces, n masks take the place of the one. The pieces are predicted from left to
right, each given those before it; the product of their probabilities is the word's. It is a
probability among words of n pieces, because the model sees n masks. Its logarithm is the word's
pseudo-log-likelihood, as in scoring.py.

Source: Kauf and Ivanova 2023, A Better Way to Do Masked Language Model Scoring (ACL).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mlm.inference.engines.engine import Question
from mlm.inference.predictor import Predictor
from mlm.inference.vocabulary import Vocabulary

MAX_PIECES = 4  # of a word in the search
BEAMS = 12  # beginnings of a word that the search keeps


class Word(NamedTuple):
    """The ids of a word's pieces and the logarithm of its probability."""

    pieces: tuple[int, ...]
    log_probability: float


def score_words(
    predictor: Predictor, question: Question, index: int, words: Sequence[Sequence[int]]
) -> np.ndarray:
    """Return the logarithm of each word's probability at one of the masks: (words,) float64.

    Args:
        predictor: asks the model.
        question: the encoded text.
        index: of the mask among the question's positions; the other masks stay.
        words: the ids of each word, one or more.

    Raises:
        InputError: with so many pieces the text is longer than the model reads.
    """
    questions = [
        _question_about_piece(predictor, question, index, word[:known], len(word))
        for word in words
        for known in range(len(word))
    ]
    rows = iter(predictor.log_probabilities(questions))
    return np.array([sum(next(rows)[0, piece] for piece in word) for word in words])


def search_words(
    predictor: Predictor,
    vocabulary: Vocabulary,
    question: Question,
    index: int,
    *,
    max_pieces: int = MAX_PIECES,
    beams: int = BEAMS,
) -> list[Word]:
    """Return words of 2 to `max_pieces` pieces for one of the masks, the most probable first.

    One beam search for each number of pieces: the first piece begins a word, the others continue
    it. A word that the tokenizer would split differently is left out, because the model never sees
    these pieces in a text.
    """
    room = predictor.max_length - len(question.input_ids) + 1
    first_pieces, later_pieces = _piece_ids(vocabulary, predictor.num_rows)
    found = [
        word
        for num_pieces in range(2, min(max_pieces, room) + 1)
        for word in _beam_search(
            predictor, question, index, num_pieces, beams, first_pieces, later_pieces
        )
    ]
    natural = [word for word in found if _is_natural_split(predictor, vocabulary, word.pieces)]
    return sorted(natural, key=lambda word: -word.log_probability)


def _is_natural_split(predictor: Predictor, vocabulary: Vocabulary, pieces: Sequence[int]) -> bool:
    """Return True if the tokenizer splits the word so: "on" + "##line" may be one token."""
    space = " " if vocabulary.marks_spaces else ""
    return predictor.encode_word(space + vocabulary.spelling(list(pieces))) == list(pieces)


def _beam_search(
    predictor: Predictor,
    question: Question,
    index: int,
    num_pieces: int,
    beams: int,
    first_pieces: np.ndarray,
    later_pieces: np.ndarray,
) -> list[Word]:
    words = [Word((), 0.0)]
    for known in range(num_pieces):
        allowed = later_pieces if known else first_pieces
        rows = predictor.log_probabilities(
            [_question_about_piece(predictor, question, index, w.pieces, num_pieces) for w in words]
        )
        longer = [
            Word((*word.pieces, int(piece)), word.log_probability + float(row[0, piece]))
            for word, row in zip(words, rows, strict=True)
            for piece in _highest(row[0], allowed, beams)
        ]
        words = sorted(longer, key=lambda word: -word.log_probability)[:beams]
    return words


def _question_about_piece(
    predictor: Predictor, question: Question, index: int, pieces: Sequence[int], num_pieces: int
) -> Question:
    """Put a word of `num_pieces` in the mask's place, the first `pieces` known; ask for the next.

    Raises InputError: see `score_words`.
    """
    start = question.positions[index]
    hidden = [predictor.mask_id] * (num_pieces - len(pieces))
    ids = [*question.input_ids[:start], *pieces, *hidden, *question.input_ids[start + 1 :]]
    predictor.check_length(ids)
    return Question(ids, [start + len(pieces)])


def _piece_ids(vocabulary: Vocabulary, num_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids that begin a word of letters, and the ids that continue one."""
    starts = vocabulary.boundaries.starts_alone[vocabulary.ids]
    usable = (vocabulary.ids < num_rows) & vocabulary.has_letters
    return vocabulary.ids[usable & starts], vocabulary.ids[usable & ~starts]


def _highest(row: np.ndarray, allowed: np.ndarray, count: int) -> np.ndarray:
    """Return the `count` allowed ids that are highest in a row, in any order."""
    if len(allowed) > count:
        allowed = allowed[np.argpartition(-row[allowed], count)[:count]]
    return allowed
