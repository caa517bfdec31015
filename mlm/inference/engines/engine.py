"""Engine: the interface between a Predictor or Classifier and the library that runs the model."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from mlm.model.encoder_config import EncoderConfig


class Question(NamedTuple):
    """An encoded text and the positions to predict.

    input_ids: what the model reads, special tokens included.
    positions: the target positions; logits are computed there only. A classifier of whole texts
        has its logits at position 0.
    second_start: of a pair of texts, the position from which tokens are of type 1.
    """

    input_ids: list[int]
    positions: list[int]
    second_start: int | None = None


class Engine(Protocol):
    """Runs a model. Thread-safe; the model runs for one call at a time.

    Attributes:
        config: the shape of the encoder.
        num_parameters: of the model.
        kind: the library and the number format, for people.
    """

    config: EncoderConfig
    num_parameters: int
    kind: str

    def logits(self, questions: Sequence[Question]) -> list[np.ndarray]:
        """Return (positions, V) float32 for each question; V is `config.num_outputs`.

        No question has more tokens than the model reads; see `Predictor.check_length`.
        """
        ...
