"""Stop a run in order, on a signal or by the clock."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = "stopping as soon as the current step has ended and a state is saved"


class StopRequest:
    """Set by a signal, or by the clock when `minutes` of the run are over.

    reserve: seconds kept back for the longest save or evaluation so far; sending: for the longest
    push of a state. The clock is monotonic, so a change of the system time stops nothing.
    """

    def __init__(self, minutes: float | None = None):
        """Start the clock; None for no limit."""
        self._signal = threading.Event()
        self._deadline = None if minutes is None else time.monotonic() + 60 * minutes
        self.reserve = self.sending = 0.0

    def set(self) -> None:
        """Request a stop, as a signal does."""
        self._signal.set()

    def is_set(self) -> bool:
        """Return whether the run has to stop now."""
        return self.is_asked() or self.is_late()

    def is_asked(self) -> bool:
        """Return whether a signal came."""
        return self._signal.is_set()

    def is_late(self) -> bool:
        """Return whether the time is over, less what is kept back."""
        kept = self.reserve + self.sending
        return self._deadline is not None and time.monotonic() + kept > self._deadline

    def note_push(self, seconds: float) -> None:
        """Keep back the time of a push: the last one has to end before the time is over."""
        self.sending = max(self.sending, seconds)

    @contextmanager
    def keeping_back(self) -> Iterator[None]:
        """Keep back the time of the block, which may have to be done once more at the end."""
        started = time.monotonic()
        yield
        self.reserve = max(self.reserve, time.monotonic() - started)


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt in the block, as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def stop_on_signals(stop: StopRequest, report: Callable[[str], None]) -> Iterator[None]:
    """Let Ctrl-C and other signals request a stop after the current step, however often they come.

    A terminal that closes counts as one, unless `nohup` has it ignored. The first signal is
    reported at once: a step may take minutes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def request_stop(signum: int, frame: FrameType | None) -> None:
        if not stop.is_asked():
            stop.set()
            # A thread may wait for a lock of the stream; the interrupted code may hold it.
            threading.Thread(target=report, args=(STOPPING,)).start()

    before = {s: signal.signal(s, request_stop) for s in _stop_signals()}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _stop_signals() -> list[signal.Signals]:
    signals = [signal.SIGINT, signal.SIGTERM]
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    if hangup and signal.getsignal(hangup) != signal.SIG_IGN:
        signals.append(hangup)
    return signals
