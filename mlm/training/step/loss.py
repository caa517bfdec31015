"""The loss of a batch, and its mean over several steps, from the loss of each label.

The loss of masked tokens is here; those of supervised tasks are in task_loss.py.
"""

from collections.abc import Callable

import keras
from keras import ops

from mlm.model.fused import PointwiseOps

# (labels, logits, training) -> the loss of each label, in the shape of the batch's weights.
ElementLoss = Callable[..., "keras.KerasTensor"]


def masked_lm_loss(pointwise_ops: PointwiseOps) -> ElementLoss:
    """Return the cross-entropy in nats of labels (B, P) under logits (B, P, V)."""

    def loss(labels, logits, *, training: bool):
        return pointwise_ops.cross_entropy(logits, labels, training=training)

    return loss


class SummedLoss(keras.losses.Loss):
    """Losses summed with weights that sum to 1: the mean over the labels of the global batch."""

    def __init__(self, element_loss: ElementLoss):
        super().__init__(name="summed_loss", reduction="sum")
        self._element_loss = element_loss

    def call(self, y_true, y_pred):
        """Return the loss of each label, float32."""
        return self._element_loss(y_true, y_pred, training=True)


class MeanLoss(keras.metrics.Mean):
    """Mean loss per label, without the non-finite values of skipped steps.

    `sums` and `carry` take an unfinished mean from one `fit`, or one process, to the next.
    """

    def __init__(self, element_loss: ElementLoss):
        super().__init__(name="mean_loss")
        self._element_loss = element_loss
        self._carried: list[float] | None = None

    def sums(self) -> list[float]:
        """Return the weighted sum so far, and the sum of the weights."""
        return [float(variable.numpy()) for variable in (self.total, self.count)]

    def carry(self, sums: list[float] | None) -> None:
        """Start the next mean from these sums, or from zero if None."""
        self._carried = sums

    def reset_state(self) -> None:
        """Start a new mean, from the sums given to `carry`."""
        super().reset_state()
        if self._carried is not None:
            for variable, value in zip((self.total, self.count), self._carried, strict=True):
                variable.assign(value)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Add a batch: labels, logits, and weights."""
        values = self._element_loss(y_true, y_pred, training=False)
        finite = ops.isfinite(values * sample_weight)
        values = ops.where(finite, values, 0.0)
        return super().update_state(values, ops.where(finite, sample_weight, 0.0))
