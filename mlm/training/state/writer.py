"""States written in the background, so that training waits for the copies alone."""

import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mlm.checkpoint.run_state import Arrays, TrainingState, remove_leftovers, write_state


class StateWriter:
    """Writes the states of one run, one at a time, in a thread of its own.

    What went wrong there is raised by the next `save`, `check` or `close`. Used in a `with` block.

    Args:
        root: the folder of the states; what killed runs left half written there is removed.
        keep: how many of the newest to keep; the best by validation loss stays as well.
        on_written: called in the thread with each state that is whole on disk.
    """

    def __init__(
        self,
        root: Path,
        *,
        keep: int,
        on_written: Callable[[TrainingState], None] | None = None,
    ):
        self._root, self._keep, self._on_written = root, keep, on_written
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None
        remove_leftovers(root)

    def save(self, arrays: dict[str, Arrays], run: dict[str, Any]) -> None:
        """Hand over a state; waits only while the one before it is still being written."""
        self.close()
        # A daemon, so that a process that is told to end does not hang on a disk that does.
        self._thread = threading.Thread(target=self._write, args=(arrays, run), daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise what went wrong with a state that was handed over."""
        error, self._error = self._error, None
        if error is not None:
            raise error

    def close(self) -> None:
        """Wait until the state in hand is whole on disk, or raise why it is not."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.check()

    def _write(self, arrays: dict[str, Arrays], run: dict[str, Any]) -> None:
        try:
            state = write_state(self._root, arrays, run, keep=self._keep)
            if self._on_written is not None:
                self._on_written(state)
        except Exception as error:
            self._error = error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        elif self._thread is not None:
            self._thread.join()  # the error that is on its way is the one to tell
