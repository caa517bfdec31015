"""Where a run stands, and training.json: what a finished one says of itself."""

from dataclasses import dataclass, field
from typing import Any

from mlm.backend.hardware import versions
from mlm.evaluation.evaluator import Figures
from mlm.training.preparation import Preparation


@dataclass
class Progress:
    """Plain values, saved with every state.

    seconds: spent in training steps; loss curves: [step, nats] pairs; skipped_steps: of them, how
    many had a loss or gradient that was not finite; best_loss: the lowest validation loss,
    evaluations_without_gain since; unfinished_mean: the metric's sums since the last point.
    """

    step: int = 0
    seconds: float = 0.0
    before: dict[str, float] | None = None
    loss_curve: list[list[float]] = field(default_factory=list)
    validation_curve: list[list[float]] = field(default_factory=list)
    skipped_steps: int = 0
    best_loss: float | None = None
    best_step: int = 0
    evaluations_without_gain: int = 0
    unfinished_mean: list[float] | None = None

    def note_evaluation(self, loss: float) -> bool:
        """Enter the loss at this step; True if it is the lowest so far."""
        self.validation_curve.append([self.step, loss])  # in full: the best is chosen by it
        if self.best_loss is not None and not loss < self.best_loss:
            self.evaluations_without_gain += 1
            return False
        self.best_loss, self.best_step, self.evaluations_without_gain = loss, self.step, 0
        return True

    def validation_loss(self) -> float | None:
        """The validation loss of the weights as they are, None if they were not evaluated."""
        if self.validation_curve and self.validation_curve[-1][0] == self.step:
            return self.validation_curve[-1][1]
        return None

    def tokens_per_second(self, tokens_per_step: float) -> float:
        return self.step * tokens_per_step / max(1e-9, self.seconds)


def training_record(ready: Preparation, progress: Progress, after: Figures) -> dict[str, Any]:
    """What training.json holds: settings, corpus, figures, curves, hardware, versions."""
    config = ready.config
    record = {
        "config": config.to_public_dict(),
        "base_model": ready.base_model,
        "corpus": {"fingerprint": ready.store.fingerprint, **ready.store.manifest},
        "metrics": {"before": progress.before, "after": after.to_dict()},
        "loss_curve": progress.loss_curve,
        "validation_curve": [[step, round(loss, 5)] for step, loss in progress.validation_curve],
        "tokens_per_second": round(progress.tokens_per_second(ready.batches.tokens_per_step), 1),
        "seconds": round(progress.seconds, 1),
        "steps": progress.step,
        "skipped_steps": progress.skipped_steps,
        "seed": config.seed,
        "hardware": {
            "device": ready.device.name,
            "replicas": ready.device.num_replicas,
            "policy": ready.device.policy,
        },
        "versions": versions(),
    }
    if config.load_best_model_at_end:
        record["best_step"] = progress.best_step
    return record
