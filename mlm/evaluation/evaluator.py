"""Masked loss, perplexity and accuracy under one fixed protocol.

Protocol: the validation sequences in order, 15 % of their tokens chosen with seed 0 whatever the
training rate, 80/10/10; every figure is a sum over chosen tokens divided once by their number.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from mlm import hub
from mlm.backend import devices, processes
from mlm.backend.input_pipeline import make_input_pipeline
from mlm.checkpoint.folder import Checkpoint, read_checkpoint, read_training
from mlm.checkpoint.tokenizer import encode_texts
from mlm.data.batches.masked_batches import (
    NOTHING_TO_MEASURE,
    EvaluationBatches,
    evaluation_batches,
)
from mlm.data.tokens.token_facts import TokenFacts
from mlm.data.tokens.token_store import Split
from mlm.errors import ConfigError, CorpusError
from mlm.evaluation.held_out import HeldOut, held_out


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

    @classmethod
    def from_dict(cls, figures: dict[str, Any]) -> "Figures":
        """The reverse of to_dict."""
        return cls(**{f.name: figures[f.name] for f in fields(cls)})


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
        # Counted from the words that are no better, so that a label that is no number ranks last.
        no_better = ops.sum(ops.cast(logits <= of_label, "int32"), axis=-1)
        ranks = self.masked_lm.config.vocab_size - no_better
        return {"nats": processes.replicate(nats), "ranks": processes.replicate(ranks)}


class _LabelledBatches(keras.utils.PyDataset):
    """Evaluation batches with their labels among the inputs."""

    def __init__(self, batches: EvaluationBatches):
        super().__init__(workers=1)
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int):
        inputs, labels, _ = self._batches[index]
        return (processes.own_rows({**inputs, "labels": labels}),)


class Evaluator:
    """Scores a model on one set of evaluation batches, as often as asked."""

    def __init__(self, masked_lm, batches: EvaluationBatches, *, jit_compile: bool = False):
        masked_lm.compile_fused_ops()
        self._scorer = LabelScorer(masked_lm)
        self._scorer.compile(jit_compile=jit_compile)
        self._batches = batches

    def slot_scores(self) -> SlotScores:
        """What the model makes of every slot."""
        scores = self._scorer.predict(
            make_input_pipeline(_LabelledBatches(self._batches)), verbose=0
        )
        weights = np.concatenate([batch[2] for batch in self._batches])
        return SlotScores(scores["nats"], scores["ranks"], weights)

    def figures(self) -> Figures:
        """The protocol's figures, summed in float64."""
        return figures_of(self.slot_scores())


def figures_of(scores: SlotScores) -> Figures:
    """Sums over real slots, each divided once by their number; CorpusError if there is none."""
    real = scores.weights > 0
    count = int(real.sum())
    if not count:
        raise CorpusError(NOTHING_TO_MEASURE)
    nats, ranks = scores.nats[real].astype(np.float64), scores.ranks[real]
    return Figures(
        loss=float(nats.sum() / count),
        top1=float((ranks < 1).sum() / count),
        top5=float((ranks < 5).sum() / count),
        num_tokens=count,
    )


@dataclass(frozen=True)
class WordFigures:
    """Shares of the whole masked words of which every piece is ranked first, or among five.

    NaN where no word was masked, which is so for all texts of a script without spaces.
    """

    top1: float
    top5: float
    num_words: int


@dataclass(frozen=True)
class Evaluation:
    """Figures of a checkpoint on some texts: masked tokens, and whole masked words.

    held_out: those texts, with all settings.
    recorded_loss: where they are those of the checkpoint's own run, the loss that it ended at.
    """

    tokens: Figures
    words: WordFigures
    held_out: HeldOut
    recorded_loss: float | None


def evaluate(
    name: str | Path,
    validation_file: Sequence[str] = (),
    *,
    revision: str | None = None,
    **settings: Any,
) -> Evaluation:
    """Measure a checkpoint (a folder, a Hub id or `demo`) on texts under the fixed protocol.

    `settings` are fields of HeldOut: `train_file` in the place of validation files, `text_column`,
    `max_seq_length`, `precision`, ... What is left out is what the checkpoint's own run did.
    Whole words are measured in a second pass that masks all pieces of a word together.
    Raises UserError for what a user can mend.
    """
    folder = hub.fetch_checkpoint(name, revision).folder
    files = tuple(validation_file)
    asked, recorded_loss = held_out(read_training(folder), validation_file=files, **settings)
    asked, device = _with_device(asked, settings.get("precision"))
    with device.scope():
        checkpoint = read_checkpoint(folder, dtype=device.policy)
    of_tokens, of_words = _score(checkpoint, asked, device)
    starts = TokenFacts.of(checkpoint.tokenizer).word_starts
    return Evaluation(
        figures_of(of_tokens[0]),
        word_figures_of(*of_words, starts),
        asked,
        recorded_loss,
    )


def _with_device(asked: HeldOut, said: str | None) -> tuple[HeldOut, devices.Device]:
    """The run's number format where nothing else was said and this hardware has it; else fp32."""
    try:
        return asked, devices.choose_device(asked.precision)
    except ConfigError:
        if said is not None:
            raise
    return replace(asked, precision="fp32"), devices.choose_device("fp32")


def _score(
    checkpoint: Checkpoint, asked: HeldOut, device: devices.Device
) -> list[tuple[SlotScores, EvaluationBatches]]:
    """Scores and batches with single tokens masked, then with whole words masked."""
    longest, length = checkpoint.model.config.max_position_embeddings, asked.max_seq_length
    if length > longest:
        raise ConfigError(f"--max_seq_length is {length}; this model ends at {longest}")
    split = split_of(asked, checkpoint.tokenizer)
    scores = []
    for whole_words in (False, True):
        batches = evaluation_batches(
            split,
            TokenFacts.of(checkpoint.tokenizer),
            max_seq_length=length,
            batch_size=asked.per_device_eval_batch_size * device.num_replicas,
            line_by_line=asked.line_by_line,
            max_sequences=asked.max_eval_samples,
            whole_word_mask=whole_words,
        )
        with device.scope():
            evaluator = Evaluator(checkpoint.model, batches, jit_compile=device.jit_compile)
        scores.append((evaluator.slot_scores(), batches))
    return scores


def word_figures_of(
    scores: SlotScores, batches: EvaluationBatches, word_starts: np.ndarray
) -> WordFigures:
    """Join the slots of one word: neighbours of which the later does not begin a word."""
    labels = np.concatenate([batch[1] for batch in batches])
    positions = np.concatenate([batch[0]["masked_positions"] for batch in batches])
    follows = np.zeros(labels.shape, bool)
    follows[:, 1:] = (np.diff(positions) == 1) & ~word_starts[labels[:, 1:]]
    real = scores.weights > 0
    word_of_slot = np.cumsum(~follows[real]) - 1
    if not len(word_of_slot):
        return WordFigures(math.nan, math.nan, 0)
    worst_rank = np.zeros(word_of_slot[-1] + 1, np.int64)
    np.maximum.at(worst_rank, word_of_slot, scores.ranks[real])
    return WordFigures(
        top1=float((worst_rank < 1).mean()),
        top5=float((worst_rank < 5).mean()),
        num_words=len(worst_rank),
    )


def split_of(asked: HeldOut, tokenizer) -> Split:
    """The tokens of the texts that are measured on; CorpusError if there are none."""
    texts = list(asked.texts())
    if not texts:
        files = ", ".join(asked.validation_file or asked.train_file)
        raise CorpusError(f"no text to measure on in {files}; give files with more texts in them")
    documents = [[*ids, tokenizer.sep_token_id] for ids in encode_texts(tokenizer, texts)]
    return Split(
        tokens=np.concatenate([np.asarray(ids, np.int32) for ids in documents]),
        offsets=np.cumsum([0, *map(len, documents)], dtype=np.int64),
    )
