"""What an encoder's graphs are given for some texts: NumPy's part of the encoder."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from mlm.checkpoint.weights import StoredWeights
from mlm.errors import UnsupportedError
from mlm.inference.engines.keras_engine import Question
from mlm.model.encoder_config import MASKED_OUT, EncoderConfig
from mlm.model.position_buckets import t5_buckets

NOT_SEEN = np.float32(MASKED_OUT)
TABLES_KEPT = 2**26  # bytes of the tables of the lengths last asked for

Tables = dict[str, np.ndarray]
BIAS = "bias_"
ASKED = "asked_"  # before the name of a table that has the rows of asked tokens; their states' name
WORDS, PLACES, BIASES = "word_embeddings.npy", "position_embeddings.npy", "attention_biases.npy"


def rotary_names(base: float) -> tuple[str, str]:
    """The tables of the rotary positions of a base: (1, T, 1, D/2) each."""
    return f"cos_{base}", f"sin_{base}"


def bias_name(window: int | None) -> str:
    """The table that is added to the scores of a layer: (1, N or 1, T, T), or one 0 for all."""
    return f"{BIAS}{window}"


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
    """Makes the inputs of questions, from the tables in a folder."""

    def __init__(self, folder: Path, config: EncoderConfig):
        self._config = config
        self._words = np.load(folder / WORDS, mmap_mode="r")
        self._places, self._biases = (
            np.load(folder / name) if (folder / name).is_file() else None
            for name in (PLACES, BIASES)
        )
        self._kept: dict[int, Tables] = {}  # by length, the last one asked for last

    def embedded(self, questions: Sequence[Question]) -> np.ndarray:
        """(T, W) float32, before their norm; texts follow each other."""
        return np.concatenate([self._embedded(question) for question in questions])

    def _embedded(self, question: Question) -> np.ndarray:
        embedded = self._words[question.input_ids]
        if self._places is not None:
            embedded = embedded + self._places[: len(embedded)]
        return embedded

    def tables(self, lengths: Sequence[int]) -> Tables:
        """What the layers are given besides, the same for all texts of these lengths.

        Of several texts none sees another: between them the biases are NOT_SEEN.
        """
        each = [self._of_length(length) for length in lengths]
        if len(each) == 1:
            return each[0]
        return {
            name: _blocks([tables[name] for tables in each], lengths)
            if name.startswith(BIAS)
            else np.concatenate([tables[name] for tables in each], axis=1)
            for name in each[0]
        }

    def asked_tables(self, tables: Tables, asked: np.ndarray) -> Tables:
        """What the last layer is given besides: tables, and their rows of asked tokens (P,)."""
        last = self._config.depths[-1]
        bias = bias_name(self._config.attention_windows[last])
        rows = tables[bias]
        found = {ASKED + bias: rows if rows.shape[2] == 1 else rows[:, :, asked]}
        if self._config.positions == "rotary":
            for name in rotary_names(self._config.rotary_thetas[last]):
                found[ASKED + name] = tables[name][:, asked]
        return tables | found

    def _of_length(self, length: int) -> Tables:
        tables = self._kept.pop(length, None) or self._made(length)
        kept = {**self._kept, length: tables}
        while len(kept) > 1 and _bytes_of(kept) > TABLES_KEPT:
            del kept[next(iter(kept))]
        self._kept = kept
        return tables

    def _made(self, length: int) -> Tables:
        made: Tables = {}
        if self._config.positions == "rotary":
            for base in set(self._config.rotary_thetas):
                made |= zip(rotary_names(base), self._rotary(length, base), strict=True)
        for window in set(self._config.attention_windows):
            made[bias_name(window)] = self._bias(length, window)
        return made

    def _rotary(self, length: int, base: float) -> Iterator[np.ndarray]:
        """cos and sin, each (1, T, 1, D/2)."""
        size = self._config.head_dim
        frequencies = base ** (-np.arange(0, size, 2, dtype="float32") / size)
        angles = np.arange(length, dtype="float32")[:, None] * frequencies[None]
        yield from (f(angles).astype("float32")[None, :, None] for f in (np.cos, np.sin))

    def _bias(self, length: int, window: int | None) -> np.ndarray:
        """(1, N or 1, T, T), or (1, 1, 1, 1) where it is 0."""
        if window is None and self._biases is None:
            return np.zeros((1, 1, 1, 1), np.float32)
        place = np.arange(length)
        distance = place[:, None] - place[None, :]
        bias = np.zeros((1, 1, length, length), np.float32)
        if self._biases is not None:
            buckets = t5_buckets(length)
            bias = self._biases[buckets[distance + length - 1]].transpose(2, 0, 1)[None]
        if window is not None:
            bias = bias + NOT_SEEN * (np.abs(distance) > window)
        return np.ascontiguousarray(bias, np.float32)


def _blocks(biases: Sequence[np.ndarray], lengths: Sequence[int]) -> np.ndarray:
    """(1, N or 1, T, T) of texts that follow each other, from the biases of each."""
    total, start = sum(lengths), 0
    joined = np.full((1, biases[0].shape[1], total, total), NOT_SEEN)
    for bias, length in zip(biases, lengths, strict=True):
        end = start + length
        joined[:, :, start:end, start:end] = bias
        start = end
    return joined


def _bytes_of(kept: dict[int, Tables]) -> int:
    return sum(table.nbytes for tables in kept.values() for table in tables.values())
