"""Which tokens to predict, and what the model sees in their place: BERT's 80/10/10 rule in NumPy.

A *chosen* position is one to be predicted; a *masked* one shows the mask token. Nothing here reads
a file or keeps a state: the same generator state and the same batch give the same output.
"""

import math
from typing import NamedTuple

import numpy as np

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
) -> Masked:
    """Corrupt a batch for masked-LM training.

    Of a row's n candidates, floor(n * mlm_probability + u) are chosen, u uniform in [0, 1): the
    expected share is the rate itself however short the row is. Each chosen token then becomes, on
    its own, the mask token, a random word, or stays as it is.

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

    Raises:
        ConfigError (a ValueError): a share outside [0, 1], shapes that differ, no word to draw.

    Source: Devlin et al. 2019, section 3.1; whole words: google-research/bert, 31 May 2019.
    """
    _check_rate("mlm_probability", mlm_probability)
    check_shares(mask_share, random_share, random_word_ids)
    _check_shapes(input_ids, special_tokens_mask, num_slots)

    candidates = ~special_tokens_mask
    budgets = _budgets(candidates.sum(axis=1), mlm_probability, num_slots, rng)
    if word_starts is None:
        chosen = _choose_tokens(candidates, budgets, rng)
    else:
        words = _number_words(input_ids, candidates, word_starts)
        chosen = _choose_words(words, budgets, num_slots, rng)

    positions, used = _slots(chosen, num_slots)
    labels = np.where(used, np.take_along_axis(input_ids, positions, axis=1), 0)
    shown = _corrupt(labels, rng, mask_token_id, random_word_ids, mask_share, random_share)
    masked_ids = input_ids.astype(np.int32)  # a copy
    rows, slots = np.nonzero(used)
    masked_ids[rows, positions[rows, slots]] = shown[rows, slots]
    return Masked(
        masked_ids, positions.astype(np.int32), labels.astype(np.int32), used.astype(np.float32)
    )


def _budgets(
    num_candidates: np.ndarray, rate: float, num_slots: int, rng: np.random.Generator
) -> np.ndarray:
    """How many tokens each row may choose: (B,) int64, its expectation rate * num_candidates."""
    budgets = np.floor(num_candidates * rate + rng.random(len(num_candidates))).astype(np.int64)
    return np.minimum(budgets, np.minimum(num_candidates, num_slots))


def _choose_tokens(
    candidates: np.ndarray, budgets: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """(B, T) bool: `budgets[b]` candidates of row b, each subset equally likely."""
    ranks = _random_ranks(candidates, rng)
    return candidates & (ranks < budgets[:, None])


def _number_words(
    input_ids: np.ndarray, candidates: np.ndarray, word_starts: np.ndarray
) -> np.ndarray:
    """(B, T) int64: which word of its row, from 0, a candidate belongs to; -1 for the rest."""
    after_special = np.ones_like(candidates)  # the first column counts as one
    after_special[:, 1:] = ~candidates[:, :-1]
    starts = candidates & (word_starts[input_ids] | after_special)
    return np.where(candidates, starts.cumsum(axis=1) - 1, -1)


def _choose_words(
    words: np.ndarray, budgets: np.ndarray, num_slots: int, rng: np.random.Generator
) -> np.ndarray:
    """(B, T) bool: whole words in random order, as many as the row's budget holds.

    The word that would cross the budget is taken with the chance (what is left / its length), which
    keeps the expected number of tokens, unless it needs more than the slots there are.
    """
    num_rows, length = words.shape
    lengths = _word_lengths(words)
    # A word that no row can hold would only stand in the way of those after it.
    fits = (lengths > 0) & (lengths <= num_slots)
    ranks = _random_ranks(fits, rng)
    in_order = np.zeros_like(lengths)
    np.put_along_axis(in_order, ranks, np.where(fits, lengths, 0), axis=1)

    after = in_order.cumsum(axis=1)
    left = budgets[:, None] - (after - in_order)
    lucky = rng.random((num_rows, length)) * in_order < left
    taken_in_order = (after <= num_slots) & (in_order > 0) & ((in_order <= left) | lucky)
    taken = np.take_along_axis(taken_in_order, ranks, axis=1)
    return (words >= 0) & np.take_along_axis(taken, np.maximum(words, 0), axis=1)


def _word_lengths(words: np.ndarray) -> np.ndarray:
    """(B, T) int64: how many tokens word w of row b has, 0 past the row's last word."""
    num_rows, length = words.shape
    flat = (words + np.arange(num_rows)[:, None] * length)[words >= 0]
    return np.bincount(flat, minlength=num_rows * length).reshape(num_rows, length)


def _random_ranks(eligible: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(B, T) int64: a random order of each row's columns, the eligible ones first."""
    keys = rng.random(eligible.shape)
    keys[~eligible] = 1.0  # past every draw of [0, 1)
    order = np.argsort(keys, axis=1)
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(eligible.shape[1])[None, :], axis=1)
    return ranks


def _slots(chosen: np.ndarray, num_slots: int) -> tuple[np.ndarray, np.ndarray]:
    """The chosen columns of each row, ascending: (B, P) int64 positions and (B, P) bool in use."""
    columns = np.nonzero(chosen)[1]
    counts = chosen.sum(axis=1)
    used = np.arange(num_slots) < counts[:, None]
    positions = np.zeros(used.shape, np.int64)
    positions[used] = columns  # both run row by row, columns ascending
    return positions, used


def _corrupt(
    labels: np.ndarray,
    rng: np.random.Generator,
    mask_token_id: int,
    random_word_ids: np.ndarray,
    mask_share: float,
    random_share: float,
) -> np.ndarray:
    """(B, P): for each slot the mask token, a random word or the label itself."""
    draw = rng.random(labels.shape)
    shown = np.where(draw < mask_share, mask_token_id, labels)
    if random_share > 0:
        words = random_word_ids[rng.integers(len(random_word_ids), size=labels.shape)]
        shown = np.where((draw >= mask_share) & (draw < mask_share + random_share), words, shown)
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
