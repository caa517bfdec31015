"""The weights of a checkpoint: safetensors under a family's names <-> the variables of a MaskedLM.

A file's header is held against the file's size, and its names and shapes against what config.json
implies, before a value is used.
"""

import json
import logging
import struct
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from mlm.errors import CheckpointError
from mlm.families import is_ignored

logger = logging.getLogger(__name__)

WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
MAX_HEADER_BYTES = 1024 * 1024


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a checkpoint, one or the shards of an index."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not (folder / WEIGHTS_INDEX).is_file():
        others = sorted(p.name for p in folder.glob("*") if p.suffix in {".bin", ".h5", ".ckpt"})
        found = f"it has {', '.join(others)}, which is not read" if others else "it has none"
        raise CheckpointError(f"{str(folder)!r} has no {WEIGHTS}; {found}")
    try:
        index = json.loads((folder / WEIGHTS_INDEX).read_text(encoding="utf-8"))
        names = sorted(set(index["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError):
        raise CheckpointError(f"{str(folder / WEIGHTS_INDEX)!r} is no shard index") from None
    for name in names:
        if not isinstance(name, str) or Path(name).name != name:
            raise CheckpointError(f"{WEIGHTS_INDEX} names {name!r}, which is no file beside it")
        if not (folder / name).is_file():
            raise CheckpointError(f"{str(folder)!r} lacks {name}; fetch the checkpoint again")
    return [folder / name for name in names]


def read_header(path: Path) -> dict[str, Any]:
    """The header of a safetensors file, whose offsets have to match the file's size."""
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > min(MAX_HEADER_BYTES, size - 8):
                raise ValueError("header longer than the file or than 1 MiB")
            header = json.loads(file.read(length))
        layout = (header.pop("__metadata__", None) or {}).get("format")
        expected = 8 + length + max(entry["data_offsets"][1] for entry in header.values())
    except (struct.error, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise CheckpointError(f"{str(path)!r} is no safetensors file; fetch it again") from None
    if expected != size:
        raise CheckpointError(
            f"{str(path)!r} has {size:,} bytes where its header says {expected:,}; fetch it again"
        )
    if layout not in (None, "pt"):
        raise CheckpointError(
            f"{str(path)!r} is in the layout {layout!r}, not PyTorch's `pt`; save it from PyTorch"
        )
    return header


def load_weights(model, family: ModuleType, folder: Path) -> bool:
    """Fill the model from a folder's safetensors; True if it had no masked-LM head."""
    names = family.tensor_names(model.config)
    expected = {name for group in names.values() for name in group}
    stored = StoredTensors(folder, family, expected, family.same_tensors(model.config))
    variables = variables_by_name(model)
    missing = [key for key, group in names.items() if not all(name in stored for name in group)]
    head = {key for key in names if key.startswith("head/")}
    if missing and set(missing) != head:  # half a head is no encoder-only checkpoint
        lost = next(name for key in missing for name in names[key] if name not in stored)
        raise CheckpointError(f"{str(folder)!r} lacks the tensor {lost}; fetch it again")
    for key in (key for key in names if key not in missing):
        value = to_keras(key, [stored.read(name) for name in names[key]])
        variable = variables[key]
        if value.shape != tuple(variable.shape):
            raise CheckpointError(
                f"{names[key][0]} in {str(folder)!r} has shape {value.shape}; config.json implies "
                f"{tuple(variable.shape)}"
            )
        variable.assign(value)
    if missing:
        logger.warning("the checkpoint has no masked-LM head (%s); a new one starts", missing[0])
    return bool(missing)


class StoredTensors:
    """The tensors of a checkpoint folder under the names that its family uses today.

    Older spellings are understood: `gamma` and `beta`, a missing `bert.` prefix, a second name.
    A tensor that is neither expected nor known to be idle is an error.
    """

    def __init__(
        self, folder: Path, family: ModuleType, expected: set[str], second_names: dict[str, str]
    ):
        self._places: dict[str, tuple[Path, str]] = {}
        for path in weight_files(folder):
            for stored in read_header(path):
                name = _todays_name(stored, family, expected)
                if name in expected:
                    self._places[name] = (path, stored)
                elif name in second_names:
                    self._places.setdefault(second_names[name], (path, stored))
                elif not is_ignored(family, name):
                    raise CheckpointError(
                        f"{path.name} in {str(folder)!r} holds {stored!r}, which config.json does "
                        "not imply; the two do not belong together"
                    )

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def read(self, name: str) -> np.ndarray:
        """One tensor as float32."""
        from safetensors import SafetensorError, safe_open

        path, stored = self._places[name]
        try:
            with safe_open(path, framework="numpy") as file:
                return np.asarray(file.get_tensor(stored)).astype(np.float32)
        except (SafetensorError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(
                f"{str(path)!r} cannot be read: {error}; fetch it again"
            ) from None


def _todays_name(stored: str, family: ModuleType, expected: set[str]) -> str:
    name = stored
    for old, new in ((".gamma", ".weight"), (".beta", ".bias")):
        if name.endswith(old):
            name = name.removesuffix(old) + new
    prefixed = family.PREFIX + name
    if name not in expected and (prefixed in expected or is_ignored(family, prefixed)):
        return prefixed
    return name


def save_weights(model, family: ModuleType, path: Path, *, dtype: str) -> None:
    """Write the model's weights as one safetensors file under the family's names."""
    import ml_dtypes
    from safetensors.numpy import save

    number = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    variables = variables_by_name(model)
    tensors = {}
    for key, group in family.tensor_names(model.config).items():
        value = np.asarray(variables[key].numpy(), dtype=np.float32)
        for name, part in zip(group, from_keras(key, value, len(group)), strict=True):
            tensors[name] = np.ascontiguousarray(part.astype(number))
    if family.written_twice(model.config):
        for second, first in family.same_tensors(model.config).items():
            tensors[second] = tensors[first].copy()
    # Not save_file: it makes the file readable by its owner alone, and hides a full disk's OSError.
    path.write_bytes(save(tensors, metadata={"format": "pt"}))


def variables_by_name(model) -> dict[str, Any]:
    """The model's trainable variables under their path inside the model."""
    return {variable.path.split("/", 1)[1]: variable for variable in model.trainable_variables}


def to_keras(key: str, parts: list[np.ndarray]) -> np.ndarray:
    """PyTorch's tensors of one of our variables in our layout: kernels transposed, joined."""
    joined = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return joined.T if key.endswith("/kernel") else joined


def from_keras(key: str, value: np.ndarray, count: int) -> list[np.ndarray]:
    """The reverse of to_keras."""
    value = value.T if key.endswith("/kernel") else value
    return np.split(value, count) if count > 1 else [value]
