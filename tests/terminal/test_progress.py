import os
import pty
import subprocess
import sys
import time

import pytest

from mlm.terminal import progress as progress_module
from mlm.terminal.progress import Bar, counted, hidden_progress, progress

NOW = 10_000.0


@pytest.fixture(autouse=True)
def _clock_of_bars(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    if "bar_at" in request.fixturenames:
        monkeypatch.setattr(progress_module.time, "monotonic", lambda: NOW)


@pytest.fixture
def bar_at():
    """bar_at(seconds, ...): a bar that began so many seconds ago, by a clock that stands still."""
    return lambda seconds, **numbers: Bar("reading texts", started=NOW - seconds, **numbers)


@pytest.mark.parametrize(
    ("seconds", "numbers", "line"),
    [
        (65, {}, "reading texts: 1:05"),
        (3, {"done": 1200, "unit": "rows"}, "reading texts: 1,200 rows, 0:03"),
        (
            10,
            {"done": 500, "total": 1500, "unit": "steps", "note": "loss 2.31"},
            "reading texts: 500 of 1,500 steps, 0:10, 0:20 left, loss 2.31",
        ),
        (
            3725,
            {"done": 2, "total": 2, "unit": "files"},
            "reading texts: 2 of 2 files, 1:02:05, 0:00 left",
        ),
    ],
)
def test_a_line_says_how_far_it_is(bar_at, seconds, numbers, line):
    assert bar_at(seconds, **numbers).line() == line


def test_what_was_done_before_does_not_count_for_the_speed(bar_at):
    bar = bar_at(10, total=1000, done=600, done_at_start=500)
    assert bar.seconds_left() == 40


def test_the_time_left_is_that_of_the_rest_and_of_what_follows(bar_at):
    bar = bar_at(90, total=100, done=10, seconds_each=2.0, seconds_later=30.0)
    assert bar.seconds_left() == 90 * 2 + 30


def test_counted_items_are_all_there():
    assert list(counted("abc", "reading texts", unit="texts")) == ["a", "b", "c"]


def test_hidden_progress_writes_nothing(monkeypatch, capsys):
    monkeypatch.setattr(progress_module, "PATIENCE", 0.0)
    with hidden_progress(), progress("reading texts"):
        time.sleep(0.05)
    assert capsys.readouterr().err == ""


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


def test_what_goes_to_a_file_stays_out_of_the_terminal(tmp_path):
    command = [sys.executable, "-c", STORY]
    with (tmp_path / "out.txt").open("w") as file:
        shown = output_on_terminal(command, stdout=file)
    assert (tmp_path / "out.txt").read_text() == "a line of the report\nthe end\n"
    assert "compiling: 0:0" in shown and "a line of the report" not in shown


MUTED = """
import sys, time
from mlm.backend.startup import muted_stderr
from mlm.terminal import progress as module
module.PATIENCE = 0.0
with module.progress("loading"), muted_stderr():
    time.sleep(0.7)
    print("advice of a library", file=sys.__stderr__, flush=True)
"""


@pytest.mark.parametrize("on_terminal", [True, False])
def test_a_wait_is_shown_while_stderr_is_muted(on_terminal):
    command = [sys.executable, "-c", MUTED]
    if on_terminal:
        shown = output_on_terminal(command)
    else:
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    assert "loading: 0:0" in shown and "advice" not in shown


def test_a_bar_that_nothing_takes_does_not_end_the_work():
    command = '"$0" -c "$1" 2> /dev/full'
    ended = subprocess.run(
        ["bash", "-c", command, sys.executable, STORY], capture_output=True, text=True
    )
    assert ended.returncode == 0 and ended.stdout == "a line of the report\nthe end\n"


def test_a_terminal_that_cannot_draw_gets_the_lines_of_a_log():
    shown = output_on_terminal([sys.executable, "-c", STORY], terminal="dumb")
    assert "compiling: 0:00\r\na line of the report\r\nthe end\r\n" in shown


def output_on_terminal(command: list[str], stdout=None, terminal: str = "xterm") -> str:
    """Run a command on a pseudo-terminal; return all that it wrote."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": terminal, "COLUMNS": "100"}
    child = subprocess.Popen(command, stdout=stdout or theirs, stderr=theirs, env=environment)
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
