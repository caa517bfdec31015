"""Asks a LiteRT model: short texts together, each at its own length, so that nothing is padded."""

import threading
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from mlm.backend.hardware import available_cpus
from mlm.backend.startup import muted_stderr
from mlm.checkpoint.families.family import Family
from mlm.errors import UnsupportedError
from mlm.inference.engines.keras_engine import Question
from mlm.inference.engines.litert.conversion import DType, converted, forget
from mlm.inference.engines.litert.inputs import ASKED, Inputs
from mlm.inference.engines.litert.model_file import HEAD, Part, layer_files
from mlm.model.encoder_config import EncoderConfig, num_parameters

# Products of fewer rows are slower by the row; of more, what a text must not see costs more. The
# same sentences (BERT-base, 8 bits) were scored in 7.4, 6.4, 6.5, 7.5 s with 64, 128, 256, 512.
TOKENS_A_CALL = 128

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
    """The engine, once it has answered: some of what LiteRT cannot do shows only then."""
    try:
        engine = LiteRTEngine(files, config, dtype)
        engine.logits([Question([0], [0])])
        return engine
    except (RuntimeError, ValueError) as error:  # of LiteRT and NumPy
        reason = str(error).partition("\n")[0][:200]
        raise UnsupportedError(f"what it says is {reason!r}") from error


class LiteRTEngine:
    """An Engine; see mlm.inference.engines.keras_engine."""

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
        """See Engine."""
        rows: list[np.ndarray] = [np.empty(0)] * len(questions)
        for chosen in _calls([len(question.input_ids) for question in questions]):
            with self._lock:
                found = self._run([questions[i] for i in chosen])
            for i, logits in zip(chosen, found, strict=True):
                rows[i] = logits
        return rows

    def _run(self, questions: Sequence[Question]) -> list[np.ndarray]:
        lengths = [len(question.input_ids) for question in questions]
        starts = np.cumsum([0, *lengths])
        places = [
            start + np.asarray(question.positions, np.int64)
            for start, question in zip(starts, questions, strict=False)
        ]
        asked = np.concatenate(places)
        if not len(asked):
            return [np.empty((0, self.config.vocab_size), np.float32) for _ in questions]
        states, tables = self._inputs.embedded(questions), self._inputs.tables(lengths)
        for layers in self._layers:
            states = layers(states, tables)
        tables = self._inputs.asked_tables(tables, asked) | {ASKED: states[asked]}
        logits = self._head(states, tables)
        return np.split(logits, np.cumsum([len(place) for place in places])[:-1])


def _calls(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Which texts are asked together: of like lengths, TOKENS_A_CALL tokens at most, or one."""
    chosen: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if chosen and sum(lengths[j] for j in (*chosen, i)) > TOKENS_A_CALL:
            yield chosen
            chosen = []
        chosen.append(i)
    if chosen:
        yield chosen
