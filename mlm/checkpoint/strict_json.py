"""JSON that strangers wrote, read more strictly than `json` does.

UTF-8 only; no key twice in an object, which two readers would understand differently; no NaN and
no Infinity, which are no JSON; no integer beyond 64 bits.
"""

import json
import re
import reprlib
from typing import Any

LARGEST_INTEGER = 2**63 - 1
LONGEST_SHOWN = 100  # characters of a value in a message
LONE_SURROGATE = re.compile("[\ud800-\udfff]")
SHORT = reprlib.Repr()
SHORT.maxstring = SHORT.maxother = LONGEST_SHOWN


def parse_strictly(content: bytes) -> Any:
    """The value of a JSON text; ValueError that says in a few words what is wrong with it.

    The caller bounds the length: a value takes up to 30 times the memory of its text.
    """
    try:
        return json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_no_constant,
            parse_int=_integer,
        )
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 at byte {error.start:,}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON at character {error.pos:,}") from None
    except RecursionError:
        raise ValueError("it is no JSON of sensible depth") from None


def shown(value: Any) -> str:
    """A stranger's value for a message: on one line, escaped, cut to about 100 characters."""
    short = SHORT.repr(value)
    return short if len(short) <= LONGEST_SHOWN else f"{short[: LONGEST_SHOWN - 3]}..."


def has_lone_surrogate(text: str) -> bool:
    """Return whether half of a surrogate pair is in the text, which no file can hold as UTF-8."""
    return not text.isascii() and LONE_SURROGATE.search(text) is not None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key, value in pairs:
        if key in content:
            raise ValueError(f"it has the key {shown(key)} twice")
        content[key] = value
    return content


def _no_constant(name: str) -> None:
    raise ValueError(f"it holds {name}, which is no JSON number")


def _integer(digits: str) -> int:
    # The length first: the time that int() takes grows with its square.
    if len(digits) > 20 or abs(int(digits)) > LARGEST_INTEGER:
        raise ValueError(f"it holds an integer of {len(digits):,} digits, beyond 64 bits")
    return int(digits)
