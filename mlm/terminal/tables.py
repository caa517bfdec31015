"""Rows laid out in columns, as text: styled for a terminal, plain in 80 columns elsewhere."""

import io
import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

PLAIN_WIDTH = 80  # columns where no terminal watches


def format_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "", numbers: bool = True
) -> str:
    """Return a table as lines of text.

    Args:
        header: names of the columns; all empty for a table without a header.
        rows: cells of each row, in the order of the header.
        title: a line above.
        numbers: whether all columns but the first hold numbers, set flush right.
    """
    from rich.table import Table

    table = Table(
        box=None, show_header=any(header), pad_edge=False, padding=(0, 2, 0, 0), header_style="bold"
    )
    for position, name in enumerate(header):
        is_number = numbers and position > 0
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_literal(cell) for cell in row))
    return "\n".join([title] * bool(title) + _lines(table))


def _literal(cell: str) -> "Text":
    """Return a cell that rich takes as it is: a mask such as [MASK] is not a style."""
    from rich.text import Text

    return Text(cell)


def _lines(table: "Table") -> list[str]:
    from rich.console import Console

    file = io.StringIO()
    console = Console(
        file=file,
        force_terminal=sys.stdout.isatty(),
        width=line_width(),
        legacy_windows=False,
        highlight=False,
    )
    console.print(table)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def format_number(number: float) -> str:
    """Return a number with two decimals; from a million on, in powers of ten."""
    return f"{number:,.2f}" if abs(number) < 1e6 else f"{number:.2e}"


def line_width() -> int:
    """Return the columns of the terminal that shows stdout; `PLAIN_WIDTH` without one."""
    if not sys.stdout.isatty():
        return PLAIN_WIDTH
    return shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns
