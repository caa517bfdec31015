"""Markdown and numbers as all sections of a card write them."""

import re
from collections.abc import Iterable
from typing import Any

SIGNS = re.compile(r"[\\`*_<&~$]|(?<=\])\(")  # what Markdown or HTML would take for its own


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; what could end a cell is escaped."""

    def line(cells: Iterable[str]) -> str:
        escaped = (str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells)
        return f"| {' | '.join(escaped)} |"

    heads = list(heads)
    return "\n".join([line(heads), "|---" * len(heads) + "|", *map(line, rows)])


def plain(text: str) -> str:
    """A text that Markdown shows as it is: `<mask>` would be a tag, `*` begin an emphasis."""
    return SIGNS.sub(r"\\\g<0>", text)


def number(value: Any, style: str) -> str:
    """A value in a format; "" for None."""
    return "" if value is None else style.format(value)


def titled(title: str, *parts: str) -> str:
    """A section of what there is of its parts; "" without any."""
    known = [part for part in parts if part]
    return "\n\n".join([f"## {title}", *known]) if known else ""
