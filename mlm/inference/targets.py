"""Target words: the words that `FillMask.fill` is to choose among, checked and encoded."""

from collections.abc import Iterable
from reprlib import repr as short_repr

from mlm.checkpoint.strict_json import has_lone_surrogate
from mlm.errors import InputError
from mlm.inference.composed_text import compose_text
from mlm.inference.predictor import Predictor
from mlm.inference.vocabulary import Vocabulary

MAX_TARGETS = 200

Pieces = tuple[int, ...]  # the ids of a word


def encode_targets(
    predictor: Predictor, vocabulary: Vocabulary, targets: object
) -> dict[Pieces, str]:
    """Return the ids of each target word, and the first spelling that was given for them.

    Raises:
        InputError: `targets` is not a word or a list of words, empty, or too long.
    """
    if not isinstance(targets, Iterable):
        raise InputError(f"targets is {short_repr(targets)}; expected a word or a list of words.")
    words = [targets] if isinstance(targets, str) else list(targets)
    if not words:
        raise InputError("targets is empty; name at least one word, or leave it out.")
    if len(words) > MAX_TARGETS:
        raise InputError(f"targets has {len(words):,} words; at most {MAX_TARGETS} are scored.")
    spellings: dict[Pieces, str] = {}
    for word in words:
        spellings.setdefault(encode_target(predictor, vocabulary, word), word)
    return spellings


def encode_target(predictor: Predictor, vocabulary: Vocabulary, word: object) -> Pieces:
    """Return the ids of a target word: one, or several pieces.

    Raises:
        InputError: not a word, or one that the vocabulary has no pieces for.
    """
    if not isinstance(word, str) or not word.strip() or has_lone_surrogate(word):
        raise InputError(f"{short_repr(word)} is not a word.")
    spaced = f" {word.strip()}"
    if vocabulary.marks_spaces:  # inside a sentence a word follows a space
        ids = predictor.encode_word(spaced)
        if len(ids) == 1:
            return tuple(ids)
    entry = compose_text(word).text
    if entry in vocabulary:
        return (vocabulary.id_of(entry),)
    ids = predictor.encode_word(spaced if vocabulary.marks_spaces else word)
    if not ids or not vocabulary.special.isdisjoint(ids):
        raise InputError(
            f"{short_repr(word)} is not a word for {predictor.name}: its vocabulary has no pieces "
            "for it."
        )
    return tuple(ids)
