"""Token store + masking + seed → arrays: a batch is a pure function of (seed, step).

So the position in the data is one integer: a resumed run, any number of replicas and either backend
see the same batches, and every epoch has fresh masks.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np

from mlm.data.batches.chunking import Chunking
from mlm.data.batches.data_order import EVALUATION_MASKS, MASKS, DataOrder
from mlm.data.batches.dynamic_padding import Batch, sizes_of_batches
from mlm.data.batches.length_groups import LengthGroups
from mlm.data.batches.masking import (
    Masked,
    RateSchedule,
    check_shares,
    mask_tokens,
    num_prediction_slots,
)
from mlm.data.tokens.token_facts import TokenFacts
from mlm.data.tokens.token_store import TokenSplit
from mlm.errors import ConfigError, CorpusError

KNOWN_WORDS = "give more texts, or a model whose vocabulary knows them"
NOTHING_TO_MEASURE = f"no token of the validation texts could be chosen: {KNOWN_WORDS}"


class MaskedBatches:
    """The endless stream of training batches over one split.

    Attributes: global_batch_size, num_sequences; is_padded, whether attention needs a mask;
    sizes, what batches may be cut to; tokens_per_step, without padding and on average.

    Raises:
        ConfigError: a setting that cannot work.
        CorpusError: a split without a token, or without one that may be chosen.
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
        mask_share: float = 0.8,
        random_share: float = 0.1,
        whole_word_mask: bool = False,
        span_mask: bool = False,
        line_by_line: bool = False,
        group_by_length: bool = False,
        dynamic_padding: bool = True,
    ):
        _check_positive("global_batch_size", global_batch_size)
        _check_seed(seed)
        check_shares(mask_share, random_share, facts.random_word_ids)
        self._rates = RateSchedule(mlm_probability, final_mlm_probability, total_steps)
        self._chunking = Chunking(
            split, facts, max_seq_length=max_seq_length, line_by_line=line_by_line
        )
        _check_not_empty(self._chunking)
        if not self._chunking.has_candidates:
            raise CorpusError(f"no token of the training texts could be chosen: {KNOWN_WORDS}")
        self.global_batch_size = global_batch_size
        self.num_sequences = self._chunking.num_sequences
        self.is_padded = self._chunking.is_padded
        self.num_prediction_slots = num_prediction_slots(max_seq_length, self._rates.highest)
        self.sizes = [(max_seq_length, self.num_prediction_slots)]
        if self.is_padded and dynamic_padding:
            self.sizes = sizes_of_batches(max_seq_length, self._rates.highest)
        self.tokens_per_step = global_batch_size * self._chunking.mean_length
        self._seed = seed
        self._mask = partial(
            mask_tokens,
            num_slots=self.num_prediction_slots,
            mask_token_id=facts.mask_id,
            random_word_ids=facts.random_word_ids,
            mask_share=mask_share,
            random_share=random_share,
            word_starts=facts.word_starts if whole_word_mask or span_mask else None,
            span_mask=span_mask,
        )
        self._order = DataOrder(self.num_sequences, seed, max_seq_length - 2)
        self._groups = None
        if group_by_length:
            lengths = self._chunking.lengths
            self._groups = LengthGroups(self._order, lengths, global_batch_size, seed)

    def batch_at(self, step: int) -> Batch:
        """The batch of one optimizer update: (inputs, labels, weights), B the global batch size.

        inputs: input_ids, attention_mask (B, T) int32, masked_positions (B, P) int32;
        labels (B, P) int32; weights (B, P) float32 that sum to 1 over the whole batch, so that the
        sum of weighted losses is the mean over chosen tokens however many each replica has. All
        are 0 in a batch where no token was chosen.
        """
        if step < 0:
            raise ConfigError(f"step is {step}: give 0 for the first batch.")
        input_ids, attention_mask, special = self._chunking.sequences(self.sequence_indices(step))
        rng = np.random.default_rng([self._seed, MASKS, step])
        rate = self.mlm_probability_at(step)
        masked = self._mask(input_ids, special, rng, mlm_probability=rate)
        num_chosen = int(np.count_nonzero(masked.weights))
        weights = masked.weights / np.float32(max(1, num_chosen))
        return _batch(masked._replace(weights=weights), attention_mask)

    def mlm_probability_at(self, step: int) -> float:
        """The share of its candidates that a step's batch predicts."""
        return self._rates.at(step)

    def sequence_indices(self, step: int) -> np.ndarray:
        """(B,) int64: which sequences a step takes from the endless run of shuffled epochs."""
        if self._groups is not None:
            return self._groups.at(step)
        return self._order.at(step * self.global_batch_size, self.global_batch_size)


class EvaluationBatches:
    """A split under the fixed protocol: each sequence once, in order, its masks the same each time.

    A sequence's masks depend on its number and the seed alone, not on the batch size.
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
            num_slots=num_prediction_slots(chunking.max_seq_length, mlm_probability),
            mask_token_id=facts.mask_id,
            random_word_ids=facts.random_word_ids,
            word_starts=facts.word_starts if whole_word_mask else None,
        )

    def __len__(self) -> int:
        return -(-self.num_sequences // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Batch:
        """Batch number `index`: as `MaskedBatches.batch_at`, but the weights are 1 and 0."""
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
    """The batches that every figure of this project is measured on.

    15 % chosen, 80/10/10, seed 0, sequences in order, the shorter last one kept. The last batch is
    filled up with empty sequences of weight 0, so that all have one shape.

    Raises:
        ConfigError: a setting that cannot work.
        CorpusError: a split without a token, or of which none is chosen.
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
    # Of whole words there may be none to choose: all can be longer than their row's share.
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
        raise CorpusError("The split holds no token: give more texts, or change the split's share.")
