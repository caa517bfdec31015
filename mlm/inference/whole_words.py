"""Words of several pieces: "unwatchable" where the vocabulary has "un", "##watch" and "##able".

The gap of a word of n pieces is read with n masks. Its pieces are then asked from left to right,
each with those before it in place: the product of their probabilities is the word's. That is a
probability among words of n pieces, the model being told how many there are; it is also the
pseudo-log-likelihood of the word that scoring.py sums up.

Source: Kauf and Ivanova 2023, A Better Way to Do Masked Language Model Scoring (ACL).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mlm.inference.engines.keras_engine import Question
from mlm.inference.predictor import Predictor
from mlm.inference.vocabulary import Vocabulary

MAX_PIECES = 4  # of a word that is searched
BEAMS = 12  # beginnings of a word that are looked into further


class Word(NamedTuple):
    """The pieces of a word and the logarithm of its probability."""

    pieces: tuple[int, ...]
    log_probability: float


def score_words(
    predictor: Predictor, question: Question, index: int, words: Sequence[Sequence[int]]
) -> np.ndarray:
    """(words,) float64: the logarithm of each word's probability at one of the masks.

    Args:
        index: which of the question's masks; the others stay masks.
        words: the ids of each, one or more.
    Raises:
        InputError: with so many pieces the text is longer than the model reads.
    """
    asked = [
        _with_pieces(predictor, question, index, word[:known], len(word))
        for word in words
        for known in range(len(word))
    ]
    rows = iter(predictor.log_probabilities(asked))
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
    """Words of 2 to `max_pieces` pieces for one of the masks, the most probable first.

    A beam search for each number of pieces: the first begins a word, the others go on one. Words
    that the tokenizer would cut in another way are left out: no text gives the model these pieces.
    """
    room = predictor.max_length - len(question.input_ids) + 1
    begins, goes_on = _kinds_of_pieces(vocabulary, predictor.num_rows)
    found = [
        word
        for num_pieces in range(2, min(max_pieces, room) + 1)
        for word in _beam_search(predictor, question, index, num_pieces, beams, begins, goes_on)
    ]
    spelt_so = [word for word in found if _is_spelt_so(predictor, vocabulary, word.pieces)]
    return sorted(spelt_so, key=lambda word: -word.log_probability)


def _is_spelt_so(predictor: Predictor, vocabulary: Vocabulary, pieces: Sequence[int]) -> bool:
    """Whether the tokenizer cuts the word into these pieces: "on" + "##line" may be "online"."""
    space = " " if vocabulary.marks_spaces else ""
    return predictor.read_plain(space + vocabulary.spelling(list(pieces))) == list(pieces)


def _beam_search(
    predictor: Predictor,
    question: Question,
    index: int,
    num_pieces: int,
    beams: int,
    begins: np.ndarray,
    goes_on: np.ndarray,
) -> list[Word]:
    words = [Word((), 0.0)]
    for known in range(num_pieces):
        allowed = goes_on if known else begins
        rows = predictor.log_probabilities(
            [_with_pieces(predictor, question, index, w.pieces, num_pieces) for w in words]
        )
        longer = [
            Word((*word.pieces, int(piece)), word.log_probability + float(row[0, piece]))
            for word, row in zip(words, rows, strict=True)
            for piece in _best(row[0], allowed, beams)
        ]
        words = sorted(longer, key=lambda word: -word.log_probability)[:beams]
    return words


def _with_pieces(
    predictor: Predictor, question: Question, index: int, pieces: Sequence[int], num_pieces: int
) -> Question:
    """The text with a word of so many pieces in the gap, the first of them known; asks the next."""
    at = question.positions[index]
    hidden = [predictor.mask_id] * (num_pieces - len(pieces))
    ids = [*question.input_ids[:at], *pieces, *hidden, *question.input_ids[at + 1 :]]
    predictor.check_length(ids)
    return Question(ids, [at + len(pieces)])


def _kinds_of_pieces(vocabulary: Vocabulary, num_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids that begin a word of letters, and ids that go on one."""
    starts = vocabulary.starts_word[vocabulary.ids]
    letters = vocabulary.has_letters
    fits = (vocabulary.ids < num_rows) & letters
    return vocabulary.ids[fits & starts], vocabulary.ids[fits & ~starts]


def _best(row: np.ndarray, allowed: np.ndarray, count: int) -> np.ndarray:
    if len(allowed) > count:
        allowed = allowed[np.argpartition(-row[allowed], count)[:count]]
    return allowed
