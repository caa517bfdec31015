"""Loss, perplexity and accuracy of a masked LM on one set of batches, under one fixed protocol.

Protocol: the validation sequences in order; 15 % of their tokens are the targets, drawn with seed 0
whatever the training rate, and masked 80/10/10. Each metric is a sum over the targets, divided once
by their number.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Protocol

import keras
import numpy as np
from keras import ops

from mlm.backend import processes
from mlm.backend.input_pipeline import make_input_pipeline
from mlm.data.batches.dynamic_padding import Batch
from mlm.data.batches.evaluation_batches import NOTHING_TO_MEASURE
from mlm.errors import CorpusError
from mlm.terminal.progress import Bar, progress
from mlm.terminal.tables import format_number

if TYPE_CHECKING:
    from mlm.model.encoder import MaskedLM


@dataclass(frozen=True)
class Figures:
    """Masked-LM metrics over the target tokens of some texts.

    Attributes:
        loss: Mean cross-entropy, in nats.
        top1: Share of the targets that the model ranks first.
        top5: Share of the targets that the model ranks among its first five.
        num_tokens: Number of targets.
    """

    loss: float
    top1: float
    top5: float
    num_tokens: int

    @property
    def perplexity(self) -> float:
        """Masked-token perplexity, exp(loss); not that of a left-to-right model."""
        return math.exp(min(self.loss, 700.0))

    @property
    def criterion(self) -> float:
        """The number by which two evaluations are compared: the loss."""
        return self.loss

    def line(self) -> str:
        """Return the figures in one line for people."""
        return (
            f"masked-token perplexity {format_number(self.perplexity)} (loss {self.loss:.4f} nats)"
            f", top-1 {self.top1:.1%}, top-5 {self.top5:.1%} of {self.num_tokens:,} masked tokens "
            "in held-out documents"
        )

    def to_dict(self) -> dict[str, float]:
        """Return the fields and the perplexity, as training.json has them."""
        return asdict(self) | {"perplexity": self.perplexity}

    @classmethod
    def from_dict(cls, figures: Mapping[str, float]) -> "Figures":
        """Return the figures that `to_dict` was called on."""
        return cls(
            loss=figures["loss"],
            top1=figures["top1"],
            top5=figures["top5"],
            num_tokens=int(figures["num_tokens"]),
        )


@dataclass(frozen=True)
class TargetScores:
    """Scores of the labels at the masked positions of all batches, in arrays of shape (N, P).

    Attributes:
        cross_entropy: Cross-entropy of the label, in nats.
        ranks: Rank of the label among the vocabulary; 0 is first.
        weights: 1 for a target, 0 for padding.
    """

    cross_entropy: np.ndarray
    ranks: np.ndarray
    weights: np.ndarray


class LabelScorer(keras.Model):
    """Computes the cross-entropy and rank of given labels.

    The reduction is part of the compiled program, so the (B, P, V) logits never leave the device.
    """

    def __init__(self, masked_lm: "MaskedLM") -> None:
        super().__init__(dtype=masked_lm.dtype_policy)
        self.masked_lm = masked_lm
        self.built = True

    def call(self, inputs: dict[str, keras.KerasTensor]) -> dict[str, keras.KerasTensor]:
        """Return `cross_entropy` and `ranks`, (B, P), for the model's inputs and `labels`."""
        logits = self.masked_lm(
            {name: value for name, value in inputs.items() if name != "labels"}, training=False
        )
        label_logits = ops.take_along_axis(logits, inputs["labels"][..., None], axis=-1)
        cross_entropy = ops.logsumexp(logits, axis=-1) - label_logits[..., 0]
        # Counts the words that do not score better: a NaN compares false, so it ranks last.
        not_better = ops.sum(ops.cast(logits <= label_logits, "int32"), axis=-1)
        ranks = self.masked_lm.config.vocab_size - not_better
        return {
            "cross_entropy": processes.replicate(cross_entropy),
            "ranks": processes.replicate(ranks),
        }


class TargetBatches(Protocol):
    """Batches with targets, such as EvaluationBatches: inputs, labels and weights."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Batch]: ...

    def __getitem__(self, index: int) -> Batch: ...


class _LabelledBatches(keras.utils.PyDataset):
    """Evaluation batches with their labels among the inputs."""

    def __init__(self, batches: TargetBatches) -> None:
        super().__init__(workers=1)
        self._batches = batches
        self.lengths_vary = getattr(batches, "lengths_vary", False)

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray]]:
        inputs, labels, _ = self._batches[index]
        return (processes.own_rows({**inputs, "labels": labels}),)


class EvaluationStopped(Exception):
    """An evaluation was ended before its last batch, as its caller wanted."""


class BatchBar(keras.callbacks.Callback):
    """Moves the bar of an evaluation; `seconds` are those without compiling, once it has ended.

    ends_early: called after each batch; True raises EvaluationStopped.
    """

    def __init__(self, bar: Bar, ends_early: Callable[[], bool]) -> None:
        super().__init__()
        self._bar, self._ends_early = bar, ends_early
        bar.note = "compiling"

    def on_predict_batch_end(self, batch: int, logs: dict[str, object] | None = None) -> None:
        """Count a batch."""
        count_batch(self._bar)
        if self._ends_early():
            raise EvaluationStopped

    @property
    def seconds(self) -> float:
        """Seconds of all batches, at the speed of those after the first."""
        count = self._bar.done
        later = max(1, count - self._bar.done_at_start)
        return self._bar.elapsed * count / later


def count_batch(bar: Bar) -> None:
    """Count a batch; the time left is estimated without the first one, which is compiled."""
    bar.advance()
    if bar.done == 1 and bar.total != 1:
        bar.started, bar.done_at_start = time.monotonic(), 1
    bar.note = ""


class Evaluator:
    """Measures a model, as it is at each call, on one set of evaluation batches.

    seconds: that one more measurement takes, by the last one; 0 before it.
    """

    def __init__(
        self, masked_lm: "MaskedLM", batches: TargetBatches, *, jit_compile: bool = False
    ) -> None:
        masked_lm.compile_fused_ops()
        self._scorer = LabelScorer(masked_lm)
        self._scorer.compile(jit_compile=jit_compile)
        self._batches = batches
        self.seconds = 0.0

    def target_scores(
        self, what: str = "evaluating", ends_early: Callable[[], bool] = lambda: False
    ) -> TargetScores:
        """Return the cross-entropy and rank of every label.

        Args:
            what: the title of the progress.
            ends_early: called after each batch; if it returns True, EvaluationStopped is raised.
        """
        with progress(what, total=len(self._batches), unit="batches") as bar:
            shown = BatchBar(bar, ends_early)
            scores = self._scorer.predict(
                make_input_pipeline(_LabelledBatches(self._batches)), verbose=0, callbacks=[shown]
            )
        self.seconds = shown.seconds
        weights = np.concatenate([batch[2] for batch in self._batches])
        return TargetScores(scores["cross_entropy"], scores["ranks"], weights)

    def figures(self, ends_early: Callable[[], bool] = lambda: False) -> Figures:
        """Return the protocol's figures, summed in float64; for `ends_early`, see above."""
        return figures_of(self.target_scores(ends_early=ends_early))


def figures_of(scores: TargetScores) -> Figures:
    """Return sums over the targets, divided by their number; CorpusError if there are none."""
    is_target = scores.weights > 0
    count = int(is_target.sum())
    if not count:
        raise CorpusError(NOTHING_TO_MEASURE)
    cross_entropy = scores.cross_entropy[is_target].astype(np.float64)
    ranks = scores.ranks[is_target]
    return Figures(
        loss=float(cross_entropy.sum() / count),
        top1=float((ranks < 1).sum() / count),
        top5=float((ranks < 5).sum() / count),
        num_tokens=count,
    )
