"""Candidates: the best words for a mask, from the log-probabilities of all tokens.

The functions take a checked text, the index of one of its masks, and the mask's (V,) float64
log-probabilities.
"""

import operator
from collections.abc import Mapping
from dataclasses import replace
from reprlib import repr as short_repr
from typing import SupportsIndex

import numpy as np

from mlm.errors import InputError
from mlm.inference.filling import Candidate, JointFilling
from mlm.inference.joint_filling import JointTokens
from mlm.inference.masked_text import MaskedText
from mlm.inference.predictor import Predictor
from mlm.inference.ranking import best_first
from mlm.inference.targets import Pieces
from mlm.inference.vocabulary import Vocabulary
from mlm.inference.whole_words import score_words


def best_tokens(
    vocabulary: Vocabulary,
    masked: MaskedText,
    index: int,
    log_probabilities: np.ndarray,
    top_k: int,
) -> list[Candidate]:
    """Return the `top_k` most probable tokens for a mask."""
    # Padding rows of the embedding count in the softmax, but have no token.
    ids = vocabulary.ids[vocabulary.ids < len(log_probabilities)]
    order = best_first(log_probabilities[ids], top_k)
    return [
        make_candidate(vocabulary, masked, index, (token_id,), np.exp(log_probabilities[token_id]))
        for token_id in ids[order].tolist()
    ]


def best_words(
    vocabulary: Vocabulary,
    masked: MaskedText,
    index: int,
    log_probabilities: np.ndarray,
    top_k: int,
) -> list[Candidate]:
    """Return the `top_k` most probable words for a mask, spellings merged; see Words."""
    words = vocabulary.words
    scores = words.probabilities(log_probabilities)
    return [
        _merged_candidate(
            vocabulary, masked, index, log_probabilities, words.ids_of(word), float(scores[word])
        )
        for word in best_first(scores, top_k).tolist()
    ]


def best_targets(
    predictor: Predictor,
    vocabulary: Vocabulary,
    masked: MaskedText,
    index: int,
    log_probabilities: np.ndarray,
    top_k: int,
    *,
    targets: Mapping[Pieces, str],
) -> list[Candidate]:
    """Return the `top_k` most probable of the target words for a mask.

    `targets` is what `encode_targets` returns. A word of several pieces is scored as in
    whole_words.py, and keeps the spelling that the user gave it.
    """
    longer = [pieces for pieces in targets if len(pieces) > 1]
    scores = {
        pieces: log_probabilities[pieces[0]] for pieces in targets if len(pieces) == 1
    } | dict(zip(longer, score_words(predictor, masked.question, index, longer), strict=True))
    best = sorted(targets, key=lambda pieces: -scores[pieces])[:top_k]
    return [
        make_candidate(
            vocabulary,
            masked,
            index,
            pieces,
            np.exp(scores[pieces]),
            targets[pieces].strip() if len(pieces) > 1 else "",
        )
        for pieces in best
    ]


def make_candidate(
    vocabulary: Vocabulary,
    masked: MaskedText,
    index: int,
    pieces: Pieces,
    score: float,
    spelling: str = "",
) -> Candidate:
    """Return a word as a candidate for a mask.

    `pieces` are the word's ids and `score` is its probability. Without a `spelling` the word is
    spelt as in the vocabulary.
    """
    start, end = masked.spans[index]
    before, after = masked.text[:start], masked.text[end:]
    word = spelling or vocabulary.spelling(list(pieces))
    token_str = vocabulary.token_str(pieces[0]) if len(pieces) == 1 else word
    joined = vocabulary.continues_word(pieces[0], before)
    return Candidate(float(score), pieces, token_str, before, word, after, joined)


def make_joint_filling(
    vocabulary: Vocabulary, masked: MaskedText, joint: JointTokens
) -> JointFilling:
    """Return the words of a joint filling with the text around them."""
    words = [vocabulary.spelling([token_id]) for token_id in joint.tokens]
    parts, end = [], 0
    for span, word in zip(masked.spans, words, strict=True):
        parts += [masked.text[end : span[0]], word]
        end = span[1]
    scores = np.exp(joint.log_probabilities).tolist()
    return JointFilling(joint.score, words, scores, [*parts, masked.text[end:]])


def _merged_candidate(
    vocabulary: Vocabulary,
    masked: MaskedText,
    index: int,
    log_probabilities: np.ndarray,
    ids: np.ndarray,
    score: float,
) -> Candidate:
    """Return a word in its most probable spelling, with the other spellings in `also`."""
    first, *others = ids[best_first(log_probabilities[ids], len(ids))].tolist()
    best = make_candidate(vocabulary, masked, index, (first,), score)
    spellings = dict.fromkeys(vocabulary.spelling([token_id]) for token_id in others)
    return replace(best, also=tuple(each for each in spellings if each != best.word))


def check_top_k(top_k: object, most: int) -> int:
    """Return the number of words to find. Raises InputError unless it is from 1 to `most`."""
    try:
        number = operator.index(top_k) if isinstance(top_k, SupportsIndex) else -1
    except TypeError:  # an array
        number = -1
    if isinstance(top_k, bool) or not 1 <= number <= most:
        raise InputError(f"top_k is {short_repr(top_k)}; expected a whole number from 1 to {most}.")
    return number
