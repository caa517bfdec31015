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
from mlm.litert.conversion import MODEL, DType, converted, forget
from mlm.litert.inputs import Inputs

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
        from ai_edge_litert.interpreter import Interpreter

        self.config, self.kind = config, KINDS[dtype]
        self.num_parameters = num_parameters(config)
        self._inputs = Inputs(files, config)
        self._lock = threading.Lock()
        with muted_stderr():  # it says which delegate it has made
            self._interpreter = Interpreter(str(files / MODEL), num_threads=available_cpus())
            self._interpreter.allocate_tensors()
        self._places = [about["index"] for about in self._interpreter.get_input_details()]
        self._output = self._interpreter.get_output_details()[0]["index"]
        self._shapes: list[tuple[int, ...]] = []

    def logits(self, questions: Sequence[Question]) -> list[np.ndarray]:
        """See Engine. Questions of one length follow each other: a new one costs a new plan."""
        rows: list[np.ndarray] = [np.empty(0)] * len(questions)
        for i in sorted(range(len(questions)), key=lambda i: len(questions[i].input_ids)):
            given = self._inputs.of(questions[i])
            with self._lock:
                rows[i] = self._run(given)
        return rows

    def _run(self, given: Sequence[np.ndarray]) -> np.ndarray:
        shapes = [values.shape for values in given]
        if shapes != self._shapes:
            for place, shape in zip(self._places, shapes, strict=True):
                self._interpreter.resize_tensor_input(place, shape)
            self._interpreter.allocate_tensors()
            self._shapes = shapes
        for place, values in zip(self._places, given, strict=True):
            self._interpreter.set_tensor(place, values)
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output)
