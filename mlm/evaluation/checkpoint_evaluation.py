"""Evaluate a checkpoint, given by name, on texts: masked tokens and whole masked words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Unpack

import numpy as np

from mlm import hub
from mlm.backend import devices
from mlm.checkpoint.folder import Checkpoint, OpenCheckpoint, read_checkpoint, read_training
from mlm.checkpoint.task_checkpoint import check_is_masked_lm
from mlm.data.batches.dynamic_padding import Batch
from mlm.data.batches.evaluation_batches import EvaluationBatches, evaluation_batches
from mlm.data.texts.text_report import TextReport
from mlm.data.tokens.token_facts import TokenFacts
from mlm.data.tokens.token_store import Split
from mlm.data.tokens.word_boundaries import WordBoundaries
from mlm.errors import ConfigError
from mlm.evaluation.evaluator import (
    Evaluator,
    Figures,
    TargetBatches,
    TargetScores,
    figures_of,
)
from mlm.evaluation.held_out import (
    HeldOut,
    HeldOutSettings,
    resolve_held_out,
    tokenize_held_out,
)
from mlm.terminal.progress import progress


@dataclass(frozen=True)
class WordFigures:
    """Accuracy over whole masked words: a word counts if every piece of it does.

    A word is what word_boundaries.py says: a character, in a script without spaces. The shares are
    NaN if the texts are so few that no word was masked.

    Attributes:
        top1: Share of the words of which every piece is ranked first.
        top5: Share of the words of which every piece is ranked among the first five.
        num_words: Number of masked words.
    """

    top1: float
    top5: float
    num_words: int


@dataclass(frozen=True)
class Evaluation:
    """Figures of a checkpoint on some texts.

    Attributes:
        tokens: Metrics with single tokens masked.
        words: Accuracy with whole words masked.
        held_out: The texts and all settings.
        recorded_loss: The final loss in the checkpoint's training.json if texts and settings are
            those of its training run, else None.
        texts_report: Rows read and dropped; notes and warnings follow on their own lines.
    """

    tokens: Figures
    words: WordFigures
    held_out: HeldOut
    recorded_loss: float | None
    texts_report: str = ""


def evaluate(
    name: str | Path,
    validation_file: Sequence[str] = (),
    *,
    revision: str | None = None,
    **settings: Unpack[HeldOutSettings],
) -> Evaluation:
    """Measure a checkpoint on texts under the fixed protocol.

    Whole words are measured in a second pass, which masks all pieces of a word together.

    Args:
        name: A folder, a Hub id, or `demo`.
        validation_file: Files of which all texts are measured on.
        revision: Branch, tag or commit of a Hub id.
        **settings: Fields of HeldOut, such as `train_file` instead of validation files,
            `text_column`, `max_seq_length` or `precision`. Defaults are those of the checkpoint's
            training run: see held_out.py.

    Raises:
        UserError: The checkpoint, the files or the settings cannot be used.
    """
    with progress(f"opening {name}"):
        folder = hub.fetch_checkpoint(name, revision).folder
        check_is_masked_lm(folder, str(name))
        held_out, recorded_loss = resolve_held_out(
            read_training(folder), validation_file=tuple(validation_file), **settings
        )
        held_out, device = choose_device(held_out, settings.get("precision"))
        with device.scope():
            checkpoint = read_checkpoint(folder, dtype=device.policy)
        check_length(held_out, checkpoint, str(name))
    report = TextReport()
    with progress("reading and tokenizing the texts"):
        split = tokenize_held_out(held_out, checkpoint.tokenizer, report)
    token_scores, _ = score_targets(checkpoint, split, held_out, device)
    word_scores, word_batches = score_targets(checkpoint, split, held_out, device, whole_words=True)
    words = TokenFacts.of(checkpoint.tokenizer).words
    return Evaluation(
        figures_of(token_scores),
        word_figures_of(word_scores, word_batches, words),
        held_out,
        recorded_loss,
        "\n".join([report.summary(), *report.remarks()]),
    )


def choose_device(held_out: HeldOut, precision: str | None) -> tuple[HeldOut, devices.Device]:
    """Return the settings and a device for their number format.

    If this hardware lacks the format of the training run, and the user gave no `precision`, fp32
    takes its place in the settings. Raises ConfigError if it lacks the user's own.
    """
    try:
        return held_out, devices.choose_device(held_out.precision)
    except ConfigError:
        if precision is not None:
            raise
    return replace(held_out, precision="fp32"), devices.choose_device("fp32")


def check_length(held_out: HeldOut, checkpoint: OpenCheckpoint, name: str) -> None:
    """Raise ConfigError if the sequences are longer than the model takes."""
    positions, length = checkpoint.config.max_position_embeddings, held_out.max_seq_length
    if length > positions:
        raise ConfigError(
            f"--max_seq_length is {length}, but {name} takes at most {positions} tokens; give "
            f"--max_seq_length {positions} or less"
        )


def score_targets(
    checkpoint: Checkpoint,
    split: Split,
    held_out: HeldOut,
    device: devices.Device,
    *,
    whole_words: bool = False,
) -> tuple[TargetScores, EvaluationBatches]:
    """Return the scores and batches of the protocol, with single tokens or whole words masked."""
    batches = evaluation_batches(
        split,
        TokenFacts.of(checkpoint.tokenizer),
        max_seq_length=held_out.max_seq_length,
        batch_size=held_out.per_device_eval_batch_size * device.num_replicas,
        line_by_line=held_out.line_by_line,
        max_sequences=held_out.max_eval_samples,
        whole_word_mask=whole_words,
    )
    what = "whole words" if whole_words else "masked tokens"
    return score_batches(checkpoint, batches, device, what), batches


def score_batches(
    checkpoint: Checkpoint, batches: TargetBatches, device: devices.Device, what: str
) -> TargetScores:
    """Return the scores of all targets; show how far the model is. what: kind of targets."""
    with device.scope():
        evaluator = Evaluator(checkpoint.model, batches, jit_compile=device.jit_compile)
    return evaluator.target_scores(f"measuring {what}")


def word_figures_of(
    scores: TargetScores, batches: EvaluationBatches, words: WordBoundaries
) -> WordFigures:
    """Return the accuracy over whole words, each as good as its worst piece.

    Args:
        scores: Scores of all targets.
        batches: The batches that they were computed on.
        words: Where words begin. A target that does not begin one belongs to the word of the
            target at the position before it.
    """
    is_target = scores.weights > 0
    continues = np.concatenate([_continues_word(batch, words) for batch in batches])
    word_of_target = np.cumsum(~continues[is_target]) - 1
    if not len(word_of_target):
        return WordFigures(math.nan, math.nan, 0)
    worst_rank = np.zeros(word_of_target[-1] + 1, np.int64)
    np.maximum.at(worst_rank, word_of_target, scores.ranks[is_target])
    return WordFigures(
        top1=float((worst_rank < 1).mean()),
        top5=float((worst_rank < 5).mean()),
        num_words=len(worst_rank),
    )


def _continues_word(batch: Batch, words: WordBoundaries) -> np.ndarray:
    """Return whether each target belongs to the word of the target before it: (B, P) bool."""
    inputs, labels, weights = batch
    positions, input_ids = inputs["masked_positions"], inputs["input_ids"].copy()
    rows, entries = np.nonzero(weights)
    input_ids[rows, positions[rows, entries]] = labels[rows, entries]  # as before masking
    starts = np.take_along_axis(words.starts(input_ids), positions, axis=1)
    continues = np.zeros(labels.shape, np.bool_)
    continues[:, 1:] = (np.diff(positions) == 1) & ~starts[:, 1:]
    return continues
