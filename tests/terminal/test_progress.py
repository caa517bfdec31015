import os
import pty
import subprocess
import sys
import time

import pytest

from mlm.terminal import progress as progress_module
from mlm.terminal.progress import Bar, progress


def bar_at(seconds: float, **numbers: object) -> Bar:
    return Bar("reading texts", started=time.monotonic() - seconds, **numbers)


@pytest.mark.parametrize(
    ("bar", "line"),
    [
        (bar_at(65), "reading texts: 1:05"),
        (bar_at(3, done=1200, unit="rows"), "reading texts: 1,200 rows, 0:03"),
        (
            bar_at(10, done=500, total=1500, unit="steps", note="loss 2.31"),
            "reading texts: 500 of 1,500 steps, 0:10, 0:20 left, loss 2.31",
        ),
        (
            bar_at(3725, done=2, total=2, unit="files"),
            "reading texts: 2 of 2 files, 1:02:05, 0:00 left",
        ),
    ],
)
def test_a_line_says_how_far_it_is(bar: Bar, line: str):
    assert bar.line() == line


def test_what_was_done_before_does_not_count_for_the_speed():
    bar = bar_at(10, total=1000, done=600, done_at_start=500)
    assert round(bar.seconds_left() or 0) == 40


def test_a_log_gets_a_line_of_a_long_wait_and_nothing_of_a_short_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    with progress("reading texts"):
        pass
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress_module, "PATIENCE", 0.0)
    with progress("reading texts", total=4, unit="rows") as bar:
        bar.advance(3)
        wait_until(lambda: bool(sys.stderr.getvalue()))
    assert capsys.readouterr().err.startswith("reading texts: ")


def wait_until(is_so, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


STORY = """
import time
from mlm.terminal import progress as module
from mlm.terminal.progress import progress
module.PATIENCE = 0.0
with progress("reading texts", total=4, unit="rows") as outer:
    outer.advance(2)
    with progress("compiling"):
        time.sleep(0.5)
        print("a line of the report")
        time.sleep(0.5)
print("the end")
"""


def test_on_a_terminal_the_bars_stand_below_what_is_printed():
    shown = output_on_terminal([sys.executable, "-c", STORY])
    assert "reading texts: 2 of 4 rows" in shown and "compiling: 0:0" in shown
    assert shown.count("a line of the report") == 1
    assert shown.rstrip().endswith("the end")


def output_on_terminal(command: list[str]) -> str:
    """Run a command on a pseudo-terminal; return all that it wrote."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    child = subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    chunks = []
    while True:
        try:
            chunks.append(os.read(ours, 65536))
        except OSError:  # Linux: the other end is closed
            break
        if not chunks[-1]:
            break
    os.close(ours)
    assert child.wait(60) == 0
    return b"".join(chunks).decode()
