"""Compare several checkpoints on the same texts, under one protocol, with a verdict.

Two kinds of figures, both for each model:

- of its own tokens: loss, masked-token perplexity, top-1 and top-5, as `mlm.evaluate` has them.
  They can be compared between models with the same vocabulary only;
- of the same hidden words, see shared_words.py: the cross-entropy of the words divided by their
  characters, in nats or bits a character, and the share of the words that the model names. They can
  be compared between any models. Two things remain that depend on the tokenizer: the number of
  masks tells a model how many pieces a word has, and top-5 counts a word if each piece is among the
  first five given those before, which is easier for words of several pieces.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Unpack

import numpy as np

from mlm import hub
from mlm.backend import devices
from mlm.checkpoint.folder import OpenCheckpoint, open_checkpoint, with_weights
from mlm.checkpoint.task_checkpoint import check_is_masked_lm
from mlm.checkpoint.tokenizer import tokenizer_hash
from mlm.data.tokens.token_facts import TokenFacts
from mlm.evaluation.checkpoint_evaluation import (
    WordFigures,
    check_length,
    choose_device,
    score_batches,
    score_targets,
)
from mlm.evaluation.evaluator import Figures, figures_of
from mlm.evaluation.held_out import (
    HeldOut,
    HeldOutSettings,
    read_held_out,
    resolve_held_out,
    tokenize_texts,
)
from mlm.evaluation.shared_words import Passage, SharedWords, choose_shared_words
from mlm.evaluation.word_scoring import WordBatches, WordScores, word_scores_of
from mlm.terminal.progress import progress

NATS_PER_BIT = math.log(2)
# Standard errors between two models that are told apart: the 97.5 % quantile of Student's t, by the
# degrees of freedom from 1 on, and of the normal distribution for more.
FEW_DOCUMENTS = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16)
MANY_DOCUMENTS = 2.0


@dataclass(frozen=True)
class ModelFigures:
    """Figures of one of the models.

    Attributes:
        name: As it was given.
        tokens: Metrics over the model's own tokens.
        words: Accuracy over the hidden words, which are the same for all models.
        nats_per_character: Cross-entropy of the hidden words, divided by their characters.
    """

    name: str
    tokens: Figures
    words: WordFigures
    nats_per_character: float

    @property
    def bits_per_character(self) -> float:
        """The cross-entropy a character in bits."""
        return self.nats_per_character / NATS_PER_BIT


@dataclass(frozen=True)
class Verdict:
    """The best model by bits a character, against the next best.

    Attributes:
        best: Name of the best model.
        next_best: Name of the next best.
        difference: Bits a character between the two, at least 0.
        standard_error: Of the difference, paired over the documents; None with one document.
        num_documents: Documents with hidden words.
    """

    best: str
    next_best: str
    difference: float
    standard_error: float | None
    num_documents: int

    @property
    def errors_needed(self) -> float:
        """The standard errors that a clear difference has: more with few documents."""
        degrees = self.num_documents - 1
        return FEW_DOCUMENTS[degrees - 1] if degrees <= len(FEW_DOCUMENTS) else MANY_DOCUMENTS

    @property
    def is_clear(self) -> bool:
        """True if the difference is large for its standard error, and not 0."""
        error = self.standard_error
        if error is None:
            return False
        return self.difference > 0 and self.difference >= self.errors_needed * error


@dataclass(frozen=True)
class Comparison:
    """Figures of several models on the same texts.

    Attributes:
        held_out: The texts and all settings.
        num_documents: Number of texts.
        num_words: Number of hidden words.
        num_characters: Their characters.
        num_left_out: Words left out because the tokenizers spell them differently.
        same_vocabulary: Whether all tokenizers are the same.
        models: Figures by model, in the order given.
        verdict: The best model.
    """

    held_out: HeldOut
    num_documents: int
    num_words: int
    num_characters: int
    num_left_out: int
    same_vocabulary: bool
    models: list[ModelFigures]
    verdict: Verdict


def compare_models(
    names: Sequence[str],
    validation_file: Sequence[str] = (),
    **settings: Unpack[HeldOutSettings],
) -> Comparison:
    """Measure several checkpoints on the same texts, in the order given.

    One model is in memory at a time.

    Args:
        names: Two or more folders, Hub ids (owner/name@revision for another revision), or `demo`.
        validation_file: Files of which all texts are measured on.
        **settings: Fields of HeldOut, such as `train_file`. Nothing is taken from the models' own
            training runs, which differ; but sequences are not longer than any model takes.

    Raises:
        UserError: A checkpoint, the files or the settings cannot be used.
    """
    given, _ = resolve_held_out(None, validation_file=tuple(validation_file), **settings)
    opened = [_open(name) for name in names]
    if settings.get("max_seq_length") is None:
        longest = min(checkpoint.config.max_position_embeddings for checkpoint in opened)
        given = replace(given, max_seq_length=min(given.max_seq_length, longest))
    for name, checkpoint in zip(names, opened, strict=True):
        check_length(given, checkpoint, name)
    held_out, device = choose_device(given, settings.get("precision"))
    task = _read_texts(opened, held_out, device)
    measured = [
        _measure(name, checkpoint, passages, task)
        for name, checkpoint, passages in zip(names, opened, task.shared.passages, strict=True)
    ]
    hashes = {tokenizer_hash(checkpoint.tokenizer) for checkpoint in opened}
    return Comparison(
        held_out,
        num_documents=len(task.texts),
        num_words=len(task.shared.characters),
        num_characters=int(task.shared.characters.sum()),
        num_left_out=task.shared.num_left_out,
        same_vocabulary=len(hashes) == 1,
        models=[figures for figures, _ in measured],
        verdict=_verdict(names, [scores for _, scores in measured], task.shared),
    )


class _Task(NamedTuple):
    """The questions, which are the same for all models, and where and how they are asked."""

    texts: list[str]
    shared: SharedWords
    held_out: HeldOut
    device: devices.Device


def _open(name: str) -> OpenCheckpoint:
    with progress(f"opening {name}"):
        folder = hub.fetch_checkpoint(name).folder
        check_is_masked_lm(folder, name)
        return open_checkpoint(folder)


def _read_texts(
    opened: Sequence[OpenCheckpoint], held_out: HeldOut, device: devices.Device
) -> _Task:
    """Read the texts and choose the words to hide. Raises CorpusError."""
    with progress("reading the texts and choosing words"):
        texts = read_held_out(held_out)
        shared = choose_shared_words(
            texts,
            [checkpoint.tokenizer for checkpoint in opened],
            max_seq_length=held_out.max_seq_length,
            max_passages=held_out.max_eval_samples,
        )
    return _Task(texts, shared, held_out, device)


def _measure(
    name: str, opened: OpenCheckpoint, passages: Sequence[Passage], task: _Task
) -> tuple[ModelFigures, WordScores]:
    """Return the figures of one model, and its scores of the hidden words."""
    held_out, device = task.held_out, task.device
    with progress(f"loading {name}"), device.scope():
        checkpoint = with_weights(opened, dtype=device.policy)
    batches = WordBatches(
        passages,
        TokenFacts.of(opened.tokenizer),
        batch_size=held_out.per_device_eval_batch_size * device.num_replicas,
        max_seq_length=held_out.max_seq_length,
    )
    with progress(f"measuring {name}"):
        split = tokenize_texts(task.texts, opened.tokenizer)
        tokens, _ = score_targets(checkpoint, split, held_out, device)
        scores = word_scores_of(
            batches, score_batches(checkpoint, batches, device, "the hidden words")
        )
    words = WordFigures(
        top1=float((scores.worst_rank < 1).mean()),
        top5=float((scores.worst_rank < 5).mean()),
        num_words=len(scores.worst_rank),
    )
    nats = float(scores.cross_entropy.sum() / task.shared.characters.sum())
    return ModelFigures(name, figures_of(tokens), words, nats), scores


def _verdict(names: Sequence[str], scores: Sequence[WordScores], shared: SharedWords) -> Verdict:
    bits = [each.cross_entropy / NATS_PER_BIT for each in scores]
    best, next_best = sorted(range(len(names)), key=lambda index: bits[index].sum())[:2]
    difference, error = paired_difference(
        bits[next_best] - bits[best], shared.characters, shared.documents
    )
    num_documents = len(np.unique(shared.documents))
    return Verdict(names[best], names[next_best], difference, error, num_documents)


def paired_difference(
    differences: np.ndarray, characters: np.ndarray, documents: np.ndarray
) -> tuple[float, float | None]:
    """Return the sum of the differences a character, and its standard error over documents.

    The estimate is a ratio of two sums over documents; its standard error is that of the linearised
    ratio. Words of one text depend on each other, so texts are counted, not words.

    Args:
        differences: (W,) differences between two models, one for each word.
        characters: (W,) the words' characters.
        documents: (W,) the text of each word.

    Returns:
        The difference a character, and its standard error; None with fewer than two documents.

    Source: Cochran 1977, Sampling Techniques, 3rd edition, section 2.11.
    """
    _, document = np.unique(documents, return_inverse=True)
    sums, sizes = np.bincount(document, differences), np.bincount(document, characters)
    ratio = float(sums.sum() / sizes.sum())
    count = len(sums)
    if count < 2:
        return ratio, None
    residuals = sums - ratio * sizes
    variance = count / (count - 1) * float((residuals**2).sum())
    return ratio, math.sqrt(variance) / float(sizes.sum())
