"""A run seen from outside: its progress bar, its lines, and what ends it in order."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlm.errors import ConfigError


class StopRequest:
    """Set by a signal, or by the clock when `minutes` of the run are over.

    reserve: seconds kept back before that, for the longest save or evaluation seen so far; sending:
    for the longest push of a state. The clock is the monotonic one: a wall clock that jumps stops
    nothing.
    """

    def __init__(self, minutes: float | None = None):
        self._signal = threading.Event()
        self._deadline = None if minutes is None else time.monotonic() + 60 * minutes
        self.reserve = self.sending = 0.0

    def set(self) -> None:
        self._signal.set()

    def is_set(self) -> bool:
        return self.is_asked() or self.is_late()

    def is_asked(self) -> bool:
        """Whether a signal came."""
        return self._signal.is_set()

    def is_late(self) -> bool:
        """Whether the time is over, but for what is kept back."""
        kept = self.reserve + self.sending
        return self._deadline is not None and time.monotonic() + kept > self._deadline

    def note_push(self, seconds: float) -> None:
        """A push took so long; the last one has to be done before the time is over."""
        self.sending = max(self.sending, seconds)

    @contextmanager
    def keeping_back(self) -> Iterator[None]:
        """Something that no stop interrupts, and that may have to be done once more at the end."""
        started = time.monotonic()
        yield
        self.reserve = max(self.reserve, time.monotonic() - started)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM ends what is done here as Ctrl-C does: with KeyboardInterrupt."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def stop_on_signals(stop: StopRequest) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the run after the step in hand; a second one changes nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def request_stop(signum, frame):
        stop.set()

    before = {s: signal.signal(s, request_stop) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Nobody else trains in the folder meanwhile; ConfigError if somebody does.

    The lock is the folder's own and goes with the process, however that ends.
    """
    try:
        import fcntl
    except ImportError:  # Windows: the two would have to be kept apart by hand
        yield
        return
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise ConfigError(
            f"cannot write to {str(folder)!r}: {error.strerror}; choose another --output_dir"
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise ConfigError(
            f"another run is training in {str(folder)!r}; wait for it, or give another --output_dir"
        ) from None
    finally:
        os.close(descriptor)
        if made and not any(folder.iterdir()):
            folder.rmdir()  # a run that was refused leaves nothing
