"""Pseudo-log-likelihood of a text, word by word: how probable the model finds each word.

All pieces of a word are masked, and predicted from left to right while the later ones are still
masked: a visible "##able" would give "unwatch" away. The log-probabilities of its pieces add up to
a word's, those of the words to the text's.

Source: Kauf and Ivanova 2023, A Better Way to Do Masked Language Model Scoring (ACL), PLL-word-l2r;
perplexity as in Salazar et al. 2020, Masked Language Model Scoring (ACL), PPPL.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mlm.errors import InputError
from mlm.inference.engines.engine import Question
from mlm.inference.filling import find_masks
from mlm.inference.masked_text import check_text
from mlm.inference.predictor import Predictor
from mlm.inference.ranking import best_first
from mlm.inference.reading_losses import find_dropped, list_some, note_on_dropped
from mlm.inference.vocabulary import Vocabulary
from mlm.inference.word_spans import WordSpan, split_words

MAX_SCORED_TOKENS = 512  # of a text, special tokens included; about one question for each
GUESSES = 3  # for each word
VALUES_AT_ONCE = 2**24  # log-probabilities in memory, 128 MiB
LARGEST_EXPONENT = 700.0  # of e, in a float64


class Guess(NamedTuple):
    """A word that the model expects, and its probability; "…ing" continues the word before."""

    word: str
    probability: float


@dataclass(frozen=True)
class ScoredWord:
    """One word of a text; a punctuation mark is a word."""

    text: str
    start: int  # characters [start, end) of the text
    end: int
    num_tokens: int
    log_probability: float | None  # in nats, the sum over the word's pieces; None if unknown
    guesses: list[Guess]  # best first; predicted with one mask for the whole word
    unknown: bool = False  # not in the vocabulary, or a special token in the text, as [SEP]

    @property
    def probability(self) -> float | None:
        """In [0, 1]; None if unknown."""
        return None if self.log_probability is None else math.exp(self.log_probability)

    def as_dict(self) -> dict[str, object]:
        """Return the word for JSON; see TextScore.as_dict."""
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
    """The pseudo-log-likelihood of a text and of each of its words."""

    text: str
    words: list[ScoredWord]
    note: str | None  # words that were left out, characters that the tokenizer drops

    @property
    def num_tokens(self) -> int:
        """The number of tokens in the known words."""
        return sum(word.num_tokens for word in self.words if not word.unknown)

    @property
    def pseudo_log_likelihood(self) -> float:
        """In nats, the sum over the known words."""
        return math.fsum(word.log_probability or 0.0 for word in self.words)

    @property
    def perplexity(self) -> float:
        """The pseudo-perplexity: exp of the mean negative log-probability of a known token.

        Each token is predicted from both sides, so this is lower than the perplexity of a
        left-to-right model, and cannot be compared with one.
        """
        return math.exp(min(-self.pseudo_log_likelihood / self.num_tokens, LARGEST_EXPONENT))

    def as_dict(self) -> dict[str, object]:
        """Return the score for JSON.

        text; pseudo_log_likelihood, in nats; num_tokens; perplexity, the pseudo-perplexity; note,
        or null; words, from left to right, each with text, start and end (characters of the text),
        num_tokens, log_probability in nats and probability (both null if unknown is true),
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


class _WordQuestion(NamedTuple):
    """A question about one word, and what its answer is used for."""

    question: Question
    word: int  # its index
    piece: int | None  # id whose log-probability is added to the word's
    guess: bool  # True if the word's guesses are taken from the answer


def score_text(predictor: Predictor, vocabulary: Vocabulary, text: object) -> TextScore:
    """Score every word of a text.

    The model runs once for each token, and once more for each word of several pieces. A word that
    is not in the vocabulary is left out of the sums; for the other words it remains in the text as
    the unknown token.

    Raises:
        InputError: not a string, masks in it, no words, no known word, or too long.
        CheckpointError: the tokenizer fails on it, or does not mark where words begin.
    """
    text = _check_plain(predictor, vocabulary, text)
    input_ids, offsets = predictor.encode_with_offsets(text)
    _check_num_tokens(input_ids)
    spans = split_words(vocabulary, text, input_ids, offsets)
    _check_words(predictor.name, spans)
    questions = list(_make_questions(predictor.mask_id, input_ids, spans))
    sums, guesses = _ask(predictor, vocabulary, questions, len(spans))
    words = [_make_word(text, *each) for each in zip(spans, sums.tolist(), guesses, strict=True)]
    dropped = find_dropped(vocabulary, text, offsets)
    notes = " ".join(filter(None, [_note_on_unknown(words), note_on_dropped(dropped)]))
    return TextScore(text, words, notes or None)


def _check_plain(predictor: Predictor, vocabulary: Vocabulary, text: object) -> str:
    """Return the text; raise InputError unless it has words and no masks."""
    text = check_text(text)
    if not text.strip():
        raise InputError("The text is empty: write a sentence to be scored.")
    if masks := find_masks(text, vocabulary.token_str(predictor.mask_id).strip()):
        raise InputError(
            f"The text has a mask in it ({masks[0][0][:20]}): to have it scored, write a word in "
            "its place."
        )
    return text


def _check_num_tokens(input_ids: Sequence[int]) -> None:
    if len(input_ids) > MAX_SCORED_TOKENS:
        raise InputError(
            f"The text has {len(input_ids):,} tokens; at most {MAX_SCORED_TOKENS} are scored: "
            "shorten it, or have its parts scored one by one."
        )


def _check_words(name: str, spans: Sequence[WordSpan]) -> None:
    if not spans:
        raise InputError("The text has no words: write a sentence to be scored.")
    if all(span.unknown for span in spans):
        raise InputError(
            f"No word of the text is in the vocabulary of {name}: it cannot be scored, write "
            "another."
        )


def _make_questions(
    mask_id: int, input_ids: list[int], words: Sequence[WordSpan]
) -> Iterator[_WordQuestion]:
    """Yield a question for each piece of each word; one more with a single mask for its guesses.

    The only piece of a word serves both.
    """
    for i, word in enumerate(words):
        pieces = range(0) if word.unknown else range(word.first, word.last)
        for position in pieces:
            hidden = [mask_id] * (word.last - position)
            ids = [*input_ids[:position], *hidden, *input_ids[word.last :]]
            question = Question(ids, [position])
            yield _WordQuestion(question, i, input_ids[position], len(pieces) == 1)
        if len(pieces) != 1:
            ids = [*input_ids[: word.first], mask_id, *input_ids[word.last :]]
            yield _WordQuestion(Question(ids, [word.first]), i, None, True)


def _ask(
    predictor: Predictor,
    vocabulary: Vocabulary,
    questions: Sequence[_WordQuestion],
    num_words: int,
) -> tuple[np.ndarray, list[list[Guess]]]:
    """Return each word's log-probability, (words,) float64, 0 if unknown, and its guesses."""
    sums = np.zeros(num_words)
    guesses: list[list[Guess]] = [[] for _ in range(num_words)]
    at_once = max(1, VALUES_AT_ONCE // predictor.num_rows)
    for begin in range(0, len(questions), at_once):
        chunk = questions[begin : begin + at_once]
        answers = predictor.log_probabilities([each.question for each in chunk])
        for each, (row,) in zip(chunk, answers, strict=True):
            if each.piece is not None:
                sums[each.word] += row[each.piece]
            if each.guess:
                guesses[each.word] = _best_guesses(vocabulary, row)
    return sums, guesses


def _best_guesses(vocabulary: Vocabulary, row: np.ndarray) -> list[Guess]:
    """Return the most probable words, spellings merged; see Words."""
    probabilities = vocabulary.words.probabilities(row)
    best = best_first(probabilities, GUESSES).tolist()
    return [Guess(vocabulary.words.names[word], float(probabilities[word])) for word in best]


def _make_word(
    text: str, span: WordSpan, log_probability: float, guesses: list[Guess]
) -> ScoredWord:
    return ScoredWord(
        text[span.start : span.end],
        span.start,
        span.end,
        span.last - span.first,
        None if span.unknown else log_probability,
        guesses,
        span.unknown,
    )


def _note_on_unknown(words: Sequence[ScoredWord]) -> str | None:
    """Return a sentence about the words that were left out; None if none was."""
    unknown = [word.text for word in words if word.unknown]
    if not unknown:
        return None
    return (
        f"Left out of the sums, not in the model's vocabulary: {list_some(unknown)}. "
        "The other words are scored with an unknown word in their place."
    )
