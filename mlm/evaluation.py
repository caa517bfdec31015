"""Masked loss, perplexity and accuracy under one fixed protocol.

Protocol: the validation sequences in order, 15 % of their tokens chosen with seed 0 whatever the
training rate, 80/10/10; every figure is a sum over chosen tokens divided once by their number.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import keras
import numpy as np
from keras import ops

from mlm.batches import Batch


@dataclass(frozen=True)
class Figures:
    """loss: nats per masked token; top1, top5: share of them ranked first, among five."""

    loss: float
    top1: float
    top5: float
    num_tokens: int

    @property
    def perplexity(self) -> float:
        """exp(loss): masked-token perplexity, not that of a left-to-right model."""
        return math.exp(min(self.loss, 700.0))

    def to_dict(self) -> dict[str, float]:
        return asdict(self) | {"perplexity": self.perplexity}


@dataclass(frozen=True)
class SlotScores:
    """Per prediction slot, (N, P): nats of the label, its rank (0 is first), 1 for a real slot."""

    nats: np.ndarray
    ranks: np.ndarray
    weights: np.ndarray


class LabelScorer(keras.Model):
    """A MaskedLM asked how it ranks given labels: the (B, P, V) logits never leave the device."""

    def __init__(self, masked_lm):
        super().__init__(dtype=masked_lm.dtype_policy)
        self.masked_lm = masked_lm
        self.built = True

    def call(self, inputs):
        logits = self.masked_lm(
            {name: value for name, value in inputs.items() if name != "labels"}, training=False
        )
        of_label = ops.take_along_axis(logits, inputs["labels"][..., None], axis=-1)
        nats = ops.logsumexp(logits, axis=-1) - of_label[..., 0]
        ranks = ops.sum(ops.cast(logits > of_label, "int32"), axis=-1)
        return {"nats": nats, "ranks": ranks}


class _LabelledBatches(keras.utils.PyDataset):
    """Evaluation batches with their labels among the inputs."""

    def __init__(self, batches: Sequence[Batch]):
        super().__init__(workers=1)
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int):
        inputs, labels, _ = self._batches[index]
        return ({**inputs, "labels": labels},)


class Evaluator:
    """Scores a model on one set of evaluation batches, as often as asked."""

    def __init__(self, masked_lm, batches: Sequence[Batch], *, jit_compile: bool = False):
        self._scorer = LabelScorer(masked_lm)
        self._scorer.compile(jit_compile=jit_compile)
        self._batches = batches

    def slot_scores(self) -> SlotScores:
        """What the model makes of every slot."""
        scores = self._scorer.predict(_LabelledBatches(self._batches), verbose=0)
        weights = np.concatenate([batch[2] for batch in self._batches])
        return SlotScores(scores["nats"], scores["ranks"], weights)

    def figures(self) -> Figures:
        """The protocol's figures, summed in float64."""
        return figures_of(self.slot_scores())


def figures_of(scores: SlotScores) -> Figures:
    """Sums over real slots, each divided once by their number."""
    real = scores.weights > 0
    count = int(real.sum())
    if not count:
        return Figures(math.nan, math.nan, math.nan, 0)
    nats, ranks = scores.nats[real].astype(np.float64), scores.ranks[real]
    return Figures(
        loss=float(nats.sum() / count),
        top1=float((ranks < 1).sum() / count),
        top5=float((ranks < 5).sum() / count),
        num_tokens=count,
    )
