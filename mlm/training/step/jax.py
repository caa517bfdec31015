"""The loop over micro-batches on JAX, where one program sees all devices."""

import jax
import keras


def train_step(
    learner: keras.Model, state: tuple, data: tuple
) -> tuple[dict[str, jax.Array], tuple]:
    """Make one update; `data` is (inputs, labels, weights) of the global batch.

    state: Keras' (trainable, non-trainable, optimizer, metrics) values. Returns metrics and state.
    """
    trainable, others, optimizer_values, metrics = state
    gradient_of = jax.value_and_grad(learner.compute_loss_and_updates, has_aux=True)

    def add_gradients(carry, micro_batch):
        others, metrics, sums = carry
        inputs, labels, weights = micro_batch
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
        metrics = _updated_metrics(learner, metrics, inputs, labels, logits, weights)
        return (others, metrics, jax.tree.map(jax.numpy.add, sums, gradients)), None

    start = (others, metrics, jax.tree.map(jax.numpy.zeros_like, trainable))
    micro_batches = _split(data, learner.gradient_accumulation_steps)
    (others, metrics, sums), _ = jax.lax.scan(add_gradients, start, micro_batches)
    trainable, optimizer_values = learner.optimizer.stateless_apply(
        optimizer_values, sums, trainable
    )
    mapping = zip(learner.metrics_variables, metrics, strict=True)
    with keras.StatelessScope(state_mapping=list(mapping)):
        results = learner.get_metrics_result()
    return results, (trainable, others, optimizer_values, metrics)


def _split(data: tuple, count: int) -> tuple:
    """Return micro-batches of every count-th row, so that each device keeps the rows it has."""
    return jax.tree.map(
        lambda rows: rows.reshape(-1, count, *rows.shape[1:]).swapaxes(0, 1), tuple(data)
    )


def _updated_metrics(learner, metrics, inputs, labels, logits, weights) -> list:
    mapping = zip(learner.metrics_variables, metrics, strict=True)
    with keras.StatelessScope(state_mapping=list(mapping)) as scope:
        learner.compute_metrics(inputs, labels, logits, weights)
    values = (scope.get_current_value(variable) for variable in learner.metrics_variables)
    return [old if new is None else new for new, old in zip(values, metrics, strict=True)]
