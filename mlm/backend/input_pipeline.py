"""How batches reach `fit` and `predict`: made ahead in a thread, and over when they are over."""

from collections.abc import Iterator
from typing import Any

import keras

BATCHES_AHEAD = 2


def fed(dataset: keras.utils.PyDataset) -> Any:
    """What Keras is given in the place of a PyDataset.

    On TensorFlow a dataset of tf.data that knows the shape of all batches, rows too: a fifth of a
    training step's graph would find it out. Of a dataset that says `lengths_vary` it knows the
    rows alone, and one graph is for all lengths. And without autotuning: with it, as Keras makes
    one, the thread that tunes holds up the end of each `fit` and `predict` until it has slept five
    seconds; there is nothing to tune in one generator.
    """
    if keras.backend.backend() != "tensorflow":
        return dataset
    import tensorflow as tf

    def batches() -> Iterator[Any]:
        return (dataset[index] for index in range(len(dataset)))

    options = tf.data.Options()
    options.autotune.enabled = False
    signature = tf.nest.map_structure(
        lambda values: tf.TensorSpec(_shape(dataset, values), values.dtype), dataset[0]
    )
    made = tf.data.Dataset.from_generator(batches, output_signature=signature)
    made = made.apply(tf.data.experimental.assert_cardinality(len(dataset)))
    return made.prefetch(BATCHES_AHEAD).with_options(options)


def _shape(dataset: keras.utils.PyDataset, values) -> tuple[int | None, ...]:
    rows, *others = values.shape
    if getattr(dataset, "lengths_vary", False):
        return rows, *(None for _ in others)
    return rows, *others
