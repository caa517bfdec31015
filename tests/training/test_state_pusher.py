"""States that go to the Hub while training goes on: in turn, at times, and never in its way."""

import errno
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mlm.checkpoint.run_state import TrainingState
from mlm.hub.local import Fault
from mlm.hub.training_branch import BRANCH, fetch_newest_state
from mlm.training.state.pusher import StatePusher
from tests.support.served_hub import REPO, TOKEN, Plan, api, contents, served_hub, write_state

LOOK_UP = ("GET", f"/api/models/{REPO}/revision/{BRANCH}")
PUT = ("PUT", "/lfs/[0-9a-f]+")
COMMIT = ("POST", f"/api/models/{REPO}/commit/{BRANCH}")
LONG = 60.0  # seconds; what a test waits at most, never what it takes


class Lines:
    """The lines that a pusher reports."""

    def __init__(self) -> None:
        self._queue: queue.Queue[str] = queue.Queue()
        self.report = self._queue.put

    def next(self) -> str:
        return self._queue.get(timeout=LONG)

    def empty(self) -> bool:
        return self._queue.empty()


class Gate:
    """Holds a request up: the Hub has it, and does not answer."""

    def __init__(self) -> None:
        self._reached, self._open = threading.Event(), threading.Event()

    def hold(self) -> None:
        self._reached.set()
        self._open.wait()

    def wait_until_reached(self) -> None:
        assert self._reached.wait(LONG)

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def plan() -> Plan:
    return Plan()


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch, plan):
    with served_hub(tmp_path, monkeypatch, plan) as local:
        yield local


@pytest.fixture
def gate(hub):
    made = Gate()
    yield made
    made.open()


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "run" / "state"


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """Seconds by which time.monotonic() is ahead."""
    ahead, real = [0.0], time.monotonic
    monkeypatch.setattr("time.monotonic", lambda: real() + ahead[0])
    return ahead


@pytest.fixture
def no_naps(monkeypatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def pusher_of(lines: Lines, minutes: float = 30.0) -> StatePusher:
    return StatePusher(REPO, minutes=minutes, private=False, report=lines.report)


def state_at(root: Path, step: int) -> TrainingState:
    return TrainingState(write_state(root, step), {"step": step})


def pushed() -> list[int]:
    """The steps whose states came to the branch, in their order."""
    titles = [commit.title for commit in api().list_repo_commits(REPO, revision=BRANCH)]
    return [int(title.removeprefix("State of step ")) for title in reversed(titles[:-1])]


def copies(root: Path) -> list[Path]:
    return list(root.glob(".pushing-*"))


def is_on(line: str, step: int) -> bool:
    return line.startswith(f"the state of step {step} is on {REPO} at commit ")


# when


def test_the_first_at_once_the_next_when_it_is_time(root, lines, clock):
    pusher = pusher_of(lines, minutes=30)
    pusher.offer(state_at(root, 1))
    assert is_on(lines.next(), 1)
    clock[0] += 29 * 60
    pusher.offer(state_at(root, 2))
    clock[0] += 60
    pusher.offer(state_at(root, 3))
    assert is_on(lines.next(), 3)
    assert pusher.finish(LONG)
    assert pushed() == [1, 3]
    assert lines.empty()


def test_the_end_pushes_what_was_not_pushed_yet(root, lines, tmp_path):
    pusher = pusher_of(lines)
    pusher.offer(state_at(root, 1))
    assert is_on(lines.next(), 1)
    pusher.offer(state_at(root, 2))
    pusher.offer(state_at(root, 3))
    assert pusher.finish(LONG)
    assert is_on(lines.next(), 3)
    assert pushed() == [1, 3]
    assert copies(root) == []
    assert fetch_newest_state(REPO, tmp_path / "next")
    assert contents(tmp_path / "next" / "step-00000003") == contents(root / "step-00000003")


def test_an_end_that_needs_no_state_pushes_none(root, lines):
    pusher = pusher_of(lines)
    pusher.offer(state_at(root, 1))
    assert is_on(lines.next(), 1)
    pusher.offer(state_at(root, 2))
    assert pusher.finish(LONG, push_last=False)
    assert pushed() == [1]
    assert copies(root) == []


def test_an_end_without_any_state(lines, plan):
    assert pusher_of(lines).finish(LONG)
    assert plan.requests == []
    assert lines.empty()


# while the Hub takes its time


def test_training_does_not_wait_and_the_latest_wins(root, lines, plan, gate):
    plan.add(COMMIT, None, do=gate.hold)
    pusher = pusher_of(lines, minutes=0)
    pusher.offer(state_at(root, 1))
    gate.wait_until_reached()
    for step in (2, 3, 4):  # each of these would hang here if an offer waited for the Hub
        pusher.offer(state_at(root, step))
    assert lines.empty()
    assert len(copies(root)) == 2  # what is being pushed, and the newest
    gate.open()
    assert is_on(lines.next(), 1)
    assert is_on(lines.next(), 4)
    assert pusher.finish(LONG)
    assert pushed() == [1, 4]


@pytest.mark.parametrize("link", [True, False], ids=["links", "copies"])
def test_pruning_does_not_take_away_what_is_being_pushed(
    root, lines, plan, gate, monkeypatch, tmp_path, link
):
    if not link:
        monkeypatch.setattr("os.link", refusing(errno.EPERM))
    plan.add(PUT, None, do=gate.hold)
    pusher = pusher_of(lines, minutes=0)
    states = [state_at(root, step) for step in (1, 2)]
    kept = [contents(state.folder) for state in states]
    pusher.offer(states[0])
    gate.wait_until_reached()
    pusher.offer(states[1])
    for state in states:
        shutil.rmtree(state.folder)
    gate.open()
    assert is_on(lines.next(), 1)
    assert is_on(lines.next(), 2)
    assert pusher.finish(LONG)
    assert fetch_newest_state(REPO, tmp_path / "next")
    assert contents(tmp_path / "next" / "step-00000002") == kept[1]


def refusing(number: int):
    def refuse(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    return refuse


def test_an_end_that_the_hub_does_not_let_come(root, lines, plan, gate):
    plan.add(COMMIT, None, do=gate.hold)
    pusher = pusher_of(lines)
    pusher.offer(state_at(root, 1))
    gate.wait_until_reached()
    assert not pusher.finish(0.0)
    assert lines.next() == (
        f"the push of a state to {REPO} did not end in 0 s; what is on this machine is whole"
    )
    assert copies(root) == []
    gate.open()
    for thread in threading.enumerate():
        if thread.name == "state-pusher":
            thread.join(LONG)
    assert lines.empty()


CHILD = """
import sys
from pathlib import Path
from mlm.training.state.pusher import StatePusher
from mlm.checkpoint.run_state import TrainingState

pusher = StatePusher(sys.argv[2], minutes=0, private=False, report=print)
folder = Path(sys.argv[1])
pusher.offer(TrainingState(folder, {"step": 1}))
"""


def child(folder: Path, then: str) -> subprocess.Popen:
    command = [sys.executable, "-c", CHILD + then, str(folder), REPO]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True)


def test_a_process_ends_though_the_hub_hangs(root, plan, gate):
    plan.add(PUT, None, do=gate.hold)
    process = child(write_state(root, 1), "sys.stdin.readline(); print(pusher.finish(0.0))")
    gate.wait_until_reached()
    said, _ = process.communicate("\n", timeout=LONG)
    assert process.returncode == 0
    assert said.splitlines()[-1] == "False"


def test_what_a_killed_process_left_is_cleared_and_the_run_goes_on(root, lines, plan, gate):
    plan.add(COMMIT, None, do=gate.hold)
    first = write_state(root, 1)
    process = child(first, "import threading; threading.Event().wait()")
    gate.wait_until_reached()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    gate.open()
    left = copies(root)
    assert len(left) == 1
    pusher = pusher_of(lines)
    pusher.offer(state_at(root, 2))
    assert is_on(lines.next(), 2)
    assert pusher.finish(LONG)
    assert copies(root) == []
    assert pushed()[-1] == 2


# failures


def test_a_push_that_fails_is_told_and_the_next_save_tries_again(root, lines, plan, clock):
    plan.add(LOOK_UP, Fault(403))
    pusher = pusher_of(lines, minutes=30)
    pusher.offer(state_at(root, 1))
    line = lines.next()
    assert line.startswith("could not push the state of step 1: could not look up the branch")
    assert line.endswith("; training goes on, the next save tries again")
    assert line.count("\n") == 0
    pusher.offer(state_at(root, 2))
    assert is_on(lines.next(), 2)
    pusher.offer(state_at(root, 3))
    assert pusher.finish(LONG)
    assert pushed() == [2, 3]


def test_a_hub_that_is_away_for_ever(root, lines, plan, no_naps):
    for method in ("GET", "POST", "PUT"):
        plan.add((method, ".*"), Fault(503), times=10**6)
    pusher = pusher_of(lines)
    for step in (1, 2):
        pusher.offer(state_at(root, step))
        assert lines.next().startswith(f"could not push the state of step {step}: ")
    assert not pusher.finish(LONG)
    last = lines.next()
    assert last.startswith("could not push the state of step 2: ")
    assert last.endswith("answered 503; it is whole on this machine")
    assert copies(root) == []


def test_the_end_tries_again_what_failed(root, lines, plan):
    plan.add(LOOK_UP, Fault(403))
    pusher = pusher_of(lines)
    pusher.offer(state_at(root, 1))
    assert "could not" in lines.next()
    assert pusher.finish(LONG)
    assert is_on(lines.next(), 1)


def test_a_newer_state_that_waited_is_tried_after_a_failure(root, lines, plan, gate):
    plan.add(COMMIT, Fault(403), do=gate.hold)
    pusher = pusher_of(lines, minutes=30)
    pusher.offer(state_at(root, 1))
    gate.wait_until_reached()
    pusher.offer(state_at(root, 2))
    gate.open()
    assert "could not push the state of step 1" in lines.next()
    assert is_on(lines.next(), 2)
    assert pusher.finish(LONG)
    assert pushed() == [2]


def test_a_commit_whose_answer_is_lost_is_no_failure(root, lines, plan, no_naps):
    plan.add(COMMIT, Fault(None, after=True))
    pusher = pusher_of(lines)
    pusher.offer(state_at(root, 1))
    assert is_on(lines.next(), 1)
    assert pusher.finish(LONG)
    assert pushed() == [1]


def test_a_full_disk_or_a_state_that_is_gone_is_told(root, lines, monkeypatch):
    state = state_at(root, 1)
    pusher = pusher_of(lines)
    monkeypatch.setattr("tempfile.mkdtemp", refusing(errno.ENOSPC))
    pusher.offer(state)
    assert lines.next() == (
        "could not push the state of step 1: No space left on device; "
        "training goes on, the next save tries again"
    )
    monkeypatch.undo()
    shutil.rmtree(state.folder)
    pusher.offer(state)
    assert lines.next().startswith("could not push the state of step 1: ")
    assert copies(root) == []


def test_no_error_of_another_kind_is_quoted(root, lines, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError(f"Authorization: Bearer {TOKEN}")

    monkeypatch.setattr("mlm.training.state.pusher.push_state", fail)
    pusher = pusher_of(lines)
    pusher.offer(state_at(root, 1))
    assert lines.next() == (
        "could not push the state of step 1: RuntimeError; "
        "training goes on, the next save tries again"
    )
    assert not pusher.finish(LONG)
    assert TOKEN not in lines.next()
