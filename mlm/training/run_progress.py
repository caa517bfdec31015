"""The progress of a run, with its curves."""

import math
from dataclasses import dataclass, field

from mlm.checkpoint.strict_json import JsonObject


@dataclass
class Progress:
    """Plain values, saved with every state.

    seconds: spent in training steps; evaluation_seconds: in the last evaluation; before: figures
    before the first step; curves: pairs [step, loss in nats]; skipped_steps: steps whose loss or
    gradient was not finite; best_loss: the lowest validation loss, or other criterion;
    evaluations_without_gain: since then; unfinished_mean: sums of the loss metric since the last
    point of the curve.
    """

    step: int = 0
    seconds: float = 0.0
    evaluation_seconds: float = 0.0
    before: JsonObject | None = None
    loss_curve: list[list[float]] = field(default_factory=list)
    validation_curve: list[list[float]] = field(default_factory=list)
    skipped_steps: int = 0
    best_loss: float | None = None
    best_step: int = 0
    evaluations_without_gain: int = 0
    unfinished_mean: list[float] | None = None

    def note_evaluation(self, loss: float, criterion: float) -> bool:
        """Enter the validation loss of this step; return whether it is the best so far.

        criterion: the number by which evaluations are compared; lower is better, NaN never is.
        """
        self.validation_curve.append([self.step, loss])  # in full: the best is chosen by it
        if math.isnan(criterion) and self.best_loss is None:  # nothing is the best yet
            self.evaluations_without_gain += len(self.validation_curve) > 1
            return False
        if self.best_loss is not None and not criterion < self.best_loss:
            self.evaluations_without_gain += 1
            return False
        self.best_loss, self.best_step, self.evaluations_without_gain = criterion, self.step, 0
        return True

    def validation_loss(self) -> float | None:
        """Return the validation loss of the present weights, None if they were not evaluated."""
        if self.validation_curve and self.validation_curve[-1][0] == self.step:
            return self.validation_curve[-1][1]
        return None

    def tokens_per_second(self, tokens_per_step: float) -> float:
        """Return the mean speed, tokens without padding."""
        return self.step * tokens_per_step / max(1e-9, self.seconds)
