"""What lies between an encoder's products, on TensorFlow's CPU: one loop each, written by XLA.

TensorFlow goes through memory operator by operator, and PyPI's builds of it know no vectors wider
than AVX. A BERT-base step this way, on a processor with AMX: 2.75 -> 1.84 s in bf16, 4.60 -> 3.93 s
in fp32. XLA takes about a second to compile all of them for a new shape. The products stay where
they are: XLA's on a CPU are slower than oneDNN's.
"""

from collections.abc import Callable
from functools import partial

import keras
import tensorflow as tf

from mlm.model.fused import Elementwise, gate

LEVELS = 1 << 16  # of chance: 16 bits a value


class FusedElementwise(Elementwise):
    """Inside a graph that is traced for one CPU; elsewhere operator by operator."""

    def __init__(self) -> None:
        self._compiled: dict[tuple, Callable] = {}

    def activate(self, act, x, *, gated, training):
        if not _for_one_cpu():
            return super().activate(act, x, gated=gated, training=training)
        function = partial(_in_float32, partial(gate, act) if gated else act)
        return self._fused(("activate", act, gated), function, training)(x)

    def drop(self, x, dropout, *, training):
        if not _for_one_cpu() or not _drops(dropout, training):
            return super().drop(x, dropout, training=training)
        function = partial(_dropped, dropout.rate)
        return self._fused(("drop", dropout.rate), function, training)(x, _chance(x, dropout))

    def drop_add(self, x, y, dropout, norm=None, *, training):
        drops = _drops(dropout, training)
        if not _for_one_cpu() or not (norm or drops):
            return super().drop_add(x, y, dropout, norm, training=training)
        variables = norm.variables if norm else []

        def joined(x, y, *others):  # is kept: nothing of the graph that is traced now may be in it
            if drops:
                y = _dropped(dropout.rate, y, others[0])
            mapping = list(zip(variables, others[int(drops) :], strict=True))
            with keras.StatelessScope(state_mapping=mapping):
                return norm(x + y) if norm else x + y

        # What norms differ in that layer_norm makes.
        alike = norm and (norm.epsilon, norm.center, norm.dtype_policy.name)
        chance = [_chance(y, dropout)] if drops else []
        values = [tf.convert_to_tensor(variable) for variable in variables]
        known = ("drop_add", drops and dropout.rate, alike)
        return self._fused(known, joined, training)(x, y, *chance, *values)

    def nats(self, logits, labels, *, training):
        if not _for_one_cpu():
            return super().nats(logits, labels, training=training)
        return self._fused(("nats",), _nats, training)(logits, tf.cast(labels, tf.int32))

    def _fused(self, known: tuple, function: Callable, training: bool) -> Callable:
        """What is known by that was made before: XLA then compiles once for all layers."""
        known = (*known, training)
        if known not in self._compiled:
            self._compiled[known] = _as_loops(function, training)
        return self._compiled[known]


def _for_one_cpu() -> bool:
    alone = not tf.executing_eagerly() and not tf.distribute.has_strategy()
    return alone and tf.test.is_built_with_xla() and not tf.config.list_logical_devices("GPU")


def _as_loops(function: Callable, training: bool) -> Callable:
    """The function of tensors as one loop, and another for the way back, which keeps its arguments.

    TensorFlow never forgets such a gradient, so it is there in training alone.
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
            found = iter(backward(arguments, upstream))
            return [next(found) if each.dtype.is_floating else None for each in arguments]

        return forward(*arguments), gradient

    return call


def _in_float32(function: Callable, x: tf.Tensor) -> tf.Tensor:
    """XLA would round to 16 bits after each operation: slower, and less exact."""
    return tf.cast(function(tf.cast(x, tf.float32)), x.dtype)


def _drops(dropout: keras.layers.Dropout, training: bool) -> bool:
    return training and dropout.rate > 0


def _chance(x: tf.Tensor, dropout: keras.layers.Dropout) -> tf.Tensor:
    """16 random bits for each value, half the work of 32. XLA's own take fifty times as long."""
    size = tf.size(x, out_type=tf.int64)
    words = tf.random.stateless_uniform(
        [(size + 1) // 2], dropout.seed_generator.next(), None, None, tf.int32
    )
    return tf.reshape(tf.reshape(tf.bitcast(words, tf.uint16), [-1])[:size], tf.shape(x))


def _dropped(rate: float, x: tf.Tensor, chance: tf.Tensor) -> tf.Tensor:
    dropped = min(round(rate * LEVELS), LEVELS - 1)
    kept = tf.cast(x, tf.float32) * (LEVELS / (LEVELS - dropped))
    return tf.cast(tf.where(tf.cast(chance, tf.int32) >= dropped, kept, 0.0), x.dtype)


def _nats(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """The label's logit is found by comparing: of a gather XLA makes a pass of its own.

    A label that is none is infinitely far, and so is its gradient: such a step is passed over.
    """
    is_label = tf.range(tf.shape(logits)[-1]) == labels[..., None]
    of_label = tf.reduce_sum(tf.where(is_label, logits, 0.0), axis=-1)
    found = tf.reduce_sum(tf.cast(is_label, tf.float32), axis=-1)
    return (tf.reduce_logsumexp(logits, axis=-1) - of_label) / found
