"""Find the tensors that config.json implies in the headers of the weight files.

Names and shapes have to agree tensor for tensor. This is checked before a model is built or a value
is read, and in the same way for headers that are read from the Hub.
"""

from collections.abc import Collection, Mapping, Set
from typing import NamedTuple

from mlm.checkpoint.families.family import WORD_EMBEDDINGS, Family
from mlm.checkpoint.families.naming import Names
from mlm.checkpoint.families.tensors import is_ignored, is_other_head, tensor_shapes
from mlm.checkpoint.safetensors_header import FLOAT_BYTES, Header, StoredTensor
from mlm.checkpoint.strict_json import short_repr
from mlm.errors import CheckpointError
from mlm.model.encoder_config import EncoderConfig, variable_shapes


class TensorLocation(NamedTuple):
    """A stored tensor: its file, its name in that file, and its entry in the header."""

    file: str
    name: str
    tensor: StoredTensor

    def __str__(self) -> str:
        return f"{short_repr(self.name)} of {self.file}"


def check_tensors(
    headers: Mapping[str, Header], family: Family, config: EncoderConfig, where: str
) -> None:
    """Raise CheckpointError unless the files hold the tensors that the config implies.

    The masked-LM head may be missing as a whole, a task's head in part. Further tensors are allowed
    if the family ignores them. No value is read, so it works for files that are still on the Hub.

    Args:
        headers: file name -> header, for all weight files of the checkpoint.
        family: the checkpoint's family.
        config: gives the names and shapes that are expected.
        where: the checkpoint's name for the message.
    """
    locate_tensors(headers, family, config, where)


def locate_tensors(
    headers: Mapping[str, Header],
    family: Family,
    config: EncoderConfig,
    where: str,
    *,
    replace_classifier: bool = False,
) -> dict[str, TensorLocation]:
    """Return the location of each tensor that the config implies, by its present name.

    Older names are understood: `gamma` and `beta`, a missing `bert.` prefix, a second name. All
    tensors are located, or all but some of the head's. Arguments and errors are those of
    check_tensors.

    replace_classifier: leave out a classifier of another number of labels than the config's.
    """
    classifier = _tensors_of("head/classifier/", family.tensor_names(config))
    replaced = classifier if replace_classifier else []
    locations = _stored_locations(headers, family, config, where, replaced)
    if not all(name in locations for name in replaced):
        _drop(locations, replaced)
    for second, first in family.same_tensors(config).items():
        if second in locations:
            location = locations.pop(second)
            if first not in locations or family.counts_first(second):
                locations[first] = location
    if config.task_head is None:
        _drop_incomplete_head(headers, locations, family.tensor_names(config))
    _check_complete(locations, family, config, where)
    return locations


def decoder_beside_embeddings(
    headers: Mapping[str, Header], family: Family, config: EncoderConfig, where: str
) -> tuple[TensorLocation, TensorLocation] | None:
    """Return where a decoder and the word embeddings are stored, if the config ties the two.

    None if the config does not tie them, or if only one of them is stored. Arguments and errors
    are those of check_tensors.
    """
    if not config.tie_word_embeddings:
        return None
    locations = _stored_locations(headers, family, config, where)
    decoder = locations.get(family.decoder_weight(config))
    embeddings = locations.get(family.tensor_names(config)[WORD_EMBEDDINGS][0])
    return (decoder, embeddings) if decoder and embeddings else None


def _stored_locations(
    headers: Mapping[str, Header],
    family: Family,
    config: EncoderConfig,
    where: str,
    replaced: Collection[str] = (),
) -> dict[str, TensorLocation]:
    """Return the location of each stored tensor that is known, by its present name.

    replaced: names of tensors that are left out if they have another shape.
    """
    expected = tensor_shapes(family.model_type, config)
    second_names = family.same_tensors(config)
    known = expected.keys() | second_names.keys()
    unused = family.unused_prediction_tensors(config)
    locations: dict[str, TensorLocation] = {}
    for file, header in headers.items():
        for stored_name, tensor in header.items():
            name = _present_name(stored_name, family, known)
            if name not in known:
                if name not in unused and not is_ignored(family, name):
                    raise _not_implied(stored_name, f"{file} in {where}")
                continue
            if name in replaced and tensor.shape != expected[name]:
                continue
            location = TensorLocation(file, stored_name, tensor)
            if name in locations:
                raise CheckpointError(
                    f"{where} holds {name} twice, as {locations[name]} and as {location}; fetch it "
                    "again"
                )
            locations[name] = location
            _check_shape_and_dtype(location, expected[second_names.get(name, name)], where)
    return locations


def _present_name(stored_name: str, family: Family, known: Set[str]) -> str:
    """Return the name that the family has today for a tensor that may have an older one."""
    name = stored_name
    for old, new in ((".gamma", ".weight"), (".beta", ".bias")):
        if name.endswith(old):
            name = name.removesuffix(old) + new
    prefixed = family.prefix + name
    if name not in known and (prefixed in known or is_ignored(family, prefixed)):
        return prefixed
    return name


def _not_implied(stored_name: str, where: str) -> CheckpointError:
    return CheckpointError(
        f"{where} holds {short_repr(stored_name)}, which config.json does not imply; the two "
        "do not belong together"
    )


def _check_shape_and_dtype(location: TensorLocation, shape: tuple[int, ...], where: str) -> None:
    tensor = location.tensor
    if tensor.shape != shape:
        raise CheckpointError(
            f"{location} in {where} has shape {tensor.shape}; config.json implies {shape}"
        )
    if tensor.dtype not in FLOAT_BYTES:
        raise CheckpointError(
            f"{location} in {where} is {tensor.dtype}; expected weights as "
            f"{', '.join(FLOAT_BYTES)}: save them as float32"
        )


def _drop_incomplete_head(
    headers: Mapping[str, Header], locations: dict[str, TensorLocation], names: Names
) -> None:
    """Ignore a classifier's masked-LM head if it is not whole: ModernBERT keeps its first layer."""
    if any(is_other_head(name) for header in headers.values() for name in header):
        head = _tensors_of("head/", names)
        if not all(name in locations for name in head):
            _drop(locations, head)


def _drop(locations: dict[str, TensorLocation], names: Collection[str]) -> None:
    for name in names:
        locations.pop(name, None)


def _check_complete(
    locations: Mapping[str, TensorLocation], family: Family, config: EncoderConfig, where: str
) -> None:
    names = family.tensor_names(config)
    if extra := variable_shapes(config).keys() - names.keys():
        raise CheckpointError(
            f"config.json of {where} asks for {min(extra)}, which {family.model_type} does not have"
        )
    missing = [name for group in names.values() for name in group if name not in locations]
    head = _tensors_of("head/", names)
    if config.task_head is not None:  # a new task brings what the checkpoint lacks
        missing = [name for name in missing if name not in head]
    if missing and missing != head:  # an encoder-only checkpoint lacks all of it
        raise CheckpointError(f"{where} lacks the tensor {missing[0]}; fetch it again")


def _tensors_of(prefix: str, names: Names) -> list[str]:
    return [name for key, group in names.items() if key.startswith(prefix) for name in group]
