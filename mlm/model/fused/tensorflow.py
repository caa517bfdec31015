"""Fused ops for TensorFlow on a CPU: each operation is one loop, compiled by XLA.

Without them TensorFlow passes over memory once for each operator, and PyPI's builds of it use no
vectors wider than AVX. A BERT-base step with fused ops, on a processor with AMX: 2.75 -> 1.84 s in
bf16, 4.60 -> 3.93 s in fp32. XLA takes about a second to compile all of them for a new shape. The
matmuls are not compiled: on a CPU, XLA's are slower than oneDNN's.
"""

from collections.abc import Callable
from functools import partial

import keras
import tensorflow as tf

from mlm.model.fused.pointwise import PointwiseOps, gate

LEVELS = 1 << 16  # values of the 16 random bits that dropout draws for each value


class FusedOps(PointwiseOps):
    """Fuses in a graph that is traced for one CPU; elsewhere runs operator by operator."""

    def __init__(self) -> None:
        self._compiled: dict[tuple, Callable] = {}

    def activate(self, act, x, *, gated, training):
        """See PointwiseOps; a 16-bit x is activated in float32 and rounded once."""
        if not _traces_for_one_cpu():
            return super().activate(act, x, gated=gated, training=training)
        function = partial(_in_float32, partial(gate, act) if gated else act)
        return self._compile(("activate", act, gated), function, training)(x)

    def drop(self, x, dropout, *, training):
        """See PointwiseOps."""
        if not _traces_for_one_cpu() or not _drops(dropout, training):
            return super().drop(x, dropout, training=training)
        function = partial(_drop, dropout.rate)
        fused = self._compile(("drop", dropout.rate), function, training)
        return fused(x, _random_bits(x, dropout))

    def drop_add_norm(self, x, y, dropout, norm=None, *, training):
        """See PointwiseOps."""
        drops = _drops(dropout, training)
        if not _traces_for_one_cpu() or not (norm or drops):
            return super().drop_add_norm(x, y, dropout, norm, training=training)
        variables = norm.variables if norm else []

        # Cached, so it must not capture a tensor of the graph that is being traced.
        def drop_add_norm(x, y, *others):
            if drops:
                y = _drop(dropout.rate, y, others[0])
            mapping = list(zip(variables, others[int(drops) :], strict=True))
            with keras.StatelessScope(state_mapping=mapping):
                return norm(x + y) if norm else x + y

        # All that differs between the norms of `layer_norm`.
        norm_key = norm and (norm.epsilon, norm.center, norm.dtype_policy.name)
        random_bits = [_random_bits(y, dropout)] if drops else []
        values = [tf.convert_to_tensor(variable) for variable in variables]
        key = ("drop_add_norm", drops and dropout.rate, norm_key)
        return self._compile(key, drop_add_norm, training)(x, y, *random_bits, *values)

    def cross_entropy(self, logits, labels, *, training):
        """See PointwiseOps; a label outside the vocabulary gives an infinite loss."""
        if not _traces_for_one_cpu():
            return super().cross_entropy(logits, labels, training=training)
        fused = self._compile(("cross_entropy",), _cross_entropy, training)
        return fused(logits, tf.cast(labels, tf.int32))

    def _compile(self, key: tuple, function: Callable, training: bool) -> Callable:
        """Return the function of this key, from the cache: XLA compiles once for all layers."""
        key = (*key, training)
        if key not in self._compiled:
            self._compiled[key] = _as_loops(function, training)
        return self._compiled[key]


def _traces_for_one_cpu() -> bool:
    is_single = not tf.executing_eagerly() and not tf.distribute.has_strategy()
    return is_single and tf.test.is_built_with_xla() and not tf.config.list_logical_devices("GPU")


def _as_loops(function: Callable, training: bool) -> Callable:
    """Return the function of tensors as one loop, with another for its gradient in training.

    The gradient keeps the arguments only. TensorFlow never frees a custom gradient, so there is
    none outside training.
    """
    forward = tf.function(function, jit_compile=True, autograph=False)
    if not training:
        return forward

    @tf.function(jit_compile=True, autograph=False)
    def backward(arguments, upstream):
        watched = [each for each in arguments if each.dtype.is_floating]
        with tf.GradientTape() as tape:
            tape.watch(watched)
            result = function(*arguments)
        return tape.gradient(result, watched, upstream)

    @tf.custom_gradient
    def call(*arguments):
        def gradient(upstream):
            gradients = iter(backward(arguments, upstream))
            return [next(gradients) if each.dtype.is_floating else None for each in arguments]

        return forward(*arguments), gradient

    return call


def _in_float32(function: Callable, x: tf.Tensor) -> tf.Tensor:
    """Return function(x), computed in float32.

    XLA would round to 16 bits after each operation: slower, and less exact.
    """
    return tf.cast(function(tf.cast(x, tf.float32)), x.dtype)


def _drops(dropout: keras.layers.Dropout, training: bool) -> bool:
    return training and dropout.rate > 0


def _random_bits(x: tf.Tensor, dropout: keras.layers.Dropout) -> tf.Tensor:
    """Return 16 random bits for each value of x, uint16.

    16 bits are half the work of 32. XLA's own generator takes fifty times as long.
    """
    size = tf.size(x, out_type=tf.int64)
    words = tf.random.stateless_uniform(
        [(size + 1) // 2], dropout.seed_generator.next(), None, None, tf.int32
    )
    return tf.reshape(tf.reshape(tf.bitcast(words, tf.uint16), [-1])[:size], tf.shape(x))


def _drop(rate: float, x: tf.Tensor, random_bits: tf.Tensor) -> tf.Tensor:
    dropped = min(round(rate * LEVELS), LEVELS - 1)
    kept = tf.cast(x, tf.float32) * (LEVELS / (LEVELS - dropped))
    return tf.cast(tf.where(tf.cast(random_bits, tf.int32) >= dropped, kept, 0.0), x.dtype)


def _cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Return the cross-entropy of logits (..., V) and labels (...).

    The label's logit is selected by comparison, because XLA compiles a gather as a separate pass.
    A label outside the vocabulary gives an infinite loss and gradient, so the step is skipped.
    """
    is_label = tf.range(tf.shape(logits)[-1]) == labels[..., None]
    of_label = tf.reduce_sum(tf.where(is_label, logits, 0.0), axis=-1)
    matches = tf.reduce_sum(tf.cast(is_label, tf.float32), axis=-1)
    return (tf.reduce_logsumexp(logits, axis=-1) - of_label) / matches
