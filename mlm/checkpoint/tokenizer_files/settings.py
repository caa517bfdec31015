"""tokenizer_config.json and special_tokens_map.json: no setting that reaches code or other files.

transformers passes each key of these files to the tokenizer's class, whatever its name, and looks
up `tokenizer_class` among all that it exports.
"""

from mlm.checkpoint.strict_json import short_repr
from mlm.checkpoint.tokenizer_files.rules import (
    FLAG,
    TOKEN,
    Rule,
    check_fields,
    integer,
    is_text,
    one_of,
    or_null,
)
from mlm.checkpoint.tokenizer_files.vocabulary import ADDED_TOKEN, check_id

MAX_STRING = 65_536  # characters; a chat template, which is not used here, can be long
MAX_TOKENS = 10_000  # in a list of further special tokens
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

# Keys that would be opened or passed on as an object; no saved file needs them.
FORBIDDEN_KEYS = {
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
OWN_PATHS = {"merges_file", "tokenizer_file", "vocab_file"}  # of the files at the time of saving
OWN_CODE = "it names custom code (auto_map), which is never run here"
SIDES = or_null(one_of("left", "right"))


def _is_length(value: object) -> bool:
    return (type(value) is int or type(value) is float) and value >= 1 and value == value // 1


LENGTH = or_null(Rule(_is_length, "a whole number from 1"))
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
    "unk_id": or_null(integer(0, 2**31)),
}
TOKEN_LISTS = {"additional_special_tokens", "extra_special_tokens"}
TOKEN_OBJECTS = {"extra_special_tokens", "model_specific_special_tokens"}
FREE_CONTAINERS = {"model_input_names", "never_split", "chat_template"}  # not read here


def check_tokenizer_class(content: object) -> None:
    """Raise ValueError if the content of a config.json asks for a tokenizer class with code."""
    if not isinstance(content, dict):
        raise ValueError("it holds no JSON object")
    if content.get("auto_map") is not None:
        raise ValueError(OWN_CODE)
    FIELDS["tokenizer_class"].check("tokenizer_class", content.get("tokenizer_class"))


def check_tokenizer_settings(content: object, vocab_size: int, *, has_tokenizer_json: bool) -> None:
    """Raise ValueError if the content of one of the two files breaks a rule.

    Args:
        content: parsed JSON.
        vocab_size: rows of the embedding; every id has to be below it.
        has_tokenizer_json: whether that file exists, so that paths in the settings are not read.
    """
    if not isinstance(content, dict):
        raise ValueError("it holds no JSON object")
    for key, value in content.items():
        if value is not None:
            _check_setting(key, value, vocab_size, has_tokenizer_json)


def _check_setting(key: str, value: object, vocab_size: int, has_tokenizer_json: bool) -> None:
    """Check a setting that is not null, by its key."""
    if key == "auto_map":
        raise ValueError(OWN_CODE)
    if (key in FORBIDDEN_KEYS or key.startswith("_")) and value not in (False, []):
        raise ValueError(f"it sets {short_repr(key)}, which is not a setting of these tokenizers")
    if key in OWN_PATHS and not has_tokenizer_json:
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
        raise ValueError(f"{short_repr(key)} is {short_repr(value)}; expected a plain value")
    elif isinstance(value, str) and not is_text(value, MAX_STRING):
        raise ValueError(
            f"{short_repr(key)} is {short_repr(value)}; expected {MAX_STRING:,} characters"
        )


def _check_token(path: str, value: object) -> None:
    """Check a special token: its text, or an object of its text and its matching options."""
    if isinstance(value, dict):
        value = check_fields(path, value, ADDED_TOKEN, others=("__type", "id")).get("content")
    if value not in (True, False):  # add_bos_token and the like are flags
        TOKEN.check(path, value)


def _check_tokens(key: str, value: object) -> None:
    tokens: list[object] | None = None
    if isinstance(value, dict) and key in TOKEN_OBJECTS:
        tokens = list(value.values())
    elif isinstance(value, list) and key in TOKEN_LISTS:
        tokens = value
    if tokens is None or len(tokens) > MAX_TOKENS:
        raise ValueError(f"{key} is {short_repr(value)}; expected {MAX_TOKENS:,} tokens at most")
    for token in tokens:
        _check_token(key, token)


def _check_decoder(value: object, vocab_size: int) -> None:
    """Check added_tokens_decoder: id, written as a string, -> token."""
    if not isinstance(value, dict):
        raise ValueError(f"added_tokens_decoder is {short_repr(value)}; expected ids and tokens")
    contents: set[object] = set()
    for digits, token in value.items():
        index = int(digits) if digits.isdecimal() and len(digits) <= 10 else digits
        check_id(f"added_tokens_decoder[{short_repr(digits)}]", index, vocab_size)
        path = f"added_tokens_decoder[{digits}]"
        contents.add(check_fields(path, token, ADDED_TOKEN, others=("__type",)).get("content"))
    if len(contents) != len(value):
        raise ValueError("added_tokens_decoder gives one token two ids")
