"""Send states to the Hub in the background: one at a time, the newest, without delaying training.

A state to be sent is linked into state/.pushing-*, where pruning does not find it. A failure is
reported in one line, and the next save tries again.
"""

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mlm.errors import UserError
from mlm.hub.training_branch import push_state

if TYPE_CHECKING:
    from mlm.checkpoint.run_state import TrainingState


class StatePusher:
    """Pushes the states it is offered to a branch, `minutes` apart, in a thread of its own.

    Args:
        repo_id: "name" or "owner/name".
        minutes: least time between the starts of two pushes.
        private: make a new repository private.
        report: gets a line for each push, from any thread and without a lock held.
        took: gets the seconds of each push that succeeded.
    """

    def __init__(
        self,
        repo_id: str,
        *,
        minutes: float,
        private: bool,
        report: Callable[[str], None],
        took: Callable[[float], None] = lambda seconds: None,
    ):
        self._repo_id, self._private, self._report, self._took = repo_id, private, report, took
        self._seconds = 60 * minutes
        self._changed = threading.Condition()  # guards all that follows
        self._root: Path | None = None
        self._waiting: Path | None = None  # the newest state offered, not begun
        self._failed: Path | None = None  # the last one begun, if it failed and nothing is newer
        self._begun: float | None = None  # time.monotonic() of the last push that did not fail
        self._worker: threading.Thread | None = None
        self._finishing = self._closed = False

    def offer(self, state: "TrainingState") -> None:
        """Push this state now if one is due, or later if a push is running. Returns at once."""
        try:
            with self._changed:
                if self._root is None:
                    self._root = state.folder.parent
                    self._remove_copies()  # those of a process that was killed
                copy = _linked_copy(state.folder, state.best)
                _remove(self._waiting, self._failed)
                self._waiting, self._failed = copy, None
                self._start_if_due()
        except OSError as error:
            self._report_unless_closed(self._failure_line(state.folder, error))

    def finish(self, timeout: float, *, push_last: bool = True) -> bool:
        """Push the state offered last, unless it was pushed already, and wait; accept no more.

        Args:
            timeout: maximum number of seconds to wait; a push that takes longer is abandoned.
            push_last: False waits only for the push that is running.

        Returns:
            Whether the Hub has the state offered last; with push_last=False, whether the running
            push has ended.
        """
        with self._changed:
            self._finishing = True
            last = self._waiting or self._failed
            if not push_last:
                _remove(last)
            self._waiting, self._failed = last if push_last else None, None
            self._start_if_due()
            ended = self._changed.wait_for(lambda: self._worker is None, timeout)
            worked = ended and (self._failed is None or not push_last)
            self._closed = True
            self._remove_copies()
        if not ended:
            self._report(
                f"the push of a state to {self._repo_id} did not end in {timeout:.0f} s; "
                "what is on this machine is whole"
            )
        return worked

    # the pushing thread; what is called with the lock held says so

    def _start_if_due(self) -> None:
        """Start the thread if a push is due and none is running. Lock held."""
        if self._worker is None and self._is_due():
            self._worker = threading.Thread(target=self._work, name="state-pusher", daemon=True)
            self._worker.start()

    def _is_due(self) -> bool:
        """Return whether a state is waiting and its time has come. Lock held."""
        if self._waiting is None or self._closed:
            return False
        begun = self._begun
        return self._finishing or begun is None or time.monotonic() - begun >= self._seconds

    def _work(self) -> None:
        """Push waiting states, one after the other, until none is due."""
        try:
            while (folder := self._take()) is not None:
                self._push(folder)
        finally:
            with self._changed:
                if self._worker is threading.current_thread():
                    self._worker = None
                self._changed.notify_all()

    def _take(self) -> Path | None:
        with self._changed:
            if not self._is_due():
                self._worker = None  # under the same lock, so that no offer is missed
                return None
            folder, self._waiting = self._waiting, None
            self._begun = time.monotonic()
            return folder

    def _push(self, folder: Path) -> None:
        began = time.monotonic()
        try:
            best = next((other for other in folder.parent.iterdir() if other != folder), None)
            commit = push_state(folder, self._repo_id, private=self._private, best=best)
        except Exception as error:  # no error of a push may end the training
            line = self._failure_line(folder, error)
            with self._changed:
                self._begun = None
                if self._waiting is None:
                    self._failed = folder
                else:
                    _remove(folder)
        else:
            line = f"the state of {_step_of(folder)} is on {self._repo_id} at commit {commit[:12]}"
            _remove(folder)
            self._took(time.monotonic() - began)
        self._report_unless_closed(line)

    def _failure_line(self, folder: Path, error: Exception) -> str:
        then = (
            "it is whole on this machine"
            if self._finishing
            else "training goes on, the next save tries again"
        )
        return f"could not push the state of {_step_of(folder)}: {_reason(error)}; {then}"

    def _report_unless_closed(self, line: str) -> None:
        """Report a line, unless the run has ended."""
        if not self._closed:
            self._report(line)

    def _remove_copies(self) -> None:
        if self._root is not None:
            for folder in self._root.glob(".pushing-*"):
                shutil.rmtree(folder, ignore_errors=True)


def _linked_copy(folder: Path, best: Path | None) -> Path:
    """Copy a state to .pushing-*/step-XXXXXXXX next to it, by hard links where they work.

    best: another state to copy with it, if it exists.
    """
    staging = Path(tempfile.mkdtemp(prefix=".pushing-", dir=folder.parent))
    try:
        if best is not None and best.is_dir():
            shutil.copytree(best, staging / best.name, copy_function=_link_or_copy)
        return Path(shutil.copytree(folder, staging / folder.name, copy_function=_link_or_copy))
    except OSError:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _remove(*copies: Path | None) -> None:
    for copy in copies:
        if copy is not None:
            shutil.rmtree(copy.parent, ignore_errors=True)


def _step_of(folder: Path) -> str:
    return f"step {int(folder.name.removeprefix('step-'))}"


def _reason(error: Exception) -> str:
    """Return a reason; another library's error is only named, since its text may hold a token."""
    if isinstance(error, UserError):
        return str(error)
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__
