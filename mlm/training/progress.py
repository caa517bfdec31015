"""The progress bar of a run, the callback that moves it, and lines beside it."""

import sys
from collections.abc import Callable

import keras
from tqdm import tqdm

from mlm.backend import processes
from mlm.training.stopping import StopRequest


class StepCounter(keras.callbacks.Callback):
    """Counts the steps of one `fit`, moves the bar, and ends it after a request to stop.

    Where several processes train together that waits for the end of the `fit`, where they agree.
    """

    def __init__(self, bar: tqdm, stop: StopRequest):
        super().__init__()
        self.steps = 0
        self._bar, self._stop = bar, stop

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        self._bar.update(1)
        if processes.count() == 1 and self._stop.is_set():
            self.model.stop_training = True


def progress_bar(total: int, done: int) -> tqdm:
    """Step of steps, time left, and what set_postfix_str says; sparse where no one watches."""
    watched = sys.stderr.isatty()
    return tqdm(
        disable=not processes.is_first(),
        total=total,
        initial=done,
        unit="step",
        mininterval=0.2 if watched else 30.0,
    )


def write_line(report: Callable[[str], None], line: str) -> None:
    """Report a line without tearing the progress bar."""
    with tqdm.external_write_mode():
        report(line)
