"""Layers that are built alike, traced once: one graph, called with each one's variables.

Python is slow to make a layer's nodes, forwards and backwards: of a BERT-base this way, the first
step was done about two seconds sooner. TensorFlow puts the graph in the place of its calls before
it optimizes, so a step is what it would be without.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf


class SharedLayerGraphs:
    """Calls a layer, inside a graph that is being traced; elsewhere the layer itself."""

    def __init__(self) -> None:
        self._graphs: dict[tuple, Callable] = {}

    def __call__(self, layer: keras.layers.Layer, x: tf.Tensor, **arguments: Any) -> tf.Tensor:
        if tf.executing_eagerly():
            return layer(x, **arguments)
        built = _built(layer)
        if built not in self._graphs:
            self._graphs[built] = tf.function(_stateless(layer), autograph=False)
        values = [tf.convert_to_tensor(variable) for variable in layer.variables]
        x, changed = self._graphs[built](values, x, arguments)
        for seed, value in zip(_seeds(layer), changed, strict=True):
            seed.assign(value)
        return x


def _built(layer: keras.layers.Layer) -> tuple:
    """What two layers have in common if one's graph serves the other: that of their variables.

    All layers of a model have one config; one without a norm has fewer variables.
    """
    return tuple((variable.shape, variable.trainable) for variable in layer.variables)


def _stateless(layer: keras.layers.Layer) -> Callable:
    def call(values, x, arguments):
        """The output, and the seeds that follow."""
        mapping = list(zip(layer.variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping) as scope:
            x = layer(x, **arguments)
        return x, [scope.get_current_value(seed) for seed in _seeds(layer)]

    return call


def _seeds(layer: keras.layers.Layer) -> list:
    """Of its dropouts: what Keras counts as variables, but not as weights."""
    weights = {id(weight) for weight in layer.weights}
    return [variable for variable in layer.variables if id(variable) not in weights]
