"""The progress bar of a run, the callback that moves it, and lines between its redraws."""

import sys
from collections.abc import Callable

import keras
from tqdm import tqdm

from mlm.backend import processes
from mlm.training.stopping import StopRequest


class StepCounter(keras.callbacks.Callback):
    """Counts the steps of one `fit`, moves the bar, and stops `fit` after a request.

    If several processes train together, `fit` goes on to its end, where they agree on stopping.
    """

    def __init__(self, bar: tqdm, stop: StopRequest):
        """Start at no step."""
        super().__init__()
        self.steps = 0
        self._bar, self._stop = bar, stop

    def on_train_batch_end(self, batch: int, logs: dict[str, object] | None = None) -> None:
        """Count one step."""
        self.steps += 1
        self._bar.update(1)
        if processes.count() == 1 and self._stop.is_set():
            self.model.stop_training = True


def progress_bar(total: int, done: int) -> tqdm:
    """Return a bar of steps with the time left; it is updated rarely unless on a terminal."""
    return tqdm(
        disable=not processes.is_first(),
        total=total,
        initial=done,
        unit="step",
        mininterval=0.2 if sys.stderr.isatty() else 30.0,
    )


def write_line(report: Callable[[str], None], line: str) -> None:
    """Report a line without tearing the progress bar."""
    with tqdm.external_write_mode():
        report(line)
