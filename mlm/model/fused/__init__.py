"""What lies between the products of an encoder: done value by value, or row by row.

The products are most of a step's operations, this is most of its memory traffic. It is apart so
that a backend which goes through memory operator by operator can be given another way:

    tensorflow.py  one loop for each, on a CPU
"""

import math
from collections.abc import Callable

import keras
from keras import ops

from mlm.model.blocks import exact_gelu


class Elementwise:
    """As Keras has it; XLA, where it compiles the whole step, needs no more."""

    def activate(self, act: Callable, x, *, gated: bool, training: bool):
        """act(x), or act(a) * b of the halves a and b of x."""
        if training and act is exact_gelu:
            act = _exact_gelu_in_training
        return gate(act, x) if gated else act(x)

    def drop(self, x, dropout, *, training: bool):
        """x as a Dropout leaves it."""
        return dropout(x, training=training)

    def drop_add(self, x, y, dropout, norm=None, *, training: bool):
        """norm(x + dropout(y)): a residual, and what a part of the layer makes of it."""
        x = x + dropout(y, training=training)
        return x if norm is None else norm(x)

    def nats(self, logits, labels, *, training: bool):
        """Cross-entropy of each label: logits (..., V) float32, labels (...) int -> (...)."""
        return keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)


def compiled_elementwise() -> Elementwise:
    """The way with the fewest passes that the backend has, which takes a second to compile."""
    if keras.backend.backend() == "tensorflow":
        from mlm.model.fused.tensorflow import FusedElementwise

        return FusedElementwise()
    return Elementwise()


def gate(act: Callable, x):
    """act(a) * b of the halves a and b of the last axis."""
    x, gates = ops.split(x, 2, axis=-1)
    return act(x) * gates


@ops.custom_gradient
def _exact_gelu_in_training(x):
    """Keeps x for the way back and no more, where three arrays of its size would be kept.

    TensorFlow never forgets a gradient like this, and what it holds, so only training is to ask
    for one.
    """

    def gradient(*arguments, upstream=None):
        upstream = arguments[0] if upstream is None else upstream
        below = 0.5 * (1.0 + ops.erf(x * 0.5**0.5))
        density = ops.exp(-0.5 * ops.square(x)) * (2 * math.pi) ** -0.5
        return upstream * (below + x * density)

    return exact_gelu(x), gradient
