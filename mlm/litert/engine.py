"""Asks a LiteRT model: one text at a time, at its own length, so that nothing is padded."""

import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from mlm.devices import available_cpus, muted_stderr
from mlm.encoder_config import EncoderConfig, num_parameters
from mlm.engine import Question
from mlm.errors import UnsupportedError
from mlm.families.family import Family
from mlm.litert.conversion import DType, converted, forget
from mlm.litert.inputs import Inputs
from mlm.litert.part import HEAD, Part, layer_files

KINDS: dict[DType, str] = {
    "float32": "LiteRT, float32",
    "int8": "LiteRT, weights in 8 bits",
}


def is_installed() -> bool:
    """Whether LiteRT is there; it is not made for every kind of machine."""
    return find_spec("ai_edge_litert") is not None


def open_engine(
    folder: Path, family: Family, config: EncoderConfig, dtype: DType, cache: Path | None
) -> "LiteRTEngine":
    """The engine of a verified checkpoint folder.

    Raises what `converted` does; UnsupportedError too where LiteRT cannot run what was made;
    ImportError where it does not suit this machine.
    """
    with converted(folder, family, config, dtype, cache) as files:
        try:
            return _opened(files, config, dtype)
        except UnsupportedError:
            if cache is None:
                raise
            forget(files)  # it may have been spoilt on the disk
    with converted(folder, family, config, dtype, cache) as files:
        return _opened(files, config, dtype)


def _opened(files: Path, config: EncoderConfig, dtype: DType) -> "LiteRTEngine":
    try:
        return LiteRTEngine(files, config, dtype)
    except (RuntimeError, ValueError) as error:  # of LiteRT and NumPy
        reason = str(error).partition("\n")[0][:200]
        raise UnsupportedError(f"what it says is {reason!r}") from error


class LiteRTEngine:
    """An Engine; see mlm.engine."""

    def __init__(self, files: Path, config: EncoderConfig, dtype: DType):
        self.config, self.kind = config, KINDS[dtype]
        self.num_parameters = num_parameters(config)
        self._inputs = Inputs(files, config)
        self._lock = threading.Lock()
        with muted_stderr():  # it says which delegate it has made
            *self._layers, self._head = (
                Part(file, available_cpus()) for file in (*layer_files(files), files / HEAD)
            )

    def logits(self, questions: Sequence[Question]) -> list[np.ndarray]:
        """See Engine. Questions of one length follow each other: a new one costs a new plan."""
        rows: list[np.ndarray] = [np.empty(0)] * len(questions)
        for i in sorted(range(len(questions)), key=lambda i: len(questions[i].input_ids)):
            with self._lock:
                rows[i] = self._run(questions[i])
        return rows

    def _run(self, question: Question) -> np.ndarray:
        states = self._inputs.embedded(question)
        tables = self._inputs.tables(len(states))
        for layers in self._layers:
            states = layers(states, tables)
        return self._head(states[question.positions], {})
