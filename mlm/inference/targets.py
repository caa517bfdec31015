"""Target words: the words that `FillMask.fill` is to choose among, checked and encoded.

A token of byte-level BPE and of SentencePiece includes the space before it, so that a word has
other ids in mid-sentence than after an opening bracket. A target's ids are those that the tokenizer
gives for the word in the mask's place.
"""

from collections.abc import Iterable, Iterator, Sequence
from reprlib import repr as short_repr
from typing import NamedTuple

from mlm.checkpoint.strict_json import has_lone_surrogate
from mlm.errors import InputError
from mlm.inference.composed_text import compose_text
from mlm.inference.masked_text import MaskedText
from mlm.inference.predictor import EncodedText, Predictor
from mlm.inference.vocabulary import SPACE_MARKS, Vocabulary

MAX_TARGETS = 200
CONTEXT = 200  # characters on each side of a mask that can change how a word in it is split
# Texts after which a word begins without a space, for a place where it merges with a neighbour.
OPENINGS = ('"', "(", "-")
CLOSING = frozenset(".,;:!?…)]}%»”’")  # signs that follow a word without a space

Pieces = tuple[int, ...]  # the ids of a word


class _Place(NamedTuple):
    """The text on both sides of a word."""

    before: str
    after: str


MID_SENTENCE = _Place("a ", " a")


def check_targets(targets: object) -> list[str]:
    """Return the target words as a list.

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
    for word in words:
        if not isinstance(word, str) or not word.strip() or has_lone_surrogate(word):
            raise InputError(f"{short_repr(word)} is not a word.")
    return words


def encode_targets(
    predictor: Predictor,
    vocabulary: Vocabulary,
    words: Sequence[str],
    masked: MaskedText,
    index: int,
) -> dict[Pieces, str]:
    """Return the ids of each target word at a mask, and the first spelling given for them.

    Args:
        predictor: encodes words and texts.
        vocabulary: of the tokenizer.
        words: from `check_targets`.
        masked: the text.
        index: of the mask; the other masks stay in the text.

    Raises:
        InputError: a word that the vocabulary has no pieces for.
    """
    place = _place_of(masked, index, predictor.mask_token)
    spellings: dict[Pieces, str] = {}
    for word, pieces in zip(words, _encode(predictor, vocabulary, words, place), strict=True):
        spellings.setdefault(pieces, word)
    return spellings


def is_target(predictor: Predictor, vocabulary: Vocabulary, word: object) -> bool:
    """Return True if the vocabulary has pieces for a word in mid-sentence."""
    try:
        _encode(predictor, vocabulary, check_targets([word]), MID_SENTENCE)
    except InputError:
        return False
    return True


def _place_of(masked: MaskedText, index: int, mask_token: str) -> _Place:
    """Return the text around a mask, with the other masks spelt as the model's own token."""
    pieces, end = [], 0
    for start, stop in masked.spans:
        pieces.append(masked.text[end:start])
        end = stop
    pieces.append(masked.text[end:])
    before, after = (mask_token.join(part) for part in (pieces[: index + 1], pieces[index + 1 :]))
    return _Place(before[-CONTEXT:], after[:CONTEXT])


def _encode(
    predictor: Predictor, vocabulary: Vocabulary, words: Sequence[str], place: _Place
) -> list[Pieces]:
    """Return the ids of each word. Raises InputError for a word without any."""
    words = [compose_text(word).text for word in words]
    if vocabulary.marks_spaces:
        every = _encode_in_place(predictor, vocabulary, words, place)
    else:
        every = [_encode_apart(predictor, vocabulary, word) for word in words]
    for word, pieces in zip(words, every, strict=True):
        is_known = word in vocabulary or vocabulary.special.isdisjoint(pieces)
        if not pieces or not is_known:
            raise InputError(
                f"{short_repr(word)} is not a word for {predictor.name}: its vocabulary has no "
                "pieces for it."
            )
    return every


def _encode_apart(predictor: Predictor, vocabulary: Vocabulary, word: str) -> Pieces:
    """Return the ids of a word, or of an entry of the vocabulary, that no text can change."""
    return (vocabulary.id_of(word),) if word in vocabulary else tuple(predictor.encode_word(word))


def _encode_in_place(
    predictor: Predictor, vocabulary: Vocabulary, words: Sequence[str], place: _Place
) -> list[Pieces]:
    """Return the ids that the tokenizer gives for each word in a place, () for none.

    A token may span the word and the text beside it, as one for "unable" in "un" + "able". Then
    the word's ids are those with less of that text. A word that is given with the space before it
    is taken as in mid-sentence.
    """
    every = [_entry_with_space(vocabulary, word) for word in words]
    for tried in (place, *_with_less_text(place)):
        missing = [i for i, pieces in enumerate(every) if not pieces]
        plain = [words[i].strip() for i in missing]
        places = [_place_for(words[i], tried) for i in missing]
        texts = [
            f"{each.before}{word}{each.after}" for word, each in zip(plain, places, strict=True)
        ]
        for i, word, each, encoded in zip(
            missing, plain, places, predictor.encode_all(texts), strict=True
        ):
            every[i] = _pieces_at(vocabulary, encoded, len(each.before), len(word))
    return every


def _entry_with_space(vocabulary: Vocabulary, word: str) -> Pieces:
    """Return the id of a word that is spelt as an entry with the mark of a space, else ()."""
    is_entry = word.startswith(SPACE_MARKS) and word in vocabulary
    return (vocabulary.id_of(word),) if is_entry else ()


def _place_for(word: str, place: _Place) -> _Place:
    """Return the place that a word is encoded in, at a mask in `place`."""
    if word[0].isspace():
        return MID_SENTENCE
    # The mask token of these vocabularies takes in the space before it, and nobody writes one
    # before a full stop.
    return _Place(place.before.rstrip(), place.after) if word[0] in CLOSING else place


def _with_less_text(place: _Place) -> Iterator[_Place]:
    """Yield places where a word has the same space before it, and less text to merge with."""
    yield _Place(place.before, "")
    is_joined = place.before and not place.before[-1].isspace()
    for before in OPENINGS if is_joined else [place.before[-1:]]:
        yield _Place(before, "")


def _pieces_at(vocabulary: Vocabulary, encoded: EncodedText, start: int, length: int) -> Pieces:
    """Return the ids of the characters [start, start + length); () if a token spans a border."""
    end = start + length
    at = [i for i, (a, b) in enumerate(encoded.offsets) if max(a, start) < min(b, end)]
    if not at:
        return ()
    first, last = encoded.offsets[at[0]][0], encoded.offsets[at[-1]][1]
    if last > end or encoded.text[first:start].strip():
        return ()
    ids = [encoded.input_ids[i] for i in at]
    before = encoded.input_ids[at[0] - 1] if at[0] else None
    if before is not None and vocabulary.is_space_before(before, ids[0]):
        ids.insert(0, before)  # "▁" and "x", if the vocabulary has no "▁x"
    return tuple(ids)
