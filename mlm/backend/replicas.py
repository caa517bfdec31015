"""Reductions over the replicas of a training step, in the terms of the Keras backend.

To be called inside a training step only.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf
    from keras import KerasTensor  # for the backend's own tensors


def sum_over_replicas(tensors: "list[KerasTensor]") -> "tuple[list[KerasTensor], int]":
    """Return each tensor summed over the replicas, and the number of replicas summed over.

    On JAX one program sees all devices, so a gradient is global already and the number is 1.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return tensors, 1
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return tensors, 1
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tensors), context.num_replicas_in_sync


def as_one_tensor(gradient: "KerasTensor") -> "KerasTensor":
    """Return a gradient as a tensor.

    TensorFlow has that of an embedding as slices, one for each token of a batch; the norm of these
    is not that of the gradient, where slices of the same entry are summed.
    """
    from keras import backend, ops

    if backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.convert_to_tensor(gradient)
    return ops.convert_to_tensor(gradient)


def global_norm(tensors: "list[KerasTensor]") -> "KerasTensor":
    """Return the L2 norm of all values of all tensors together, () float32."""
    from keras import backend, ops

    if backend.backend() == "tensorflow":  # one operator a tensor, and no squares in memory
        import tensorflow as tf

        return tf.linalg.global_norm(tensors)
    squares = [ops.sum(ops.square(ops.cast(tensor, "float32"))) for tensor in tensors]
    return ops.sqrt(sum(squares[1:], start=squares[0]))


def update_if(
    condition: "tf.Tensor",
    update: Callable[..., None],
    skip: Callable[[], None],
    *gradients: "list[tf.Tensor]",
) -> None:
    """Call `update(*gradients)` if the condition holds, else `skip()`. TensorFlow only.

    The condition is the same on every replica. With several replicas the branch is outside the
    replica context: an update communicates with the other replicas, which TensorFlow cannot do
    inside a branch. On a TPU it can, because the replicas are one program.
    """
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    is_single = context is None or context.num_replicas_in_sync == 1
    if is_single or isinstance(context.strategy, tf.distribute.TPUStrategy):
        tf.cond(condition, _branch(update, *gradients), _branch(skip))
        return

    def across_replicas(
        strategy: "tf.distribute.Strategy",
        condition: "tf.distribute.DistributedValues",
        *gradients: "list[tf.distribute.DistributedValues]",
    ) -> None:
        of_first = strategy.experimental_local_results(condition)[0]
        call_for_each = strategy.extended.call_for_each_replica
        tf.cond(of_first, _branch(call_for_each, update, args=gradients), _branch(skip))

    context.merge_call(across_replicas, args=(condition, *gradients))


def _branch(
    call: Callable[..., object], *arguments: object, **options: object
) -> Callable[[], bool]:
    """Return a branch for `tf.cond`: both branches must return the same structure, here True."""

    def branch() -> bool:
        call(*arguments, **options)
        return True

    return branch
