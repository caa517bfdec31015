"""The loop over micro-batches on TensorFlow, inside each replica."""

from typing import Any

import tensorflow as tf


def train_step(learner, data) -> dict[str, Any]:
    """One update; `data` is (inputs, labels, weights) of one replica. Returns the metrics."""
    count = learner.gradient_accumulation_steps
    variables = learner.trainable_variables

    def add_gradients(index, *sums):
        part = tf.nest.map_structure(lambda rows: rows[index::count], data)
        gradients = _gradients(learner, variables, *part)
        return index + 1, *(total + part for total, part in zip(sums, gradients, strict=True))

    _, *sums = tf.while_loop(
        lambda index, *_: index < count,
        add_gradients,
        (0, *(tf.zeros_like(variable.value) for variable in variables)),
        parallel_iterations=1,  # one micro-batch's activations at a time
    )
    learner.optimizer.apply(sums, variables)
    return learner.get_metrics_result()


def _gradients(learner, variables, inputs, labels, weights) -> list:
    with tf.GradientTape() as tape:
        logits = learner(inputs, training=True)
        loss = learner.compute_loss(inputs, labels, logits, weights, training=True)
        loss = learner.optimizer.scale_loss(loss)
    learner.compute_metrics(inputs, labels, logits, weights)
    found = tape.gradient(loss, [variable.value for variable in variables])
    return [tf.convert_to_tensor(gradient) for gradient in found]
