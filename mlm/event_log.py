"""The curves of a run as TensorBoard reads them, if they are asked for."""

import time
from pathlib import Path

from mlm.errors import ConfigError


class EventLog:
    """Scalars in an event file of `folder`; with None for it, nothing is written.

    Needs the package `tensorboard`, not TensorFlow. Raises ConfigError where it is missing.
    """

    def __init__(self, folder: Path | None):
        self._writer = None if folder is None else _writer(folder)

    def scalar(self, name: str, value: float, step: int) -> None:
        if self._writer is None:
            return
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        summary = Summary(value=[Summary.Value(tag=name, simple_value=value)])
        self._writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))
        self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def _writer(folder: Path):
    try:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError:
        raise ConfigError(
            "--report_to tensorboard needs the package tensorboard, which is not installed; "
            "`pip install tensorboard`, or leave --report_to out"
        ) from None
    folder.mkdir(parents=True, exist_ok=True)
    return EventFileWriter(str(folder))
