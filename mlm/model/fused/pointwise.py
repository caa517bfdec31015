"""The operations other than matmuls as Keras has them: the reference, and what XLA fuses itself."""

import math
from collections.abc import Callable

import keras
from keras import ops

from mlm.model.blocks import exact_gelu


class PointwiseOps:
    """Keras' own operations, one by one; enough where XLA compiles the whole step."""

    def activate(self, act: Callable, x, *, gated: bool, training: bool):
        """Return act(x) or, if `gated`, act(a) * b of the halves a and b of the last axis."""
        if training and act is exact_gelu:
            act = _exact_gelu_in_training
        return gate(act, x) if gated else act(x)

    def drop(self, x, dropout: keras.layers.Dropout, *, training: bool):
        """Return dropout(x)."""
        return dropout(x, training=training)

    def drop_add_norm(
        self,
        x,
        y,
        dropout: keras.layers.Dropout,
        norm: keras.layers.LayerNormalization | None = None,
        *,
        training: bool,
    ):
        """Return the residual sum norm(x + dropout(y)); without a norm x + dropout(y)."""
        x = x + dropout(y, training=training)
        return x if norm is None else norm(x)

    def cross_entropy(self, logits, labels, *, training: bool):
        """Return the cross-entropy of logits (..., V) float32 and labels (...) int, as (...)."""
        return keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)


def gate(act: Callable, x):
    """Return act(a) * b of the halves a and b of the last axis."""
    x, gates = ops.split(x, 2, axis=-1)
    return act(x) * gates


@ops.custom_gradient
def _exact_gelu_in_training(x):
    """Return gelu(x); keeps only x for the backward pass, where Keras' keeps three such arrays.

    For training only: TensorFlow never frees a custom gradient, nor what it holds.
    """

    def gradient(*arguments, upstream=None):
        upstream = arguments[0] if upstream is None else upstream
        below = 0.5 * (1.0 + ops.erf(x * 0.5**0.5))
        density = ops.exp(-0.5 * ops.square(x)) * (2 * math.pi) ** -0.5
        return upstream * (below + x * density)

    return exact_gelu(x), gradient
