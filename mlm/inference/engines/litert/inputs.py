"""The inputs of an encoder's graphs for given questions: NumPy's part of the encoder."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from mlm.checkpoint.weights import StoredWeights
from mlm.errors import UnsupportedError
from mlm.inference.engines.engine import Question
from mlm.model.encoder_config import MASKED_OUT, EncoderConfig
from mlm.model.position_buckets import t5_buckets

NOT_SEEN = np.float32(MASKED_OUT)
TABLES_KEPT = 2**26  # bytes of the tables of recent lengths

Tables = dict[str, np.ndarray]
BIAS = "bias_"
TARGET = "target_"  # the states at the target positions; before the name of a table, its rows there
WORDS, POSITIONS, BIASES = "word_embeddings.npy", "position_embeddings.npy", "attention_biases.npy"
TOKEN_TYPES = "token_type_embeddings.npy"  # (2, W): of a text, and of the second text of a pair


def rotary_names(base: float) -> tuple[str, str]:
    """Return the names of the rotary tables of a base: cos and sin, each (1, T, 1, D/2)."""
    return f"cos_{base}", f"sin_{base}"


def bias_name(window: int | None) -> str:
    """Return the name of the table that a layer adds to its scores.

    The table is (1, N or 1, T, T), or (1, 1, 1, 1) if all its values are 0.
    """
    return f"{BIAS}{window}"


def finite_values(weights: StoredWeights, key: str) -> np.ndarray:
    """Return a variable's values; raise UnsupportedError for NaN or infinity, which int8 hides."""
    values = weights[key]
    if not np.isfinite(values).all():
        raise UnsupportedError(f"values that are not finite in {key}")
    return values


def write_tables(folder: Path, config: EncoderConfig, weights: StoredWeights) -> None:
    """Write the tables that `Inputs` reads into a folder. Raises UnsupportedError."""
    table = partial(finite_values, weights)
    np.save(folder / WORDS, table("embeddings/word_embeddings"))
    added = []  # to the embedding of the word
    if config.positions == "learned":
        added.append(table("embeddings/position_embeddings")[config.position_offset :])
    if config.type_vocab_size:
        types = table("embeddings/token_type_embeddings")
        added.append(types[:1])
        if config.task_head is not None and len(types) > 1:
            np.save(folder / TOKEN_TYPES, types[:2])
    if added:
        np.save(folder / POSITIONS, sum(added[1:], start=added[0]))
    if config.relative_attention_num_buckets:
        np.save(folder / BIASES, table("relative_positions/relative_attention_bias"))


class Inputs:
    """Computes the inputs for questions, from the tables in a folder."""

    def __init__(self, folder: Path, config: EncoderConfig):
        self._config = config
        self._words: np.ndarray = np.load(folder / WORDS, mmap_mode="r")
        self._positions, self._biases, self._types = (
            np.load(folder / name) if (folder / name).is_file() else None
            for name in (POSITIONS, BIASES, TOKEN_TYPES)
        )
        self._tables: dict[int, Tables] = {}  # by length, the most recent last

    def embed(self, questions: Sequence[Question]) -> np.ndarray:
        """Return the embeddings before their norm, (T, W) float32; texts follow each other."""
        return np.concatenate([self._embed_one(question) for question in questions])

    def _embed_one(self, question: Question) -> np.ndarray:
        embedded = self._words[question.input_ids]
        if self._positions is not None:
            embedded = embedded + self._positions[: len(embedded)]
        if question.second_start is not None and self._types is not None:
            first, second = self._types  # the positions hold the first one already
            embedded[question.second_start :] += second - first
        return embedded

    def tables(self, lengths: Sequence[int]) -> Tables:
        """Return the other inputs of the layers, the same for all texts of these lengths.

        Texts do not see each other: between two of them the biases are NOT_SEEN.
        """
        each = [self._tables_of(length) for length in lengths]
        if len(each) == 1:
            return each[0]
        return {
            name: _block_diagonal([tables[name] for tables in each], lengths)
            if name.startswith(BIAS)
            else np.concatenate([tables[name] for tables in each], axis=1)
            for name in each[0]
        }

    def tables_with_targets(self, tables: Tables, positions: np.ndarray) -> Tables:
        """Add the tables of the last layer: the rows of `tables` at the target positions (P,)."""
        last = self._config.depths[-1]
        bias = bias_name(self._config.attention_windows[last])
        rows = tables[bias]
        targets = {TARGET + bias: rows if rows.shape[2] == 1 else rows[:, :, positions]}
        if self._config.positions == "rotary":
            for name in rotary_names(self._config.rotary_thetas[last]):
                targets[TARGET + name] = tables[name][:, positions]
        return tables | targets

    def _tables_of(self, length: int) -> Tables:
        tables = self._tables.pop(length, None) or self._compute_tables(length)
        kept = {**self._tables, length: tables}
        while len(kept) > 1 and _num_bytes(kept) > TABLES_KEPT:
            del kept[next(iter(kept))]
        self._tables = kept
        return tables

    def _compute_tables(self, length: int) -> Tables:
        tables: Tables = {}
        if self._config.positions == "rotary":
            for base in set(self._config.rotary_thetas):
                tables |= zip(rotary_names(base), self._rotary(length, base), strict=True)
        for window in set(self._config.attention_windows):
            tables[bias_name(window)] = self._bias(length, window)
        return tables

    def _rotary(self, length: int, base: float) -> Iterator[np.ndarray]:
        """Yield cos and sin, each (1, T, 1, D/2)."""
        size = self._config.head_dim
        frequencies = base ** (-np.arange(0, size, 2, dtype="float32") / size)
        angles = np.arange(length, dtype="float32")[:, None] * frequencies[None]
        yield from (f(angles).astype("float32")[None, :, None] for f in (np.cos, np.sin))

    def _bias(self, length: int, window: int | None) -> np.ndarray:
        """Return (1, N or 1, T, T), or (1, 1, 1, 1) if all values are 0."""
        if window is None and self._biases is None:
            return np.zeros((1, 1, 1, 1), np.float32)
        position = np.arange(length)
        distance = position[:, None] - position[None, :]
        bias = np.zeros((1, 1, length, length), np.float32)
        if self._biases is not None:
            buckets = t5_buckets(length)
            bias = self._biases[buckets[distance + length - 1]].transpose(2, 0, 1)[None]
        if window is not None:
            bias = bias + NOT_SEEN * (np.abs(distance) > window)
        return np.ascontiguousarray(bias, np.float32)


def _block_diagonal(biases: Sequence[np.ndarray], lengths: Sequence[int]) -> np.ndarray:
    """Return the bias (1, N or 1, T, T) of texts that follow each other, from each text's own."""
    total, start = sum(lengths), 0
    joined = np.full((1, biases[0].shape[1], total, total), NOT_SEEN)
    for bias, length in zip(biases, lengths, strict=True):
        end = start + length
        joined[:, :, start:end, start:end] = bias
        start = end
    return joined


def _num_bytes(kept: dict[int, Tables]) -> int:
    return sum(table.nbytes for tables in kept.values() for table in tables.values())
