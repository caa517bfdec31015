"""LiteRTEngine: runs a LiteRT model, short texts together without padding."""

import threading
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from mlm.backend.hardware import available_cpus
from mlm.backend.startup import muted_stderr
from mlm.checkpoint.families.family import Family
from mlm.errors import UnsupportedError, one_line
from mlm.inference.engines.engine import Question
from mlm.inference.engines.litert.conversion import DType, converted_checkpoint, delete_conversion
from mlm.inference.engines.litert.inputs import TARGET, Inputs
from mlm.inference.engines.litert.model_file import HEAD, ModelFile, layer_files
from mlm.model.encoder_config import EncoderConfig, num_parameters

# Matmuls of fewer rows cost more per row; with more rows, attention between texts that do not see
# each other costs more. The same sentences (BERT-base, int8) took 7.4, 6.4, 6.5, 7.5 s to score
# with 64, 128, 256, 512.
TOKENS_PER_CALL = 128

KINDS: dict[DType, str] = {
    "float32": "LiteRT, float32",
    "int8": "LiteRT, weights in 8 bits",
}


def is_installed() -> bool:
    """Return whether LiteRT is installed; it is not built for every kind of machine."""
    return find_spec("ai_edge_litert") is not None


def open_engine(
    folder: Path, family: Family, config: EncoderConfig, dtype: DType, cache: Path | None
) -> "LiteRTEngine":
    """Open the engine of a checkpoint folder; for the arguments see `converted_checkpoint`.

    Raises:
        UnsupportedError, CheckpointError, OSError: see `converted_checkpoint`; UnsupportedError
            also if LiteRT cannot run the files.
        ImportError: the library does not load on this machine.
    """
    with converted_checkpoint(folder, family, config, dtype, cache) as files:
        try:
            return _open_files(files, config, dtype)
        except UnsupportedError:
            if cache is None:
                raise
            delete_conversion(files)  # it may have been damaged on the disk
    with converted_checkpoint(folder, family, config, dtype, cache) as files:
        return _open_files(files, config, dtype)


def _open_files(files: Path, config: EncoderConfig, dtype: DType) -> "LiteRTEngine":
    """Open the engine and ask it once: some of what LiteRT cannot do shows only then."""
    try:
        engine = LiteRTEngine(files, config, dtype)
        engine.logits([Question([0], [0])])
        return engine
    except (RuntimeError, ValueError) as error:  # of LiteRT and NumPy
        raise UnsupportedError(f"its error is {one_line(error)!r}") from error


class LiteRTEngine:
    """Runs converted files; see Engine."""

    def __init__(self, files: Path, config: EncoderConfig, dtype: DType):
        self.config, self.kind = config, KINDS[dtype]
        self.num_parameters = num_parameters(config)
        self._inputs = Inputs(files, config)
        self._lock = threading.Lock()
        with muted_stderr():  # LiteRT reports its delegate there
            *self._layers, self._head = (
                ModelFile(file, available_cpus()) for file in (*layer_files(files), files / HEAD)
            )

    def logits(self, questions: Sequence[Question]) -> list[np.ndarray]:
        """Return (positions, V) float32 for each question; see Engine."""
        answers: list[np.ndarray] = [np.empty(0)] * len(questions)
        for indices in _group([len(question.input_ids) for question in questions]):
            with self._lock:
                logits = self._run([questions[i] for i in indices])
            for i, rows in zip(indices, logits, strict=True):
                answers[i] = rows
        return answers

    def _run(self, questions: Sequence[Question]) -> list[np.ndarray]:
        lengths = [len(question.input_ids) for question in questions]
        starts = np.cumsum([0, *lengths])
        positions_of_each = [
            start + np.asarray(question.positions, np.int64)
            for start, question in zip(starts, questions, strict=False)
        ]
        positions = np.concatenate(positions_of_each)
        if not len(positions):
            return [np.empty((0, self.config.num_outputs), np.float32) for _ in questions]
        states, tables = self._inputs.embed(questions), self._inputs.tables(lengths)
        for layers in self._layers:
            states = layers(states, tables)
        if self.config.pools_mean:
            means = np.add.reduceat(states, starts[:-1]) / np.array(lengths, np.float32)[:, None]
            tables = {TARGET: means}
        else:
            tables = self._inputs.tables_with_targets(tables, positions)
            tables[TARGET] = states[positions]
        logits = self._head(states, tables)
        return np.split(logits, np.cumsum([len(each) for each in positions_of_each])[:-1])


def _group(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield indices of texts of similar length: TOKENS_PER_CALL tokens at most, or one text."""
    group: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if group and sum(lengths[j] for j in (*group, i)) > TOKENS_PER_CALL:
            yield group
            group = []
        group.append(i)
    if group:
        yield group
