"""The features of texts: what the classifier of a model gets, computed once for each text."""

import hashlib
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import ops

from mlm.backend.atomic_files import remove_leftovers, staging_folder
from mlm.backend.input_pipeline import make_input_pipeline
from mlm.data.examples.encoded_examples import EncodedExamples
from mlm.data.examples.example_evaluation_batches import ExampleEvaluationBatches
from mlm.evaluation.evaluator import BatchBar
from mlm.evaluation.task_evaluator import InputBatches
from mlm.terminal.progress import progress

if TYPE_CHECKING:
    from mlm.model.task_model import TaskModel

# An activation is close to linear near 0, or far to the right of it.
LINEAR_AT_ZERO = {"tanh", "linear"}
SMALL, FAR = 0.01, 8.0
FEATURES = "features"  # folder of an output folder, until the run has ended
STAGING_PREFIX = ".writing-"
OF_CACHE = re.compile(r"[0-9a-f]{32}\.npy")


def features_of(
    model: "TaskModel", examples: EncodedExamples, *, batch_size: int, what: str
) -> np.ndarray:
    """Return the features of all examples, in their order: (N, D), of tokens (N, T, D) float32."""
    batches = ExampleEvaluationBatches(examples, batch_size=batch_size)
    computed = _Features(model, batches.width)
    computed.compile()
    with progress(what, total=len(batches), unit="batches") as bar:
        shown = BatchBar(bar, lambda: False)
        pipeline = make_input_pipeline(InputBatches(batches))
        rows = computed.predict(pipeline, verbose=0, callbacks=[shown])
    return batches.reorder(rows)


class _Features(keras.Model):
    """Computes features; those of tokens are padded to one width, so that batches can be joined."""

    def __init__(self, model: "TaskModel", width: int) -> None:
        super().__init__(dtype=model.dtype_policy, name="features")
        self._model, self._width = model, width
        self.built = True

    def call(self, inputs: dict[str, keras.KerasTensor]) -> keras.KerasTensor:
        features = ops.cast(self._model.features(inputs), "float32")
        if len(features.shape) == 3:
            missing = self._width - ops.shape(features)[1]
            features = ops.pad(features, ((0, 0), (0, missing), (0, 0)))
        return features


class FeatureCache:
    """Features in files of a folder, so that a stopped comparison does not encode again."""

    def __init__(self, folder: Path):
        self._folder = folder

    def get(self, model: "TaskModel", examples: EncodedExamples, **settings: object) -> np.ndarray:
        """Return the features of `features_of`, from the folder if it has them."""
        path = self._folder / f"{_key(model, examples)}.npy"
        # None, or damaged by a power cut: it is written again.
        with suppress(OSError, ValueError, EOFError):
            kept: np.ndarray = np.load(path)
            return kept
        features = features_of(model, examples, **settings)  # type: ignore[arg-type]
        with staging_folder(self._folder, STAGING_PREFIX) as staging:
            np.save(staging / path.name, features)
            (staging / path.name).replace(path)
        return features

    def delete(self) -> None:
        """Delete the files of this cache, and the folder if it holds nothing else."""
        remove_leftovers(self._folder, STAGING_PREFIX)
        for path in self._folder.glob("*.npy"):
            if OF_CACHE.fullmatch(path.name):
                path.unlink(missing_ok=True)
        with suppress(OSError):
            self._folder.rmdir()


def _key(model: "TaskModel", examples: EncodedExamples) -> str:
    """Return a hash of the model below its classifier and of the encoded texts."""
    digest = hashlib.sha256(weights_hash(model).encode())
    digest.update(np.ascontiguousarray(examples.ids).tobytes())
    digest.update(np.ascontiguousarray(examples.offsets).tobytes())
    return digest.hexdigest()[:32]


def weights_hash(model: "TaskModel") -> str:
    """Return a hash of a model below its classifier, and of its number format."""
    digest = hashlib.sha256(f"{model.task_head} {model.dtype_policy.name}".encode())
    for variable in model.weights:
        if "/classifier/" not in variable.path:
            digest.update(np.ascontiguousarray(variable.numpy()).tobytes())
    return digest.hexdigest()


def make_dense_linear(model: "TaskModel", largest: float) -> None:
    """Set a new dense layer of the head so that its output is close to linear in its input.

    A new dense layer would hand random mixtures to the classifier. Families without a norm behind
    it can hold the identity instead: where their activation is close to linear.

    largest: the largest magnitude of a state that the head gets.
    """
    head = model.head
    scale, offset = 1.0, largest + FAR
    if model.task_head.dense_act in LINEAR_AT_ZERO:
        scale, offset = SMALL / max(largest, 1e-6), 0.0
    kernel = head.dense.kernel
    head.dense.kernel.assign(scale * np.eye(*kernel.shape, dtype=np.float32))
    head.dense.bias.assign(np.full(head.dense.bias.shape, offset, np.float32))
