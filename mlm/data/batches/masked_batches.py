"""Masked batches of a token store's split; each is a pure function of (seed, step).

The position in the data is therefore one integer. A resumed run, any number of replicas and either
backend see the same batches, and every epoch has fresh masks.
"""

import copy
from collections.abc import Iterator
from functools import partial
from typing import Self

import numpy as np

from mlm.data.batches.chunking import Chunking
from mlm.data.batches.data_order import EVALUATION_MASKS, MASKS, DataOrder
from mlm.data.batches.dynamic_padding import Batch, trimmed_sizes
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

_ADVICE = "give more texts, or a model whose vocabulary has their words"
NOTHING_TO_LEARN = f"no token of the training texts could be chosen for prediction: {_ADVICE}"
NOTHING_TO_MEASURE = f"no token of the validation texts could be chosen for prediction: {_ADVICE}"


class MaskedBatches:
    """The endless stream of training batches over one split.

    Attributes:
        global_batch_size: B, the sequences of a batch.
        num_sequences: the sequences of an epoch.
        is_padded: True if attention needs a mask.
        max_targets: P, the most targets of a sequence.
        sizes: the sizes (T, P) that batches may be trimmed to.
        tokens_per_step: mean tokens of a batch, without padding.

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
        _check_positive("global_batch_size", global_batch_size)
        _check_seed(seed)
        check_replace_probs(mask_replace_prob, random_replace_prob, facts.random_word_ids)
        self._rates = RateSchedule(mlm_probability, final_mlm_probability, total_steps)
        self._chunking = Chunking(
            split, facts, max_seq_length=max_seq_length, line_by_line=line_by_line
        )
        _check_not_empty(self._chunking)
        if not self._chunking.has_candidates:
            raise CorpusError(NOTHING_TO_LEARN)
        self.global_batch_size = global_batch_size
        self.num_sequences = self._chunking.num_sequences
        self.is_padded = self._chunking.is_padded
        self.max_targets = max_targets_per_row(max_seq_length, self._rates.highest)
        self.sizes = [(max_seq_length, self.max_targets)]
        if self.is_padded and dynamic_padding:
            self.sizes = trimmed_sizes(max_seq_length, self._rates.highest)
        self.tokens_per_step = global_batch_size * self._chunking.mean_length
        self._seed = seed
        self._mask = partial(
            mask_tokens,
            max_targets=self.max_targets,
            mask_token_id=facts.mask_id,
            random_word_ids=facts.random_word_ids,
            mask_replace_prob=mask_replace_prob,
            random_replace_prob=random_replace_prob,
            word_starts=facts.word_starts if whole_word_mask or span_mask else None,
            span_mask=span_mask,
        )
        self._order = DataOrder(self.num_sequences, seed, max_seq_length - 2)
        self._groups = None
        if group_by_length:
            lengths = self._chunking.lengths
            self._groups = LengthGroups(self._order, lengths, global_batch_size, seed)

    def batch_at(self, step: int) -> Batch:
        """Return the batch of one optimizer update: (inputs, labels, weights).

        inputs: input_ids, attention_mask (B, T) int32, masked_positions (B, P) int32;
        labels (B, P) int32; weights (B, P) float32, B the global batch size. The weights sum to 1
        over the whole batch, so that the sum of weighted losses is the mean over targets, however
        many each replica has. They are all 0 in a batch without a target.
        """
        if step < 0:
            raise ConfigError(f"step is {step}: give 0 for the first batch.")
        input_ids, attention_mask, special = self._chunking.sequences(self.sequence_indices(step))
        rng = np.random.default_rng([self._seed, MASKS, step])
        rate = self.mlm_probability_at(step)
        masked = self._mask(input_ids, special, rng, mlm_probability=rate)
        num_targets = int(np.count_nonzero(masked.weights))
        weights = masked.weights / np.float32(max(1, num_targets))
        return _batch(masked._replace(weights=weights), attention_mask)

    def mlm_probability_at(self, step: int) -> float:
        """Return the masking rate of a step's batch."""
        return self._rates.at(step)

    def sequence_indices(self, step: int) -> np.ndarray:
        """Return the sequences of a step's batch: (B,) int64."""
        if self._groups is not None:
            return self._groups.at(step)
        return self._order.at(step * self.global_batch_size, self.global_batch_size)


class EvaluationBatches:
    """The batches of the evaluation protocol: each sequence once, in order, with fixed masks.

    A sequence's masks depend only on its number and the seed, not on the batch size.
    """

    def __init__(
        self,
        chunking: Chunking,
        facts: TokenFacts,
        *,
        batch_size: int,
        mlm_probability: float,
        seed: int,
        num_sequences: int,
        whole_word_mask: bool = False,
    ):
        self.batch_size = batch_size
        self.num_sequences = num_sequences
        self._chunking = chunking
        self._seed = seed
        self._mask = partial(
            mask_tokens,
            mlm_probability=mlm_probability,
            max_targets=max_targets_per_row(chunking.max_seq_length, mlm_probability),
            mask_token_id=facts.mask_id,
            random_word_ids=facts.random_word_ids,
            word_starts=facts.word_starts if whole_word_mask else None,
        )

    def first(self, count: int) -> Self:
        """Return the first `count` batches, or all if there are not so many."""
        fewer = copy.copy(self)
        fewer.num_sequences = min(self.num_sequences, count * self.batch_size)
        return fewer

    def __len__(self) -> int:
        return -(-self.num_sequences // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Batch:
        """Return batch `index` as `MaskedBatches.batch_at` does, but with weights of 1 and 0."""
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        first = index * self.batch_size
        numbers = np.arange(first, first + self.batch_size)
        real = np.where(numbers < self.num_sequences, numbers, -1)
        input_ids, attention_mask, special = self._chunking.sequences(real)
        rows = []
        for row in range(self.batch_size):
            rng = np.random.default_rng([self._seed, EVALUATION_MASKS, first + row])
            rows.append(self._mask(input_ids[row : row + 1], special[row : row + 1], rng))
        return _batch(Masked(*map(np.concatenate, zip(*rows, strict=True))), attention_mask)


def evaluation_batches(
    split: TokenSplit,
    facts: TokenFacts,
    *,
    max_seq_length: int,
    batch_size: int,
    mlm_probability: float = 0.15,
    seed: int = 0,
    line_by_line: bool = False,
    whole_word_mask: bool = False,
    max_sequences: int | None = None,
) -> EvaluationBatches:
    """Return the batches that every figure of this project is measured on.

    The protocol: 15 % targets, 80/10/10, seed 0, sequences in order, the shorter last one kept. The
    last batch is filled up with empty sequences of weight 0, so that all batches have one shape.

    Raises:
        ConfigError: a setting that cannot work.
        CorpusError: the split has no token, or none was chosen as a target.
    """
    _check_positive("batch_size", batch_size)
    _check_seed(seed)
    chunking = Chunking(
        split,
        facts,
        max_seq_length=max_seq_length,
        line_by_line=line_by_line,
        keep_remainder=True,
    )
    _check_not_empty(chunking)
    num_sequences = chunking.num_sequences
    if max_sequences is not None:
        _check_positive("max_sequences", max_sequences)
        num_sequences = min(num_sequences, max_sequences)
    batches = EvaluationBatches(
        chunking,
        facts,
        batch_size=batch_size,
        mlm_probability=mlm_probability,
        seed=seed,
        num_sequences=num_sequences,
        whole_word_mask=whole_word_mask,
    )
    # Whole words are exempt: all of them may be longer than their row's budget.
    if not whole_word_mask and not any(weights.any() for _, _, weights in batches):
        raise CorpusError(NOTHING_TO_MEASURE)
    return batches


def _batch(masked: Masked, attention_mask: np.ndarray) -> Batch:
    inputs = {
        "input_ids": masked.masked_ids,
        "attention_mask": attention_mask,
        "masked_positions": masked.masked_positions,
    }
    return inputs, masked.labels, masked.weights


def _check_positive(name: str, value: int) -> None:
    if value < 1:
        raise ConfigError(f"{name} is {value}: give a whole number of at least 1.")


def _check_seed(seed: int) -> None:
    if seed < 0:
        raise ConfigError(f"seed is {seed}: give a whole number of at least 0.")


def _check_not_empty(chunking: Chunking) -> None:
    if chunking.num_sequences == 0:
        raise CorpusError(
            "The split holds no token: give more texts, or change the share of validation texts."
        )
