"""How much each word of a text surprises the model: the pseudo-log-likelihood, word by word.

A word is hidden with all its pieces, and they are asked from left to right, each with the later
ones still hidden: seeing "##able" would give "unwatch" away. The logarithms of the pieces'
probabilities add up to the word's, those of the words to the text's.

Source: Kauf and Ivanova 2023, A Better Way to Do Masked Language Model Scoring (ACL), PLL-word-l2r;
perplexity as in Salazar et al. 2020, Masked Language Model Scoring (ACL), PPPL.
"""

import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mlm.errors import InputError
from mlm.inference.engines.keras_engine import Question
from mlm.inference.filling import find_masks
from mlm.inference.masked_text import check_text
from mlm.inference.predictor import Predictor
from mlm.inference.ranking import best_first
from mlm.inference.vocabulary import Vocabulary

MAX_SCORED_TOKENS = 512  # of a text, special ones counted: one question each, and some more
GUESSES = 3  # words that the model would have written
VALUES_AT_ONCE = 2**24  # of answers: 128 MiB; they are reduced before the next are asked for
LARGEST_EXPONENT = 700.0  # of e, in a float64
# Names of letters of scripts without spaces: there each token is a word, as each sign is for BERT.
UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "BOPOMOFO", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")
JOINER = "\u200d"  # makes one emoji of two


class Guess(NamedTuple):
    """A word that the model would have written; "…ing" goes on the word before."""

    word: str
    probability: float


@dataclass(frozen=True)
class ScoredWord:
    """One word of a text; a punctuation mark is one too."""

    text: str
    start: int  # characters [start, end) of the text
    end: int
    num_tokens: int  # pieces
    log_probability: float | None  # nats, the sum over its pieces; None where it is unknown
    guesses: list[Guess]  # best first; with one mask for the whole word, however many its pieces
    unknown: bool = False  # not in the vocabulary, or one of the model's own marks, as [SEP]

    @property
    def probability(self) -> float | None:
        return None if self.log_probability is None else math.exp(self.log_probability)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; see TextScore."""
        return {
            "text": self.text,
            "start": self.start,
            "end": self.end,
            "num_tokens": self.num_tokens,
            "log_probability": self.log_probability,
            "probability": self.probability,
            "unknown": self.unknown,
            "guesses": [guess._asdict() for guess in self.guesses],
        }


@dataclass(frozen=True)
class TextScore:
    """A text and how much its words surprise the model."""

    text: str
    words: list[ScoredWord]
    note: str | None  # what was left out

    @property
    def num_tokens(self) -> int:
        """Of the words that are known."""
        return sum(word.num_tokens for word in self.words if not word.unknown)

    @property
    def pseudo_log_likelihood(self) -> float:
        """In nats, the sum over the words that are known."""
        return math.fsum(word.log_probability or 0.0 for word in self.words)

    @property
    def perplexity(self) -> float:
        """The pseudo-perplexity: e to the mean surprise of a token that is known.

        Each token is asked for with the words on both sides in view, so that this is lower than
        the perplexity of a model that reads from left to right, and no substitute for it.
        """
        return math.exp(min(-self.pseudo_log_likelihood / self.num_tokens, LARGEST_EXPONENT))

    def as_dict(self) -> dict[str, Any]:
        """For JSON.

        text; pseudo_log_likelihood, in nats; num_tokens; perplexity, the pseudo-perplexity; note,
        or null; words, from left to right, each with text, start and end (characters of the text),
        num_tokens, log_probability in nats and probability (both null where unknown is true),
        unknown, and guesses, a list of {word, probability}, best first.
        """
        return {
            "text": self.text,
            "pseudo_log_likelihood": self.pseudo_log_likelihood,
            "num_tokens": self.num_tokens,
            "perplexity": self.perplexity,
            "note": self.note,
            "words": [word.as_dict() for word in self.words],
        }


class _Span(NamedTuple):
    """A word as the tokenizer gives it: tokens [first, last), characters [start, end)."""

    first: int
    last: int
    start: int
    end: int
    unknown: bool


class _Asked(NamedTuple):
    """A question on one word: which piece's probability is wanted, and whether guesses are."""

    question: Question
    word: int
    piece: int | None  # its id
    guess: bool


def score_text(predictor: Predictor, vocabulary: Vocabulary, text: Any) -> TextScore:
    """Ask the model for every word of a text.

    It is run once for every token, and once more for every word of several pieces. A word that the
    vocabulary does not know is left out of the sums; when the others are asked for it stands there
    as unknown.

    Raises:
        InputError: not a text, masks in it, no word in it, none that is known, or too long.
        CheckpointError: a tokenizer that breaks on it, or that marks no beginnings of words.
    """
    input_ids, offsets = _read(predictor, vocabulary, text)
    spans = _words(vocabulary, text, input_ids, offsets)
    _check_words(predictor.name, spans)
    asked = list(_questions(predictor.mask_id, input_ids, spans))
    sums, guesses = _answers(predictor, vocabulary, asked, len(spans))
    words = [_scored(text, *each) for each in zip(spans, sums.tolist(), guesses, strict=True)]
    return TextScore(text, words, _note(words))


def _read(
    predictor: Predictor, vocabulary: Vocabulary, text: Any
) -> tuple[list[int], list[tuple[int, int]]]:
    check_text(text)
    if not text.strip():
        raise InputError("The text is empty: write a sentence to be scored.")
    if masks := find_masks(text, vocabulary.token_str(predictor.mask_id).strip()):
        raise InputError(
            f"The text has a gap in it ({masks[0][0][:20]}): to have it scored, write a word in "
            "its place."
        )
    input_ids, offsets = predictor.read_with_offsets(text)
    if len(input_ids) > MAX_SCORED_TOKENS:
        raise InputError(
            f"The text has {len(input_ids):,} tokens; at most {MAX_SCORED_TOKENS} are scored: "
            "shorten it, or have its parts scored one by one."
        )
    return input_ids, offsets


def _check_words(name: str, spans: Sequence[_Span]) -> None:
    if not spans:
        raise InputError("There is no word in the text: write a sentence to be scored.")
    if all(span.unknown for span in spans):
        raise InputError(
            f"No word of the text is in the vocabulary of {name}: it cannot be scored, write "
            "another."
        )


def _words(
    vocabulary: Vocabulary, text: str, input_ids: list[int], offsets: list[tuple[int, int]]
) -> list[_Span]:
    """The tokens of each word. White space that is a token goes with the word after it."""
    words: list[_Span] = []
    for i, (token_id, (start, end)) in enumerate(zip(input_ids, offsets, strict=True)):
        special = token_id in vocabulary.special
        if special and start == end:  # put around the text by the tokenizer
            continue
        token = _Span(i, i + 1, start, _after_marks(text, end), special)
        if words and _belongs(vocabulary, text, token_id, token, words[-1]):
            words[-1] = _joined(words[-1], token)
        else:
            words.append(token)
    if len(words) > 1 and _is_blank(text, words[-1]):  # at the end of the text
        words[-2:] = [_joined(*words[-2:])]
    return [_trimmed(text, word) for word in words if not _is_blank(text, word)]


def _belongs(vocabulary: Vocabulary, text: str, token_id: int, token: _Span, word: _Span) -> bool:
    """Whether a token goes on the word before it."""
    if token.start < word.end:  # a character of several tokens: a part of an emoji, the 2 of ½
        return True
    if _is_blank(text, word):
        return not token.unknown
    if word.unknown or token.unknown:
        return False
    if _is_joined_on(text, token.start):
        return True
    if vocabulary.starts_word[token_id]:
        return False
    return not (vocabulary.marks_spaces and _begins_anew(text, token.start))


def _after_marks(text: str, end: int) -> int:
    """Where the accents end that a tokenizer takes off a letter."""
    while end < len(text) and unicodedata.category(text[end])[0] == "M":
        end += 1
    return end


def _is_joined_on(text: str, start: int) -> bool:
    """Behind or at a character that is not seen but joins, as in an emoji of a family."""
    return unicodedata.category(text[start : start + 1] or "a") == "Cf" or text[start - 1] == JOINER


def _begins_anew(text: str, start: int) -> bool:
    """Where no space shows it: at and behind a sign, and in scripts without spaces."""
    kinds = [unicodedata.category(letter)[0] for letter in text[start - 1 : start + 1]]
    if len(kinds) < 2 or kinds[1] == "M":
        return False
    is_unspaced = unicodedata.name(text[start], "").startswith(UNSPACED)
    return is_unspaced or any(kind not in "LMN" for kind in kinds)


def _is_blank(text: str, word: _Span) -> bool:
    """Whether there is nothing to be seen of it: spaces, and characters that only join or turn."""
    return not word.unknown and all(
        letter.isspace() or unicodedata.category(letter) == "Cf"
        for letter in text[word.start : word.end]
    )


def _joined(word: _Span, token: _Span) -> _Span:
    end = max(word.end, token.end)
    return _Span(word.first, token.last, word.start, end, word.unknown or token.unknown)


def _trimmed(text: str, word: _Span) -> _Span:
    """Without the space that byte-level BPE and SentencePiece count to a word."""
    written = text[word.start : word.end]
    start = word.start + len(written) - len(written.lstrip())
    return word._replace(start=start, end=start + len(written.strip()))


def _questions(mask_id: int, input_ids: list[int], words: Sequence[_Span]) -> Iterator[_Asked]:
    """One for every piece of every word, and one with a single mask where a word has several."""
    for i, word in enumerate(words):
        pieces = range(0) if word.unknown else range(word.first, word.last)
        for at in pieces:
            hidden = [mask_id] * (word.last - at)
            ids = [*input_ids[:at], *hidden, *input_ids[word.last :]]
            yield _Asked(Question(ids, [at]), i, input_ids[at], len(pieces) == 1)
        if len(pieces) != 1:
            ids = [*input_ids[: word.first], mask_id, *input_ids[word.last :]]
            yield _Asked(Question(ids, [word.first]), i, None, True)


def _answers(
    predictor: Predictor, vocabulary: Vocabulary, asked: Sequence[_Asked], num_words: int
) -> tuple[np.ndarray, list[list[Guess]]]:
    """(words,) float64, the sums of logarithms of the pieces asked for; guesses for each word."""
    sums = np.zeros(num_words)
    guesses: list[list[Guess]] = [[] for _ in range(num_words)]
    at_once = max(1, VALUES_AT_ONCE // predictor.num_rows)
    for begin in range(0, len(asked), at_once):
        chunk = asked[begin : begin + at_once]
        rows = predictor.log_probabilities([each.question for each in chunk])
        for each, (row,) in zip(chunk, rows, strict=True):
            if each.piece is not None:
                sums[each.word] += row[each.piece]
            if each.guess:
                guesses[each.word] = _best(vocabulary, row)
    return sums, guesses


def _best(vocabulary: Vocabulary, row: np.ndarray) -> list[Guess]:
    """The most probable words; those that differ by a space or capitals alone are one."""
    probabilities = vocabulary.words.probabilities(row)
    best = best_first(probabilities, GUESSES).tolist()
    return [Guess(vocabulary.words.names[word], float(probabilities[word])) for word in best]


def _scored(text: str, span: _Span, log_probability: float, guesses: list[Guess]) -> ScoredWord:
    return ScoredWord(
        text[span.start : span.end],
        span.start,
        span.end,
        span.last - span.first,
        None if span.unknown else log_probability,
        guesses,
        span.unknown,
    )


def _note(words: Sequence[ScoredWord]) -> str | None:
    """What was left out, in a sentence; the words themselves are cut where they are long."""
    unknown = list(dict.fromkeys(word.text[:20] for word in words if word.unknown))
    if not unknown:
        return None
    more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
    return (
        f"Left out of the sums, as no words of the model's vocabulary: {', '.join(unknown[:3])}"
        f"{more}. The others are scored with an unknown word there."
    )
