"""The loop over micro-batches on JAX, whose program sees all devices."""

from typing import Any

import jax
import keras


def train_step(learner, state, data) -> tuple[dict[str, Any], tuple]:
    """One update; `data` is (inputs, labels, weights) of the global batch.

    state: Keras' (trainable, non-trainable, optimizer, metrics) values. Returns metrics and state.
    """
    trainable, others, optimizer_values, metrics = state
    gradient_of = jax.value_and_grad(learner.compute_loss_and_updates, has_aux=True)

    def add_gradients(carried, part):
        others, metrics, sums = carried
        inputs, labels, weights = part
        (_, (_, logits, others, metrics)), gradients = gradient_of(
            trainable,
            others,
            metrics,
            inputs,
            labels,
            weights,
            training=True,
            optimizer_variables=optimizer_values,
        )
        metrics = _counted(learner, metrics, inputs, labels, logits, weights)
        return (others, metrics, jax.tree.map(jax.numpy.add, sums, gradients)), None

    start = (others, metrics, jax.tree.map(jax.numpy.zeros_like, trainable))
    parts = _micro_batches(data, learner.gradient_accumulation_steps)
    (others, metrics, sums), _ = jax.lax.scan(add_gradients, start, parts)
    trainable, optimizer_values = learner.optimizer.stateless_apply(
        optimizer_values, sums, trainable
    )
    mapping = zip(learner.metrics_variables, metrics, strict=True)
    with keras.StatelessScope(state_mapping=list(mapping)):
        results = learner.get_metrics_result()
    return results, (trainable, others, optimizer_values, metrics)


def _micro_batches(data, count: int):
    """Every count-th row in one micro-batch, so that each device keeps the rows that it has."""
    return jax.tree.map(
        lambda rows: rows.reshape(-1, count, *rows.shape[1:]).swapaxes(0, 1), tuple(data)
    )


def _counted(learner, metrics, inputs, labels, logits, weights) -> list:
    mapping = zip(learner.metrics_variables, metrics, strict=True)
    with keras.StatelessScope(state_mapping=list(mapping)) as scope:
        learner.compute_metrics(inputs, labels, logits, weights)
    values = (scope.get_current_value(variable) for variable in learner.metrics_variables)
    return [old if new is None else new for new, old in zip(values, metrics, strict=True)]
