"""One optimizer update of a MaskedLM, in one pass or in several over parts of its batch.

The weights of a batch sum to 1, so its gradient is the sum of its parts' gradients, however its
rows fall on micro-batches and replicas: k micro-batches give the step of the whole batch. Keras'
own accumulation averages over parts whose numbers of masked tokens differ, and does not work on
several TensorFlow replicas.

    tensorflow.py, jax.py  the loop over the micro-batches, in the backend's own terms
    tensorflow_layers.py   layers that share one traced graph
"""

import keras
from keras import ops

from mlm.model.fused import Elementwise


class Learner(keras.Model):
    """A MaskedLM as `fit` trains it; its variables are the MaskedLM's own.

    gradient_accumulation_steps: micro-batches in one step. A replica's rows have to divide by it.
    """

    def __init__(self, masked_lm, gradient_accumulation_steps: int = 1):
        super().__init__(dtype=masked_lm.dtype_policy, name="learner")
        self.masked_lm = masked_lm
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.built = True
        self.elementwise = masked_lm.compile_elementwise()
        if keras.backend.backend() == "tensorflow":
            from mlm.training.step.tensorflow_layers import SharedLayerGraphs

            masked_lm.call_layer = SharedLayerGraphs()

    def call(self, inputs, training=False):
        return self.masked_lm(inputs, training=training)

    def compile_for_training(self, optimizer, *, jit_compile: bool) -> "MeanNats":
        """Take the loss of batches whose weights sum to 1; its mean over steps is given back."""
        # Not kept as an attribute: Keras would count its variables twice, and JAX donate them so.
        nats = MeanNats(self.elementwise, name="nats")
        self.compile(
            optimizer,
            loss=SumOfNats(self.elementwise),
            weighted_metrics=[nats],
            jit_compile=jit_compile,
            auto_scale_loss=False,  # the optimizer does it, and looks at all replicas
        )
        self.optimizer.build(self.trainable_variables)
        return nats

    def train_step(self, *arguments):
        if self.gradient_accumulation_steps == 1:
            return super().train_step(*arguments)
        if keras.backend.backend() == "jax":
            from mlm.training.step.jax import train_step
        else:
            from mlm.training.step.tensorflow import train_step  # type: ignore[assignment]
        return train_step(self, *arguments)


class SumOfNats(keras.losses.Loss):
    """Of weights that sum to 1: the mean over all masked tokens of the global batch."""

    def __init__(self, elementwise: Elementwise):
        super().__init__(name="nats", reduction="sum")
        self._elementwise = elementwise

    def call(self, y_true, y_pred):
        return self._elementwise.nats(y_pred, y_true, training=True)


class MeanNats(keras.metrics.Mean):
    """Nats per masked token over the finite ones: a skipped step does not spoil the others.

    `sums` and `carry` take a mean that is not finished from one `fit`, or one process, to the next.
    """

    def __init__(self, elementwise: Elementwise, name: str):
        super().__init__(name=name)
        self._elementwise = elementwise
        self._carried: list[float] | None = None

    def sums(self) -> list[float]:
        """The weighted sum so far, and the sum of the weights."""
        return [float(variable.numpy()) for variable in (self.total, self.count)]

    def carry(self, sums: list[float] | None) -> None:
        """Begin the next mean from these sums, None for a new one."""
        self._carried = sums

    def reset_state(self):
        super().reset_state()
        if self._carried is not None:
            for variable, value in zip((self.total, self.count), self._carried, strict=True):
                variable.assign(value)

    def update_state(self, y_true, y_pred, sample_weight=None):
        nats = self._elementwise.nats(y_pred, y_true, training=False)
        finite = ops.isfinite(nats * sample_weight)
        nats = ops.where(finite, nats, 0.0)
        return super().update_state(nats, ops.where(finite, sample_weight, 0.0))
