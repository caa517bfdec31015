"""Rules for every value of a config.json, at any depth: its size, its key, its bounds."""

import math
import re

from mlm.checkpoint.config_bounds import DROPOUT, MAX_LABELS, NUMBERS
from mlm.checkpoint.strict_json import has_lone_surrogate, short_repr
from mlm.errors import CheckpointError

MAX_NUMBER = 2**31
MAX_STRING = 1024
MAX_KEY = 128
MAX_LIST = 1024
MAX_DEPTH = 5  # of nested containers; the whole file is the first

# Fields that hold a word, or a few words; the first is DeBERTa's.
WORD_FIELD = re.compile(r"norm_rel_ebd|.*act|.*activation|.*_type")
MAX_WORD = 64
MAX_WORDS = 8
FLAGS = {
    "add_cross_attention", "is_decoder", "legacy", "output_attentions", "output_hidden_states",
    "position_biased_input", "relative_attention", "return_dict", "share_att_key",
    "tie_word_embeddings",
}  # fmt: skip
LABELS = {"id2label", "label2id"}  # their keys are free text

FORBIDDEN_KEYS = {  # pattern -> what a config with such a key asks for
    re.compile(r"auto_map|custom_.*"): "custom code, which is never run",
    re.compile(r"_attn.*|attn_implementation|_?experts_implementation"): (
        "a custom attention, which could be code; take the line out"
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
ALLOWED_UNDERSCORE_KEYS = {"_name_or_path", "_commit_hash", "_num_labels"}


def check_value(name: str, value: object, where: str, depth: int = 1) -> None:
    """Raise CheckpointError if a value, or a value inside it, breaks a rule.

    Args:
        name: the value's path inside the file, for the message.
        value: parsed JSON.
        where: the file, for the message.
        depth: how deep the value is nested; 1 for the whole file.
    """
    if isinstance(value, dict | list) and depth > MAX_DEPTH:
        raise CheckpointError(
            f"{where}: {name} is nested {depth} deep; expected {MAX_DEPTH} at most"
        )
    if isinstance(value, dict):
        _check_dict(name, value, where, depth)
    elif isinstance(value, list):
        _check_list(name, value, where, depth)
    elif isinstance(value, str):
        _check_string(name, value, where)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        _check_number(name, value, where)


def is_forbidden(key: str) -> bool:
    """Return whether a key, unless its value is null, asks for something that is never done."""
    return any(pattern.fullmatch(key) for pattern in FORBIDDEN_KEYS)


def wrong_value(where: str, name: str, value: object, expected: str) -> CheckpointError:
    """Return the error for a field that holds another value than it may."""
    return CheckpointError(f"{where}: {name} is {short_repr(value)}; expected {expected}")


def _check_dict(name: str, value: dict[str, object], where: str, depth: int) -> None:
    if len(value) > MAX_LABELS:
        raise CheckpointError(
            f"{where}: {name} has {len(value):,} entries; expected {MAX_LABELS:,} at most"
        )
    for key, entry in value.items():
        _check_key(name, key, where)
        path = key if depth == 1 else f"{name}.{key}"
        if name not in LABELS:
            _check_known_field(path, key, entry, where)
        check_value(path, entry, where, depth + 1)


def _check_key(name: str, key: str, where: str) -> None:
    if len(key) > MAX_KEY or not key.isprintable():
        raise CheckpointError(
            f"{where}: {name} has the key {short_repr(key)}; expected {MAX_KEY} printable "
            "characters at most"
        )
    if name in LABELS:
        return
    for pattern, meaning in FORBIDDEN_KEYS.items():
        if pattern.fullmatch(key):
            raise CheckpointError(f"{where} asks for {meaning} ({key})")
    if key.startswith("_") and key not in ALLOWED_UNDERSCORE_KEYS:
        raise CheckpointError(f"{where}: {key} is not a setting; keys do not begin with _")


def _check_known_field(path: str, key: str, value: object, where: str) -> None:
    """Check the value of a key that has the same meaning at any depth."""
    bounds = DROPOUT if key.endswith(("dropout", "dropout_prob")) else NUMBERS.get(key)
    if bounds and not bounds.allow(value):
        raise wrong_value(where, path, value, str(bounds))
    if key in FLAGS and value not in (None, True, False):
        raise wrong_value(where, path, value, "true or false")
    words = value if isinstance(value, list) else [value]
    if WORD_FIELD.fullmatch(key) and (len(words) > MAX_WORDS or not all(map(_is_word, words))):
        raise wrong_value(where, path, value, f"a word of {MAX_WORD} characters at most")


def _is_word(value: object) -> bool:
    return not isinstance(value, dict | list) and len(str(value)) <= MAX_WORD


def _check_list(name: str, value: list[object], where: str, depth: int) -> None:
    if len(value) > MAX_LIST:
        raise CheckpointError(
            f"{where}: {name} has {len(value):,} entries; expected {MAX_LIST:,} at most"
        )
    for index, entry in enumerate(value):
        check_value(f"{name}[{index}]", entry, where, depth + 1)


def _check_string(name: str, value: str, where: str) -> None:
    if len(value) > MAX_STRING:
        raise CheckpointError(
            f"{where}: {name} has {len(value):,} characters; expected {MAX_STRING:,} at most"
        )
    if has_lone_surrogate(value):
        raise wrong_value(where, name, value, "text without half a surrogate pair")


def _check_number(name: str, value: float, where: str) -> None:
    if not math.isfinite(value):
        raise wrong_value(where, name, value, "a finite number")
    if abs(value) > MAX_NUMBER:
        raise wrong_value(where, name, value, f"a number of {MAX_NUMBER:,} at most")
