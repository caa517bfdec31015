"""A checkpoint that is asked which tokens may stand at places of a text: ids in, logits out."""

import math
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlm.errors import CheckpointError, InputError
from mlm.tokenizer import tokenizer_errors

if TYPE_CHECKING:
    from mlm.checkpoint import Checkpoint

LENGTH_STEP = 32  # tokens; lengths are padded up to it, so that few graphs are traced
TOKENS_A_CALL = 4096  # of the model: enough to keep two cores busy, little enough for a cache
LOGITS_A_CALL = 2**23  # 32 MiB


class Question(NamedTuple):
    """What the model reads, and the places of it that are asked for."""

    input_ids: list[int]
    positions: list[int]


class Predictor:
    """Reads texts and answers questions about their tokens.

    Safe to call from several threads; the model runs for one call at a time.

    Attributes: name, for messages; mask_id; max_length, in tokens, special ones counted.
    """

    def __init__(self, checkpoint: "Checkpoint", name: str):
        self._checkpoint, self.name = checkpoint, name
        config, tokenizer = checkpoint.model.config, checkpoint.tokenizer
        self.max_length = int(min(config.max_position_embeddings, tokenizer.model_max_length))
        self.mask_id: int = tokenizer.mask_token_id
        self._pad_id = tokenizer.pad_token_id or 0
        # RoBERTa's kind counts the positions of a text without its padding tokens.
        self._numbers_no_padding = bool(getattr(config, "position_offset", 0))
        self._lock = threading.Lock()  # a fast tokenizer cannot be shared by threads either

    @property
    def num_rows(self) -> int:
        """V: rows of the embedding, some of which may be padding beyond the vocabulary."""
        return int(self._checkpoint.model.config.vocab_size)

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
            read = self._checkpoint.tokenizer(text, verbose=False, return_offsets_mapping=True)
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
            return self._checkpoint.tokenizer(word, add_special_tokens=False)["input_ids"]

    def logits(self, questions: Sequence[Question]) -> list[np.ndarray]:
        """For each question (positions, V) float32.

        Raises:
            CheckpointError: values that are no numbers.
        """
        rows: list[np.ndarray] = [np.empty(0)] * len(questions)
        for chosen in self._calls(questions):
            asked = [questions[i] for i in chosen]
            with self._lock:
                logits = np.asarray(self._checkpoint.model.predict_on_batch(self._batch(asked)))
            for i, question, values in zip(chosen, asked, logits, strict=False):
                rows[i] = values[: len(question.positions)]
                self._check_numbers(rows[i])
        return rows

    def log_probabilities(self, questions: Sequence[Question]) -> list[np.ndarray]:
        """For each question (positions, V) float64: the logarithm of a softmax over all V."""
        return [log_softmax(logits) for logits in self.logits(questions)]

    def _calls(self, questions: Sequence[Question]) -> Iterator[list[int]]:
        """Indices of questions of like lengths, as many as the model takes at once."""
        order = sorted(range(len(questions)), key=lambda i: len(questions[i].input_ids))
        while order:
            longest = max(len(questions[i].input_ids) for i in order)
            widest = max(len(questions[i].positions) for i in order)
            fitting = min(TOKENS_A_CALL // longest, LOGITS_A_CALL // (widest * self.num_rows))
            count = 1 << max(0, fitting.bit_length() - 1)
            yield order[-count:]
            del order[-count:]

    def _check_numbers(self, logits: np.ndarray) -> None:
        if not np.isfinite(logits).all():
            raise CheckpointError(
                f"{self.name} answers with values that are no numbers (NaN): its training "
                f"diverged, use an earlier checkpoint."
            )

    def _batch(self, questions: list[Question]) -> dict[str, np.ndarray]:
        """Model inputs, padded to one of few shapes: B and P powers of two, T in steps of 32."""
        longest = max(len(q.input_ids) for q in questions)
        T = min(math.ceil(longest / LENGTH_STEP) * LENGTH_STEP, self.max_length)
        B = _power_of_two(len(questions))
        P = _power_of_two(max(len(q.positions) for q in questions))
        batch = {
            "input_ids": np.full((B, T), self._pad_id, np.int32),
            "attention_mask": np.zeros((B, T), np.int32),
            "masked_positions": np.zeros((B, P), np.int32),
        }
        batch["attention_mask"][:, 0] = 1  # a padding row attends to something
        for i, q in enumerate(questions):
            batch["input_ids"][i, : len(q.input_ids)] = q.input_ids
            batch["attention_mask"][i, : len(q.input_ids)] = 1
            batch["masked_positions"][i, : len(q.positions)] = q.positions
        return batch


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """(..., V) float32 -> the same in float64, its exponentials summing to 1."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def _power_of_two(number: int) -> int:
    return 1 << (number - 1).bit_length()
