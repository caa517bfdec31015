"""The bar of a run: its first estimate is right, because compiling does not count."""

import pytest

from mlm.terminal.progress import Bar
from mlm.training import progress as progress_module
from mlm.training.progress import StepBar


@pytest.fixture
def clock(monkeypatch):
    """clock[0]: the time, which only the test moves."""
    now = [1000.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    return now


def steps_taken(clock, bar: StepBar, *steps: tuple[float, int | None]) -> None:
    for seconds, length in steps:
        clock[0] += seconds
        bar.advance(length)


def test_the_first_estimate_leaves_out_what_was_compiled(clock):
    bar = Bar("compiling the first step")
    steps = StepBar(bar, total=100, done=20)
    steps.begin()
    steps_taken(clock, steps, (40.0, None))
    assert (bar.what, bar.done, bar.seconds_left()) == ("training", 21, None)
    steps_taken(clock, steps, (2.0, None))
    assert bar.seconds_left() == 78 * 2.0


def test_each_new_length_is_compiled_too(clock):
    bar = Bar("compiling the first step")
    steps = StepBar(bar, total=10, done=0)
    steps.begin()
    steps_taken(clock, steps, (40.0, 16), (30.0, 32), (1.0, 16), (3.0, 32))
    assert bar.seconds_left() == 6 * 2.0


def test_what_happens_between_two_series_of_steps_does_not_count(clock):
    bar = Bar("compiling the first step")
    steps = StepBar(bar, total=10, done=0)
    steps.begin()
    steps_taken(clock, steps, (40.0, None), (1.0, None))
    steps.end()
    clock[0] += 500.0  # an evaluation
    steps.begin()
    steps_taken(clock, steps, (1.0, None))
    assert bar.seconds_left() == 7.0


def test_a_device_that_is_behind_counts_when_it_has_caught_up(clock):
    bar = Bar("compiling the first step")
    steps = StepBar(bar, total=10, done=0)
    steps.begin()
    steps_taken(clock, steps, (40.0, None), *[(0.0, None)] * 4)
    clock[0] += 8.0
    steps.end()
    assert bar.seconds_left() == 5 * 2.0
