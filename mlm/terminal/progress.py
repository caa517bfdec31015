"""Show that something takes long: moving lines on a terminal, a line now and then in a log.

    with progress("reading texts", unit="rows") as bar:
        for text in texts:
            bar.advance()

Everything that is shown at one time shares one display, and what is printed meanwhile appears above
it. Nothing is shown of what ends within `PATIENCE` seconds.
"""

import io
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO, TypeVar

if TYPE_CHECKING:
    from rich.console import RenderableType

T = TypeVar("T")

PATIENCE = 1.0  # seconds until a wait is shown
LOG_SECONDS = 30.0  # between two lines of one wait in a log


@dataclass
class Bar:
    """Progress of a wait. Its numbers may be changed at any time, from any thread.

    total: None if it is not known; note: shown behind the numbers, such as "loss 2.31";
    seconds_each: of one of the total, None for the mean since the start; seconds_later: what is to
    be done besides, such as evaluations.
    """

    what: str
    total: int | None = None
    unit: str = ""
    done: int = 0
    note: str = ""
    started: float = field(default_factory=time.monotonic)
    done_at_start: int = 0
    seconds_each: float | None = None
    seconds_later: float = 0.0

    def advance(self, count: int = 1) -> None:
        """Add to what is done."""
        self.done += count

    @property
    def elapsed(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self.started

    def line(self) -> str:
        """Return one plain line, as a log gets it."""
        if self.total:
            amount = f"{self.done:,} of {self.total:,} {self.unit}".rstrip()
        else:
            amount = f"{self.done:,} {self.unit}".rstrip() if self.done else ""
        times = f"{_clock(self.elapsed)}{self._time_left()}"
        parts = [part for part in (amount, times, self.note) if part]
        return f"{self.what}: {', '.join(parts)}"

    def _time_left(self) -> str:
        left = self.seconds_left()
        return "" if left is None else f", {_clock(left)} left"

    def seconds_left(self) -> float | None:
        """Return the seconds left; None if they cannot be known yet."""
        done = self.done - self.done_at_start
        if not self.total or done <= 0 or self.elapsed < PATIENCE:
            return None
        each = self.elapsed / done if self.seconds_each is None else self.seconds_each
        return each * (self.total - self.done) + self.seconds_later


@contextmanager
def progress(
    what: str, *, total: int | None = None, unit: str = "", done: int = 0
) -> Iterator[Bar]:
    """Show in the block that `what` takes place, and how far it is.

    Args:
        what: a participle and its object, as "reading texts".
        total: how much there is to do; None if it is not known.
        unit: of `total`, in the plural.
        done: what was done before, by an earlier run.
    """
    bar = Bar(what, total, unit, done, done_at_start=done)
    with _shown(bar):
        yield bar


def counted(items: Iterable[T], what: str, *, total: int | None = None, unit: str) -> Iterator[T]:
    """Yield the items, and show how many were taken; the arguments are those of `progress`."""
    with progress(what, total=total, unit=unit) as bar:
        for item in items:
            yield item
            bar.advance()


@contextmanager
def hidden_progress() -> Iterator[None]:
    """Show nothing in the block, as in processes of a cluster other than the first."""
    global _is_hidden
    before, _is_hidden = _is_hidden, True
    try:
        yield
    finally:
        _is_hidden = before


_is_hidden = False


def _shown(bar: Bar) -> AbstractContextManager[None]:
    if _is_hidden:
        return nullcontext()
    return _shown_on_terminal(bar) if _can_draw() else _written_to_log(bar)


def _can_draw() -> bool:
    """Return whether stderr is a terminal where lines can be drawn again."""
    return sys.stderr.isatty() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")


# A terminal ---------------------------------------------------------------------------------------

_lock = threading.Lock()
_bars: list[Bar] = []  # those of the display, which is there while it has one
_display: ExitStack | None = None


@contextmanager
def _shown_on_terminal(bar: Bar) -> Iterator[None]:
    global _display
    with _lock:
        _bars.append(bar)
        if _display is None:
            _display = _open_display()
    try:
        yield
    finally:
        with _lock:
            _bars.remove(bar)
            if not _bars:
                _display.close()
                _display = None


def _open_display() -> ExitStack:
    """Start a display and return the stack that ends it."""
    from rich.console import Console
    from rich.live import Live

    with ExitStack() as stack:
        console = Console(file=stack.enter_context(own_stderr()))
        display = Live(
            get_renderable=_drawn_bars,
            console=console,
            transient=True,
            refresh_per_second=5,
            redirect_stdout=sys.stdout.isatty(),  # else it goes to a file or a pipe, and has to
        )
        stack.enter_context(display)
        return stack.pop_all()


@contextmanager
def own_stderr() -> Iterator[TextIO]:
    """Yield a stream to where stderr goes now; it is heard while descriptor 2 is muted."""
    try:
        descriptor = os.dup(sys.stderr.fileno())
    except (AttributeError, OSError, io.UnsupportedOperation):  # it is another program's stream
        yield sys.stderr
        return
    binary = os.fdopen(descriptor, "wb")
    with _Unchecked(binary, encoding=sys.stderr.encoding, errors="replace") as stream:
        yield stream


class _Unchecked(io.TextIOWrapper):
    """Drops what cannot be written, as after the reader has gone: no work fails for its bar."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()

    def close(self) -> None:
        with suppress(OSError):
            super().close()


def _drawn_bars() -> "RenderableType":
    """Draw the bars that are older than `PATIENCE`."""
    from rich.progress_bar import ProgressBar
    from rich.spinner import Spinner
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 1))
    for bar in list(_bars):
        if bar.elapsed >= PATIENCE:
            drawn = ProgressBar(bar.total, bar.done, width=20) if bar.total else Spinner("line")
            grid.add_row(drawn, Text(bar.line(), overflow="ellipsis", no_wrap=True))
    return grid


# A log --------------------------------------------------------------------------------------------


@contextmanager
def _written_to_log(bar: Bar) -> Iterator[None]:
    """Write a line when the wait is longer than `PATIENCE`, and one every `LOG_SECONDS`."""
    with own_stderr() as stream:
        ended = threading.Event()
        writer = threading.Thread(target=_write_lines, args=(bar, stream, ended), daemon=True)
        writer.start()
        try:
            yield
        finally:
            ended.set()
            writer.join()


def _write_lines(bar: Bar, stream: TextIO, ended: threading.Event) -> None:
    wait = PATIENCE
    while not ended.wait(wait):
        print(bar.line(), file=stream, flush=True)
        wait = LOG_SECONDS


def _clock(seconds: float) -> str:
    """Return a duration as 4:05 or 1:02:09."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
