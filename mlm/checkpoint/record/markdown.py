"""Markdown sections and tables, and numbers in them, as all parts of a card write them."""

import re
from collections.abc import Iterable

MARKDOWN_SIGNS = re.compile(
    r"[\\`*_<&~$]|(?<=\])\("
)  # characters with a meaning in Markdown or HTML

BACKTICKS = re.compile("`+")


def section(title: str, *parts: str) -> str:
    """Return a section of the parts that are not empty; "" if all are."""
    known = [part for part in parts if part]
    return "\n\n".join([f"## {title}", *known]) if known else ""


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table; characters that would end a cell are escaped."""

    def join(cells: Iterable[str]) -> str:
        escaped = (str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells)
        return f"| {' | '.join(escaped)} |"

    heads = list(heads)
    return "\n".join([join(heads), "|---" * len(heads) + "|", *map(join, rows)])


def escape_markdown(text: str) -> str:
    """Return a text that Markdown shows as it is: `<mask>` would be a tag, `*` an emphasis."""
    return MARKDOWN_SIGNS.sub(r"\\\g<0>", text)


def code(text: str) -> str:
    """Return a text as a code span, which Markdown shows as it is."""
    fence = _fence(text, 1)
    return f"{fence} {text} {fence}" if "`" in text else f"{fence}{text}{fence}"


def code_block(language: str, text: str) -> str:
    """Return lines of code as a fenced block, which no line of theirs ends."""
    fence = _fence(text, 3)
    return f"{fence}{language}\n{text}\n{fence}"


def _fence(text: str, least: int) -> str:
    """Return more backticks than a text has in a row, and at least as many as given."""
    longest = max(map(len, BACKTICKS.findall(text)), default=0)
    return "`" * max(least, longest + 1)


def format_value(value: object, style: str) -> str:
    """Return a value in a format, "" for None."""
    return "" if value is None else style.format(value)
