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
SAMPLE = 256  # sequences, to see how long words are
MOST_LOST = 0.03  # share of the targets that may be lost to words without room
MOST_STEPS_WITHOUT_TARGET = 10_000
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
        self._words = facts.words if whole_word_mask or span_mask else None
        self._mask = partial(
            mask_tokens,
            max_targets=self.max_targets,
            mask_token_id=facts.mask_id,
            random_word_ids=facts.random_word_ids,
            mask_replace_prob=mask_replace_prob,
            random_replace_prob=random_replace_prob,
            span_mask=span_mask,
        )
        self._order = DataOrder(self.num_sequences, seed, max_seq_length - 2)
        self._groups = None
        if group_by_length:
            lengths = self._chunking.lengths
            self._groups = LengthGroups(self._order, lengths, global_batch_size, seed)
        self.cuts_words = self._share_lost_to_long_words() > MOST_LOST

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
        return _batch(masked._replace(weights=weights), attention_mask)

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
        cut_words: bool = False,
    ):
        self.batch_size = batch_size
        self.num_sequences = num_sequences
        self._chunking = chunking
        self._seed = seed
        self._words = facts.words if whole_word_mask else None
        self._mask = partial(
            mask_tokens,
            mlm_probability=mlm_probability,
            max_targets=max_targets_per_row(chunking.max_seq_length, mlm_probability),
            mask_token_id=facts.mask_id,
            random_word_ids=facts.random_word_ids,
            cut_words=cut_words,
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
        starts = None if self._words is None else self._words.starts(input_ids)
        rows = []
        for row in range(self.batch_size):
            one = slice(row, row + 1)
            rng = np.random.default_rng([self._seed, EVALUATION_MASKS, first + row])
            word_starts = None if starts is None else starts[one]
            rows.append(self._mask(input_ids[one], special[one], rng, word_starts=word_starts))
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
    Words are masked whole; if all of them are longer than a row has room for, in part.

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
    make = partial(
        EvaluationBatches,
        chunking,
        facts,
        batch_size=batch_size,
        mlm_probability=mlm_probability,
        seed=seed,
        num_sequences=num_sequences,
        whole_word_mask=whole_word_mask,
    )
    batches = make()
    if any(weights.any() for _, _, weights in batches):
        return batches
    if whole_word_mask:
        return make(cut_words=True)
    raise CorpusError(NOTHING_TO_MEASURE)


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
