"""A checkpoint that is asked which tokens may stand at places of a text: ids in, logits out."""

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlm.checkpoint.tokenizer import tokenizer_errors
from mlm.errors import CheckpointError, InputError
from mlm.inference.engines.keras_engine import Engine, Question


class Predictor:
    """Reads texts and answers questions about their tokens.

    Safe to call from several threads; the model runs for one call at a time.

    Attributes: name, for messages; mask_id; max_length, in tokens, special ones counted.
    """

    def __init__(self, engine: Engine, tokenizer: Any, name: str):
        self._engine, self._tokenizer, self.name = engine, tokenizer, name
        config = engine.config
        self.max_length = int(min(config.max_position_embeddings, tokenizer.model_max_length))
        self.mask_id: int = tokenizer.mask_token_id
        self._pad_id = tokenizer.pad_token_id or 0
        # RoBERTa's kind counts the positions of a text without its padding tokens.
        self._numbers_no_padding = bool(getattr(config, "position_offset", 0))
        self._lock = threading.Lock()  # a fast tokenizer cannot be shared by threads

    @property
    def num_rows(self) -> int:
        """V: rows of the embedding, some of which may be padding beyond the vocabulary."""
        return int(self._engine.config.vocab_size)

    def read(self, text: str) -> list[int]:
        """The ids of a text with the special tokens around it."""
        return self.read_with_offsets(text)[0]

    def read_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """The ids, and of each the characters [start, end) that it stands for.

        Raises:
            InputError: more tokens than the model reads.
            CheckpointError: the tokenizer breaks on the text, or gives ids that have no row.
        """
        with self._lock, tokenizer_errors(f"The tokenizer of {self.name} breaks on this text"):
            read = self._tokenizer(text, verbose=False, return_offsets_mapping=True)
        input_ids: list[int] = read["input_ids"]
        self.check_length(input_ids)
        if self._numbers_no_padding and self._pad_id in input_ids:
            raise InputError(
                f"The text holds the padding token of {self.name}, which has no place of its own: "
                "take it out."
            )
        if max(input_ids, default=0) >= self.num_rows:
            raise CheckpointError(
                f"{self.name} cannot read this text: its tokenizer gives ids that the model has "
                "no row for."
            )
        return input_ids, read["offset_mapping"]

    def check_length(self, input_ids: list[int]) -> None:
        """InputError if there are more tokens than the model reads."""
        if len(input_ids) > self.max_length:
            raise InputError(
                f"The text has {len(input_ids)} tokens and {self.name} reads {self.max_length} "
                f"at most: shorten it."
            )

    def read_plain(self, word: str) -> list[int]:
        """The ids of a word alone. Not its tokens: an added word's is the text it was found in."""
        with self._lock:
            return self._tokenizer(word, add_special_tokens=False)["input_ids"]

    def logits(self, questions: Sequence[Question]) -> list[np.ndarray]:
        """For each question (positions, V) float32.

        Raises:
            CheckpointError: values that are no numbers.
        """
        rows = self._engine.logits(questions)
        for row in rows:
            self._check_numbers(row)
        return rows

    def log_probabilities(self, questions: Sequence[Question]) -> list[np.ndarray]:
        """For each question (positions, V) float64: the logarithm of a softmax over all V."""
        return [log_softmax(logits) for logits in self.logits(questions)]

    def _check_numbers(self, logits: np.ndarray) -> None:
        if not np.isfinite(logits).all():
            raise CheckpointError(
                f"{self.name} answers with values that are no numbers (NaN): its training "
                f"diverged, use an earlier checkpoint."
            )


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """(..., V) float32 -> the same in float64, its exponentials summing to 1."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
