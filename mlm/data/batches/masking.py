"""Corrupt a batch for masked-LM training: BERT's 80/10/10 rule in NumPy.

A *target* is a position to be predicted (see mask_choice.py); a *masked* one shows the mask token.
The functions read no file and keep no state: the same generator state and batch give the same
result.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mlm.data.batches import check_max_seq_length
from mlm.data.batches.mask_choice import (
    choose_target_spans,
    choose_target_tokens,
    choose_target_words,
    draw_budgets,
    number_words,
)
from mlm.errors import ConfigError


class Masked(NamedTuple):
    """A corrupted batch: B rows of T tokens, each with room for P targets.

    A row's targets are in ascending order. The rest of its P entries have position 0, label 0 and
    weight 0.
    """

    masked_ids: np.ndarray  # (B, T) int32, what the model sees
    masked_positions: np.ndarray  # (B, P) int32, the columns of the targets
    labels: np.ndarray  # (B, P) int32, the original ids of the targets
    weights: np.ndarray  # (B, P) float32, 1 for a target, else 0


@dataclass(frozen=True)
class RateSchedule:
    """Masking rate by step: constant, or linear from the first step to the last.

    Raises ConfigError if a rate is outside [0, 1], or if only one of the last rate and the number
    of steps is given.

    Source: Ankner et al. 2024, Dynamic Masking Rate Schedules for MLM Pretraining.
    """

    mlm_probability: float
    final_mlm_probability: float | None = None
    total_steps: int | None = None

    def __post_init__(self) -> None:
        _check_probability("mlm_probability", self.mlm_probability)
        if (self.final_mlm_probability is None) != (self.total_steps is None):
            raise ConfigError(
                f"final_mlm_probability is {self.final_mlm_probability} and total_steps "
                f"{self.total_steps}: give both for a rate that changes, neither for a constant "
                "one."
            )
        if self.final_mlm_probability is not None:
            _check_probability("final_mlm_probability", self.final_mlm_probability)
        if self.total_steps is not None and self.total_steps < 1:
            raise ConfigError(f"total_steps is {self.total_steps}: give 1 or more.")

    @property
    def highest(self) -> float:
        """The highest rate of any step."""
        return max(self.mlm_probability, self.at(self.total_steps or 0))

    def at(self, step: int) -> float:
        """Return the rate of a step; after the last step, the last one's."""
        if self.final_mlm_probability is None or self.total_steps is None:
            return self.mlm_probability
        done = min(1.0, step / max(1, self.total_steps - 1))
        return (1 - done) * self.mlm_probability + done * self.final_mlm_probability


def max_targets_per_row(max_seq_length: int, mlm_probability: float) -> int:
    """Return P, the most targets that `mask_tokens` chooses in a row, at least 1.

    A row has at most `max_seq_length - 2` candidates, because its first and last tokens are
    special; and floor(n * p + u) with u < 1 never exceeds ceil(n * p).
    """
    _check_probability("mlm_probability", mlm_probability)
    check_max_seq_length(max_seq_length)
    return max(1, math.ceil((max_seq_length - 2) * mlm_probability))


def mask_tokens(
    input_ids: np.ndarray,
    special_tokens_mask: np.ndarray,
    rng: np.random.Generator,
    *,
    mlm_probability: float,
    max_targets: int,
    mask_token_id: int,
    random_word_ids: np.ndarray,
    mask_replace_prob: float = 0.8,
    random_replace_prob: float = 0.1,
    word_starts: np.ndarray | None = None,
    span_mask: bool = False,
    cut_words: bool = False,
) -> Masked:
    """Corrupt a batch for masked-LM training.

    Of a row's n candidates, floor(n * mlm_probability + u) become targets, u uniform in [0, 1), so
    that the expected share is the rate however short the row is. Each target is then replaced by
    the mask token or a random word, or left unchanged, independently of the others. The tokens of
    a span share one of these outcomes, but each gets its own random word.

    Args:
        input_ids: (B, T) int32. Not changed.
        special_tokens_mask: (B, T) bool, True where a token may not be a target.
        rng: advanced by a number of draws that depends only on the shapes.
        mlm_probability: share of the candidates to choose, in [0, 1].
        max_targets: P, from `max_targets_per_row`; a row never gets more targets.
        mask_token_id: the id of the mask token.
        random_word_ids: (R,) int32, the ids that random words are drawn from.
        mask_replace_prob: probability that a target becomes the mask token.
        random_replace_prob: probability that it becomes a random word; else it stays unchanged.
        word_starts: (B, T) bool, True where a word begins. If given, whole words are chosen.
        span_mask: choose spans of up to ten words; needs word_starts.
        cut_words: choose a part of a row's last word if all of it exceeds `max_targets`; else that
            word is left out, and the share is lower.

    Raises:
        ConfigError: a probability is outside [0, 1], the shapes differ, or random words are needed
            and `random_word_ids` is empty. It is a ValueError.

    Source: Devlin et al. 2019, section 3.1; whole words: google-research/bert, 31 May 2019; spans:
    Joshi et al. 2020, section 3.1.
    """
    _check_probability("mlm_probability", mlm_probability)
    check_replace_probs(mask_replace_prob, random_replace_prob, random_word_ids)
    _check_shapes(input_ids, special_tokens_mask, max_targets)
    if span_mask and word_starts is None:
        raise ConfigError("span_mask is True, but word_starts is None: spans are made of words.")
    candidates = ~special_tokens_mask
    budgets = draw_budgets(candidates.sum(axis=1), mlm_probability, max_targets, rng)
    targets, spans = _choose_targets(
        candidates, word_starts, budgets, max_targets, rng, span_mask, cut_words
    )
    positions, used = _list_targets(targets, max_targets)
    labels = np.where(used, np.take_along_axis(input_ids, positions, axis=1), 0)
    draws = _draw_outcomes(positions, spans, rng)
    probs = mask_replace_prob, random_replace_prob
    shown = _replace_targets(labels, draws, rng, mask_token_id, random_word_ids, probs)
    return _corrupted(input_ids, positions, used, labels, shown)


def _choose_targets(
    candidates: np.ndarray,
    word_starts: np.ndarray | None,
    budgets: np.ndarray,
    max_targets: int,
    rng: np.random.Generator,
    span_mask: bool,
    cut_words: bool,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the targets, (B, T) bool, and the number of each token's span if spans are chosen."""
    if word_starts is None:
        return choose_target_tokens(candidates, budgets, rng), None
    words = number_words(candidates, word_starts)
    if span_mask:
        return choose_target_spans(words, budgets, max_targets, rng, cut_words=cut_words)
    return choose_target_words(words, budgets, max_targets, rng, cut_words=cut_words), None


def _corrupted(
    input_ids: np.ndarray,
    positions: np.ndarray,
    used: np.ndarray,
    labels: np.ndarray,
    shown: np.ndarray,
) -> Masked:
    """Return a copy of the batch that shows `shown`, (B, P), at the positions that are used."""
    masked_ids = input_ids.astype(np.int32)  # a copy
    rows, entries = np.nonzero(used)
    masked_ids[rows, positions[rows, entries]] = shown[rows, entries]
    return Masked(
        masked_ids, positions.astype(np.int32), labels.astype(np.int32), used.astype(np.float32)
    )


def _list_targets(targets: np.ndarray, max_targets: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's target columns, ascending: (B, P) int64 positions, (B, P) bool used."""
    columns = np.nonzero(targets)[1]
    counts = targets.sum(axis=1)
    used = np.arange(max_targets) < counts[:, None]
    positions = np.zeros(used.shape, np.int64)
    positions[used] = columns  # both run row by row, columns ascending
    return positions, used


def _draw_outcomes(
    positions: np.ndarray, spans: np.ndarray | None, rng: np.random.Generator
) -> np.ndarray:
    """Draw uniform numbers in [0, 1), one per target or one per span: (B, P) float64."""
    if spans is None:
        return rng.random(positions.shape)
    spans_of_targets = np.take_along_axis(spans, positions, axis=1)
    return np.take_along_axis(rng.random(spans.shape), spans_of_targets, axis=1)


def _replace_targets(
    labels: np.ndarray,
    draws: np.ndarray,
    rng: np.random.Generator,
    mask_token_id: int,
    random_word_ids: np.ndarray,
    probs: tuple[float, float],
) -> np.ndarray:
    """Return the ids shown at the targets: mask token, random word or label, by `draws`: (B, P).

    probs: (mask_replace_prob, random_replace_prob).
    """
    mask_prob, random_prob = probs
    shown = np.where(draws < mask_prob, mask_token_id, labels)
    if random_prob > 0:
        words = random_word_ids[rng.integers(len(random_word_ids), size=labels.shape)]
        shown = np.where((draws >= mask_prob) & (draws < mask_prob + random_prob), words, shown)
    return shown


def _check_probability(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ConfigError(f"{name} is {value}, but it is a share: give a number from 0 to 1.")


def check_replace_probs(
    mask_replace_prob: float, random_replace_prob: float, random_word_ids: np.ndarray
) -> None:
    """Raise ConfigError unless the two probabilities can be applied to targets."""
    _check_probability("mask_replace_prob", mask_replace_prob)
    _check_probability("random_replace_prob", random_replace_prob)
    if mask_replace_prob + random_replace_prob > 1 + 1e-9:
        raise ConfigError(
            f"mask_replace_prob {mask_replace_prob} and random_replace_prob {random_replace_prob} "
            f"add up to {mask_replace_prob + random_replace_prob:g}: lower one, so that they add "
            "up to at most 1."
        )
    if random_replace_prob > 0 and len(random_word_ids) == 0:
        raise ConfigError(
            f"random_replace_prob is {random_replace_prob}, but the vocabulary has no random word "
            "to draw: set it to 0."
        )


def _check_shapes(input_ids: np.ndarray, special_tokens_mask: np.ndarray, max_targets: int) -> None:
    if input_ids.ndim != 2 or input_ids.shape != special_tokens_mask.shape:
        raise ConfigError(
            f"input_ids has the shape {input_ids.shape} and special_tokens_mask "
            f"{special_tokens_mask.shape}: both must be (batch, length)."
        )
    if special_tokens_mask.dtype != np.bool_:
        raise ConfigError(
            f"special_tokens_mask is {special_tokens_mask.dtype}: give booleans, True where a "
            "token may not be a target."
        )
    if max_targets < 1:
        raise ConfigError(f"max_targets is {max_targets}: a row needs room for at least 1 target.")
