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


def is_on_one_device() -> bool:
    """Whether a step has all of every variable to itself."""
    return not tf.distribute.has_strategy()


def adam_step(optimizer, variable, gradient, momentum, velocity, learning_rate) -> None:
    """Keras' Adam.update_step of one tf.Variable, float32, by one operator instead of a dozen.

    momentum, velocity: the Keras variables of its moments, changed in place as it is.
    """
    step = tf.cast(optimizer.iterations + 1, tf.float32)
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=momentum.value.handle,
        v=velocity.value.handle,
        beta1_power=tf.pow(optimizer.beta_1, step),
        beta2_power=tf.pow(optimizer.beta_2, step),
        lr=tf.cast(learning_rate, tf.float32),
        beta1=optimizer.beta_1,
        beta2=optimizer.beta_2,
        epsilon=optimizer.epsilon,
        grad=tf.cast(gradient, tf.float32),
    )


def _gradients(learner, variables, inputs, labels, weights) -> list:
    with tf.GradientTape() as tape:
        logits = learner(inputs, training=True)
        loss = learner.compute_loss(inputs, labels, logits, weights, training=True)
        loss = learner.optimizer.scale_loss(loss)
    learner.compute_metrics(inputs, labels, logits, weights)
    found = tape.gradient(loss, [variable.value for variable in variables])
    return [tf.convert_to_tensor(gradient) for gradient in found]
