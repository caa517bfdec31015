"""Safe optimizer updates: clip over all replicas, undo the loss scale, skip non-finite steps.

Keras' own clipping sees one replica's share of a gradient, and its LossScaleOptimizer checks only
the first replica's gradient for finite values.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import keras
from keras import ops

from mlm.backend.replicas import as_one_tensor, global_norm, sum_over_replicas, update_if

FIRST_LOSS_SCALE = 2.0**15
STEPS_TO_DOUBLE = 2000  # consecutive finite steps before fp16's loss scale is doubled


if TYPE_CHECKING:
    from keras.optimizers import Optimizer
else:
    Optimizer = object  # the base class at run time: the Keras optimizer comes from the subclass


class SafeUpdate(Optimizer):
    """Mix-in for Keras optimizers. A non-finite step is skipped: only the step counter advances.

    max_grad_norm: largest norm of the global batch's gradient; 0 for no clipping.
    scales_loss: fp16's loss scaling; a step that only overflowed is not counted as skipped.
    max_skipped_steps: how many skipped steps are allowed.
    rate_factors: path of a variable -> factor of its learning rate and weight decay.

    Variables: `skipped_steps` (a count) and `last_skipped_step` (-1: none), int32; `loss_scale`
    float32 and `finite_steps` (consecutive ones) int32.
    """

    max_grad_norm: float = 0.0
    scales_loss: bool = False
    max_skipped_steps: int = 0
    rate_factors: Mapping[str, float] = MappingProxyType({})
    weight_decay: float | None  # of Keras' optimizers

    def build(self, variables):
        """Create the optimizer's variables, then those of this class."""
        super().build(variables)
        self.skipped_steps = self._add_scalar("skipped_steps", "int32", 0)
        self.last_skipped_step = self._add_scalar("last_skipped_step", "int32", -1)
        self.loss_scale = self._add_scalar("loss_scale", "float32", self._first_loss_scale)
        self.finite_steps = self._add_scalar("finite_steps", "int32", 0)

    def _add_scalar(self, name: str, dtype: str, value: float) -> keras.Variable:
        initializer = keras.initializers.Constant(value)
        return self.add_variable(
            shape=(), dtype=dtype, initializer=initializer, aggregation="none", name=name
        )

    def read_skipped(self) -> tuple[int, int]:
        """Return the number of skipped steps, and the index of the last one (-1: none).

        After more than `max_skipped_steps` the index stays at the first step beyond them.
        """
        return int(self.skipped_steps.numpy()), int(self.last_skipped_step.numpy())

    def reset_loss_scale(self) -> None:
        """Start loss scaling again, after a state of another number format was restored."""
        self.loss_scale.assign(self._first_loss_scale)
        self.finite_steps.assign(0)

    @property
    def _first_loss_scale(self) -> float:
        return FIRST_LOSS_SCALE if self.scales_loss else 1.0

    def scale_loss(self, loss):
        """Return the loss times the loss scale."""
        return loss * ops.cast(self.loss_scale, loss.dtype) if self.scales_loss else loss

    def rate_factor(self, variable) -> float:
        """Return the factor of a variable's learning rate."""
        if not self.rate_factors:
            return 1.0
        # TensorFlow passes its own variable, which has no path.
        known = self._trainable_variables[self._get_variable_index(variable)]
        return self.rate_factors.get(known.path, 1.0)

    def update_step(self, gradient, variable, learning_rate):
        """Update a variable, at its own learning rate."""
        factor = self.rate_factor(variable)
        own_rate = learning_rate if factor == 1.0 else learning_rate * factor
        super().update_step(gradient, variable, own_rate)

    def _apply_weight_decay(self, variables):
        if not self.weight_decay:  # Keras would subtract zeros, a pass over all weights
            return
        by_factor: dict[float, list] = {}
        for variable in variables:
            by_factor.setdefault(self.rate_factor(variable), []).append(variable)
        decay = self.weight_decay
        for factor, group in by_factor.items():
            self.weight_decay = decay * factor
            super()._apply_weight_decay(group)
        self.weight_decay = decay

    def apply(self, grads, trainable_variables=None):
        """Update the variables by one replica's gradients of the scaled loss."""
        grads = [None if grad is None else as_one_tensor(grad) for grad in grads]
        grads, factor, finite = self._global_gradient(grads)
        if keras.backend.backend() == "jax":  # stateless_apply selects the old or the new values
            super().apply(_scale(grads, factor), trainable_variables)
            self._note_finite_step()
            return
        self._apply_if_finite(finite, grads, factor, trainable_variables)

    def _apply_if_finite(self, finite, grads, factor, variables) -> None:
        """Update by grads * factor if `finite`, else skip the step. TensorFlow only."""

        def update(grads):
            super(SafeUpdate, self).apply(grads, variables)
            self._note_finite_step()

        update_if(finite, update, self._skip_step, _scale(grads, factor))

    def stateless_apply(self, optimizer_variables, grads, trainable_variables):
        """Compute the updated and the skipped values, and select; XLA fuses this into one pass.

        JAX only. Returns the trainable and the optimizer's variables.
        """
        mapping = list(zip(self.variables, optimizer_variables, strict=True))
        with keras.StatelessScope(state_mapping=mapping) as scope:
            *_, finite = self._global_gradient(grads)
            self._skip_step()
        skipped = [scope.get_current_value(variable) for variable in self.variables]
        old = [
            value if new is None else new
            for new, value in zip(skipped, optimizer_variables, strict=True)
        ]
        moved, new = super().stateless_apply(optimizer_variables, grads, trainable_variables)
        return _select(finite, moved, trainable_variables), _select(finite, new, old)

    def _global_gradient(self, grads):
        """Return the global batch's gradient, a factor, and whether the gradient is finite.

        The factor clips, undoes the loss scale, and divides by the number of replicas.
        """
        real = [grad for grad in grads if grad is not None]
        summed, replicas = sum_over_replicas(real)
        norm = global_norm(summed) / self.loss_scale
        # Keras sums over the replicas once more, so each replica passes its share of the sum.
        factor = 1.0 / (replicas * ops.convert_to_tensor(self.loss_scale))
        if self.max_grad_norm:
            factor = factor * self.max_grad_norm / ops.maximum(norm, self.max_grad_norm)
        remaining = iter(summed)
        summed = [None if grad is None else next(remaining) for grad in grads]
        return summed, factor, ops.isfinite(norm)

    def _skip_step(self) -> None:
        counted = ops.cast(ops.convert_to_tensor(self.loss_scale) <= 1.0, "int32")
        allowed = ops.cast(self.skipped_steps <= self.max_skipped_steps, "int32")
        kept = counted * allowed
        last = kept * ops.cast(self.iterations, "int32") + (1 - kept) * self.last_skipped_step
        self.last_skipped_step.assign(last)
        self.skipped_steps.assign(self.skipped_steps + counted)
        self.iterations.assign(self.iterations + 1)
        if self.scales_loss:
            self.loss_scale.assign(ops.maximum(self.loss_scale * 0.5, 1.0))
            self.finite_steps.assign(self.finite_steps * 0)

    def _note_finite_step(self) -> None:
        """Double the loss scale after STEPS_TO_DOUBLE consecutive finite steps."""
        if not self.scales_loss:
            return
        grown = ops.cast(self.finite_steps + 1 >= STEPS_TO_DOUBLE, "int32")
        self.loss_scale.assign(self.loss_scale * ops.cast(1 + grown, "float32"))
        self.finite_steps.assign((self.finite_steps + 1) * (1 - grown))


def _scale(grads: list, factor) -> list:
    return [None if grad is None else grad * ops.cast(factor, grad.dtype) for grad in grads]


def _select(condition, new: list, old: list) -> list:
    return [ops.where(condition, a, b) for a, b in zip(new, old, strict=True)]
