"""What one value of a stranger's JSON may be, as a function and in words."""

from collections.abc import Callable
from typing import Any, NamedTuple

from mlm.checkpoint.strict_json import has_lone_surrogate, shown

LONGEST_TOKEN = 1024  # characters; ModernBERT's longest runs of one sign have some hundreds


class Rule(NamedTuple):
    """What one value may be, as a function and in words."""

    allows: Callable[[Any], bool]
    expected: str

    def check(self, path: str, value: Any) -> None:
        if not self.allows(value):
            raise ValueError(f"{path} is {shown(value)}; expected {self.expected}")


def is_text(value: Any, longest: int, shortest: int = 0) -> bool:
    """Whether a value is a string of so many characters, none of them half a surrogate pair."""
    if type(value) is not str or not shortest <= len(value) <= longest:
        return False
    return not has_lone_surrogate(value)


def text(longest: int, shortest: int = 0) -> Rule:
    words = f"text of {shortest} to {longest:,} characters"
    return Rule(lambda value: is_text(value, longest, shortest), words)


def whole(low: int, high: int) -> Rule:
    words = f"an integer from {low:,} to {high:,}"
    return Rule(lambda value: type(value) is int and low <= value <= high, words)


def one_of(*choices: Any) -> Rule:
    return Rule(lambda value: value in choices, " or ".join(map(str, choices)))


def or_null(rule: Rule) -> Rule:
    return Rule(lambda value: value is None or rule.allows(value), f"{rule.expected} or null")


FLAG = Rule(lambda value: type(value) is bool, "true or false")
TOKEN = text(LONGEST_TOKEN, shortest=1)
MARK = text(8)
LETTER = text(1, shortest=1)
SIDE = one_of("Left", "Right")
ANYTHING = Rule(lambda value: True, "anything")  # looked at by a function of its own
NO_CHANCE = Rule(lambda value: not value, "null: ids are not drawn by chance")
Rules = dict[str, Rule]
Kinds = dict[str, Rules]


def check_keys(path: str, value: Any, known: set[str]) -> None:
    if not isinstance(value, dict):
        raise ValueError(f"{path} is {shown(value)}; expected an object")
    unknown = sorted(value.keys() - known)
    if unknown:
        raise ValueError(f"{path} has {shown(unknown[0])}, which is not known")


def check_fields(path: str, value: Any, rules: Rules, others: tuple[str, ...] = ()) -> None:
    check_keys(path, value, {*rules, *others})
    for name, rule in rules.items():
        if name in value:
            rule.check(f"{path}.{name}", value[name])
