"""The weights of a checkpoint: safetensors in a family's names <-> the variables of a model."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlm.checkpoint.families.family import Family
from mlm.checkpoint.tensor_locations import (
    TensorLocation,
    decoder_beside_embeddings,
    locate_tensors,
)
from mlm.checkpoint.weight_files import read_headers
from mlm.errors import CheckpointError
from mlm.model.encoder_config import EncoderConfig

if TYPE_CHECKING:
    import keras

    from mlm.model.encoder import Encoder, MaskedLM

logger = logging.getLogger(__name__)

ROWS_AT_ONCE = 4096


def load_weights(model: "MaskedLM", family: Family, folder: Path) -> bool:
    """Assign a folder's weights to the model; return True if they lack a masked-LM head.

    Beyond the model itself, memory holds one variable at a time.
    """
    stored = StoredWeights(folder, family, model.config)
    assign_weights(model, stored)
    if stored.missing:
        logger.warning(
            "the checkpoint has no masked-LM head (%s); a new one is initialized",
            stored.missing[0],
        )
    return bool(stored.missing)


def assign_weights(model: "Encoder", stored: "StoredWeights") -> None:
    """Assign all stored weights to the model, one variable at a time."""
    for key, variable in variables_by_name(model).items():
        if key not in stored.missing:
            variable.assign(stored[key])


class StoredWeights:
    """The weights of a folder under the names of our variables; each is read on access.

    replace_classifier: leave out a classifier of another number of labels than the config's.

    Raises CheckpointError if they do not fit the config or cannot be read.

    Attributes:
        missing: names of variables that the folder has no values for: none, or all of the masked-LM
            head's, or any of a task's head.
    """

    def __init__(
        self,
        folder: Path,
        family: Family,
        config: EncoderConfig,
        *,
        replace_classifier: bool = False,
    ):
        self._folder, self._names = folder, family.tensor_names(config)
        self._locations = locate_tensors(
            read_headers(folder),
            family,
            config,
            repr(str(folder)),
            replace_classifier=replace_classifier,
        )
        self.missing = [
            key
            for key, group in self._names.items()
            if not all(name in self._locations for name in group)
        ]

    def __getitem__(self, key: str) -> np.ndarray:
        """Return the values of a variable: float32, in the variable's layout."""
        locations = [self._locations[name] for name in self._names[key]]
        return to_keras(key, [_read_tensor(self._folder, location) for location in locations])


def has_other_decoder(folder: Path, family: Family, config: EncoderConfig) -> bool:
    """Return whether a folder whose config ties the decoder holds one of other values.

    The values are compared row by row, so that memory holds a few rows of both at a time.
    """
    stored = decoder_beside_embeddings(read_headers(folder), family, config, repr(str(folder)))
    if stored is None:
        return False
    decoder, embeddings = (_row_blocks(folder, location) for location in stored)
    return not all(starmap(np.array_equal, zip(decoder, embeddings, strict=True)))


def _row_blocks(folder: Path, location: TensorLocation) -> Iterator[np.ndarray]:
    """Yield the rows of a stored matrix as float32, ROWS_AT_ONCE at a time."""
    from safetensors import safe_open

    with _read_errors(folder / location.file) as path, safe_open(path, framework="numpy") as file:
        rows, count = file.get_slice(location.name), location.tensor.shape[0]
        for begin in range(0, count, ROWS_AT_ONCE):
            block = rows[begin : min(count, begin + ROWS_AT_ONCE)]
            yield np.asarray(block).astype(np.float32, copy=False)


def _read_tensor(folder: Path, location: TensorLocation) -> np.ndarray:
    """Return a tensor as float32; values of a narrower format stay exact."""
    from safetensors import safe_open

    with _read_errors(folder / location.file) as path, safe_open(path, framework="numpy") as file:
        return np.asarray(file.get_tensor(location.name)).astype(np.float32, copy=False)


@contextmanager
def _read_errors(path: Path) -> Iterator[Path]:
    """Yield the path of a weight file; turn errors of reading it into CheckpointError."""
    from safetensors import SafetensorError

    try:
        yield path
    except (SafetensorError, OSError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{str(path)!r} cannot be read: {error}; fetch it again") from None


def save_weights(model: "Encoder", family: Family, path: Path, *, dtype: str) -> None:
    """Write the model's weights as one safetensors file, in the family's names.

    Args:
        model: its variables are written as PyTorch's tensors.
        family: gives the names.
        path: the file.
        dtype: "float32", "float16" or "bfloat16".
    """
    from safetensors.numpy import save

    file_dtype = _numpy_dtype(dtype)
    variables = variables_by_name(model)
    tensors = {}
    for key, group in family.tensor_names(model.config).items():
        value = np.asarray(variables[key].numpy(), dtype=np.float32)
        for name, tensor in zip(group, from_keras(key, value, len(group)), strict=True):
            tensors[name] = np.ascontiguousarray(tensor.astype(file_dtype))
    if family.written_twice(model.config):
        for second, first in family.same_tensors(model.config).items():
            tensors[second] = tensors[first].copy()
    # Not save_file: it makes the file readable for its owner only, and hides the OSError of a full
    # disk.
    path.write_bytes(save(tensors, metadata={"format": "pt"}))


def round_weights(model: "Encoder", dtype: str) -> None:
    """Round the model's variables to the values that a file of that dtype will hold."""
    if dtype == "float32":
        return
    file_dtype = _numpy_dtype(dtype)
    for variable in variables_by_name(model).values():
        value = np.asarray(variable.numpy(), dtype=np.float32)
        variable.assign(value.astype(file_dtype).astype(np.float32))


def _numpy_dtype(dtype: str) -> np.dtype:
    import ml_dtypes

    return np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)


def variables_by_name(model: "Encoder") -> dict[str, "keras.Variable"]:
    """Return the model's weights, frozen ones too, by their path inside the model."""
    return {variable.path.split("/", 1)[1]: variable for variable in model.weights}


def to_keras(key: str, tensors: list[np.ndarray]) -> np.ndarray:
    """Return a variable in our layout from its PyTorch tensors: joined, kernels transposed."""
    joined = tensors[0] if len(tensors) == 1 else np.concatenate(tensors)
    return joined.T if key.endswith("/kernel") else joined


def from_keras(key: str, value: np.ndarray, count: int) -> list[np.ndarray]:
    """Return the `count` PyTorch tensors of a variable; the reverse of to_keras."""
    value = value.T if key.endswith("/kernel") else value
    return np.split(value, count) if count > 1 else [value]
