"""Batches cut to what they hold: what is padding in every row is computed for nothing.

In few sizes, as each new one may be traced and compiled. Losses and gradients are those of the
whole batch.
"""

import math

import numpy as np

from mlm.data.batches.masking import num_prediction_slots

Batch = tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]
Sizes = list[tuple[int, int]]

SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 1)  # of the longest
MULTIPLE = 8  # tokens


def sizes_of_batches(max_seq_length: int, mlm_probability: float) -> Sizes:
    """The sizes that batches are cut to, tokens T and slots P, ascending; the last holds any."""
    widths = {math.ceil(max_seq_length * share / MULTIPLE) * MULTIPLE for share in SHARES}
    return [
        (width, num_prediction_slots(width, mlm_probability))
        for width in sorted({min(width, max_seq_length) for width in widths})
    ]


def cut(batch: Batch, sizes: Sizes) -> Batch:
    """A batch (see MaskedBatches.batch_at) in the smallest of the sizes that holds it."""
    inputs, labels, weights = batch
    longest = int(inputs["attention_mask"].sum(axis=1).max())
    most = int((weights != 0).sum(axis=1).max())
    width, slots = next(
        (width, slots) for width, slots in sizes if width >= longest and slots >= most
    )
    inputs = {
        "input_ids": inputs["input_ids"][:, :width],
        "attention_mask": inputs["attention_mask"][:, :width],
        "masked_positions": inputs["masked_positions"][:, :slots],
    }
    return inputs, labels[:, :slots], weights[:, :slots]
