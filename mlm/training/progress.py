"""The progress of a run's steps: the bar, and the callback that moves it and ends `fit` early."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import keras

from mlm.backend import processes
from mlm.terminal.progress import Bar, progress

PACE_SECONDS = 0.2  # between two estimates


class StepBar:
    """The bar of a run: compiling until the first step has ended, then steps with the time left.

    A step that is compiled, the first one of each length, does not count for the speed.
    """

    def __init__(self, bar: Bar, total: int, done: int):
        self.bar = bar
        self._total, self._done = total, done
        self._seconds, self._steps = 0.0, 0
        self._lengths: set[int | None] = set()
        self._last = self._estimated = time.monotonic()

    def begin(self) -> None:
        """Note the time at which a series of steps begins."""
        self._last = time.monotonic()

    def advance(self, length: int | None) -> None:
        """Count a step; `length` is that of its sequences if lengths vary."""
        now = time.monotonic()
        if not self._lengths:
            self._show_steps(now)
        self.bar.advance()
        if length in self._lengths:
            self._seconds += now - self._last
            self._steps += 1
        else:
            self.bar.done_at_start += 1
            self._lengths.add(length)
        self._last = now
        if now - self._estimated >= PACE_SECONDS:
            self._estimate(now)

    def end(self) -> None:
        """Note the time at which a series of steps has been computed: a device may be behind."""
        now = time.monotonic()
        if self._steps:
            self._seconds += now - self._last
            self._estimate(now)

    def _show_steps(self, now: float) -> None:
        bar = self.bar
        bar.what, bar.unit, bar.total, bar.started = "training", "steps", self._total, now
        bar.done = bar.done_at_start = self._done

    def _estimate(self, now: float) -> None:
        self._estimated = now
        if self._steps:
            self.bar.seconds_each = self._seconds / self._steps


@contextmanager
def step_bar(total: int, done: int) -> Iterator[StepBar]:
    """Show in the block that the first step is compiled, and then how many of `total` are done."""
    with progress("compiling the first step") as bar:
        yield StepBar(bar, total, done)


class StepCounter(keras.callbacks.Callback):
    """Counts the steps of one `fit`, moves the bar, and stops `fit` after a request.

    If several processes train together, `fit` goes on to its end, where they agree on stopping.

    Args:
        bar: of the run.
        ends_early: called after each step: whether to stop, or to save, before the end of `fit`.
        length_of: the length of the sequences of a step of this `fit`, None if it is constant.
    """

    def __init__(
        self,
        bar: StepBar,
        ends_early: Callable[[], bool],
        length_of: Callable[[int], int | None] = lambda step: None,
    ):
        super().__init__()
        self.steps = 0
        self._bar, self._ends_early, self._length_of = bar, ends_early, length_of

    def on_train_begin(self, logs: dict[str, object] | None = None) -> None:
        """Start the clock."""
        self._bar.begin()

    def on_train_batch_end(self, batch: int, logs: dict[str, object] | None = None) -> None:
        """Count one step."""
        self._bar.advance(self._length_of(self.steps))
        self.steps += 1
        if processes.count() == 1 and self._ends_early():
            self.model.stop_training = True
