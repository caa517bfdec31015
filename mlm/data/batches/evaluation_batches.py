"""The batches of the evaluation protocol, the same for every model with the same tokenizer."""

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import Self

import numpy as np

from mlm.data.batches import check_batching, check_not_empty, check_positive
from mlm.data.batches.chunking import Chunking
from mlm.data.batches.data_order import EVALUATION_MASKS
from mlm.data.batches.dynamic_padding import Batch
from mlm.data.batches.masked_batches import as_batch, fixed_masking
from mlm.data.batches.masking import Masked, max_targets_per_row
from mlm.data.tokens.token_facts import TokenFacts
from mlm.data.tokens.token_store import TokenSplit
from mlm.errors import CorpusError

NOTHING_TO_MEASURE = (
    "no token of the validation texts could be chosen for prediction: give more texts, or a model "
    "whose vocabulary has their words"
)


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
        self._mask = fixed_masking(
            facts,
            max_targets_per_row(chunking.max_seq_length, mlm_probability),
            mlm_probability=mlm_probability,
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
        return as_batch(Masked(*map(np.concatenate, zip(*rows, strict=True))), attention_mask)


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
    check_batching("batch_size", batch_size, seed)
    chunking = Chunking(
        split, facts, max_seq_length=max_seq_length, line_by_line=line_by_line, keep_remainder=True
    )
    check_not_empty(chunking.num_sequences)
    make = partial(
        EvaluationBatches,
        chunking,
        facts,
        batch_size=batch_size,
        mlm_probability=mlm_probability,
        seed=seed,
        num_sequences=_at_most(chunking.num_sequences, max_sequences),
        whole_word_mask=whole_word_mask,
    )
    return _with_targets(make, whole_word_mask)


def _at_most(num_sequences: int, max_sequences: int | None) -> int:
    if max_sequences is None:
        return num_sequences
    check_positive("max_sequences", max_sequences)
    return min(num_sequences, max_sequences)


def _with_targets(make: Callable[..., EvaluationBatches], whole_words: bool) -> EvaluationBatches:
    """Return the batches; with cut words if no word has room. Raises CorpusError: no target."""
    batches = make()
    if any(weights.any() for _, _, weights in batches):
        return batches
    if whole_words:
        return make(cut_words=True)
    raise CorpusError(NOTHING_TO_MEASURE)
