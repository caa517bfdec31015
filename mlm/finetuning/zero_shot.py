"""Zero-shot classification: a masked LM as a classifier, without a label to learn from.

    model = ZeroShotClassifier(fill_mask, "It was [MASK].", {"0": ("bad",), "1": ("good",)})
    logits = calibrate(model.scores(texts), model.empty_scores())

A text is read whole, in windows, each with the prompt behind it. The score of a label is the mean
log-probability of its words at the mask, the mean over the windows. A model likes some words more
than others whatever the text; calibration subtracts that.

Source: Schick and Schuetze 2021, Exploiting cloze questions (prompt and words); Zhao et al. 2021,
Calibrate before use (the empty text).
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

from mlm.checkpoint.tokenizer import encode_texts
from mlm.data.examples.special_tokens import SpecialTokens
from mlm.errors import ConfigError, InputError
from mlm.finetuning.label_words import LabelWords
from mlm.inference.composed_text import compose_text
from mlm.inference.engines.engine import Question
from mlm.inference.filling import normalize_masks
from mlm.inference.masked_text import MaskedText
from mlm.inference.targets import encode_targets
from mlm.terminal.progress import progress

if TYPE_CHECKING:
    from mlm.inference.fill_mask import FillMask

Calibration = Literal["none", "empty", "texts"]

# Tokens of an input, prompt and special tokens included. The bundled model on 1,000 training texts
# of IMDB, calibrated by the texts, "In short, this movie was [MASK]." (+- 2.4 points): 81.6 % with
# 64 tokens, 80.7 with 126, 81.3 with 254; head and tail of each text in one input of 512: 80.5.
# Short inputs cost less: attention is quadratic, and each window adds the prompt only.
WINDOW = 64
LEAST_TEXT = 16  # tokens of a window beside a long prompt, where the model has room for them
TEXTS_AT_ONCE = 32
BEFORE = "x"  # encoded before the prompt, for the space between a text and a prompt


class ZeroShotClassifier:
    """A masked LM, a prompt with one mask, and the words for each label.

    Attributes:
        prompt: as it was read.
        note: how the prompt was read, if not as it is written.
        room: tokens of a text in each window.
    """

    def __init__(
        self, fill: "FillMask", prompt: str, words: LabelWords, *, max_seq_length: int = WINDOW
    ):
        """Set up the classifier.

        Args:
            fill: the model.
            prompt: holds one mask, spelt as `FillMask.fill` takes it.
            words: of each label.
            max_seq_length: tokens of an input at the most, if that is less than WINDOW.

        Raises:
            InputError: the prompt cannot be read, or has several masks.
            ConfigError: the prompt is too long; a word is not one token of the vocabulary; two
                words are the same token; or the checkpoint has no masked-LM head.
        """
        _check_head(fill)
        self._predictor, self._special = fill.predictor, SpecialTokens.of(fill.checkpoint.tokenizer)
        self._tokenizer = fill.checkpoint.tokenizer
        masked = _read_prompt(fill, prompt)
        self.prompt, self.note = masked.text, masked.note
        self._prompt_ids = _prompt_ids(fill, masked.text)
        self._mask_at = self._prompt_ids.index(fill.predictor.mask_id)
        self._word_ids = [
            np.array([_id_of(fill, masked, word, label) for word in each])
            for label, each in words.items()
        ]
        _check_distinct(words, self._word_ids)
        self.room = self._room(min(fill.max_length, max_seq_length))

    def _room(self, limit: int) -> int:
        beside = len(self._prompt_ids) + self._special.count(pairs=False)
        room = min(limit, max(WINDOW, beside + LEAST_TEXT)) - beside
        if room < 1:
            raise ConfigError(
                f"the prompt of --zero_shot has {len(self._prompt_ids)} tokens, which leaves no "
                f"room for a text in {limit}: shorten it"
            )
        return room

    def scores(self, texts: Sequence[str], what: str = "zero-shot") -> np.ndarray:
        """Return the score of each label for each text: (N, L) float64.

        Scores of one text differ from mean log-probabilities by the same number for all labels.
        """
        found = []
        with progress(what, total=len(texts), unit="texts") as bar:
            for first in range(0, len(texts), TEXTS_AT_ONCE):
                some = texts[first : first + TEXTS_AT_ONCE]
                found.append(self._scores([*self.windows(some)]))
                bar.advance(len(some))
        return np.concatenate(found) if found else np.empty((0, len(self._word_ids)))

    def empty_scores(self) -> np.ndarray:
        """Return the scores of each label for the prompt behind an empty text: (L,) float64."""
        scores: np.ndarray = self._scores([[[]]])[0]
        return scores

    def windows(self, texts: Sequence[str]) -> Iterator[list[list[int]]]:
        """Yield the windows of each text: its ids, cut into parts of at most `room`."""
        for ids in encode_texts(self._tokenizer, list(texts)):
            yield cut_evenly(ids, self.room)

    def _scores(self, windows: Sequence[list[list[int]]]) -> np.ndarray:
        """Return (N, L) for the windows of N texts."""
        asked = [self._question(ids) for each in windows for ids in each]
        rows = [logits[0] for logits in self._predictor.logits(asked)]
        # The softmax over the vocabulary subtracts the same number from all words of a window.
        scores = np.array(
            [[row[ids].mean(dtype=np.float64) for ids in self._word_ids] for row in rows]
        )
        ends = np.cumsum([len(each) for each in windows])
        return np.array([part.mean(0) for part in np.split(scores, ends[:-1])])

    def _question(self, ids: list[int]) -> Question:
        start = len(self._special.single.parts[0]) + len(ids)
        return Question(self._special.around([*ids, *self._prompt_ids]), [start + self._mask_at])


def calibrate(scores: np.ndarray, by: Calibration, empty: np.ndarray | None = None) -> np.ndarray:
    """Return scores (N, L) less what the model says whatever the text, (L,).

    by: "none"; "empty", the scores `empty` of an empty text; "texts", the mean over these texts,
    which needs no labels, but supposes that the labels are about equally frequent.
    """
    if by == "none":
        return scores
    offset = scores.mean(0) if by == "texts" else empty
    calibrated: np.ndarray = scores - offset
    return calibrated


def cut_evenly(ids: list[int], room: int) -> list[list[int]]:
    """Return parts of at most `room` ids, as few as possible, whose lengths differ by one at most.

    All parts together are the ids; of no ids, one empty part.
    """
    count = max(1, -(-len(ids) // room))
    ends = [len(ids) * part // count for part in range(count + 1)]
    return [ids[start:end] for start, end in pairwise(ends)]


def _check_head(fill: "FillMask") -> None:
    if getattr(fill.checkpoint, "fresh_head", False):
        raise ConfigError(
            f"{fill.name} has no masked-LM head, so its words at a mask would be random; "
            "--zero_shot needs a masked LM, as `mlm train` writes it"
        )


def _read_prompt(fill: "FillMask", prompt: str) -> MaskedText:
    try:
        masked = fill.read(prompt)
    except InputError as error:
        raise ConfigError(f"--zero_shot {prompt!r} cannot be used: {error}") from None
    if len(masked.spans) != 1:
        raise ConfigError(
            f"--zero_shot {prompt!r} has {len(masked.spans)} masks; expected one, in the place of "
            "the word that tells the label"
        )
    return masked


def _prompt_ids(fill: "FillMask", prompt: str) -> list[int]:
    """Return the ids of a prompt behind a text: its first word has a space before it."""
    normalized, _ = normalize_masks(prompt, fill.mask_token)
    text = compose_text(f"{BEFORE} {normalized.strip()}", fill.mask_token).text
    encoded = fill.predictor.encode_all([text])[0]
    return [
        token
        for token, (_, end) in zip(encoded.input_ids, encoded.offsets, strict=True)
        if end > len(BEFORE)
    ]


def _id_of(fill: "FillMask", masked: MaskedText, word: str, label: str) -> int:
    """Return the id of a word at the mask. Raises ConfigError for a word of several tokens."""
    try:
        (pieces,) = encode_targets(fill.predictor, fill.vocabulary, [word], masked, 0)
    except InputError as error:
        raise ConfigError(f"--label_words {word!r}, for {label}: {error}") from None
    if len(pieces) > 1:
        shown = " ".join(fill.vocabulary.token_str(piece) for piece in pieces)
        raise ConfigError(
            f"--label_words {word!r}, for {label}, is {len(pieces)} tokens for {fill.name} "
            f"({shown}), and a mask is one; give another word"
        )
    return pieces[0]


def _check_distinct(words: LabelWords, ids: Sequence[np.ndarray]) -> None:
    seen: dict[int, str] = {}
    for each, own in zip(words.values(), ids, strict=True):
        for word, token in zip(each, own.tolist(), strict=True):
            if token in seen:
                raise ConfigError(
                    f"--label_words has {seen[token]!r} and {word!r}, which are the same token; "
                    "leave one out"
                )
            seen[token] = word
