"""tokenizer_config.json and special_tokens_map.json: settings, and no way to code or other files.

transformers hands each key of these files to the tokenizer's class, whatever its name, and looks
`tokenizer_class` up among all that it exports.
"""

from typing import Any

from mlm.checkpoint.strict_json import shown
from mlm.checkpoint.tokenizer_files.rules import (
    FLAG,
    TOKEN,
    Rule,
    check_fields,
    is_text,
    one_of,
    or_null,
    whole,
)
from mlm.checkpoint.tokenizer_files.vocabulary import ADDED_TOKEN, check_id

LONGEST_STRING = 65_536  # characters; a chat template, which nobody asks for here, can be long
MOST_TOKENS = 10_000  # of the lists of further special tokens
KNOWN_CLASSES = {
    f"{name}{suffix}"
    for suffix in ("", "Fast")
    for name in (
        "AlbertTokenizer",
        "BertTokenizer",
        "CamembertTokenizer",
        "DebertaV2Tokenizer",
        "DistilBertTokenizer",
        "ElectraTokenizer",
        "GPT2Tokenizer",
        "GPTNeoXTokenizer",
        "GemmaTokenizer",
        "LlamaTokenizer",
        "MPNetTokenizer",
        "PreTrainedTokenizer",
        "RobertaTokenizer",
        "XLMRobertaTokenizer",
    )
} | {"TokenizersBackend"}

# What would be opened or handed on as an object, and is nothing that a saved file needs.
REACHING_OUT = {
    "auto_map",
    "fast_tokenizer_files",
    "gguf_file",
    "init_inputs",
    "merges",
    "post_processor",
    "split_special_tokens",
    "tokenizer_object",
    "tokenizer_padding",
    "tokenizer_truncation",
    "trust_remote_code",
    "vocab",
}
OWN_PATHS = {"merges_file", "tokenizer_file", "vocab_file"}  # where the files lay when saved
OWN_CODE = "it names code of its own (auto_map), which is never run here"
SIDES = or_null(one_of("left", "right"))
LENGTH = or_null(
    Rule(
        lambda value: type(value) in (int, float) and value >= 1 and value == value // 1,
        "a whole number from 1",
    )
)
FIELDS = {
    "tokenizer_class": or_null(
        Rule(
            lambda value: isinstance(value, str) and value in KNOWN_CLASSES,
            "a class of these families",
        )
    ),
    "model_max_length": LENGTH,
    "max_len": LENGTH,
    "padding_side": SIDES,
    "truncation_side": SIDES,
    **dict.fromkeys(
        (
            "add_prefix_space",
            "do_lower_case",
            "keep_accents",
            "strip_accents",
            "tokenize_chinese_chars",
            "trim_offsets",
        ),
        or_null(FLAG),
    ),
    "unk_id": or_null(whole(0, 2**31)),
}
TOKEN_LISTS = {"additional_special_tokens", "extra_special_tokens"}
TOKEN_OBJECTS = {"extra_special_tokens", "model_specific_special_tokens"}
FREE_CONTAINERS = {"model_input_names", "never_split", "chat_template"}  # of strings, not looked up


def check_types(content: Any) -> None:
    """ValueError if a config.json, which may name the tokenizer's class too, asks for code."""
    if not isinstance(content, dict):
        raise ValueError("it holds no JSON object")
    if content.get("auto_map") is not None:
        raise ValueError(OWN_CODE)
    FIELDS["tokenizer_class"].check("tokenizer_class", content.get("tokenizer_class"))


def check_tokenizer_settings(content: Any, vocab_size: int, *, whole_file: bool) -> None:
    """ValueError if the parsed content of one of the two files breaks a rule.

    whole_file: True where tokenizer.json is there, so that the paths in the settings stay unread.
    """
    if not isinstance(content, dict):
        raise ValueError("it holds no JSON object")
    for key, value in content.items():
        if value is not None:
            _check_setting(key, value, vocab_size, whole_file)


def _check_setting(key: str, value: Any, vocab_size: int, whole_file: bool) -> None:
    if key == "auto_map":
        raise ValueError(OWN_CODE)
    if (key in REACHING_OUT or key.startswith("_")) and value not in (False, []):
        raise ValueError(f"it sets {shown(key)}, which is no setting of these tokenizers")
    if key in OWN_PATHS and not whole_file:
        raise ValueError(f"it sets {key}, a path that may lead anywhere; take the line out")
    if key in FIELDS:
        FIELDS[key].check(key, value)
    elif key == "added_tokens_decoder":
        _check_decoder(value, vocab_size)
    elif key.endswith("_token"):
        _check_token(key, value)
    elif key in TOKEN_LISTS | TOKEN_OBJECTS:
        _check_tokens(key, value)
    elif key not in FREE_CONTAINERS and isinstance(value, dict | list) and value:
        raise ValueError(f"{shown(key)} is {shown(value)}; expected a plain value")
    elif isinstance(value, str) and not is_text(value, LONGEST_STRING):
        raise ValueError(f"{shown(key)} is {shown(value)}; expected {LONGEST_STRING:,} characters")


def _check_token(path: str, value: Any) -> None:
    """A special token: its text, or an object with the text and how it is matched."""
    if isinstance(value, dict):
        check_fields(path, value, ADDED_TOKEN, others=("__type", "id"))
        value = value.get("content")
    if value not in (True, False):  # add_bos_token and the like are no tokens
        TOKEN.check(path, value)


def _check_tokens(key: str, value: Any) -> None:
    named = isinstance(value, dict) and key in TOKEN_OBJECTS
    listed = isinstance(value, list) and key in TOKEN_LISTS
    if not (named or listed) or len(value) > MOST_TOKENS:
        raise ValueError(f"{key} is {shown(value)}; expected {MOST_TOKENS:,} tokens at most")
    for token in value.values() if named else value:
        _check_token(key, token)


def _check_decoder(value: Any, vocab_size: int) -> None:
    """added_tokens_decoder: id, written as a string, -> token."""
    if not isinstance(value, dict):
        raise ValueError(f"added_tokens_decoder is {shown(value)}; expected ids and tokens")
    contents: set[str] = set()
    for digits, token in value.items():
        index = int(digits) if digits.isdecimal() and len(digits) <= 10 else digits
        check_id(f"added_tokens_decoder[{shown(digits)}]", index, vocab_size)
        check_fields(f"added_tokens_decoder[{digits}]", token, ADDED_TOKEN, others=("__type",))
        contents.add(token.get("content"))
    if len(contents) != len(value):
        raise ValueError("added_tokens_decoder gives one token two ids")
