"""Input pipeline: batches for `fit` and `predict`, prefetched, without autotuning."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import keras
import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

BATCHES_AHEAD = 2


def make_input_pipeline(
    dataset: keras.utils.PyDataset,
) -> "keras.utils.PyDataset | tf.data.Dataset":
    """Return what to pass to `fit` or `predict` for a PyDataset.

    On TensorFlow this is a tf.data.Dataset with static shapes, the number of rows included: a fifth
    of a training step's graph would otherwise compute them. If the dataset has a true attribute
    `lengths_vary`, only the number of rows is static, and one graph serves all lengths.

    Autotuning is off. With it, as in Keras' own adapter, the tuning thread delays the end of each
    `fit` and `predict` by its sleep of up to five seconds; one generator has nothing to tune.
    """
    if keras.backend.backend() != "tensorflow":
        return dataset
    import tensorflow as tf

    def batches() -> Iterator[object]:
        return (dataset[index] for index in range(len(dataset)))

    options = tf.data.Options()
    options.autotune.enabled = False
    signature = tf.nest.map_structure(
        lambda values: tf.TensorSpec(_shape(dataset, values), values.dtype), dataset[0]
    )
    pipeline = tf.data.Dataset.from_generator(batches, output_signature=signature)
    pipeline = pipeline.apply(tf.data.experimental.assert_cardinality(len(dataset)))
    return pipeline.prefetch(BATCHES_AHEAD).with_options(options)


def _shape(dataset: keras.utils.PyDataset, values: np.ndarray) -> tuple[int | None, ...]:
    rows, *others = values.shape
    if getattr(dataset, "lengths_vary", False):
        return rows, *(None for _ in others)
    return rows, *others
