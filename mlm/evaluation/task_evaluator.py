"""Measure a fine-tuned model on labelled examples: logits of all of them, then their figures."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from mlm.backend import processes
from mlm.backend.input_pipeline import make_input_pipeline
from mlm.data.examples.encoded_examples import NO_LABEL
from mlm.evaluation.evaluator import BatchBar
from mlm.evaluation.task.measurement import figures_of
from mlm.evaluation.task.metric_names import greater_is_better
from mlm.evaluation.task.task_figures import TaskFigures
from mlm.terminal.progress import progress

if TYPE_CHECKING:
    from mlm.data.examples.encoded_examples import EncodedExamples
    from mlm.data.examples.example_evaluation_batches import ExampleEvaluationBatches
    from mlm.model.task_model import TaskModel


@dataclass(frozen=True)
class TaskMeasurement:
    """Figures, and the number by which two evaluations of a run are compared.

    criterion: the loss, or another metric with the sign that makes lower better.
    """

    figures: TaskFigures
    criterion: float

    @property
    def loss(self) -> float:
        """The mean loss per label."""
        return self.figures.loss

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        return self.figures.to_dict()

    def line(self) -> str:
        """Return the figures in one line for people."""
        return self.figures.line()


class TaskEvaluator:
    """Measures a model, as it is at each call, on one set of examples.

    seconds: that one more measurement takes, by the last one; 0 before it.
    """

    def __init__(
        self,
        model: "TaskModel",
        batches: "ExampleEvaluationBatches",
        *,
        metric_name: str | None = None,
        jit_compile: bool = False,
    ) -> None:
        """Set up the evaluator.

        metric_name: by which evaluations are compared; None compares their losses.
        """
        model.compile_fused_ops()
        self._logits = _Logits(model, batches.width)
        self._logits.compile(jit_compile=jit_compile)
        self._batches, self._metric_name = batches, metric_name
        self.seconds = 0.0

    def logits(
        self, what: str = "evaluating", ends_early: Callable[[], bool] = lambda: False
    ) -> np.ndarray:
        """Return the logits of all examples, in their order: (N, L), of tokens (N, T, L).

        Args:
            what: the title of the progress.
            ends_early: called after each batch; if it returns True, EvaluationStopped is raised.
        """
        with progress(what, total=len(self._batches), unit="batches") as bar:
            shown = BatchBar(bar, ends_early)
            rows = self._logits.predict(
                make_input_pipeline(InputBatches(self._batches)), verbose=0, callbacks=[shown]
            )
        self.seconds = shown.seconds
        return self._batches.reorder(rows)

    def figures(self, ends_early: Callable[[], bool] = lambda: False) -> TaskMeasurement:
        """Return the figures of the examples; for `ends_early`, see `logits`."""
        logits = self.logits(ends_early=ends_early)
        figures = figures_of_logits(self._batches.examples, logits)
        return TaskMeasurement(figures, self._criterion(figures))

    def _criterion(self, figures: TaskFigures) -> float:
        name = self._metric_name
        if name is None:
            return figures.loss
        score = figures.score(name)
        return -score if greater_is_better(name) else score


def figures_of_logits(examples: "EncodedExamples", logits: np.ndarray) -> TaskFigures:
    """Return the figures of logits of all examples, in their order."""
    labels = examples.labels_of(np.arange(len(examples)), logits.shape[1])
    weights = (labels != NO_LABEL).astype(np.float32) if examples.task.is_of_tokens else None
    return figures_of(examples.task, logits, labels, weights)


class _Logits(keras.Model):
    """Computes logits; those of tokens are padded to one width, so that batches can be joined."""

    def __init__(self, model: "TaskModel", width: int) -> None:
        super().__init__(dtype=model.dtype_policy, name="logits")
        self._model, self._width = model, width
        self.built = True

    def call(self, inputs: dict[str, keras.KerasTensor]) -> keras.KerasTensor:
        logits = self._model(inputs, training=False)
        if len(logits.shape) == 3:
            missing = self._width - ops.shape(logits)[1]
            logits = ops.pad(logits, ((0, 0), (0, missing), (0, 0)))
        return processes.replicate(logits)


class InputBatches(keras.utils.PyDataset):
    """The inputs of evaluation batches."""

    lengths_vary = True

    def __init__(self, batches: "ExampleEvaluationBatches") -> None:
        super().__init__(workers=1)
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray]]:
        inputs, _, _ = self._batches[index]
        return (processes.own_rows(inputs),)
