"""What a text goes through on its way to tokens and back: known parts with bounded settings.

The rules keep out patterns that take for ever on some text and replacements that make it grow.
"""

import base64
import binascii
from collections.abc import Iterator
from typing import Any

from mlm.checkpoint.strict_json import shown
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
    is_text,
    one_of,
    or_null,
    text,
    whole,
)

MOST_COMPONENTS = 32
DEEPEST_SEQUENCE = 4
LARGEST_CHARSMAP = 4 * 2**20  # characters of base64; SentencePiece's own has 0.3 million
LONGEST_EXPANSION = 64  # bytes that one character becomes; 33 in Unicode's own table

# What the converters of transformers write for these families; each takes time in proportion to
# the text. Any other could be made to hang.
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
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}


def _is_pattern(value: Any) -> bool:
    if not isinstance(value, dict) or len(value) != 1:
        return False
    ((kind, content),) = value.items()
    if kind == "Regex":
        return isinstance(content, str) and content in KNOWN_PATTERNS
    return kind == "String" and is_text(content, 16, shortest=1)


def _is_charsmap(value: Any) -> bool:
    """SentencePiece's table: the length of a trie, the trie, the strings it points to."""
    if not isinstance(value, str) or len(value) > LARGEST_CHARSMAP:
        return False
    try:
        table = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    trie = int.from_bytes(table[:4], "little")
    if len(table) < 4 or trie % 4 or 4 + trie > len(table):
        return False
    return all(len(word) <= LONGEST_EXPANSION for word in table[4 + trie :].split(b"\0"))


PATTERN = Rule(_is_pattern, "a pattern that transformers writes for these families, or short text")
CHARSMAP = Rule(_is_charsmap, f"a table of strings of at most {LONGEST_EXPANSION} bytes")
REPLACE = {"pattern": PATTERN, "content": text(1)}  # so that no text grows
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
    "Replace": REPLACE,
    "Strip": {"content": LETTER, "start": whole(0, 8), "stop": whole(0, 8)},
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
PARTS = {  # part -> its kinds, and what a sequence of them is called
    "normalizer": (NORMALIZERS, "normalizers"),
    "pre_tokenizer": (PRE_TOKENIZERS, "pretokenizers"),
    "decoder": (DECODERS, "decoders"),
    "post_processor": (POST_PROCESSORS, "processors"),
}


def checked_parts(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Every normalizer, pre-tokenizer, decoder and post-processor of a tokenizer.json.

    ValueError if one is not known, has a setting out of bounds, or if there are too many.
    """
    parts = [part for name in PARTS for part in _components(name, content.get(name))]
    if len(parts) > MOST_COMPONENTS:
        raise ValueError(f"it has {len(parts):,} parts; expected {MOST_COMPONENTS} at most")
    if sum(part["type"] == "Precompiled" for part in parts) > 1:
        raise ValueError("it has several Precompiled tables; expected one at most")
    return parts


def _components(part: str, value: Any, depth: int = 1) -> Iterator[dict[str, Any]]:
    """A normalizer, decoder, ... each of its parts where it is a sequence, all checked."""
    kinds, plural = PARTS[part]
    if value is None:
        return
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "Sequence" and depth < DEEPEST_SEQUENCE:
        check_keys(part, value, {"type", plural})
        inner = value.get(plural)
        if not isinstance(inner, list) or len(inner) > MOST_COMPONENTS:
            raise ValueError(f"{part}.{plural} is no list of {MOST_COMPONENTS} parts at most")
        for entry in inner:
            yield from _components(part, entry, depth + 1)
        return
    if not isinstance(kind, str) or kind not in kinds:
        raise ValueError(f"{part} is of type {shown(kind)}; expected {', '.join(sorted(kinds))}")
    check_fields(f"{part} {kind}", value, kinds[kind], others=("type",))
    yield value
