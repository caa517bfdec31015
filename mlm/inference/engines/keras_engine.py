"""KerasEngine: runs a Keras model, many questions of similar length at once. The reference."""

import math
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mlm.inference.engines.engine import Question

if TYPE_CHECKING:
    from mlm.model.encoder import MaskedLM
    from mlm.model.task_model import TaskModel

LENGTH_STEP = 32  # lengths are padded to multiples of it, so that few graphs are traced
TOKENS_PER_CALL = 4096  # of the model: enough to keep two cores busy, few enough for their caches
LOGITS_PER_CALL = 2**23  # 32 MiB


class KerasEngine:
    """Runs a MaskedLM or a TaskModel; see Engine."""

    def __init__(self, model: "MaskedLM | TaskModel", *, trace: bool = True):
        """Take a model.

        trace: False computes without a graph: at once, but slower for every call after the first.
        """
        self._model, self._trace = model, trace
        self.config = model.config
        self.num_parameters = int(model.count_params())
        self.kind = "Keras, float32"
        self._pad_id = model.config.pad_token_id or 0
        self._lock = threading.Lock()
        self._max_length = int(model.config.max_position_embeddings)
        self._head = model.config.task_head

    def logits(self, questions: Sequence[Question]) -> list[np.ndarray]:
        """Return (positions, V) float32 for each question; see Engine."""
        answers: list[np.ndarray] = [np.empty(0)] * len(questions)
        for indices in self._group(questions):
            group = [questions[i] for i in indices]
            with self._lock:
                logits = self._computed(self._make_batch(group))
            for i, question, rows in zip(indices, group, logits, strict=False):  # padding rows last
                answers[i] = self._at_positions(rows, question.positions)
        return answers

    def _at_positions(self, rows: np.ndarray, positions: list[int]) -> np.ndarray:
        """Return the logits (positions, V) from what the model returns for a text."""
        if self._head is None:
            return rows[: len(positions)]  # it computes no others
        return np.atleast_2d(rows)[positions]

    def _computed(self, batch: dict[str, np.ndarray]) -> np.ndarray:
        if self._trace:
            return np.asarray(self._model.predict_on_batch(batch))
        import keras

        logits = keras.ops.convert_to_numpy(self._model(batch, training=False))
        return np.asarray(logits, np.float32)

    def _group(self, questions: Sequence[Question]) -> Iterator[list[int]]:
        """Yield indices of questions of similar length, as many as the model takes in one call."""
        order = sorted(range(len(questions)), key=lambda i: len(questions[i].input_ids))
        while order:
            longest = max(len(questions[i].input_ids) for i in order)
            widest = max(len(questions[i].positions) for i in order) or 1  # no word has a position
            num_outputs = self.config.num_outputs
            fitting = min(TOKENS_PER_CALL // longest, LOGITS_PER_CALL // (widest * num_outputs))
            count = 1 << max(0, fitting.bit_length() - 1)
            yield order[-count:]
            del order[-count:]

    def _make_batch(self, questions: list[Question]) -> dict[str, np.ndarray]:
        """Pad the inputs to one of few shapes: B and P powers of two, T a multiple of 32."""
        longest = max(len(q.input_ids) for q in questions)
        T = min(math.ceil(longest / LENGTH_STEP) * LENGTH_STEP, self._max_length)
        B = _next_power_of_two(len(questions))
        batch = {
            "input_ids": np.full((B, T), self._pad_id, np.int32),
            "attention_mask": np.zeros((B, T), np.int32),
        }
        batch["attention_mask"][:, 0] = 1  # a row of padding attends to something
        for i, q in enumerate(questions):
            batch["input_ids"][i, : len(q.input_ids)] = q.input_ids
            batch["attention_mask"][i, : len(q.input_ids)] = 1
        if self._head is None:
            P = _next_power_of_two(max(len(q.positions) for q in questions))
            batch["masked_positions"] = np.zeros((B, P), np.int32)
            for i, q in enumerate(questions):
                batch["masked_positions"][i, : len(q.positions)] = q.positions
        if any(q.second_start is not None for q in questions):
            batch["token_type_ids"] = np.zeros((B, T), np.int32)
            for i, q in enumerate(questions):
                batch["token_type_ids"][i, q.second_start or T : len(q.input_ids)] = 1
        return batch


def _next_power_of_two(number: int) -> int:
    return 1 << (number - 1).bit_length()
