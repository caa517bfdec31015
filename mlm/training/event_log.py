"""The curves of a run as TensorBoard reads them, if they are asked for."""

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
    """Scalars in an event file of `folder`; with None for it, nothing is written.

    Needs the package `tensorboard`, not TensorFlow. A disk that cannot take them is said once and
    stops nothing. Raises ConfigError where the package is missing, or the folder cannot be one.
    """

    def __init__(self, folder: Path | None):
        self._folder = folder
        self._writer: Any = None
        if folder is not None:
            _check(folder)

    def open(self, step: int) -> None:
        """Begin a file at this step; what an earlier one has of later steps does not count."""
        if self._folder is None:
            return
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        start = Event(
            wall_time=time.time(), step=step, session_log=SessionLog(status=SessionLog.START)
        )
        with self._losses_told():
            self._writer = _writer(self._folder)
            self._add(start)

    def scalar(self, name: str, value: float, step: int) -> None:
        if self._writer is None:
            return
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        summary = Summary(value=[Summary.Value(tag=name, simple_value=value)])
        with self._losses_told():
            self._add(Event(wall_time=time.time(), step=step, summary=summary))

    def close(self) -> None:
        if self._writer is not None:
            with self._losses_told():
                self._writer.close()

    def _add(self, event: Any) -> None:
        self._writer.add_event(event)
        self._writer.flush()

    @contextmanager
    def _losses_told(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # of the disk, in whatever class the library has for it
            reason = one_line(error)
            logger.warning("the curves are no longer written to %s: %s", self._folder, reason)
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
