"""States sent to the Hub while training goes on: one at a time, the newest first, never in the way.

A state that is to be sent is linked into state/.pushing-*, where pruning does not find it. What
fails is told in one line and tried again with the next save.
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
    """Pushes offered states to the branch of a repository, `minutes` apart, in a thread of its own.

    Args:
        repo_id: "name" or "owner/name".
        minutes: the least time from the beginning of one push to that of the next.
        private: make a new repository private.
        report: gets a line a push, from whichever thread it happens in; no lock is held then.
        took: gets the seconds of each push that worked.
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
        """Push this state now if it is time, or later if a push is running. Returns at once."""
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
            self._tell(self._line(state.folder, error))

    def finish(self, timeout: float, *, push_last: bool = True) -> bool:
        """Push what was offered last, if it was not pushed yet, and wait; then offer no more.

        Args:
            timeout: seconds to wait at most; a push that takes longer is left to itself.
            push_last: False only waits for the push that is running.

        Returns:
            Whether the Hub has the state that was offered last; with push_last=False, whether no
            push is running any more.
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
        """Start the thread if there is something to push and none is running. Lock held."""
        if self._worker is None and self._is_due():
            self._worker = threading.Thread(target=self._work, name="state-pusher", daemon=True)
            self._worker.start()

    def _is_due(self) -> bool:
        """Whether a state waits, and its time has come. Lock held."""
        if self._waiting is None or self._closed:
            return False
        begun = self._begun
        return self._finishing or begun is None or time.monotonic() - begun >= self._seconds

    def _work(self) -> None:
        """Push what waits, one after the other, until nothing is due."""
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
                self._worker = None  # in the same breath, so that no offer falls between
                return None
            folder, self._waiting = self._waiting, None
            self._begun = time.monotonic()
            return folder

    def _push(self, folder: Path) -> None:
        began = time.monotonic()
        try:
            best = next((other for other in folder.parent.iterdir() if other != folder), None)
            commit = push_state(folder, self._repo_id, private=self._private, best=best)
        except Exception as error:  # whatever it is, the training is worth more
            line = self._line(folder, error)
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
        self._tell(line)

    def _line(self, folder: Path, error: Exception) -> str:
        then = (
            "it is whole on this machine"
            if self._finishing
            else "training goes on, the next save tries again"
        )
        return f"could not push the state of {_step_of(folder)}: {_reason(error)}; {then}"

    def _tell(self, line: str) -> None:
        """Report a line, unless the run has ended meanwhile."""
        if not self._closed:
            self._report(line)

    def _remove_copies(self) -> None:
        if self._root is not None:
            for folder in self._root.glob(".pushing-*"):
                shutil.rmtree(folder, ignore_errors=True)


def _linked_copy(folder: Path, best: Path | None) -> Path:
    """The same state in a folder .pushing-*/step-XXXXXXXX beside it, by links where they work.

    best: another state that goes with it, if it is there.
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
    """What went wrong. An error that is none of ours may quote a header, so it is only named."""
    if isinstance(error, UserError):
        return str(error)
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__
