"""The words that a command was started with, its errors and its exit code."""

import io
import os
import signal
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from mlm.errors import ConfigError, UserError

FAILED = 2  # exit code for bad arguments, bad data and a refusal of the Hub
INTERRUPTED = 130  # exit code after Ctrl-C, as shells have it
BROKEN_PIPE = 141  # exit code if nobody reads the output any more


def program(name: str) -> str:
    """Return what usage lines call a command: `mlm NAME`, or the script that was started."""
    started = Path(sys.argv[0]).name
    return started if started.endswith(".py") and not _is_module() else f"mlm {name}"


def words_to_repeat(name: str) -> list[str]:
    """Return the words that start the command again, to which its arguments are added."""
    python = Path(sys.executable).name
    if _is_module():
        return [python, "-m", "mlm", name]
    return [python, sys.argv[0]] if sys.argv[0].endswith(".py") else ["mlm", name]


def check_installed(extra: str, *libraries: str) -> None:
    """Raise ConfigError if a library is missing that an extra of the project installs."""
    missing = [library for library in libraries if find_spec(library) is None]
    if missing:
        raise ConfigError(
            f'this needs {", ".join(missing)}, not installed here: pip install ".[{extra}]" in a '
            f"clone of the project, or the wheel with [{extra}] behind its name"
        )


def print_any_character() -> None:
    """Let print replace the characters that a console does not have, as that of Windows may."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower() != "utf-8":
            stream.reconfigure(errors="replace")


def exit_code(run: Callable[[], None]) -> int:
    """Run a command; print a UserError in one line. Returns 0, 2 after an error, 130 if stopped."""
    try:
        run()
        sys.stdout.flush()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return interrupted()
    except BrokenPipeError:  # `mlm ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left goes nowhere
        return BROKEN_PIPE
    return 0


def interrupted() -> int:
    """Say that Ctrl-C ended a command; return its exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the exit code is decided
    print("stopped by Ctrl-C", file=sys.stderr)
    return INTERRUPTED


def _is_module() -> bool:
    return Path(sys.argv[0]).name == "__main__.py"
