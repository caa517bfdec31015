"""The masked-LM loss of a batch, and its mean over several steps, in nats per masked token."""

import keras
from keras import ops

from mlm.model.fused import PointwiseOps


class MaskedLMLoss(keras.losses.Loss):
    """Cross-entropy summed with weights that sum to 1: the global batch's mean per masked token."""

    def __init__(self, pointwise_ops: PointwiseOps):
        super().__init__(name="masked_lm_loss", reduction="sum")
        self._pointwise_ops = pointwise_ops

    def call(self, y_true, y_pred):
        """Return the cross-entropy of labels (B, P) under logits (B, P, V), as (B, P) float32."""
        return self._pointwise_ops.cross_entropy(y_pred, y_true, training=True)


class MeanCrossEntropy(keras.metrics.Mean):
    """Mean cross-entropy per masked token, without the non-finite values of skipped steps.

    `sums` and `carry` take an unfinished mean from one `fit`, or one process, to the next.
    """

    def __init__(self, pointwise_ops: PointwiseOps):
        super().__init__(name="cross_entropy")
        self._pointwise_ops = pointwise_ops
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
        """Add a batch: labels (B, P), logits (B, P, V), weights (B, P)."""
        values = self._pointwise_ops.cross_entropy(y_pred, y_true, training=False)
        finite = ops.isfinite(values * sample_weight)
        values = ops.where(finite, values, 0.0)
        return super().update_state(values, ops.where(finite, sample_weight, 0.0))
