"""Print lines for people: broken at words, in 80 columns where no terminal watches."""

import os
import sys
import textwrap
from contextlib import suppress

from mlm.terminal.tables import line_width


def print_lines(text: str) -> None:
    """Print text at once, its long lines broken at spaces.

    Lines that begin with a space are printed as they are: a command can then be copied. If nothing
    takes the lines any more, such as a closed pipe or a full disk, one line on stderr says so, and
    the program goes on: a run of hours is worth more than its log.
    """
    try:
        for line in wrapped(text).splitlines() or [""]:
            print(line, flush=True)
    except OSError as error:
        discard_output()
        with suppress(OSError):
            print(
                f"standard output takes no more lines ({error.strerror}); the run continues",
                file=sys.stderr,
            )


def wrapped(text: str) -> str:
    """Return text with its long lines broken at spaces, but for those that begin with a space."""
    return "\n".join(line if _is_laid_out(line) else _broken(line) for line in text.splitlines())


def say(line: str) -> None:
    """Print a line for whoever waits, on stderr, at once."""
    print(line, file=sys.stderr, flush=True)


def discard_output() -> None:
    """Send what is printed from here on nowhere, and what is waiting to be written."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


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
