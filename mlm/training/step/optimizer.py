"""The optimizer of a run: AdamW or Muon, decoupled weight decay, warm-up and decay."""

import math
from collections.abc import Mapping

import keras
from keras import ops

from mlm.backend.replicas import update_if
from mlm.training.run_settings import RunSettings
from mlm.training.step.safe_update import SafeUpdate

# Variables without weight decay: biases and the scales of the norms.
NO_DECAY = ("bias", "beta", "gamma")


@keras.saving.register_keras_serializable("mlm")
class WarmupThenDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Learning-rate schedule with warm-up: rises linearly, then falls to 0 or stays constant.

    kind: linear, cosine, constant, or warmup_stable_decay, for the steps from `warmup_steps` to
    `total_steps`; the last one is constant but for its last `decay_ratio` of all steps.
    The first update already has 1/warmup_steps of the peak, the last one more than 0.
    """

    def __init__(
        self,
        peak: float,
        warmup_steps: int,
        total_steps: int,
        kind: str = "linear",
        decay_ratio: float = 1.0,
    ):
        super().__init__()
        self.peak, self.kind, self.decay_ratio = peak, kind, decay_ratio
        self.warmup_steps, self.total_steps = warmup_steps, total_steps

    def __call__(self, step):
        """Return the learning rate of a step, counted from 0."""
        step = ops.cast(step, "float32")
        rising = (step + 1.0) / max(1, self.warmup_steps)
        remaining = (self.total_steps - step) / max(1, self.total_steps - self.warmup_steps)
        remaining = ops.clip(remaining, 0.0, 1.0)
        decaying = (self.total_steps - step) / max(1.0, self.decay_ratio * self.total_steps)
        falling = {
            "constant": 1.0,
            "cosine": 0.5 * (1.0 - ops.cos(math.pi * remaining)),
            "linear": remaining,
            "warmup_stable_decay": ops.clip(decaying, 0.0, 1.0),
        }[self.kind]
        return self.peak * ops.minimum(rising, falling)

    def get_config(self) -> dict[str, float | str]:
        """Return the constructor's arguments, for Keras to save."""
        return {
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "total_steps": self.total_steps,
            "kind": self.kind,
            "decay_ratio": self.decay_ratio,
        }


class AdamW(SafeUpdate, keras.optimizers.AdamW):
    """Keras' AdamW with safe updates; on one TensorFlow device, one pass over memory."""

    def _apply_if_finite(self, finite, grads, factor, variables):
        if keras.backend.backend() == "tensorflow":
            from mlm.training.step.tensorflow import adamw_update, is_on_one_device

            if is_on_one_device():
                variables = variables or self._trainable_variables
                adamw_update(self, grads, variables, factor=factor, finite=finite)
                update_if(finite, self._count_step, self._skip_step)
                return
        super()._apply_if_finite(finite, grads, factor, variables)

    def _count_step(self) -> None:
        self.iterations.assign(self.iterations + 1)
        self._note_finite_step()


class Muon(SafeUpdate, keras.optimizers.Muon):
    """Keras' Muon (Jordan et al. 2024; scaled as in Liu et al. 2025) with safe updates."""


def make_optimizer(
    config: RunSettings,
    total_steps: int,
    *,
    learning_rate: float | None = None,
    scales_loss: bool = False,
    rate_factors: Mapping[str, float] | None = None,
) -> keras.optimizers.Optimizer:
    """Return the optimizer of a run, for a run of `total_steps` updates.

    learning_rate: its peak; None takes that of the settings.
    scales_loss: whether to use fp16's loss scaling.
    rate_factors: path of a variable -> factor of its learning rate; 1 for those not named.
    """
    schedule = _schedule(config, total_steps, learning_rate or config.learning_rate or 0.0)
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
    optimizer.rate_factors = dict(rate_factors or {})
    optimizer.max_skipped_steps = config.skip_bad_steps
    optimizer.exclude_from_weight_decay(var_names=list(NO_DECAY))
    return optimizer


def _schedule(config: RunSettings, total_steps: int, peak: float) -> WarmupThenDecay:
    warmup = config.warmup_steps or round(config.warmup_ratio * total_steps)
    return WarmupThenDecay(
        peak,
        warmup,
        total_steps,
        kind=config.lr_scheduler_type,
        decay_ratio=config.lr_decay_ratio,
    )
