"""All examples once, in batches of similar length, and outputs back in the order of the examples.

batches = ExampleEvaluationBatches(examples, batch_size=32)
logits = batches.reorder(np.concatenate([model(inputs) for inputs, _, _ in batches]))  # (E, L)
"""

from collections.abc import Iterator

import numpy as np

from mlm.data.batches import check_not_empty, check_positive
from mlm.data.batches.dynamic_padding import Batch, trimmed_widths
from mlm.data.examples.encoded_examples import NO_LABEL, EncodedExamples


class ExampleEvaluationBatches:
    """Batches of examples sorted by length; each has the width of its longest, of few widths.

    All batches have batch_size rows: the last one is filled up with an example of weight 0.
    """

    def __init__(self, examples: EncodedExamples, *, batch_size: int):
        """Sort the examples. Raises ConfigError or CorpusError: no row, or no example."""
        check_positive("batch_size", batch_size)
        check_not_empty(len(examples))
        self.examples, self.batch_size = examples, batch_size
        self._order = np.argsort(examples.lengths, kind="stable")
        self._widths = trimmed_widths(examples.max_seq_length)

    def __len__(self) -> int:
        return -(-len(self.examples) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Batch:
        """Return batch `index` as `ExampleBatches.batch_at` does, but with weights of 1 and 0."""
        rows = self.rows(index)
        filled = np.resize(rows, self.batch_size)
        longest = int(self.examples.lengths[rows].max())
        width = next(width for width in self._widths if width >= longest)
        labels = self.examples.labels_of(filled, width)
        of_tokens = self.examples.task.is_of_tokens
        weights = (labels != NO_LABEL) if of_tokens else np.ones(self.batch_size)
        weights = weights.astype(np.float32)
        weights[len(rows) :] = 0
        return self.examples.inputs(filled, width), labels, weights

    def thinned(self, count: int) -> "ExampleEvaluationBatches":
        """Return `count` batches of examples of all lengths, or all if there are not so many."""
        if len(self) <= count:
            return self
        every = np.linspace(0, len(self.examples) - 1, count * self.batch_size).astype(np.int64)
        some = self.examples.take(self._order[every])
        return ExampleEvaluationBatches(some, batch_size=self.batch_size)

    def rows(self, index: int) -> np.ndarray:
        """Return the examples of batch `index`, at most batch_size: (n,) int64."""
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        first = index * self.batch_size
        found: np.ndarray = self._order[first : first + self.batch_size]
        return found

    @property
    def width(self) -> int:
        """Tokens of the widest batch."""
        longest = int(self.examples.lengths.max())
        return next(width for width in self._widths if width >= longest)

    def reorder(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows of all batches, joined, in the order of the examples: (E, ...)."""
        restored = np.empty((len(self.examples), *rows.shape[1:]), rows.dtype)
        restored[self._order] = rows[: len(self.examples)]
        return restored
