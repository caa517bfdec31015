"""The parts of a run that depend on what the model learns, as the run loop takes them.

Masked-LM training and fine-tuning each prepare such parts; steps, states and devices are the same.
"""

from collections.abc import Callable, Mapping, Sized
from typing import TYPE_CHECKING, Protocol

from mlm.backend.devices import Device
from mlm.checkpoint.strict_json import JsonObject
from mlm.data.batches.dynamic_padding import Batch
from mlm.training.run_settings import RunSettings

if TYPE_CHECKING:
    from mlm.model.encoder import Encoder
    from mlm.training.step.loss import ElementLoss


class RunFigures(Protocol):
    """The figures of an evaluation."""

    @property
    def loss(self) -> float:
        """The validation loss, in nats."""

    @property
    def criterion(self) -> float:
        """The number by which two evaluations are compared; lower is better."""

    def to_dict(self) -> JsonObject:
        """Return the figures as plain values."""

    def line(self) -> str:
        """Return the figures in one line for people."""


class RunEvaluator(Protocol):
    """Measures the model as it is; `seconds` are those of one more measurement."""

    seconds: float

    def figures(self, ends_early: Callable[[], bool] = lambda: False) -> RunFigures:
        """Return the figures; EvaluationStopped if `ends_early` returned True after a batch."""


class RunBatches(Protocol):
    """Training batches, each a pure function of (seed, step)."""

    @property
    def global_batch_size(self) -> int:
        """Rows of a batch, over all devices."""

    @property
    def num_sequences(self) -> int:
        """Rows of an epoch."""

    @property
    def is_padded(self) -> bool:
        """True if attention needs a mask."""

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """The sizes that batches may be trimmed to."""

    @property
    def tokens_per_step(self) -> float:
        """Mean tokens of a batch, without padding."""

    def batch_at(self, step: int) -> Batch:
        """Return (inputs, labels, weights) of a step; the weights sum to 1."""

    def trim(self, batch: Batch) -> Batch:
        """Return the batch in the smallest of the sizes that holds it."""


class RunParts(Protocol):
    """Everything that a run consists of before its first step."""

    @property
    def config(self) -> RunSettings:
        """The settings of the run."""

    @property
    def device(self) -> Device:
        """The device, or several, to train on."""

    @property
    def model(self) -> "Encoder":
        """The model, whose weights are trained."""

    @property
    def batches(self) -> RunBatches:
        """The training batches."""

    @property
    def micro_batches(self) -> int:
        """Into how many parts a replica splits its rows of a step."""

    @property
    def total_steps(self) -> int:
        """Optimizer updates of the whole run."""

    @property
    def fingerprint(self) -> str:
        """Hash of texts and tokenizer, by which a resumed run is recognized."""

    @property
    def learning_rate(self) -> float:
        """The peak learning rate."""

    def rate_factors(self) -> Mapping[str, float]:
        """Return the factors of the learning rates of variables, by their path."""

    def element_loss(self) -> "ElementLoss":
        """Return the loss of each label, for the learner."""

    @property
    def evaluation_batches(self) -> Sized:
        """The batches of an evaluation."""

    def make_evaluator(self, at_most: int | None = None) -> RunEvaluator:
        """Return the evaluator on held-out texts; call it in the scope of the device.

        at_most: batches to evaluate on, for a dry run; None for all.
        """
