"""Find the problem type in the raw labels, and read the labels as that type asks.

    problem_type, reason = find_problem_type(["0", "1", "1"])
    labels = read_labels(["0", "1", "1"], problem_type)      # ["0", "1", "1"], names
    label_names(problem_type, labels)                        # ("0", "1")

A raw label is what a file holds: a string of a table, or any value of JSON or Parquet.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from mlm.checkpoint.task import ProblemType
from mlm.errors import CorpusError

LARGEST = 3.4e38  # of a float32
SEPARATOR = "|"  # between the labels of a text
_LONGEST_EXAMPLE = 40  # characters
_MISSING = {"", "nan", "NaN", "<NA>"}  # as pandas writes a missing value; "NA" may be a class
_WHOLE = re.compile(r"-?\d+")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")

# The name of a class, its names, or a number.
Label = str | list[str] | float


def is_missing(raw: object) -> bool:
    """Return whether a text has no label."""
    if raw is None or (isinstance(raw, float) and math.isnan(raw)):
        return True
    return isinstance(raw, str) and raw.strip() in _MISSING


def find_problem_type(raws: Sequence[Any]) -> tuple[ProblemType, str]:
    """Return the problem type of labels that are not missing, and the reason for people."""
    if lists := sum(_as_list(raw) is not None for raw in raws):
        return "multi_label_classification", f"labels are lists{_in_some(lists, len(raws))}"
    if several := sum(isinstance(raw, str) and SEPARATOR in raw for raw in raws):
        where = _in_some(several, len(raws))
        return "multi_label_classification", f"labels are separated by '{SEPARATOR}'{where}"
    numbers = [_as_number(raw) for raw in raws]
    if None in numbers:
        return "single_label_classification", _reason_for_words(raws, numbers)
    if all(number.is_integer() for number in numbers if number is not None):
        return "single_label_classification", "labels are whole numbers"
    return "regression", "labels are numbers with decimals"


def _in_some(count: int, total: int) -> str:
    return "" if count == total else f" in {count:,} of {total:,} rows"


def _reason_for_words(raws: Sequence[Any], numbers: Sequence[float | None]) -> str:
    """Return a reason with an example: a number that is misspelt, such as 0,5, is seen by it."""
    example = _name_of(raws[numbers.index(None)])[:_LONGEST_EXAMPLE]
    are_numbers = sum(number is not None for number in numbers)
    others = f", although {are_numbers:,} of {len(raws):,} are numbers" if are_numbers else ""
    return f"labels are words, such as {example!r}{others}"


def find_unlabelled_numbers(
    raws: Sequence[Any], problem_type: ProblemType, known: Sequence[str]
) -> set[int]:
    """Return the rows whose label -1 stands for no label, as data sets on the Hub have it.

    That is so if the other labels are whole numbers of at least 0, and do not have one value only.

    known: names of a task that exists; -1 may be one of them. Empty if there is none.
    """
    if problem_type != "single_label_classification" or "-1" in known:
        return set()
    numbers = [_as_number(raw) for raw in raws]
    others = {number for number in numbers if number != -1}
    if None in others or any(number < 0 or not number.is_integer() for number in others if number):
        return set()
    if not known and len(others) == 1:
        return set()
    return {row for row, number in enumerate(numbers) if number == -1}


def read_labels(raws: Sequence[Any], problem_type: ProblemType) -> list[Any]:
    """Return the labels as the problem type has them: names, lists of names, or numbers.

    Raises:
        CorpusError: a label is not of this type.
    """
    if problem_type == "regression":
        return [_number_of(raw) for raw in raws]
    if problem_type == "multi_label_classification":
        return [list(dict.fromkeys(_names_of(raw))) for raw in raws]
    numbers = [_as_number(raw) for raw in raws]
    if all(number is not None and number.is_integer() for number in numbers):
        return [_whole_number_of(raw) for raw in raws]
    return [_name_of(raw) for raw in raws]


def label_names(problem_type: ProblemType, labels: Sequence[Any], column: str) -> tuple[str, ...]:
    """Return the names of a task's labels: numbers in their order, words alphabetically.

    column: names the one label of a regression.
    """
    if problem_type == "regression":
        return (column,)
    if problem_type == "single_label_classification":
        return order_names(labels)
    return order_names(chain.from_iterable(labels))


def order_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return each name once, whole numbers by their value, others alphabetically."""
    distinct = sorted(set(names))
    if all(_WHOLE.fullmatch(name) for name in distinct):
        distinct.sort(key=int)
    return tuple(distinct)


def similar_names(names: Iterable[str]) -> list[str]:
    """Return the names that another one equals but for capitals."""
    of_lower: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        of_lower[name.lower()].append(name)
    return list(chain.from_iterable(each for each in of_lower.values() if len(each) > 1))


def _as_number(raw: object) -> float | None:
    if isinstance(raw, bool):
        return None
    if isinstance(raw, int):
        return float(raw) if abs(raw) < 2**1023 else math.inf
    if isinstance(raw, float):
        return raw
    if isinstance(raw, str) and _NUMBER.fullmatch(raw.strip()):
        return float(raw)
    return None


def _whole_number_of(raw: object) -> str:
    """Return a whole number as it is written; 1.0, as pandas writes it beside a gap, is 1."""
    if isinstance(raw, str) and _WHOLE.fullmatch(raw.strip()):
        return raw.strip()
    return str(int(_as_number(raw) or 0))


def _number_of(raw: object) -> float:
    number = _as_number(raw)
    if number is None:
        raise CorpusError(
            f"label {raw!r} is not a number, which --problem_type regression asks for: correct it, "
            "or leave --problem_type out"
        )
    if abs(number) > LARGEST:
        raise CorpusError(
            f"label {str(raw)[:40]} is too large for a 32-bit number: correct it, or give the "
            "amounts in a larger unit"
        )
    return number


def _as_list(raw: object) -> list[Any] | None:
    """Return a list, also one written in a string as JSON or Python writes it; else None."""
    if isinstance(raw, list):
        return raw
    if not isinstance(raw, str) or not (raw.strip().startswith("[") and raw.strip().endswith("]")):
        return None
    for parse in (json.loads, ast.literal_eval):
        try:
            found = parse(raw.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(found, list):
            return found
    return None


def _names_of(raw: object) -> list[str]:
    found = _as_list(raw)
    if found is not None:
        return [_name_of(each) for each in found if not is_missing(each)]
    if isinstance(raw, str):
        return [_name_of(part) for part in raw.split(SEPARATOR) if part.strip()]
    return [_name_of(raw)]


def _name_of(raw: object) -> str:
    if isinstance(raw, bool):
        return str(raw).lower()
    if isinstance(raw, float) and raw.is_integer():
        return str(int(raw))
    if isinstance(raw, (str, int, float)):
        return " ".join(str(raw).split())
    if isinstance(raw, list):
        raise CorpusError(
            f"a label is a list ({str(raw)[:40]}), expected a word or a number: give "
            "--problem_type multi_label_classification if a text has several labels, or "
            "another column with --label_column_name"
        )
    found = type(raw).__name__
    raise CorpusError(
        f"a label is a {found} ({str(raw)[:40]}), expected a word or a number: give a column of "
        "words or numbers with --label_column_name"
    )
