"""The states of one run as it goes on: written here, sent to the Hub if that is wanted."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mlm.backend import processes
from mlm.checkpoint.run_state import Arrays
from mlm.checkpoint.strict_json import JsonObject
from mlm.terminal.progress import progress
from mlm.training.run_settings import RunSettings
from mlm.training.state.pusher import StatePusher
from mlm.training.state.writer import StateWriter
from mlm.training.stopping import StopRequest

PUSH_TIMEOUT = 600.0  # seconds that a run which ends waits for its last state to reach the Hub


class StateSaver:
    """Saves the states of one run; in a cluster, the first process does, for all.

    Used between the steps, inside `open`.
    """

    def __init__(
        self,
        config: RunSettings,
        folder: Path,
        stop: StopRequest,
        report: Callable[[str], None],
    ):
        """Args: folder: of all states of the run."""
        self.folder = folder
        self._config, self._stop, self._report = config, stop, report
        self._saved_at = time.monotonic()

    @contextmanager
    def open(self, needs_last_state: Callable[[], bool]) -> Iterator[None]:
        """Start writing and pushing; at the end, wait for what is on its way.

        needs_last_state: called at the end: whether the Hub has to have the state saved last.
        """
        if not processes.is_first():
            yield
            return
        self._saved_at = time.monotonic()
        pusher = self._make_pusher() if self._config.resume_from_hub else None
        try:
            keep, send = self._config.save_total_limit, pusher.offer if pusher else None
            with StateWriter(self.folder, keep=keep, on_written=send) as self._writer:
                yield
        finally:
            if pusher:
                with progress(f"sending the last state to {self._config.hub_model_id}"):
                    pusher.finish(PUSH_TIMEOUT, push_last=needs_last_state())

    def save(self, snapshot: Callable[[], dict[str, Arrays]], run: JsonObject) -> None:
        """Take a snapshot and hand it to the writer; `run` is what else belongs to the state."""
        if not processes.is_first():
            return
        self._saved_at = time.monotonic()
        with self._stop.keeping_back():
            self._writer.save(snapshot(), run)

    def wait(self) -> None:
        """Wait until what was saved is whole on disk; then every process may read it."""
        processes.only_first(lambda: self._writer.close())

    def check(self) -> None:
        """Raise the error of a state that could not be written in the background."""
        if processes.is_first():
            self._writer.check()

    def is_due(self) -> bool:
        """Return whether a state is due by the clock, to be kept here or to be sent to the Hub."""
        config = self._config
        minutes = [config.save_minutes, config.hub_state_minutes * config.resume_from_hub]
        waited = time.monotonic() - self._saved_at
        return processes.is_first() and any(0 < 60 * each <= waited for each in minutes)

    def _make_pusher(self) -> StatePusher:
        return StatePusher(
            str(self._config.hub_model_id),
            minutes=self._config.hub_state_minutes,
            private=self._config.hub_private_repo,
            report=self._report,
            took=self._stop.note_push,
        )
