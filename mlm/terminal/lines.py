"""Print lines for people: broken at words, in 80 columns where no terminal watches."""

import textwrap

from mlm.terminal.tables import line_width


def print_lines(text: str) -> None:
    """Print text at once, its long lines broken at spaces.

    Lines that begin with a space are printed as they are: a command can then be copied.
    """
    for line in text.splitlines() or [""]:
        print(line if _is_laid_out(line) else _broken(line), flush=True)


def _is_laid_out(line: str) -> bool:
    return line.startswith(" ") or "\x1b" in line or len(line) <= line_width()


def _broken(line: str) -> str:
    return textwrap.fill(
        line,
        line_width(),
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
