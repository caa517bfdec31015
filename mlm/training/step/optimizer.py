"""The optimizer of a run: AdamW or Muon, decoupled weight decay, warm-up and decay."""

import math
from typing import Any

import keras
from keras import ops

from mlm.backend.replicas import update_if
from mlm.training.config import TrainingConfig
from mlm.training.step.guarded_update import GuardedUpdate

# What no weight decay applies to: biases and the scales of the norms.
NO_DECAY = ("bias", "beta", "gamma")


@keras.saving.register_keras_serializable("mlm")
class WarmupThenDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly over `warmup_steps`, then falls to 0 at `total_steps`, or stays.

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
        left = ops.clip(left, 0.0, 1.0)
        falling = {
            "constant": 1.0,
            "cosine": 0.5 * (1.0 - ops.cos(math.pi * left)),
            "linear": left,
        }[self.kind]
        return self.peak * ops.minimum(rising, falling)

    def get_config(self) -> dict[str, Any]:
        return {
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "total_steps": self.total_steps,
            "kind": self.kind,
        }


class AdamW(GuardedUpdate, keras.optimizers.AdamW):
    """Keras' AdamW, guarded; on one TensorFlow device its update is one pass over memory."""

    def _apply_where(self, finite, grads, factor, variables):
        if keras.backend.backend() == "tensorflow":
            from mlm.training.step.tensorflow import adamw_update, is_on_one_device

            if is_on_one_device():
                variables = variables or self._trainable_variables
                adamw_update(self, grads, variables, factor=factor, finite=finite)
                update_if(finite, self._count, self._skip)
                return
        super()._apply_where(finite, grads, factor, variables)

    def _count(self) -> None:
        self.iterations.assign(self.iterations + 1)
        self._count_finite()


class Muon(GuardedUpdate, keras.optimizers.Muon):
    """Keras' Muon (Jordan et al. 2024; scaled as in Liu et al. 2025), guarded too."""


def make_optimizer(
    config: TrainingConfig, total_steps: int, *, scales_loss: bool = False
) -> keras.optimizers.Optimizer:
    """The optimizer that a TrainingConfig describes, for a run of `total_steps` updates.

    `scales_loss`: fp16's loss scaling.
    """
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
    optimizer.scales_loss = scales_loss
    optimizer.most_skipped_steps = config.skip_bad_steps
    optimizer.exclude_from_weight_decay(var_names=list(NO_DECAY))
    return optimizer
