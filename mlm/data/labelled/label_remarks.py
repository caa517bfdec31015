"""Remarks about labels that are read as they are, but may not be meant so.

label_remarks(["dish", "dish, hot ", "NA"], ("NA", "dish", "dish, hot"))
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from mlm.data.labelled.problem_types import similar_names

_SHOWN = 10  # names
_LONGEST = 40  # characters of a name
_LIKE_MISSING = {"na", "n/a", "#n/a", "none", "null", "nil", "missing"}
_BETWEEN_NAMES = re.compile(r"[,;/]")


def label_remarks(raws: Sequence[Any], names: Sequence[str]) -> Iterator[str]:
    """Yield lines about labels whose spelling may be a mistake.

    raws: as the file has them; names: the classes that they were read as.
    """
    for found in (_spaces(raws), _capitals(names), _like_missing(names), _joined(names)):
        if found:
            yield found


def short_name(name: str) -> str:
    """Return the beginning of a long name, for a line."""
    return name if len(name) <= _LONGEST else f"{name[:_LONGEST]}\u2026"


def _spaces(raws: Sequence[Any]) -> str | None:
    count = sum(isinstance(raw, str) and " ".join(raw.split()) != raw for raw in raws)
    if not count:
        return None
    have = "label has" if count == 1 else "labels have"
    return f"{count:,} {have} spaces around or line ends in the name; read without them"


def _capitals(names: Sequence[str]) -> str | None:
    similar = similar_names(names)
    if not similar:
        return None
    return (
        f"labels that differ by capitals only: {_listed(similar)}; they are different classes: "
        "write them alike if they are one"
    )


def _like_missing(names: Sequence[str]) -> str | None:
    found = [name for name in names if name.lower() in _LIKE_MISSING]
    if not found:
        return None
    return (
        f"labels that are read as classes, but may stand for a missing one: {_listed(found)}; "
        "leave their cells empty if they do"
    )


def _joined(names: Sequence[str]) -> str | None:
    """Return a line if a name looks like several names, one of which is a class too."""
    distinct = set(names)
    for name in names:
        parts = [part.strip() for part in _BETWEEN_NAMES.split(name)]
        known = [part for part in parts if part in distinct]
        if len(parts) > 1 and known:
            return (
                f"labels such as {short_name(name)!r} are read as one class, beside "
                f"{short_name(known[0])!r}; write | between the labels if a text has several"
            )
    return None


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(short_name, islice(names, _SHOWN)))
