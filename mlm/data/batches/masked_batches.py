"""Masked batches of a token store's split; each is a pure function of (seed, step).

The position in the data is therefore one integer. A resumed run, any number of replicas and either
backend see the same batches, and every epoch has fresh masks.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from mlm.data.batches import check_batching, check_not_empty
from mlm.data.batches.chunking import Chunking
from mlm.data.batches.data_order import MASKS, DataOrder
from mlm.data.batches.dynamic_padding import Batch, trim_padding, trimmed_sizes
from mlm.data.batches.length_groups import LengthGroups
from mlm.data.batches.masking import (
    Masked,
    RateSchedule,
    check_replace_probs,
    mask_tokens,
    max_targets_per_row,
)
from mlm.data.tokens.token_facts import TokenFacts
from mlm.data.tokens.token_store import TokenSplit
from mlm.errors import ConfigError, CorpusError

NOTHING_TO_LEARN = (
    "no token of the training texts could be chosen for prediction: give more texts, or a model "
    "whose vocabulary has their words"
)
SAMPLE = 256  # sequences, to see how long words are
MOST_LOST = 0.03  # share of the targets that may be lost to words without room
MOST_STEPS_WITHOUT_TARGET = 10_000


class MaskedBatches:
    """The endless stream of training batches over one split.

    Attributes:
        global_batch_size: B, the sequences of a batch.
        num_sequences: the sequences of an epoch.
        is_padded: True if attention needs a mask.
        max_targets: P, the most targets of a sequence.
        sizes: the sizes (T, P) that batches may be trimmed to.
        tokens_per_step: mean tokens of a batch, without padding.
        cuts_words: True if a part of a sequence's last word may be masked: with whole words and
            spans, if more than 3 % of the targets would be lost otherwise.

    Raises:
        ConfigError: a setting that cannot work.
        CorpusError: the split has no token, or none that may be a target.
    """

    def __init__(
        self,
        split: TokenSplit,
        facts: TokenFacts,
        *,
        max_seq_length: int,
        global_batch_size: int,
        seed: int,
        mlm_probability: float = 0.15,
        final_mlm_probability: float | None = None,
        total_steps: int | None = None,
        mask_replace_prob: float = 0.8,
        random_replace_prob: float = 0.1,
        whole_word_mask: bool = False,
        span_mask: bool = False,
        line_by_line: bool = False,
        group_by_length: bool = False,
        dynamic_padding: bool = True,
    ):
        check_batching("global_batch_size", global_batch_size, seed)
        check_replace_probs(mask_replace_prob, random_replace_prob, facts.random_word_ids)
        self._rates = RateSchedule(mlm_probability, final_mlm_probability, total_steps)
        chunking = Chunking(split, facts, max_seq_length=max_seq_length, line_by_line=line_by_line)
        _check_learnable(chunking)
        self._chunking, self._seed = chunking, seed
        self.global_batch_size = global_batch_size
        self.num_sequences, self.is_padded = chunking.num_sequences, chunking.is_padded
        self.max_targets = max_targets_per_row(max_seq_length, self._rates.highest)
        self.sizes = self._sizes(trimmed=dynamic_padding)
        self.tokens_per_step = global_batch_size * chunking.mean_length
        self._words = facts.words if whole_word_mask or span_mask else None
        self._mask = fixed_masking(
            facts,
            self.max_targets,
            mask_replace_prob=mask_replace_prob,
            random_replace_prob=random_replace_prob,
            span_mask=span_mask,
        )
        self._order = DataOrder(self.num_sequences, seed, max_seq_length - 2)
        self._groups = self._length_groups() if group_by_length else None
        self.cuts_words = self._share_lost_to_long_words() > MOST_LOST

    def _sizes(self, *, trimmed: bool) -> list[tuple[int, int]]:
        length = self._chunking.max_seq_length
        if self.is_padded and trimmed:
            return trimmed_sizes(length, self._rates.highest)
        return [(length, self.max_targets)]

    def _length_groups(self) -> LengthGroups:
        lengths = self._chunking.lengths
        return LengthGroups(self._order, lengths, self.global_batch_size, self._seed)

    def batch_at(self, step: int) -> Batch:
        """Return the batch of one optimizer update: (inputs, labels, weights).

        inputs: input_ids, attention_mask (B, T) int32, masked_positions (B, P) int32;
        labels (B, P) int32; weights (B, P) float32, B the global batch size. The weights sum to 1
        over the whole batch, so that the sum of weighted losses is the mean over targets, however
        many each replica has. They are all 0 in a batch without a target.
        """
        if step < 0:
            raise ConfigError(f"step is {step}: give 0 for the first batch.")
        masked, attention_mask = self._masked(step, cut_words=self.cuts_words)
        num_targets = int(np.count_nonzero(masked.weights))
        weights = masked.weights / np.float32(max(1, num_targets))
        return as_batch(masked._replace(weights=weights), attention_mask)

    def trim(self, batch: Batch) -> Batch:
        """Return the batch in the smallest of the sizes that holds it."""
        return trim_padding(batch, self.sizes)

    def check_targets(self, num_steps: int) -> None:
        """Raise CorpusError if none of the first `num_steps` batches, at most 10,000, has a target.

        The first one that has a target ends the search, which is nearly always the first.
        """
        steps = min(num_steps, MOST_STEPS_WITHOUT_TARGET)
        if not any(self.batch_at(step)[2].any() for step in range(steps)):
            raise CorpusError(
                f"no token was chosen for prediction in {steps:,} steps of "
                f"{self.global_batch_size:,} sequences: give more texts or larger batches, or "
                "raise --mlm_probability"
            )

    def unspaced_share(self) -> float:
        """Return the share of words in scripts without spaces, among some sequences' words.

        It is 0 if single tokens are masked.
        """
        if self._words is None:
            return 0.0
        words = unspaced = 0
        for step in self._sampled_steps():
            input_ids, _, special = self._sequences(step)
            starts = self._words.starts(input_ids) & ~special
            words += int(starts.sum())
            unspaced += int((starts & self._words.unspaced(input_ids)).sum())
        return unspaced / max(1, words)

    def _masked(self, step: int, *, cut_words: bool) -> tuple[Masked, np.ndarray]:
        """Return a step's sequences with masks, and their attention mask."""
        input_ids, attention_mask, special = self._sequences(step)
        masked = self._mask(
            input_ids,
            special,
            np.random.default_rng([self._seed, MASKS, step]),
            mlm_probability=self.mlm_probability_at(step),
            word_starts=None if self._words is None else self._words.starts(input_ids),
            cut_words=cut_words,
        )
        return masked, attention_mask

    def _sequences(self, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self._chunking.sequences(self.sequence_indices(step))

    def _sampled_steps(self) -> range:
        return range(-(-SAMPLE // self.global_batch_size))

    def _share_lost_to_long_words(self) -> float:
        """Return the share of the targets that is lost if words without room are left out."""
        if self._words is None:
            return 0.0
        whole, cut = (
            sum(
                np.count_nonzero(self._masked(step, cut_words=cut_words)[0].weights)
                for step in self._sampled_steps()
            )
            for cut_words in (False, True)
        )
        return 1 - whole / max(1, cut)

    def mlm_probability_at(self, step: int) -> float:
        """Return the masking rate of a step's batch."""
        return self._rates.at(step)

    def sequence_indices(self, step: int) -> np.ndarray:
        """Return the sequences of a step's batch: (B,) int64."""
        if self._groups is not None:
            return self._groups.at(step)
        return self._order.at(step * self.global_batch_size, self.global_batch_size)


def fixed_masking(facts: TokenFacts, max_targets: int, **settings: Any) -> Callable[..., Masked]:
    """Return `mask_tokens` for a vocabulary, with these settings."""
    return partial(
        mask_tokens,
        max_targets=max_targets,
        mask_token_id=facts.mask_id,
        random_word_ids=facts.random_word_ids,
        **settings,
    )


def as_batch(masked: Masked, attention_mask: np.ndarray) -> Batch:
    """Return (inputs, labels, weights), as Keras takes them."""
    inputs = {
        "input_ids": masked.masked_ids,
        "attention_mask": attention_mask,
        "masked_positions": masked.masked_positions,
    }
    return inputs, masked.labels, masked.weights


def _check_learnable(chunking: Chunking) -> None:
    check_not_empty(chunking.num_sequences)
    if not chunking.has_candidates:
        raise CorpusError(NOTHING_TO_LEARN)
