"""config.json of a checkpoint: read as a stranger's file, every number held against its bounds.

What the file says is looked at before `transformers` makes a config of it, because that sets each
key as an attribute, whatever its name: `to_dict` or `_attn_implementation_internal` as well.
"""

import math
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from mlm.checkpoint.config_bounds import DROPOUT, MOST_LABELS, NUMBERS, WORDS, Bounds
from mlm.checkpoint.families import family_of
from mlm.checkpoint.strict_json import has_lone_surrogate, parse_strictly, shown
from mlm.errors import CheckpointError, one_line

MAX_CONFIG_BYTES = 64 * 1024

LARGEST_NUMBER = 2**31
LONGEST_STRING = 1024
LONGEST_WORD = 64
MOST_WORDS = 8
# Fields that name one of a few, or some of them; the first is DeBERTa's.
A_WORD = re.compile(r"norm_rel_ebd|.*act|.*activation|.*_type")
FLAGS = {
    "add_cross_attention", "is_decoder", "legacy", "output_attentions", "output_hidden_states",
    "position_biased_input", "relative_attention", "return_dict", "share_att_key",
    "tie_word_embeddings",
}  # fmt: skip
LONGEST_KEY = 128
LONGEST_LIST = 1024
DEEPEST = 5  # containers in containers, the whole file being the first
LAYER_TYPES = {"full_attention", "sliding_attention"}
LABELS = {"id2label", "label2id"}  # their keys are anyone's words

FORBIDDEN = {
    re.compile(r"auto_map|custom_.*"): "code of its own, which is never run",
    re.compile(r"_attn.*|attn_implementation|_?experts_implementation"): (
        "an attention of its own, which could be code; take the line out"
    ),
    re.compile(r"transformers_weights"): (
        "weights of another file than the one that is read; take the line out"
    ),
    re.compile(r"is_heterogeneous|per_layer_.*"): (
        "layers that differ from each other, which this encoder does not have"
    ),
    re.compile(r"quantization_config"): (
        "quantized weights, which are not read; save them as float32, float16 or bfloat16"
    ),
}
HARMLESS_UNDERSCORES = {"_name_or_path", "_commit_hash", "_num_labels"}
# True in what transformers 4.46 to 4.57 saved: how its own attention was chosen then. It names no
# code, and nothing here is to read it.
LEFT_BEHIND = "_attn_implementation_autoset"
# What a config class has of its own and lets a file set.
SETTABLE = {"model_type", "name_or_path", "num_labels", "output_attentions", "torch_dtype"}


def read_config(folder: Path):
    """The folder's transformers config; CheckpointError names the rule and the field."""
    raw = read_raw_config(folder)
    where = repr(str(folder / "config.json"))
    try:
        config = _config_class(raw).from_dict(raw)
    except Exception as error:  # transformers raises its own validation classes
        reason = one_line(error, 300)
        raise CheckpointError(f"{where} cannot be used: {reason}") from None
    # A field that the file leaves out has the family's own value, which was not looked at.
    pad, size = config.pad_token_id, config.vocab_size
    if pad is not None and pad >= size:
        raise CheckpointError(f"{where}: pad_token_id is {pad:,}, beyond a vocab_size of {size:,}")
    return config


def read_raw_config(folder: Path) -> dict[str, Any]:
    """The folder's config.json as a checked dict; CheckpointError if absent, torn or refused."""
    path = Path(folder) / "config.json"
    where = repr(str(path))
    if not path.is_file():
        raise CheckpointError(
            f"{str(folder)!r} has no config.json; is it the folder of a checkpoint?"
        )
    content = _beginning(path, MAX_CONFIG_BYTES + 1)
    if len(content) > MAX_CONFIG_BYTES:
        raise CheckpointError(
            f"{where} has {path.stat().st_size:,} bytes; a config has {MAX_CONFIG_BYTES:,} at most"
        )
    try:
        raw = parse_strictly(content)
    except ValueError as error:
        raise CheckpointError(f"{where}: {error}; fetch the checkpoint again") from None
    if isinstance(raw, dict):
        raw = {key: value for key, value in raw.items() if not _says_nothing(key, value)}
    check_settings(raw, where)
    return raw


def _says_nothing(key: str, value: Any) -> bool:
    """Whether a forbidden key is there without the thing that is forbidden."""
    if key == LEFT_BEHIND:
        return isinstance(value, bool)
    return value is None and any(pattern.fullmatch(key) for pattern in FORBIDDEN)


def _beginning(path: Path, count: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError as error:
        raise CheckpointError(f"{str(path)!r} cannot be read: {error.strerror}") from None


def check_settings(raw: Any, where: str) -> None:
    """CheckpointError if the content of a config.json, parsed, breaks a rule; names the field.

    Looked at: keys that ask for code or would break the config, the family, every value's size,
    and the range of each known field.
    """
    if not isinstance(raw, dict):
        raise CheckpointError(f"{where} holds no settings; fetch the checkpoint again")
    _check_value("the file", raw, where, depth=1)
    if not isinstance(raw.get("model_type"), str):
        raise _refusal(where, "model_type", raw.get("model_type"), "the name of a family")
    family_of(raw["model_type"])
    _check_attributes(raw, where)
    if raw.get("type_vocab_size") == 0 and _settings(_config_class(raw)).get("type_vocab_size"):
        raise _refusal(where, "type_vocab_size", 0, "1 or more: this family has segments")
    for name, words in WORDS.items():
        if name in raw and raw[name] not in words:
            raise _refusal(where, name, raw[name], " or ".join(map(str, words[:3])))
    _check_layer_types(raw, where)
    _check_ropes(raw, where)
    _check_token_ids(raw, where)


def _refusal(where: str, name: str, value: Any, expected: str) -> CheckpointError:
    return CheckpointError(f"{where}: {name} is {shown(value)}; expected {expected}")


# Rules for any value, however deep


def _check_value(name: str, value: Any, where: str, depth: int) -> None:
    """Sizes of containers and strings, bounds of numbers, names of keys."""
    if isinstance(value, dict | list) and depth > DEEPEST:
        raise CheckpointError(f"{where}: {name} is nested {depth} deep; expected {DEEPEST} at most")
    check = CHECKS.get(type(value))
    if check:
        check(name, value, where, depth)


def _check_dict(name: str, value: dict[str, Any], where: str, depth: int) -> None:
    if len(value) > MOST_LABELS:
        raise CheckpointError(
            f"{where}: {name} has {len(value):,} entries; expected {MOST_LABELS:,} at most"
        )
    for key, entry in value.items():
        _check_key(name, key, where)
        path = key if depth == 1 else f"{name}.{key}"
        if name not in LABELS:
            _check_kind(path, key, entry, where)
        _check_value(path, entry, where, depth + 1)


def _check_kind(path: str, key: str, value: Any, where: str) -> None:
    """What a key of a known name may hold, wherever it stands."""
    bounds = DROPOUT if key.endswith(("dropout", "dropout_prob")) else NUMBERS.get(key)
    if bounds and not bounds.allow(value):
        raise _refusal(where, path, value, str(bounds))
    if key in FLAGS and value not in (None, True, False):
        raise _refusal(where, path, value, "true or false")
    words = value if isinstance(value, list) else [value]
    if A_WORD.fullmatch(key) and (len(words) > MOST_WORDS or any(map(_is_no_word, words))):
        raise _refusal(where, path, value, f"a word of {LONGEST_WORD} characters at most")


def _is_no_word(value: Any) -> bool:
    return isinstance(value, dict | list) or len(str(value)) > LONGEST_WORD


def _check_key(name: str, key: str, where: str) -> None:
    if len(key) > LONGEST_KEY or not key.isprintable():
        raise CheckpointError(
            f"{where}: {name} has the key {shown(key)}; expected {LONGEST_KEY} printable "
            "characters at most"
        )
    if name in LABELS:
        return
    for pattern, meaning in FORBIDDEN.items():
        if pattern.fullmatch(key):
            raise CheckpointError(f"{where} asks for {meaning} ({key})")
    if key.startswith("_") and key not in HARMLESS_UNDERSCORES:
        raise CheckpointError(f"{where}: {key} is no setting; keys do not begin with _")


def _check_list(name: str, value: list[Any], where: str, depth: int) -> None:
    if len(value) > LONGEST_LIST:
        raise CheckpointError(
            f"{where}: {name} has {len(value):,} entries; expected {LONGEST_LIST:,} at most"
        )
    for index, entry in enumerate(value):
        _check_value(f"{name}[{index}]", entry, where, depth + 1)


def _check_string(name: str, value: str, where: str, depth: int) -> None:
    if len(value) > LONGEST_STRING:
        raise CheckpointError(
            f"{where}: {name} has {len(value):,} characters; expected {LONGEST_STRING:,} at most"
        )
    if has_lone_surrogate(value):
        raise _refusal(where, name, value, "text; half a surrogate pair is none")


def _check_number(name: str, value: float, where: str, depth: int) -> None:
    if not math.isfinite(value):
        raise _refusal(where, name, value, "a finite number")
    if abs(value) > LARGEST_NUMBER:
        raise _refusal(where, name, value, f"a number of {LARGEST_NUMBER:,} at most")


CHECKS: dict[type, Callable[[str, Any, str, int], None]] = {
    dict: _check_dict,
    list: _check_list,
    str: _check_string,
    int: _check_number,
    float: _check_number,
}


# Rules for fields of the family


def _config_class(raw: dict[str, Any]) -> Any:
    from transformers import CONFIG_MAPPING

    return CONFIG_MAPPING[raw["model_type"]]


@cache
def _settings(kind: Any) -> dict[str, Any]:
    """What a config of the class holds where nothing is said.

    Asked of one, and not of the fields: in transformers 5.0 the classes were no dataclasses.
    """
    return vars(kind())


def _check_attributes(raw: dict[str, Any], where: str) -> None:
    """Refuse keys that would replace a method or a property of the config."""
    kind = _config_class(raw)
    for key in raw.keys() - _settings(kind).keys() - SETTABLE:
        if hasattr(kind, key) and key not in kind.attribute_map:
            raise CheckpointError(f"{where}: {key} is no setting but a part of transformers' code")


def _setting(raw: dict[str, Any], name: str) -> Any:
    """A field as the file or, where it says nothing, the family's config class has it."""
    kind = _config_class(raw)
    own_name = kind.attribute_map.get(name, name)
    return raw.get(name, raw.get(own_name, _settings(kind)[own_name]))


def _check_layer_types(raw: dict[str, Any], where: str) -> None:
    kinds, depth = raw.get("layer_types"), _setting(raw, "num_hidden_layers")
    if kinds is None:
        return
    if not isinstance(kinds, list) or len(kinds) != depth:
        raise _refusal(where, "layer_types", kinds, f"a list of {depth}, one for each layer")
    for kind in kinds:
        if not isinstance(kind, str) or kind not in LAYER_TYPES:
            raise _refusal(where, "layer_types", kind, " or ".join(sorted(LAYER_TYPES)))


def _check_ropes(raw: dict[str, Any], where: str) -> None:
    """Rotary positions: one base for each type of layer, and nothing that is not looked at."""
    ropes = raw.get("rope_parameters")
    if ropes is None:
        return
    if not isinstance(ropes, dict) or not ropes.keys() <= LAYER_TYPES:
        raise _refusal(where, "rope_parameters", ropes, f"an object of {sorted(LAYER_TYPES)}")
    for kind, rope in ropes.items():
        if rope is None:
            continue
        if not isinstance(rope, dict) or not isinstance(rope.get("rope_type", ""), str):
            raise _refusal(where, f"rope_parameters.{kind}", rope, "rope_type and rope_theta")
        unknown = sorted(rope.keys() - {"rope_type", "rope_theta"})
        if unknown and rope.get("rope_type", "default") == "default":
            raise CheckpointError(
                f"{where}: rope_parameters.{kind} has {unknown[0]}; only rope_theta is known"
            )


def _check_token_ids(raw: dict[str, Any], where: str) -> None:
    """Ids of special tokens lie within the vocabulary, so that they have rows to look up."""
    within = Bounds(0, _setting(raw, "vocab_size") - 1)
    for name in sorted(name for name in raw if name.endswith("_token_id")):
        ids = raw[name] if isinstance(raw[name], list) else [raw[name]]
        for token_id in ids:
            if token_id is not None and not within.allow(token_id):
                raise _refusal(where, name, token_id, f"{within} (vocab_size - 1)")
