"""Write states in the background, so that training waits only for the copies."""

import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from mlm.checkpoint.run_state import Arrays, TrainingState, remove_leftovers, write_state
from mlm.checkpoint.strict_json import JsonObject


class StateWriter:
    """Writes the states of one run, one at a time, in a thread of its own; a context manager.

    An error in the thread is raised by the next `save`, `check` or `close`.

    Args:
        root: folder of the states; half-written ones that killed runs left are removed.
        keep: number of newest states to keep; the best by validation loss is kept as well.
        on_written: called in the thread with each state once it is whole on disk.
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

    def save(self, arrays: dict[str, Arrays], run: JsonObject) -> None:
        """Hand over a state; waits only while the previous one is still being written."""
        self.close()
        # A daemon thread, so that a disk that hangs does not keep the process from ending.
        self._thread = threading.Thread(target=self._write, args=(arrays, run), daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise the error of a state that was handed over, if there was one."""
        error, self._error = self._error, None
        if error is not None:
            raise error

    def close(self) -> None:
        """Wait until the last state is whole on disk; raise its error otherwise."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.check()

    def _write(self, arrays: dict[str, Arrays], run: JsonObject) -> None:
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
            self._thread.join()  # the error that ends the block is the one to report
