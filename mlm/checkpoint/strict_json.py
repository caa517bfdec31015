"""Read JSON from untrusted files more strictly than `json` does.

The text is UTF-8. Refused are a key twice in one object, because readers differ in which value they
keep; NaN and Infinity, which JSON does not have; and integers beyond 64 bits.
"""

import json
import re
import reprlib
from typing import Any

JsonObject = dict[str, Any]  # an object of a JSON file; its values may be anything

MAX_INTEGER = 2**63 - 1
MAX_REPR = 100  # characters of a value in a message
LONE_SURROGATE = re.compile("[\ud800-\udfff]")
SHORT_REPR = reprlib.Repr()
SHORT_REPR.maxstring = SHORT_REPR.maxother = MAX_REPR


def parse_strictly(content: bytes) -> Any:
    """Return the value of a JSON text.

    The caller bounds the length: a value takes up to 30 times the memory of its text.

    Raises:
        ValueError: in a few words, the rule that the text breaks.
    """
    try:
        return json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_object_of_unique_keys,
            parse_constant=_refuse_constant,
            parse_int=_parse_integer,
        )
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 at byte {error.start:,}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not valid JSON at character {error.pos:,}") from None
    except RecursionError:
        raise ValueError("its JSON is nested too deeply") from None


def short_repr(value: object) -> str:
    """Return the repr of an untrusted value for a message: one line, about 100 characters."""
    text = SHORT_REPR.repr(value)
    return text if len(text) <= MAX_REPR else f"{text[: MAX_REPR - 3]}..."


def has_lone_surrogate(text: str) -> bool:
    """Return whether half of a surrogate pair is in the text, which no file can hold as UTF-8."""
    return not text.isascii() and LONE_SURROGATE.search(text) is not None


def _object_of_unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    content: dict[str, object] = {}
    for key, value in pairs:
        if key in content:
            raise ValueError(f"it has the key {short_repr(key)} twice")
        content[key] = value
    return content


def _refuse_constant(name: str) -> None:
    raise ValueError(f"it holds {name}, which is not a JSON number")


def _parse_integer(digits: str) -> int:
    # The length first: the time that int() takes grows with its square.
    if len(digits) > 20 or abs(int(digits)) > MAX_INTEGER:
        raise ValueError(f"it holds an integer of {len(digits):,} digits, beyond 64 bits")
    return int(digits)
