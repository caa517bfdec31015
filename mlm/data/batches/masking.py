"""What the model sees in place of the tokens it is to predict: BERT's 80/10/10 rule in NumPy.

A *chosen* position is one to be predicted; a *masked* one shows the mask token. Nothing here reads
a file or keeps a state: the same generator state and the same batch give the same output. Which
positions are chosen is in choosing.py.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mlm.data.batches.mask_choice import (
    choose_spans,
    choose_tokens,
    choose_words,
    draw_budgets,
    number_words,
)
from mlm.errors import ConfigError


class Masked(NamedTuple):
    """One corrupted batch: B rows of T tokens, P prediction slots a row.

    Chosen positions stand in ascending order in a row. A slot left over has position 0, label 0 and
    weight 0.
    """

    masked_ids: np.ndarray  # (B, T) int32, what the model sees
    masked_positions: np.ndarray  # (B, P) int32, columns of the chosen tokens
    labels: np.ndarray  # (B, P) int32, the ids that stood there
    weights: np.ndarray  # (B, P) float32, 1 for a slot in use, else 0


@dataclass(frozen=True)
class RateSchedule:
    """The masking rate: in a line from the first step's to the last's, or one that stays.

    Raises ConfigError: a rate outside [0, 1], a last rate without a number of steps or the reverse.
    Source: Ankner et al. 2024, Dynamic Masking Rate Schedules for MLM Pretraining.
    """

    mlm_probability: float
    final_mlm_probability: float | None = None
    total_steps: int | None = None

    def __post_init__(self):
        _check_rate("mlm_probability", self.mlm_probability)
        if (self.final_mlm_probability is None) != (self.total_steps is None):
            raise ConfigError(
                f"final_mlm_probability is {self.final_mlm_probability} and total_steps "
                f"{self.total_steps}: a rate that changes needs both, one that stays neither."
            )
        if self.final_mlm_probability is not None:
            _check_rate("final_mlm_probability", self.final_mlm_probability)
        if self.total_steps is not None and self.total_steps < 1:
            raise ConfigError(f"total_steps is {self.total_steps}: give 1 or more.")

    @property
    def highest(self) -> float:
        return max(self.mlm_probability, self.at(self.total_steps or 0))

    def at(self, step: int) -> float:
        """The rate of a step; behind the last step the last one's."""
        if self.final_mlm_probability is None or self.total_steps is None:
            return self.mlm_probability
        done = min(1.0, step / max(1, self.total_steps - 1))
        return (1 - done) * self.mlm_probability + done * self.final_mlm_probability


def num_prediction_slots(max_seq_length: int, mlm_probability: float) -> int:
    """The fewest slots a row that always hold what `mask_tokens` chooses, at least one.

    A row has at most `max_seq_length - 2` candidates, its first and last token being special, and
    floor(n * p + u) with u < 1 never exceeds ceil(n * p).
    """
    _check_rate("mlm_probability", mlm_probability)
    if max_seq_length < 3:
        raise ConfigError(
            f"max_seq_length is {max_seq_length}, but [CLS], one token and [SEP] need 3: raise it."
        )
    return max(1, math.ceil((max_seq_length - 2) * mlm_probability))


def mask_tokens(
    input_ids: np.ndarray,
    special_tokens_mask: np.ndarray,
    rng: np.random.Generator,
    *,
    mlm_probability: float,
    num_slots: int,
    mask_token_id: int,
    random_word_ids: np.ndarray,
    mask_share: float = 0.8,
    random_share: float = 0.1,
    word_starts: np.ndarray | None = None,
    span_mask: bool = False,
) -> Masked:
    """Corrupt a batch for masked-LM training.

    Of a row's n candidates, floor(n * mlm_probability + u) are chosen, u uniform in [0, 1): the
    expected share is the rate itself however short the row is. Each chosen token then becomes, on
    its own, the mask token, a random word, or stays as it is; the tokens of a span all become the
    same of the three, though each its own random word.

    Args:
        input_ids: (B, T) int32. Not changed.
        special_tokens_mask: (B, T) bool, True where a token may not be chosen.
        rng: its state moves on by draws whose number depends on the shapes alone.
        mlm_probability: share of candidates to choose, in [0, 1].
        num_slots: P, from `num_prediction_slots`; a row never gets more.
        mask_token_id: the id shown in place of a masked token.
        random_word_ids: (R,) int32, what a random word is drawn from.
        mask_share, random_share: shares of the chosen tokens; the rest stays unchanged.
        word_starts: (V,) bool, True where an id begins a word: then words are chosen whole.
        span_mask: whether words are chosen in spans of up to ten; needs word_starts.

    Raises:
        ConfigError (a ValueError): a share outside [0, 1], shapes that differ, no word to draw.

    Source: Devlin et al. 2019, section 3.1; whole words: google-research/bert, 31 May 2019; spans:
    Joshi et al. 2020, section 3.1.
    """
    _check_rate("mlm_probability", mlm_probability)
    check_shares(mask_share, random_share, random_word_ids)
    _check_shapes(input_ids, special_tokens_mask, num_slots)
    if span_mask and word_starts is None:
        raise ConfigError("span_mask is True, but word_starts is None: spans are made of words.")

    candidates = ~special_tokens_mask
    budgets = draw_budgets(candidates.sum(axis=1), mlm_probability, num_slots, rng)
    spans = None
    if word_starts is None:
        chosen = choose_tokens(candidates, budgets, rng)
    else:
        words = number_words(input_ids, candidates, word_starts)
        if span_mask:
            chosen, spans = choose_spans(words, budgets, num_slots, rng)
        else:
            chosen = choose_words(words, budgets, num_slots, rng)

    positions, used = _slots(chosen, num_slots)
    labels = np.where(used, np.take_along_axis(input_ids, positions, axis=1), 0)
    fates = _fates(positions, spans, rng)
    shown = _corrupt(labels, fates, rng, mask_token_id, random_word_ids, mask_share, random_share)
    masked_ids = input_ids.astype(np.int32)  # a copy
    rows, slots = np.nonzero(used)
    masked_ids[rows, positions[rows, slots]] = shown[rows, slots]
    return Masked(
        masked_ids, positions.astype(np.int32), labels.astype(np.int32), used.astype(np.float32)
    )


def _slots(chosen: np.ndarray, num_slots: int) -> tuple[np.ndarray, np.ndarray]:
    """The chosen columns of each row, ascending: (B, P) int64 positions and (B, P) bool in use."""
    columns = np.nonzero(chosen)[1]
    counts = chosen.sum(axis=1)
    used = np.arange(num_slots) < counts[:, None]
    positions = np.zeros(used.shape, np.int64)
    positions[used] = columns  # both run row by row, columns ascending
    return positions, used


def _fates(positions: np.ndarray, spans: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """(B, P) float64 in [0, 1): a draw for each slot, or, where there are spans, for each span."""
    if spans is None:
        return rng.random(positions.shape)
    spans_of_slots = np.take_along_axis(spans, positions, axis=1)
    return np.take_along_axis(rng.random(spans.shape), spans_of_slots, axis=1)


def _corrupt(
    labels: np.ndarray,
    fates: np.ndarray,
    rng: np.random.Generator,
    mask_token_id: int,
    random_word_ids: np.ndarray,
    mask_share: float,
    random_share: float,
) -> np.ndarray:
    """(B, P): for each slot the mask token, a random word or the label itself, as was drawn."""
    shown = np.where(fates < mask_share, mask_token_id, labels)
    if random_share > 0:
        words = random_word_ids[rng.integers(len(random_word_ids), size=labels.shape)]
        shown = np.where((fates >= mask_share) & (fates < mask_share + random_share), words, shown)
    return shown


def _check_rate(name: str, rate: float) -> None:
    if not 0 <= rate <= 1:
        raise ConfigError(f"{name} is {rate}, but it is a share: give a number from 0 to 1.")


def check_shares(mask_share: float, random_share: float, random_word_ids: np.ndarray) -> None:
    """Raise ConfigError unless chosen tokens can be shared out so."""
    _check_rate("mask_share", mask_share)
    _check_rate("random_share", random_share)
    if mask_share + random_share > 1 + 1e-9:
        raise ConfigError(
            f"mask_share {mask_share} and random_share {random_share} add up to "
            f"{mask_share + random_share:g}: lower one, so that they are at most 1 together."
        )
    if random_share > 0 and len(random_word_ids) == 0:
        raise ConfigError(
            f"random_share is {random_share}, but there is no random word to draw: set it to 0."
        )


def _check_shapes(input_ids: np.ndarray, special_tokens_mask: np.ndarray, num_slots: int) -> None:
    if input_ids.ndim != 2 or input_ids.shape != special_tokens_mask.shape:
        raise ConfigError(
            f"input_ids has the shape {input_ids.shape} and special_tokens_mask "
            f"{special_tokens_mask.shape}: both must be (batch, length)."
        )
    if special_tokens_mask.dtype != np.bool_:
        raise ConfigError(
            f"special_tokens_mask is {special_tokens_mask.dtype}: give booleans, True where a "
            "token may not be chosen."
        )
    if num_slots < 1:
        raise ConfigError(f"num_slots is {num_slots}: a row needs at least one prediction slot.")
