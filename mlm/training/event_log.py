"""The curves of a run as TensorBoard event files."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mlm.errors import ConfigError, one_line

logger = logging.getLogger(__name__)


class EventLog:
    """Writes scalars to an event file in `folder`; with None it writes nothing.

    Needs the package `tensorboard`, not TensorFlow. A disk error is logged once and stops nothing.
    """

    def __init__(self, folder: Path | None):
        """Raise ConfigError if the package is missing or `folder` is a file."""
        self._folder = folder
        self._writer: Any = None
        if folder is not None:
            _check(folder)

    def open(self, step: int) -> None:
        """Start a file at this step; later steps in earlier files do not count."""
        if self._folder is None:
            return
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        start = Event(
            wall_time=time.time(), step=step, session_log=SessionLog(status=SessionLog.START)
        )
        with self._log_disk_errors():
            self._writer = _writer(self._folder)
            self._add(start)

    def scalar(self, name: str, value: float, step: int) -> None:
        """Write one point of a curve."""
        if self._writer is None:
            return
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        summary = Summary(value=[Summary.Value(tag=name, simple_value=value)])
        with self._log_disk_errors():
            self._add(Event(wall_time=time.time(), step=step, summary=summary))

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            with self._log_disk_errors():
                self._writer.close()

    def _add(self, event: Any) -> None:
        self._writer.add_event(event)
        self._writer.flush()

    @contextmanager
    def _log_disk_errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # the library has several classes for a disk that is full
            reason = one_line(error)
            logger.warning("stopped writing the curves to %s: %s", self._folder, reason)
            self._writer = None


def _check(folder: Path) -> None:
    if find_spec("tensorboard") is None:
        raise ConfigError(
            "--report_to tensorboard needs the package tensorboard, which is not installed; "
            "`pip install tensorboard`, or leave --report_to out"
        )
    if folder.exists() and not folder.is_dir():
        raise ConfigError(
            f"{str(folder)!r} is where --report_to tensorboard writes, but it is a file; move it, "
            "or choose another --output_dir"
        )


def _writer(folder: Path) -> Any:
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    folder.mkdir(parents=True, exist_ok=True)
    return EventFileWriter(str(folder))
