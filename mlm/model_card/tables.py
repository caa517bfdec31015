"""Markdown and numbers as all sections of a card write them."""

from collections.abc import Iterable
from typing import Any


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; what could end a cell is escaped."""

    def line(cells: Iterable[str]) -> str:
        escaped = (str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells)
        return f"| {' | '.join(escaped)} |"

    heads = list(heads)
    return "\n".join([line(heads), "|---" * len(heads) + "|", *map(line, rows)])


def number(value: Any, style: str) -> str:
    """A value in a format; "" for None."""
    return "" if value is None else style.format(value)


def titled(title: str, *parts: str) -> str:
    """A section of what there is of its parts; "" without any."""
    known = [part for part in parts if part]
    return "\n\n".join([f"## {title}", *known]) if known else ""
