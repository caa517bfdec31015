"""tokenizer.json: normalizer, pre-tokenizer, decoder and post-processor, from a list of known ones.

The rules for their settings exclude patterns that never end on some text, and replacements that
make a text grow.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator

from mlm.checkpoint.strict_json import short_repr
from mlm.checkpoint.tokenizer_files.rules import (
    ANYTHING,
    FLAG,
    LETTER,
    MARK,
    Kinds,
    Rule,
    Rules,
    check_fields,
    check_keys,
    integer,
    is_text,
    one_of,
    or_null,
    text,
)

MAX_COMPONENTS = 32
MAX_DEPTH = 4
MAX_CHARSMAP = 4 * 2**20  # characters of base64; SentencePiece's own has 0.3 million
MAX_EXPANSION = 64  # bytes that one character becomes; at most 33 in Unicode's table

# The patterns that the converters of transformers write for these families, and that of our
# own byte-level BPE. Each takes time in proportion to the text; others could be made to hang.
KNOWN_PATTERNS = {
    " {2,}",
    r"\s+",
    r"\s{2,}|[\n\r\t]",
    r"[\n\r\t]",
    r"\n",
    "\n",
    " +▁",
    r"^▁+$",
    r"\p{N}",
    r"\p{N}{1,3}",
    r" ?[\p{L}\p{M}]+| ?\p{N}+| ?[^\s\p{L}\p{M}\p{N}]+|\s+(?!\S)|\s+",
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}

# The beginning of a token that is one of some words: takes as long as the words, at most.
_LITERAL = r"(?:[^\\^$.|?*+()\[\]{}\n]|\\[^0-9A-Za-z\n])+"
_WORDS_PATTERN = re.compile(rf"\^\(\?=\(\?:{_LITERAL}(?:\|{_LITERAL})*\)\$\)")


def words_pattern(words: Iterable[str]) -> str:
    """Return a pattern for the beginning of a token that is one of these words."""
    return f"^(?=(?:{'|'.join(map(re.escape, words))})$)"


def _is_decoder_pattern(value: object) -> bool:
    if isinstance(value, dict) and value.keys() == {"Regex"} and isinstance(value["Regex"], str):
        return _is_pattern(value) or _WORDS_PATTERN.fullmatch(value["Regex"]) is not None
    return _is_pattern(value)


def _is_pattern(value: object) -> bool:
    if not isinstance(value, dict) or len(value) != 1:
        return False
    ((kind, content),) = value.items()
    if kind == "Regex":
        return isinstance(content, str) and content in KNOWN_PATTERNS
    return kind == "String" and is_text(content, 16, shortest=1)


def _is_charsmap(value: object) -> bool:
    """Return whether a value is SentencePiece's table: a trie's length, the trie, its strings."""
    if not isinstance(value, str) or len(value) > MAX_CHARSMAP:
        return False
    try:
        table = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    trie = int.from_bytes(table[:4], "little")
    if len(table) < 4 or trie % 4 or 4 + trie > len(table):
        return False
    return all(len(word) <= MAX_EXPANSION for word in table[4 + trie :].split(b"\0"))


PATTERN = Rule(_is_pattern, "a pattern that transformers writes for these families, or short text")
DECODER_PATTERN = Rule(_is_decoder_pattern, PATTERN.expected)
CHARSMAP = Rule(_is_charsmap, f"a table of strings of at most {MAX_EXPANSION} bytes")
REPLACE = {"pattern": PATTERN, "content": text(1)}  # one character at most, so that no text grows
BYTE_LEVEL = {"add_prefix_space": FLAG, "trim_offsets": FLAG, "use_regex": FLAG}
METASPACE = {
    "replacement": LETTER,
    "str_rep": LETTER,
    "prepend_scheme": one_of("first", "never", "always"),
    "add_prefix_space": FLAG,
    "split": FLAG,
}
BEHAVIOURS = one_of("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous")
NORMALIZERS: Kinds = {
    **dict.fromkeys(("NFC", "NFD", "NFKC", "NFKD", "Nmt", "Lowercase", "StripAccents"), Rules()),
    "BertNormalizer": {
        "clean_text": FLAG,
        "handle_chinese_chars": FLAG,
        "strip_accents": or_null(FLAG),
        "lowercase": FLAG,
    },
    "Strip": {"strip_left": FLAG, "strip_right": FLAG},
    "Replace": REPLACE,
    "Prepend": {"prepend": text(1)},
    "Precompiled": {"precompiled_charsmap": CHARSMAP},
}
PRE_TOKENIZERS: Kinds = {
    **dict.fromkeys(
        ("BertPreTokenizer", "Whitespace", "WhitespaceSplit", "UnicodeScripts"), Rules()
    ),
    "ByteLevel": BYTE_LEVEL,
    "Metaspace": METASPACE,
    "Punctuation": {"behavior": BEHAVIOURS},
    "Digits": {"individual_digits": FLAG},
    "Split": {"pattern": PATTERN, "behavior": BEHAVIOURS, "invert": FLAG},
}
DECODERS: Kinds = {
    **dict.fromkeys(("ByteFallback", "Fuse"), Rules()),
    "WordPiece": {"prefix": MARK, "cleanup": FLAG},
    "ByteLevel": BYTE_LEVEL,
    "Metaspace": METASPACE,
    "BPEDecoder": {"suffix": MARK},
    "Replace": REPLACE | {"pattern": DECODER_PATTERN},
    "Strip": {"content": LETTER, "start": integer(0, 8), "stop": integer(0, 8)},
}
POST_PROCESSORS: Kinds = {
    "BertProcessing": {"sep": ANYTHING, "cls": ANYTHING},
    "RobertaProcessing": {
        "sep": ANYTHING,
        "cls": ANYTHING,
        "trim_offsets": FLAG,
        "add_prefix_space": FLAG,
    },
    "ByteLevel": BYTE_LEVEL,
    "TemplateProcessing": {"single": ANYTHING, "pair": ANYTHING, "special_tokens": ANYTHING},
}
COMPONENTS = {  # component -> its kinds, and the key of the list in a sequence
    "normalizer": (NORMALIZERS, "normalizers"),
    "pre_tokenizer": (PRE_TOKENIZERS, "pretokenizers"),
    "decoder": (DECODERS, "decoders"),
    "post_processor": (POST_PROCESSORS, "processors"),
}


def check_components(content: dict[str, object]) -> list[dict[str, object]]:
    """Return every normalizer, pre-tokenizer, decoder and post-processor of a tokenizer.json.

    Raises:
        ValueError: one is not known or has a setting out of bounds, or there are too many.
    """
    found = [each for name in COMPONENTS for each in _flatten(name, content.get(name))]
    if len(found) > MAX_COMPONENTS:
        raise ValueError(f"it has {len(found):,} components; expected {MAX_COMPONENTS} at most")
    if sum(component["type"] == "Precompiled" for component in found) > 1:
        raise ValueError("it has several Precompiled tables; expected one at most")
    return found


def _flatten(name: str, value: object, depth: int = 1) -> Iterator[dict[str, object]]:
    """Yield a component, or each component of a sequence, after checking it."""
    kinds, plural = COMPONENTS[name]
    if value is None:
        return
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "Sequence" and depth < MAX_DEPTH:
        inner = check_keys(name, value, {"type", plural}).get(plural)
        if not isinstance(inner, list) or len(inner) > MAX_COMPONENTS:
            raise ValueError(
                f"{name}.{plural} is not a list of {MAX_COMPONENTS} components at most"
            )
        for entry in inner:
            yield from _flatten(name, entry, depth + 1)
        return
    if not isinstance(kind, str) or kind not in kinds:
        raise ValueError(
            f"{name} is of type {short_repr(kind)}; expected {', '.join(sorted(kinds))}"
        )
    yield check_fields(f"{name} {kind}", value, kinds[kind], others=("type",))
