"""Rules for one value of a tokenizer file: a test, and its description for a message."""

from collections.abc import Callable
from typing import NamedTuple, TypeGuard

from mlm.checkpoint.strict_json import has_lone_surrogate, short_repr

MAX_TOKEN = 1024  # characters; ModernBERT's longest runs of one character have some hundreds


class Rule(NamedTuple):
    """The values that are allowed in one place, as a function and in words."""

    allows: Callable[[object], bool]
    expected: str

    def check(self, path: str, value: object) -> None:
        """Raise ValueError, which names the path, unless the value is allowed."""
        if not self.allows(value):
            raise ValueError(f"{path} is {short_repr(value)}; expected {self.expected}")


def is_text(value: object, longest: int, shortest: int = 0) -> TypeGuard[str]:
    """Return whether a value is a string within these lengths, without a lone surrogate."""
    if type(value) is not str or not shortest <= len(value) <= longest:
        return False
    return not has_lone_surrogate(value)


def text(longest: int, shortest: int = 0) -> Rule:
    """Allow a string within these lengths."""
    words = f"text of {shortest} to {longest:,} characters"
    return Rule(lambda value: is_text(value, longest, shortest), words)


def integer(low: int, high: int) -> Rule:
    """Allow an integer from `low` to `high`, both included."""
    words = f"an integer from {low:,} to {high:,}"
    return Rule(lambda value: type(value) is int and low <= value <= high, words)


def one_of(*choices: str) -> Rule:
    """Allow a few strings."""
    return Rule(lambda value: value in choices, " or ".join(choices))


def or_null(rule: Rule) -> Rule:
    """Allow null as well."""
    return Rule(lambda value: value is None or rule.allows(value), f"{rule.expected} or null")


FLAG = Rule(lambda value: type(value) is bool, "true or false")
TOKEN = text(MAX_TOKEN, shortest=1)
MARK = text(8)
LETTER = text(1, shortest=1)
SIDE = one_of("Left", "Right")
ANYTHING = Rule(lambda value: True, "anything")  # another function checks the value
NO_SAMPLING = Rule(lambda value: not value, "null: ids are not sampled")
Rules = dict[str, Rule]
Kinds = dict[str, Rules]


def check_keys(path: str, value: object, known: set[str]) -> dict[str, object]:
    """Return the value as a dict; ValueError unless it is an object with known keys only."""
    if not isinstance(value, dict):
        raise ValueError(f"{path} is {short_repr(value)}; expected an object")
    unknown = sorted(value.keys() - known)
    if unknown:
        raise ValueError(f"{path} has {short_repr(unknown[0])}, which is not known")
    return value


def check_fields(
    path: str, value: object, rules: Rules, others: tuple[str, ...] = ()
) -> dict[str, object]:
    """Return the value as a dict; ValueError unless its fields follow the rules.

    others: further keys, whose values are not checked.
    """
    fields = check_keys(path, value, {*rules, *others})
    for name, rule in rules.items():
        if name in fields:
            rule.check(f"{path}.{name}", fields[name])
    return fields
