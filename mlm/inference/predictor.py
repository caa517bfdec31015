"""Predictor: encodes texts, and asks an engine for the tokens at target positions.

Texts are encoded in Unicode form NFC, as in training, whatever form the user wrote.
"""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlm.checkpoint.tokenizer import tokenizer_errors
from mlm.errors import CheckpointError, InputError
from mlm.inference.composed_text import compose_text
from mlm.inference.engines.engine import Engine, Question

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


class EncodedText(NamedTuple):
    """A text, its ids, and the characters [start, end) of each id."""

    text: str
    input_ids: list[int]
    offsets: list[tuple[int, int]]


class Predictor:
    """Encodes texts and predicts their tokens, with checks on both sides.

    Thread-safe; the model runs for one call at a time.

    Attributes:
        name: of the model, for messages.
        mask_token, mask_id: the mask token and its id.
        max_length: the longest input in tokens, special tokens included.
    """

    def __init__(self, engine: Engine, tokenizer: "PreTrainedTokenizerFast", name: str):
        self._engine, self._tokenizer, self.name = engine, tokenizer, name
        config = engine.config
        self.max_length = int(min(config.max_position_embeddings, tokenizer.model_max_length))
        self.mask_token: str = tokenizer.mask_token
        self.mask_id: int = tokenizer.mask_token_id
        self._pad_id: int = tokenizer.pad_token_id or 0
        # RoBERTa and its relatives number the positions without the padding tokens.
        self._skips_padding = config.position_offset > 0
        self._lock = threading.Lock()  # a fast tokenizer cannot be shared by threads

    @property
    def num_rows(self) -> int:
        """V: rows of the embedding; some may be padding beyond the vocabulary."""
        return int(self._engine.config.vocab_size)

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, special tokens included. Raises: see `encode_with_offsets`."""
        return self.encode_with_offsets(text)[0]

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Return the ids of a text, and for each id its characters [start, end).

        Raises:
            InputError: more tokens than the model reads, or a padding token that has no position.
            CheckpointError: the tokenizer fails on the text, or returns ids beyond the embedding.
        """
        composed = compose_text(text, self._tokenizer.mask_token or "")
        with self._lock, tokenizer_errors(f"The tokenizer of {self.name} breaks on this text"):
            encoding = self._tokenizer(composed.text, verbose=False, return_offsets_mapping=True)
        input_ids: list[int] = encoding["input_ids"]
        self.check_length(input_ids)
        if self._skips_padding and self._pad_id in input_ids:
            raise InputError(
                f"The text holds the padding token of {self.name}, which has no position of its "
                "own: take it out."
            )
        if max(input_ids, default=0) >= self.num_rows:
            raise CheckpointError(
                f"{self.name} cannot read this text: its tokenizer gives ids that the model has "
                "no row for."
            )
        return input_ids, [composed.span_in_original(*span) for span in encoding["offset_mapping"]]

    def check_length(self, input_ids: list[int]) -> None:
        """Raise InputError if there are more tokens than the model reads."""
        if len(input_ids) > self.max_length:
            raise InputError(
                f"The text has {len(input_ids)} tokens and {self.name} reads {self.max_length} "
                f"at most: shorten it."
            )

    def encode_word(self, word: str) -> list[int]:
        """Return the ids of a word without special tokens.

        Ids, not tokens, because an added token comes back as it was spelt in the text.
        """
        composed = compose_text(word).text
        with self._lock:
            encoding = self._tokenizer(composed, add_special_tokens=False)
        input_ids: list[int] = encoding["input_ids"]
        return input_ids

    def encode_all(self, texts: Sequence[str]) -> list[EncodedText]:
        """Encode texts of any length without special tokens around them.

        Raises:
            CheckpointError: the tokenizer fails on a text.
        """
        if not texts:
            return []
        with self._lock, tokenizer_errors(f"The tokenizer of {self.name} breaks on this text"):
            found = self._tokenizer(
                list(texts), verbose=False, add_special_tokens=False, return_offsets_mapping=True
            )
        triples = zip(texts, found["input_ids"], found["offset_mapping"], strict=True)
        return [EncodedText(*triple) for triple in triples]

    def logits(self, questions: Sequence[Question]) -> list[np.ndarray]:
        """Return (positions, V) float32 for each question.

        Raises:
            CheckpointError: a logit is not finite.
        """
        answers = self._engine.logits(questions)
        for logits in answers:
            check_finite(logits, self.name)
        return answers

    def log_probabilities(self, questions: Sequence[Question]) -> list[np.ndarray]:
        """Return (positions, V) float64 for each question: the log-softmax over all V rows."""
        return [log_softmax(logits) for logits in self.logits(questions)]


def check_finite(logits: np.ndarray, name: str) -> None:
    """Raise CheckpointError unless the logits of the model of that name are finite."""
    if not np.isfinite(logits).all():
        raise CheckpointError(
            f"{name} answers with logits that are not finite (NaN or infinite): its training "
            "diverged, use an earlier checkpoint."
        )


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return the log-softmax over the last axis: (..., V) float32 to float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    log_p: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return log_p
