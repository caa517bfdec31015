"""The words that a command was started with, its errors and its exit code."""

import errno
import io
import os
import signal
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from mlm.errors import ConfigError, UserError
from mlm.terminal.lines import discard_output

FAILED = 2  # exit code for bad arguments, bad data and a refusal of the Hub
INTERRUPTED = 130  # exit code after Ctrl-C, as shells have it
STOPPED = "stopped by Ctrl-C"
BROKEN_PIPE = 141  # exit code if nobody reads the output any more: 128 + SIGPIPE
FULL = (errno.ENOSPC, errno.EDQUOT)  # a disk, or what a user may have of it


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


def prepare_streams() -> None:
    """Make the standard streams usable, whatever the process was started with.

    One that is closed, as by `>&-` or a service, becomes the null device: libraries write to them.
    A character that a console lacks, as that of Windows may, is printed as `?`.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower() != "utf-8":
            stream.reconfigure(errors="replace")


def exit_code(run: Callable[[], int | None]) -> int:
    """Run a command and return its exit code: its own, 0 for None.

    It is 2 after a UserError, which is printed in one line, and if the output cannot be written.
    """
    try:
        code = run()
        sys.stdout.flush()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return interrupted()
    except BrokenPipeError:  # `mlm ... | head`
        discard_output()
        return BROKEN_PIPE
    except OSError as error:
        if error.errno not in FULL:
            raise
        discard_output()
        where = f": {error.filename!r}" if error.filename else ""
        print(f"error: {error.strerror}{where}; make room and start again", file=sys.stderr)
        return FAILED
    return code or 0


def interrupted() -> int:
    """Say that Ctrl-C ended a command; return its exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the exit code is decided
    print(STOPPED, file=sys.stderr)
    return INTERRUPTED


def _is_module() -> bool:
    return Path(sys.argv[0]).name == "__main__.py"
