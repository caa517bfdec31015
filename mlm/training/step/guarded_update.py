"""An optimizer's update made safe: clipped over all replicas, unscaled, skipped where not finite.

A mix-in for Keras optimizers. Keras' own clipping sees one replica's share of a gradient, and its
LossScaleOptimizer asks the first replica alone whether a gradient is finite.
"""

from typing import TYPE_CHECKING

import keras
from keras import ops

from mlm.backend.replicas import global_norm, sum_over_replicas, update_if

FIRST_LOSS_SCALE = 2.0**15
STEPS_TO_DOUBLE = 2000  # finite ones in a row, before fp16's loss scale is tried twice as large


if TYPE_CHECKING:
    from keras.optimizers import Optimizer
else:
    Optimizer = object  # what it is mixed into


class GuardedUpdate(Optimizer):
    """A step whose gradient is not finite moves the step counter and nothing else.

    max_grad_norm: largest norm of the global batch's gradient; 0 leaves it alone.
    scales_loss: fp16's loss scaling; a step that only overflowed is not counted as skipped.
    most_skipped_steps: that are allowed; the number of the first one beyond is kept.

    Variables: `skipped_steps` how many, `last_skipped_step` the newest (-1: none), int32;
    `loss_scale` float32 and `finite_steps` int32, in a row.
    """

    max_grad_norm: float = 0.0
    scales_loss: bool = False
    most_skipped_steps: int = 0

    def build(self, variables):
        super().build(variables)
        self.skipped_steps = self._own("skipped_steps", "int32", 0)
        self.last_skipped_step = self._own("last_skipped_step", "int32", -1)
        self.loss_scale = self._own("loss_scale", "float32", self._first_loss_scale)
        self.finite_steps = self._own("finite_steps", "int32", 0)

    def _own(self, name: str, dtype: str, value: float):
        return self.add_variable(
            shape=(), dtype=dtype, initializer=_constant(value), aggregation="none", name=name
        )

    def skipped(self) -> tuple[int, int]:
        """How many steps were skipped, and which was the last, counted from 0 (-1: none).

        Of more than `most_skipped_steps` the first one beyond is given, which is one too many.
        """
        return int(self.skipped_steps.numpy()), int(self.last_skipped_step.numpy())

    def begin_loss_scale(self) -> None:
        """The loss scale as it is at first: a state of another number format has another."""
        self.loss_scale.assign(self._first_loss_scale)
        self.finite_steps.assign(0)

    @property
    def _first_loss_scale(self) -> float:
        return FIRST_LOSS_SCALE if self.scales_loss else 1.0

    def scale_loss(self, loss):
        return loss * ops.cast(self.loss_scale, loss.dtype) if self.scales_loss else loss

    def _apply_weight_decay(self, variables):
        if self.weight_decay:  # Keras subtracts zeros, a pass over all weights
            super()._apply_weight_decay(variables)

    def apply(self, grads, trainable_variables=None):
        grads = [None if grad is None else ops.convert_to_tensor(grad) for grad in grads]
        grads, factor, finite = self._global_gradient(grads)
        if keras.backend.backend() == "jax":  # stateless_apply selects the old or the new values
            super().apply(_scaled(grads, factor), trainable_variables)
            self._count_finite()
            return
        self._apply_where(finite, grads, factor, trainable_variables)

    def _apply_where(self, finite, grads, factor, variables) -> None:
        """On TensorFlow: the update by grads * factor, or none where they are not finite."""

        def update(grads):
            super(GuardedUpdate, self).apply(grads, variables)
            self._count_finite()

        update_if(finite, update, self._skip, _scaled(grads, factor))

    def stateless_apply(self, optimizer_variables, grads, trainable_variables):
        """JAX: both outcomes are computed, one is kept; XLA makes one pass of it."""
        mapping = list(zip(self.variables, optimizer_variables, strict=True))
        with keras.StatelessScope(state_mapping=mapping) as scope:
            *_, finite = self._global_gradient(grads)
            self._skip()
        skipped = [scope.get_current_value(variable) for variable in self.variables]
        old = [
            value if new is None else new
            for new, value in zip(skipped, optimizer_variables, strict=True)
        ]
        moved, new = super().stateless_apply(optimizer_variables, grads, trainable_variables)
        return _chosen(finite, moved, trainable_variables), _chosen(finite, new, old)

    def _global_gradient(self, grads):
        """The gradient of the global batch, what to clip a replica's by, and is it finite."""
        real = [grad for grad in grads if grad is not None]
        summed, replicas = sum_over_replicas(real)
        norm = global_norm(summed) / self.loss_scale
        # Keras sums over the replicas once more, so each hands in its share of the sum.
        factor = 1.0 / (replicas * ops.convert_to_tensor(self.loss_scale))
        if self.max_grad_norm:
            factor = factor * self.max_grad_norm / ops.maximum(norm, self.max_grad_norm)
        left = iter(summed)
        summed = [None if grad is None else next(left) for grad in grads]
        return summed, factor, ops.isfinite(norm)

    def _skip(self) -> None:
        counts = ops.cast(ops.convert_to_tensor(self.loss_scale) <= 1.0, "int32")
        allowed = ops.cast(self.skipped_steps <= self.most_skipped_steps, "int32")
        told = counts * allowed
        last = told * ops.cast(self.iterations, "int32") + (1 - told) * self.last_skipped_step
        self.last_skipped_step.assign(last)
        self.skipped_steps.assign(self.skipped_steps + counts)
        self.iterations.assign(self.iterations + 1)
        if self.scales_loss:
            self.loss_scale.assign(ops.maximum(self.loss_scale * 0.5, 1.0))
            self.finite_steps.assign(self.finite_steps * 0)

    def _count_finite(self) -> None:
        if not self.scales_loss:
            return
        grown = ops.cast(self.finite_steps + 1 >= STEPS_TO_DOUBLE, "int32")
        self.loss_scale.assign(self.loss_scale * ops.cast(1 + grown, "float32"))
        self.finite_steps.assign((self.finite_steps + 1) * (1 - grown))


def _scaled(grads: list, factor) -> list:
    return [None if grad is None else grad * ops.cast(factor, grad.dtype) for grad in grads]


def _constant(value: float):
    return keras.initializers.Constant(value)


def _chosen(condition, these: list, those: list) -> list:
    return [ops.where(condition, a, b) for a, b in zip(these, those, strict=True)]
