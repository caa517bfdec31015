"""The optimizer of a run: decoupled weight decay, warm-up and decay, clipping over all replicas."""

from typing import Any

import keras
from keras import ops

from mlm.config import TrainingConfig
from mlm.devices import sum_over_replicas

# What no weight decay applies to: biases and the scales of the norms.
NO_DECAY = ("bias", "beta", "gamma")


@keras.saving.register_keras_serializable("mlm")
class WarmupThenDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly over `warmup_steps`, then falls linearly to 0 at `total_steps` or stays.

    The first update already has 1/warmup_steps of the peak, the last one more than 0.
    """

    def __init__(self, peak: float, warmup_steps: int, total_steps: int, kind: str = "linear"):
        super().__init__()
        self.peak, self.kind = peak, kind
        self.warmup_steps, self.total_steps = warmup_steps, total_steps

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rising = (step + 1.0) / max(1, self.warmup_steps)
        left = (self.total_steps - step) / max(1, self.total_steps - self.warmup_steps)
        falling = ops.clip(left, 0.0, 1.0) if self.kind == "linear" else 1.0
        return self.peak * ops.minimum(rising, falling)

    def get_config(self) -> dict[str, Any]:
        return {
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "total_steps": self.total_steps,
            "kind": self.kind,
        }


class _ClippedOverReplicas:
    """Clips the gradient of the global batch, where Keras' own would clip each replica's share."""

    max_grad_norm: float = 0.0

    def apply(self, grads, trainable_variables=None):
        grads = [None if grad is None else ops.convert_to_tensor(grad) for grad in grads]
        super().apply(self._clipped(grads), trainable_variables)  # type: ignore[misc]

    def _clipped(self, grads):
        if not self.max_grad_norm:
            return grads
        real = [grad for grad in grads if grad is not None]
        summed, replicas = sum_over_replicas(real)
        squares = [ops.sum(ops.square(ops.cast(grad, "float32"))) for grad in summed]
        norm = ops.sqrt(sum(squares[1:], start=squares[0]))
        factor = self.max_grad_norm / ops.maximum(norm, self.max_grad_norm)
        # Keras sums over the replicas once more, so each hands in its share of the clipped sum.
        clipped = iter([grad * ops.cast(factor / replicas, grad.dtype) for grad in summed])
        return [None if grad is None else next(clipped) for grad in grads]


class AdamW(_ClippedOverReplicas, keras.optimizers.AdamW):
    """Keras' AdamW with clipping over the global batch."""


class Muon(_ClippedOverReplicas, keras.optimizers.Muon):
    """Keras' Muon (Jordan et al. 2024; scaled as in Liu et al. 2025), clipped the same way."""


def make_optimizer(config: TrainingConfig, total_steps: int) -> keras.optimizers.Optimizer:
    """The optimizer that a TrainingConfig describes, for a run of `total_steps` updates."""
    warmup = config.warmup_steps or round(config.warmup_ratio * total_steps)
    schedule = WarmupThenDecay(
        config.learning_rate, warmup, total_steps, kind=config.lr_scheduler_type
    )
    decay = float(config.weight_decay)
    if config.optim == "muon":
        optimizer = Muon(
            schedule,
            weight_decay=decay,
            adam_weight_decay=decay,
            adam_beta_1=config.adam_beta1,
            adam_beta_2=config.adam_beta2,
            epsilon=config.adam_epsilon,
            exclude_layers=["head/"],
        )
    else:
        optimizer = AdamW(
            schedule,
            weight_decay=decay,
            beta_1=config.adam_beta1,
            beta_2=config.adam_beta2,
            epsilon=config.adam_epsilon,
        )
    optimizer.max_grad_norm = config.max_grad_norm
    optimizer.exclude_from_weight_decay(var_names=list(NO_DECAY))
    return optimizer
