"""Trim a batch to the smallest of a few sizes that holds it: shared padding costs compute.

The sizes are few because each new one may be traced and compiled. Losses and gradients are those of
the untrimmed batch.
"""

import math

import numpy as np

from mlm.data.batches.masking import max_targets_per_row

Batch = tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]  # see MaskedBatches.batch_at
Sizes = list[tuple[int, int]]  # (tokens T, target positions P)

WIDTH_FRACTIONS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 1)  # of max_seq_length
WIDTH_MULTIPLE = 8  # tokens


def trimmed_sizes(max_seq_length: int, mlm_probability: float) -> Sizes:
    """Return the sizes (T, P) that batches are trimmed to, ascending; the last holds any batch."""
    return [
        (width, max_targets_per_row(width, mlm_probability))
        for width in trimmed_widths(max_seq_length)
    ]


def trimmed_widths(max_seq_length: int) -> list[int]:
    """Return the widths in tokens that batches are trimmed to, ascending."""
    widths = {
        math.ceil(max_seq_length * fraction / WIDTH_MULTIPLE) * WIDTH_MULTIPLE
        for fraction in WIDTH_FRACTIONS
    }
    return sorted({min(width, max_seq_length) for width in widths})


def trim_padding(batch: Batch, sizes: Sizes) -> Batch:
    """Return the batch in the smallest of the sizes that holds it."""
    inputs, labels, weights = batch
    longest = int(inputs["attention_mask"].sum(axis=1).max())
    most_targets = int((weights != 0).sum(axis=1).max())
    width, targets = next(
        (width, targets) for width, targets in sizes if width >= longest and targets >= most_targets
    )
    inputs = {
        "input_ids": inputs["input_ids"][:, :width],
        "attention_mask": inputs["attention_mask"][:, :width],
        "masked_positions": inputs["masked_positions"][:, :targets],
    }
    return inputs, labels[:, :targets], weights[:, :targets]


def trim_examples(batch: Batch, sizes: Sizes, *, of_tokens: bool) -> Batch:
    """Return a batch of labelled examples in the smallest of the widths that holds it.

    of_tokens: labels and weights are (B, T), as the inputs.
    """
    inputs, labels, weights = batch
    longest = int(inputs["attention_mask"].sum(axis=1).max())
    width = next(width for width, _ in sizes if width >= longest)
    inputs = {name: values[:, :width] for name, values in inputs.items()}
    if of_tokens:
        return inputs, labels[:, :width], weights[:, :width]
    return inputs, labels, weights
