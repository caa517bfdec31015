"""Training batches of encoded examples; each is a pure function of (seed, step)."""

import numpy as np

from mlm.data.batches import check_batching, check_not_empty
from mlm.data.batches.data_order import DataOrder
from mlm.data.batches.dynamic_padding import Batch, Sizes, trim_examples, trimmed_widths
from mlm.data.batches.length_groups import LengthGroups
from mlm.data.examples.encoded_examples import NO_LABEL, EncodedExamples
from mlm.errors import ConfigError

_ONE_PERMUTATION = 1  # examples are in memory: an epoch is shuffled as a whole


class ExampleBatches:
    """The endless stream of training batches over examples.

    Attributes:
        global_batch_size: B, the examples of a batch.
        num_sequences: the examples of an epoch.
        is_padded: True if attention needs a mask.
        sizes: the sizes (T, 0) that batches may be trimmed to.
        tokens_per_step: mean tokens of a batch, without padding.

    Raises:
        ConfigError: a setting that cannot work.
        CorpusError: there are none.
    """

    def __init__(
        self,
        examples: EncodedExamples,
        *,
        global_batch_size: int,
        seed: int,
        group_by_length: bool = True,
        class_weights: np.ndarray | None = None,
    ):
        """Set up the batches.

        class_weights: (L,), of a single label or of tokens; see class_weights.py.
        """
        check_batching("global_batch_size", global_batch_size, seed)
        check_not_empty(len(examples))
        self._examples, self._class_weights = examples, class_weights
        _check_class_weights(examples, class_weights)
        self.global_batch_size, self.num_sequences = global_batch_size, len(examples)
        lengths = examples.lengths
        longest = int(lengths.max())
        widths = trimmed_widths(examples.max_seq_length)
        self._width = next(width for width in widths if width >= longest)
        self.is_padded = int(lengths.min()) < self._width
        self.sizes: Sizes = [(width, 0) for width in widths if width <= self._width]
        self.tokens_per_step = global_batch_size * float(lengths.mean())
        self._order = DataOrder(len(examples), seed, _ONE_PERMUTATION)
        self._groups = None
        if group_by_length:
            self._groups = LengthGroups(
                self._order, lambda rows: lengths[rows], global_batch_size, seed
            )

    def batch_at(self, step: int) -> Batch:
        """Return the batch of one optimizer update: (inputs, labels, weights).

        inputs: input_ids, attention_mask and, of pairs with segments, token_type_ids, (B, T) int32;
        labels: (B,) int32 of one label, (B, L) float32 of several, (B,) float32 of a regression,
        (B, T) int32 of tokens; weights: (B,) float32, of tokens (B, T). The weights sum to 1 over
        the batch, or are all 0 if no token of it has a label.
        """
        if step < 0:
            raise ConfigError(f"step is {step}: give 0 for the first batch.")
        rows = self.example_indices(step)
        labels = self._examples.labels_of(rows, self._width)
        weights = self._weights(labels)
        return self._examples.inputs(rows, self._width), labels, weights

    def trim(self, batch: Batch) -> Batch:
        """Return the batch in the smallest of the sizes that holds it."""
        return trim_examples(batch, self.sizes, of_tokens=self._examples.task.is_of_tokens)

    def example_indices(self, step: int) -> np.ndarray:
        """Return the examples of a step's batch: (B,) int64."""
        if self._groups is not None:
            return self._groups.at(step)
        return self._order.at(step * self.global_batch_size, self.global_batch_size)

    def _weights(self, labels: np.ndarray) -> np.ndarray:
        if self._examples.task.is_of_tokens:
            weights = (labels != NO_LABEL).astype(np.float32)
        else:
            weights = np.ones(len(labels), np.float32)
        if self._class_weights is not None:
            weights *= self._class_weights[np.maximum(labels, 0)]  # NO_LABEL takes any, times 0
        total = weights.sum(dtype=np.float64)
        return np.asarray(weights / total, np.float32) if total > 0 else weights


def _check_class_weights(examples: EncodedExamples, class_weights: np.ndarray | None) -> None:
    if class_weights is None:
        return
    if examples.task.problem_type in ("regression", "multi_label_classification"):
        raise ConfigError(
            f"--class_weights is for tasks with one class per text or word; this one is "
            f"{examples.task.problem_type}: leave it out"
        )
    if class_weights.shape != (len(examples.task.labels),):
        raise ConfigError(
            f"there are {len(class_weights)} class weights, expected one for each of the "
            f"{len(examples.task.labels)} labels"
        )
