"""A run seen from outside: its progress bar, its lines, and the signals that end it in order."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import keras
from tqdm import tqdm


class StepCounter(keras.callbacks.Callback):
    """Counts the steps of one `fit`, moves the bar, and ends it after a signal."""

    def __init__(self, bar: tqdm, stop_requested: threading.Event):
        super().__init__()
        self.steps = 0
        self._bar, self._stop_requested = bar, stop_requested

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        self._bar.update(1)
        if self._stop_requested.is_set():
            self.model.stop_training = True


def progress_bar(total: int, done: int) -> tqdm:
    """Step of steps, time left, and what set_postfix_str says; sparse where no one watches."""
    watched = sys.stderr.isatty()
    return tqdm(total=total, initial=done, unit="step", mininterval=0.2 if watched else 30.0)


def write_line(report: Callable[[str], None], line: str) -> None:
    """Report a line without tearing the progress bar."""
    with tqdm.external_write_mode():
        report(line)


@contextmanager
def stop_on_signals(stop_requested: threading.Event) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the run after the step in hand; a second one changes nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def request_stop(signum, frame):
        stop_requested.set()

    before = {s: signal.signal(s, request_stop) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
