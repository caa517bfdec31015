"""config.json of a checkpoint: read as an untrusted file, and checked before it is used.

`transformers` sets each key of the file as an attribute of its config, whatever the name: `to_dict`
or `_attn_implementation_internal` as well. So the file is checked before it becomes a config.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mlm.checkpoint.config_bounds import WORDS, Bounds
from mlm.checkpoint.config_values import check_value, is_forbidden, wrong_value
from mlm.checkpoint.families import family_of
from mlm.checkpoint.strict_json import JsonObject, parse_strictly
from mlm.errors import CheckpointError, one_line

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

MAX_CONFIG_BYTES = 64 * 1024
LAYER_TYPES = {"full_attention", "sliding_attention"}
# True in what transformers 4.46 to 4.57 saved: it recorded how the attention was chosen. It names
# no code, and nothing here reads it.
AUTOSET_FLAG = "_attn_implementation_autoset"
# Attributes of the config classes that a file may set although they are not fields.
SETTABLE = {"model_type", "name_or_path", "num_labels", "output_attentions", "torch_dtype"}


def read_config(folder: Path) -> "PreTrainedConfig":
    """Return the folder's transformers config; CheckpointError names the rule and the field."""
    raw = read_raw_config(folder)
    where = repr(str(folder / "config.json"))
    try:
        config = _config_class(raw["model_type"]).from_dict(raw)
    except Exception as error:  # transformers raises its own validation classes
        reason = one_line(error, 300)
        raise CheckpointError(f"{where} cannot be used: {reason}") from None
    # If the file leaves out a field, the family's default applies, which was not checked.
    pad, size = config.pad_token_id, config.vocab_size
    if pad is not None and pad >= size:
        raise CheckpointError(f"{where}: pad_token_id is {pad:,}, beyond a vocab_size of {size:,}")
    return config


def read_raw_config(folder: Path) -> JsonObject:
    """Return the checked content of a folder's config.json.

    Raises:
        CheckpointError: the file does not exist, is not JSON, or breaks a rule.
    """
    path = Path(folder) / "config.json"
    where = repr(str(path))
    if not path.is_file():
        raise CheckpointError(
            f"{str(folder)!r} has no config.json; is it the folder of a checkpoint?"
        )
    content = _read_beginning(path, MAX_CONFIG_BYTES + 1)
    if len(content) > MAX_CONFIG_BYTES:
        raise CheckpointError(
            f"{where} has {path.stat().st_size:,} bytes; a config has {MAX_CONFIG_BYTES:,} at most"
        )
    try:
        raw: object = parse_strictly(content)
    except ValueError as error:
        raise CheckpointError(f"{where}: {error}; fetch the checkpoint again") from None
    if isinstance(raw, dict):
        raw = {key: value for key, value in raw.items() if not _has_no_effect(key, value)}
    return check_settings(raw, where)


def _read_beginning(path: Path, count: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError as error:
        raise CheckpointError(f"{str(path)!r} cannot be read: {error.strerror}") from None


def _has_no_effect(key: str, value: object) -> bool:
    """Return whether a forbidden key has a value that asks for nothing."""
    if key == AUTOSET_FLAG:
        return isinstance(value, bool)
    return value is None and is_forbidden(key)


def check_settings(raw: object, where: str) -> JsonObject:
    """Check the parsed content of a config.json and return it.

    Args:
        raw: parsed JSON.
        where: the file, for the message.

    Raises:
        CheckpointError: a key asks for code or would break the config; the family is not known; a
            value is too large, or out of the range of its field.
    """
    if not isinstance(raw, dict):
        raise CheckpointError(f"{where} holds no settings; fetch the checkpoint again")
    check_value("the file", raw, where)
    if not isinstance(raw.get("model_type"), str):
        raise wrong_value(where, "model_type", raw.get("model_type"), "the name of a family")
    family_of(raw["model_type"])
    _check_attributes(raw, where)
    if raw.get("type_vocab_size") == 0 and _defaults(raw["model_type"]).get("type_vocab_size"):
        raise wrong_value(where, "type_vocab_size", 0, "1 or more: this family has segments")
    for name, words in WORDS.items():
        if name in raw and raw[name] not in words:
            raise wrong_value(where, name, raw[name], " or ".join(map(str, words[:3])))
    _check_layer_types(raw, where)
    _check_ropes(raw, where)
    _check_token_ids(raw, where)
    return raw


def _config_class(model_type: str) -> type["PreTrainedConfig"]:
    from transformers import CONFIG_MAPPING

    return CONFIG_MAPPING[model_type]


@cache
def _defaults(model_type: str) -> JsonObject:
    """Return the settings of a new config of the family.

    Those of an instance, not the fields of the class: in transformers 5.0 the config classes are
    not dataclasses.
    """
    return dict(vars(_config_class(model_type)()))


def _check_attributes(raw: JsonObject, where: str) -> None:
    """Refuse keys that would replace a method or a property of the config."""
    config_class = _config_class(raw["model_type"])
    for key in raw.keys() - _defaults(raw["model_type"]).keys() - SETTABLE:
        if hasattr(config_class, key) and key not in config_class.attribute_map:
            raise CheckpointError(
                f"{where}: {key} is not a setting but a part of transformers' code"
            )


def _setting(raw: JsonObject, name: str) -> object:
    """Return a field of the file, or the default of its family's config class."""
    config_class = _config_class(raw["model_type"])
    own_name = config_class.attribute_map.get(name, name)
    value: object = raw.get(name, raw.get(own_name, _defaults(raw["model_type"])[own_name]))
    return value


def _check_layer_types(raw: JsonObject, where: str) -> None:
    types, depth = raw.get("layer_types"), _setting(raw, "num_hidden_layers")
    if types is None:
        return
    if not isinstance(types, list) or len(types) != depth:
        raise wrong_value(where, "layer_types", types, f"a list of {depth}, one for each layer")
    for layer_type in types:
        if not isinstance(layer_type, str) or layer_type not in LAYER_TYPES:
            raise wrong_value(where, "layer_types", layer_type, " or ".join(sorted(LAYER_TYPES)))


def _check_ropes(raw: JsonObject, where: str) -> None:
    """Check the rotary positions: a base for each layer type, and no setting that is not read."""
    ropes = raw.get("rope_parameters")
    if ropes is None:
        return
    if not isinstance(ropes, dict) or not ropes.keys() <= LAYER_TYPES:
        raise wrong_value(where, "rope_parameters", ropes, f"an object of {sorted(LAYER_TYPES)}")
    for layer_type, rope in ropes.items():
        if rope is None:
            continue
        name = f"rope_parameters.{layer_type}"
        if not isinstance(rope, dict) or not isinstance(rope.get("rope_type", ""), str):
            raise wrong_value(where, name, rope, "rope_type and rope_theta")
        unknown = sorted(rope.keys() - {"rope_type", "rope_theta"})
        if unknown and rope.get("rope_type", "default") == "default":
            raise CheckpointError(f"{where}: {name} has {unknown[0]}; only rope_theta is known")


def _check_token_ids(raw: JsonObject, where: str) -> None:
    """Check that each special token's id is in the vocabulary, so that its embedding has a row."""
    vocab_size = _setting(raw, "vocab_size")
    assert isinstance(vocab_size, int)
    bounds = Bounds(0, vocab_size - 1)
    for name in sorted(name for name in raw if name.endswith("_token_id")):
        ids = raw[name] if isinstance(raw[name], list) else [raw[name]]
        for token_id in ids:
            if token_id is not None and not bounds.allow(token_id):
                raise wrong_value(where, name, token_id, f"{bounds} (vocab_size - 1)")
