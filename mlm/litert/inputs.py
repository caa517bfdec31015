"""What an encoder's graph is given for one text: NumPy's part of the encoder."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from mlm.distances import t5_buckets
from mlm.encoder_config import EncoderConfig
from mlm.engine import Question
from mlm.errors import UnsupportedError
from mlm.weights import StoredWeights

MASKED_OUT = np.float32(-3e4)  # added to the score of a token out of sight
TABLES_KEPT = 2**26  # bytes of the tables of the lengths last asked for

WORDS, PLACES, BIASES = "word_embeddings.npy", "position_embeddings.npy", "attention_biases.npy"


def rotary_bases(config: EncoderConfig) -> list[float]:
    """The distinct bases of rotary positions."""
    return sorted(set(config.rotary_thetas)) if config.positions == "rotary" else []


def biased_windows(config: EncoderConfig) -> list[int | None]:
    """The distinct windows whose scores something is added to, None for all tokens."""
    windows = sorted(set(config.attention_windows), key=lambda window: window or 0)
    return [w for w in windows if w is not None or config.relative_attention_num_buckets]


def finite_values(weights: StoredWeights, key: str) -> np.ndarray:
    """The values of a variable; UnsupportedError for such as are no numbers, which int8 hides."""
    values = weights[key]
    if not np.isfinite(values).all():
        raise UnsupportedError(f"values that are no numbers in {key}")
    return values


def write_tables(folder: Path, config: EncoderConfig, weights: StoredWeights) -> None:
    """Put the tables that inputs are taken from into a folder."""
    table = partial(finite_values, weights)
    np.save(folder / WORDS, table("embeddings/word_embeddings"))
    places = []
    if config.positions == "learned":
        places.append(table("embeddings/position_embeddings")[config.position_offset :])
    if config.type_vocab_size:
        places.append(table("embeddings/token_type_embeddings")[:1])
    if places:
        np.save(folder / PLACES, sum(places[1:], start=places[0]))
    if config.relative_attention_num_buckets:
        np.save(folder / BIASES, table("relative_positions/relative_attention_bias"))


class Inputs:
    """Makes the inputs of questions, in the order in which the graph has them."""

    def __init__(self, folder: Path, config: EncoderConfig):
        self._config = config
        self._words = np.load(folder / WORDS, mmap_mode="r")
        self._places, self._biases = (
            np.load(folder / name) if (folder / name).is_file() else None
            for name in (PLACES, BIASES)
        )
        self._kept: dict[int, list[np.ndarray]] = {}  # by length, the last one asked for last

    def of(self, question: Question) -> list[np.ndarray]:
        """See write_encoder."""
        embedded = self._words[question.input_ids]
        if self._places is not None:
            embedded = embedded + self._places[: len(embedded)]
        return [embedded, np.array(question.positions, np.int32), *self._of_length(len(embedded))]

    def _of_length(self, length: int) -> list[np.ndarray]:
        tables = self._kept.pop(length, None) or self._made_of_length(length)
        kept = {**self._kept, length: tables}
        while len(kept) > 1 and _bytes_of(kept) > TABLES_KEPT:
            del kept[next(iter(kept))]
        self._kept = kept
        return tables

    def _made_of_length(self, length: int) -> list[np.ndarray]:
        rotary = [
            table for base in rotary_bases(self._config) for table in self._rotary(length, base)
        ]
        windows = biased_windows(self._config)
        return rotary + [self._bias(length, window) for window in windows]

    def _rotary(self, length: int, base: float) -> Iterator[np.ndarray]:
        """cos and sin, each (1, T, 1, D/2)."""
        size = self._config.head_dim
        frequencies = base ** (-np.arange(0, size, 2, dtype="float32") / size)
        angles = np.arange(length, dtype="float32")[:, None] * frequencies[None]
        yield from (f(angles).astype("float32")[None, :, None] for f in (np.cos, np.sin))

    def _bias(self, length: int, window: int | None) -> np.ndarray:
        """(1, N or 1, T, T)."""
        place = np.arange(length)
        distance = place[:, None] - place[None, :]
        bias = np.zeros((1, 1, length, length), np.float32)
        if self._biases is not None:
            buckets = t5_buckets(length)
            bias = self._biases[buckets[distance + length - 1]].transpose(2, 0, 1)[None]
        if window is not None:
            bias = bias + MASKED_OUT * (np.abs(distance) > window)
        return np.ascontiguousarray(bias, np.float32)


def _bytes_of(tables: dict[int, list[np.ndarray]]) -> int:
    return sum(table.nbytes for of_length in tables.values() for table in of_length)
