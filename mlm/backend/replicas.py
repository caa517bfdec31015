"""Arithmetic over the replicas of a training step, in the terms of the Keras backend."""

from collections.abc import Callable


def backend_name() -> str:
    """`tensorflow` or `jax`, as Keras was told (TensorFlow if it was told nothing)."""
    import keras

    return keras.backend.backend()


def sum_over_replicas(tensors: list) -> tuple[list, int]:
    """Inside a training step: each tensor summed over the replicas, and how many those are.

    On JAX a gradient is global already: one program sees all devices.
    """
    if backend_name() != "tensorflow":
        return tensors, 1
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return tensors, 1
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tensors), context.num_replicas_in_sync


def global_norm(tensors: list):
    """Inside a training step: the norm of all values together, float32."""
    if backend_name() == "tensorflow":  # one operator each, and no squares in memory
        import tensorflow as tf

        return tf.linalg.global_norm(tensors)
    from keras import ops

    squares = [ops.sum(ops.square(ops.cast(tensor, "float32"))) for tensor in tensors]
    return ops.sqrt(sum(squares[1:], start=squares[0]))


def update_if(condition, update: Callable, skip: Callable, *gradients: list) -> None:
    """Inside a TensorFlow training step: `update(*gradients)` if the condition holds, or `skip()`.

    The condition is the same on every replica. With several, the branch is taken outside of them:
    an update talks to the other replicas, which TensorFlow has no way to do inside a branch, but
    on a TPU, whose replicas are one program.
    """
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    alone = context is None or context.num_replicas_in_sync == 1
    if alone or isinstance(context.strategy, tf.distribute.TPUStrategy):
        tf.cond(condition, lambda: _done(update, *gradients), lambda: _done(skip))
        return

    def outside(strategy, condition, *gradients):
        first = strategy.experimental_local_results(condition)[0]
        replicas = strategy.extended
        tf.cond(
            first,
            lambda: _done(replicas.call_for_each_replica, update, args=gradients),
            lambda: _done(skip),
        )

    context.merge_call(outside, args=(condition, *gradients))


def _done(call: Callable, *arguments, **options) -> bool:
    """True after the call: both branches of a condition have to give back the same."""
    call(*arguments, **options)
    return True
