"""What answers questions about the tokens of texts: ids in, logits out.

An engine is all that a Predictor knows of a model. This one asks a Keras model, and is the
reference; litert/ has the fast one.
"""

import math
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from mlm.model.encoder_config import EncoderConfig

LENGTH_STEP = 32  # tokens; lengths are padded up to it, so that few graphs are traced
TOKENS_A_CALL = 4096  # of the model: enough to keep two cores busy, little enough for a cache
LOGITS_A_CALL = 2**23  # 32 MiB


class Question(NamedTuple):
    """What the model reads, and the places of it that are asked for."""

    input_ids: list[int]
    positions: list[int]


class Engine(Protocol):
    """A model that may be asked from several threads, and is run for one call at a time.

    Attributes: config; num_parameters; kind, for people: what computes, and in which numbers.
    """

    config: "EncoderConfig"
    num_parameters: int
    kind: str

    def logits(self, questions: Sequence[Question]) -> list[np.ndarray]:
        """For each question (positions, V) float32; no more tokens than the model reads."""
        ...


class KerasEngine:
    """Asks a MaskedLM, many questions of like lengths at once."""

    def __init__(self, model):
        self._model = model
        self.config = model.config
        self.num_parameters = int(model.count_params())
        self.kind = "Keras, float32"
        self._pad_id = getattr(model.config, "pad_token_id", None) or 0
        self._lock = threading.Lock()
        self._max_length = int(model.config.max_position_embeddings)

    def logits(self, questions: Sequence[Question]) -> list[np.ndarray]:
        """See Engine."""
        rows: list[np.ndarray] = [np.empty(0)] * len(questions)
        for chosen in self._calls(questions):
            asked = [questions[i] for i in chosen]
            with self._lock:
                logits = np.asarray(self._model.predict_on_batch(self._batch(asked)))
            for i, question, values in zip(chosen, asked, logits, strict=False):
                rows[i] = values[: len(question.positions)]
        return rows

    def _calls(self, questions: Sequence[Question]) -> Iterator[list[int]]:
        """Indices of questions of like lengths, as many as the model takes at once."""
        order = sorted(range(len(questions)), key=lambda i: len(questions[i].input_ids))
        while order:
            longest = max(len(questions[i].input_ids) for i in order)
            widest = max(len(questions[i].positions) for i in order)
            fitting = min(TOKENS_A_CALL // longest, LOGITS_A_CALL // (widest * self._num_rows))
            count = 1 << max(0, fitting.bit_length() - 1)
            yield order[-count:]
            del order[-count:]

    @property
    def _num_rows(self) -> int:
        return int(self.config.vocab_size)

    def _batch(self, questions: list[Question]) -> dict[str, np.ndarray]:
        """Model inputs, padded to one of few shapes: B and P powers of two, T in steps of 32."""
        longest = max(len(q.input_ids) for q in questions)
        T = min(math.ceil(longest / LENGTH_STEP) * LENGTH_STEP, self._max_length)
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


def _power_of_two(number: int) -> int:
    return 1 << (number - 1).bit_length()
