"""The weights of a checkpoint: safetensors under a family's names <-> the variables of a MaskedLM.

What the headers name has to be what config.json implies, tensor for tensor and shape for shape,
before a model is built or a value read; headers read from the Hub are checked the same way.
"""

import logging
import re
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mlm.checkpoint.families import is_ignored, is_other_head, tensor_shapes
from mlm.checkpoint.families.family import Family
from mlm.checkpoint.safetensors_header import (
    FLOAT_BYTES,
    MAX_TENSORS,
    Header,
    StoredTensor,
    header_of_file,
)
from mlm.checkpoint.strict_json import parse_strictly, shown
from mlm.errors import CheckpointError
from mlm.model.encoder_config import EncoderConfig, variable_shapes

logger = logging.getLogger(__name__)

WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
MAX_INDEX_BYTES = 8 * 1024 * 1024
SHARD_NAME = re.compile(r"model-[0-9]{5}-of-[0-9]{5}\.safetensors")
MAX_SHARDS = 64


# Which files, and what their headers say


def read_headers(folder: Path) -> dict[str, Header]:
    """The checked header of each weight file of a folder, by the file's name."""
    if (folder / WEIGHTS).is_file():
        return {WEIGHTS: header_of_file(folder / WEIGHTS)}
    index = _read_index(folder)
    headers: dict[str, Header] = {}
    for file in sorted(set(index.values())):
        if not (folder / file).is_file():
            raise CheckpointError(f"{str(folder)!r} lacks {file}; fetch the checkpoint again")
        headers[file] = header_of_file(folder / file)
        # At once, so that the headers together hold no more tensors than one index may name.
        check_shard(file, headers[file], index, repr(str(folder)))
    return headers


def _read_index(folder: Path) -> dict[str, str]:
    path = folder / WEIGHTS_INDEX
    if not path.is_file():
        others = sorted(p.name for p in folder.glob("*") if p.suffix in {".bin", ".h5", ".ckpt"})
        found = f"it has {', '.join(others)}, which is not read" if others else "it has none"
        raise CheckpointError(f"{str(folder)!r} has no {WEIGHTS}; {found}")
    if path.stat().st_size > MAX_INDEX_BYTES:
        raise CheckpointError(
            f"{str(path)!r} has {path.stat().st_size:,} bytes; an index has {MAX_INDEX_BYTES:,} "
            "at most"
        )
    return parse_index(path.read_bytes(), repr(str(path)))


def parse_index(content: bytes, where: str) -> dict[str, str]:
    """The checked map of a shard index: tensor -> file.

    content: of model.safetensors.index.json, whose length the caller has bounded by
    MAX_INDEX_BYTES; where: what to call it in a message. Raises CheckpointError.
    """
    try:
        index = parse_strictly(content)
    except ValueError as error:
        raise CheckpointError(f"{where} is no shard index: {error}; fetch it again") from None
    places = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(places, dict) or not places:
        raise CheckpointError(f"{where} is no shard index: it has no weight_map; fetch it again")
    if len(places) > MAX_TENSORS:
        raise CheckpointError(f"{where} names {len(places):,} tensors, beyond {MAX_TENSORS:,}")
    for file in places.values():
        if not isinstance(file, str) or not SHARD_NAME.fullmatch(file):
            raise CheckpointError(
                f"{where} names the file {shown(file)}; expected model-00001-of-00002.safetensors "
                "or the like, beside it"
            )
    if len(set(places.values())) > MAX_SHARDS:
        raise CheckpointError(f"{where} names more than {MAX_SHARDS} files; join some of them")
    return places


def check_shard(file: str, header: Header, index: Mapping[str, str], where: str) -> None:
    """CheckpointError unless a shard holds the tensors that the index places in it, no other."""
    for name in header:
        if index.get(name) != file:
            said = f"places in {index[name]}" if name in index else "does not name"
            raise CheckpointError(
                f"{file} in {where} holds {shown(name)}, which {WEIGHTS_INDEX} {said}; fetch the "
                "checkpoint again"
            )
    lost = next((name for name, place in index.items() if place == file and name not in header), "")
    if lost:
        raise CheckpointError(
            f"{file} in {where} lacks {shown(lost)}, which {WEIGHTS_INDEX} places in it; fetch "
            "the checkpoint again"
        )


# The headers against the config


class Place(NamedTuple):
    """Where a tensor lies: the file, its name there, and what the header says of it."""

    file: str
    name: str
    tensor: StoredTensor


def check_tensors(
    headers: Mapping[str, Header], family: Family, config: EncoderConfig, where: str
) -> None:
    """CheckpointError unless files hold the tensors that the config implies, in those shapes.

    The masked-LM head may be missing as a whole; further tensors may be there if the family knows
    them as idle. No value is read: it does for files that are still on the Hub.

    Args:
        headers: file name -> its header, all weight files of the checkpoint.
        where: what to call the checkpoint in a message.
    """
    places_of(headers, family, config, where)


def places_of(
    headers: Mapping[str, Header], family: Family, config: EncoderConfig, where: str
) -> dict[str, Place]:
    """Each tensor that the config implies, under the name that its family uses today.

    Older spellings are understood: `gamma` and `beta`, a missing `bert.` prefix, a second name.
    All are there, or all but the head's. Raises as check_tensors does.
    """
    expected = tensor_shapes(family.model_type, config)
    second_names = family.same_tensors(config)
    known = expected.keys() | second_names.keys()
    places: dict[str, Place] = {}
    for file, header in headers.items():
        for stored, tensor in header.items():
            name = _todays_name(stored, family, known)
            if name not in known:
                _check_is_idle(stored, name, family, f"{file} in {where}")
                continue
            place = Place(file, stored, tensor)
            if name in places:
                raise CheckpointError(
                    f"{where} holds {name} twice, as {_told(places[name])} and as {_told(place)}; "
                    "fetch it again"
                )
            places[name] = place
            _check_kind(place, expected[second_names.get(name, name)], where)
    for second, first in second_names.items():
        if second in places:
            places.setdefault(first, places.pop(second))
    if any(is_other_head(name) for header in headers.values() for name in header):
        _drop_half_a_head(places, family.tensor_names(config))
    _check_complete(places, family, config, where)
    return places


def _drop_half_a_head(places: dict[str, Place], names: Mapping[str, tuple[str, ...]]) -> None:
    """A classifier of ModernBERT's keeps the first layer of the head, which then is no head."""
    head = [name for key in _head_keys(names) for name in names[key]]
    if not all(name in places for name in head):
        for name in head:
            places.pop(name, None)


def _todays_name(stored: str, family: Family, known: Set[str]) -> str:
    name = stored
    for old, new in ((".gamma", ".weight"), (".beta", ".bias")):
        if name.endswith(old):
            name = name.removesuffix(old) + new
    prefixed = family.prefix + name
    if name not in known and (prefixed in known or is_ignored(family, prefixed)):
        return prefixed
    return name


def _told(place: Place) -> str:
    return f"{shown(place.name)} of {place.file}"


def _check_is_idle(stored: str, name: str, family: Family, where: str) -> None:
    if not is_ignored(family, name):
        raise CheckpointError(
            f"{where} holds {shown(stored)}, which config.json does not imply; the two do not "
            "belong together"
        )


def _check_kind(place: Place, shape: tuple[int, ...], where: str) -> None:
    if place.tensor.shape != shape:
        raise CheckpointError(
            f"{_told(place)} in {where} has shape {place.tensor.shape}; config.json implies {shape}"
        )
    if place.tensor.dtype not in FLOAT_BYTES:
        raise CheckpointError(
            f"{_told(place)} in {where} is {place.tensor.dtype}; expected weights as "
            f"{', '.join(FLOAT_BYTES)}: save them as float32"
        )


def _check_complete(
    places: Mapping[str, Place], family: Family, config: EncoderConfig, where: str
) -> None:
    names = family.tensor_names(config)
    if extra := variable_shapes(config).keys() - names.keys():
        raise CheckpointError(
            f"config.json of {where} asks for {min(extra)}, which {family.model_type} does not have"
        )
    lost = [name for group in names.values() for name in group if name not in places]
    head = [name for key in _head_keys(names) for name in names[key]]
    if lost and lost != head:  # half a head is no encoder-only checkpoint
        raise CheckpointError(f"{where} lacks the tensor {lost[0]}; fetch it again")


def _head_keys(names: Mapping[str, Any]) -> list[str]:
    return [key for key in names if key.startswith("head/")]


# Values


def load_weights(model, family: Family, folder: Path) -> bool:
    """Fill the model from a folder's safetensors; True if it had no masked-LM head.

    Memory beside the model's own: one variable at a time.
    """
    stored = StoredWeights(folder, family, model.config)
    for key, variable in variables_by_name(model).items():
        if key not in stored.missing:
            variable.assign(stored[key])
    if stored.missing:
        logger.warning(
            "the checkpoint has no masked-LM head (%s); a new one starts", stored.missing[0]
        )
    return bool(stored.missing)


class StoredWeights:
    """A folder's weights under the names of our variables, each read when it is asked for.

    Attributes: missing, the names that the folder has no values for: none, or all of the head's.
    Raises CheckpointError where they do not fit the config, or cannot be read.
    """

    def __init__(self, folder: Path, family: Family, config: EncoderConfig):
        self._folder, self._names = folder, family.tensor_names(config)
        self._places = places_of(read_headers(folder), family, config, repr(str(folder)))
        self.missing = [
            key
            for key, group in self._names.items()
            if not all(name in self._places for name in group)
        ]

    def __getitem__(self, key: str) -> np.ndarray:
        """The values of a variable, float32, in its own layout."""
        return to_keras(key, [_read(self._folder, self._places[n]) for n in self._names[key]])


def _read(folder: Path, place: Place) -> np.ndarray:
    """One tensor as float32, exactly that of a narrower format."""
    from safetensors import SafetensorError, safe_open

    path = folder / place.file
    try:
        with safe_open(path, framework="numpy") as file:
            return np.asarray(file.get_tensor(place.name)).astype(np.float32, copy=False)
    except (SafetensorError, OSError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{str(path)!r} cannot be read: {error}; fetch it again") from None


def save_weights(model, family: Family, path: Path, *, dtype: str) -> None:
    """Write the model's weights as one safetensors file under the family's names."""
    from safetensors.numpy import save

    number = _number_format(dtype)
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


def round_weights(model, dtype: str) -> None:
    """Give the model's variables the values that a file of that number format will hold."""
    if dtype == "float32":
        return
    number = _number_format(dtype)
    for variable in variables_by_name(model).values():
        value = np.asarray(variable.numpy(), dtype=np.float32)
        variable.assign(value.astype(number).astype(np.float32))


def _number_format(dtype: str) -> np.dtype:
    import ml_dtypes

    return np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)


def variables_by_name(model) -> dict[str, Any]:
    """The model's weights, frozen ones too, under their path inside the model."""
    return {variable.path.split("/", 1)[1]: variable for variable in model.weights}


def to_keras(key: str, parts: list[np.ndarray]) -> np.ndarray:
    """PyTorch's tensors of one of our variables in our layout: kernels transposed, joined."""
    joined = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return joined.T if key.endswith("/kernel") else joined


def from_keras(key: str, value: np.ndarray, count: int) -> list[np.ndarray]:
    """The reverse of to_keras."""
    value = value.T if key.endswith("/kernel") else value
    return np.split(value, count) if count > 1 else [value]
