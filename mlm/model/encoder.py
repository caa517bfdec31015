"""The encoder: token ids in, logits at the masked positions out. Keras 3, any backend.

The layers are in layers.py; here they are put together, with what all of them share: which tokens
may see which, and the tables of the rotary positions.
"""

import keras
import numpy as np
from keras import ops

from mlm.errors import ConfigError
from mlm.model.attention import RelativeEmbeddings, RelativePositions
from mlm.model.blocks import layer_norm
from mlm.model.encoder_config import MASKED_OUT, EncoderConfig
from mlm.model.fused import Elementwise, compiled_elementwise
from mlm.model.layers import Embeddings, EncoderLayer, PredictionHead

# Added to an attention score that may not count, twice at most. Finite in every number format, so
# that no row is NaN: float16 ends at 65504.


class MaskedLM(keras.Model):
    """An encoder with its masked-LM head, both of which end with the asked positions alone.

    Call with a dict of `input_ids` (B, T) int, `masked_positions` (B, P) int in [0, T) and,
    where some of the sequences are padded, `attention_mask` (B, T), 1 for a real token.
    Returns logits (B, P, V) float32.
    """

    def __init__(self, config: EncoderConfig, *, dtype=None, seed: int = 0, name="masked_lm"):
        super().__init__(dtype=dtype, name=name)
        policy = self.dtype_policy
        self.config = config
        self.embeddings = Embeddings(config, dtype=policy, seed=seed)
        self.encoder_layers = [
            EncoderLayer(config, index, dtype=policy, seed=seed + 1 + 3 * index)
            for index in range(config.num_hidden_layers)
        ]
        self.relative_positions = _relative_positions(config, policy, seed)
        self.final_norm = layer_norm(config, policy, "final_norm") if config.norm == "pre" else None
        self.head = PredictionHead(config, dtype=policy)
        self.elementwise = Elementwise()
        self.call_layer = _call_layer  # a backend may know a way that is traced faster

    def build(self, input_shape=None) -> None:
        self.embeddings.build((None, None))
        for layer in (self.relative_positions, *self.encoder_layers, self.final_norm, self.head):
            if layer is not None:
                layer.build((None, self.config.hidden_size))
        self.built = True

    def compile_elementwise(self) -> Elementwise:
        """Have what lies between the products of the layers compiled: for many batches of a shape.

        Training and evaluation both do, so that their figures are the same to the last digit.
        """
        if type(self.elementwise) is Elementwise:
            self.use_elementwise(compiled_elementwise())
        return self.elementwise

    def use_elementwise(self, way: Elementwise) -> None:
        """Have it computed in this way."""
        self.elementwise = way
        for layer in self.encoder_layers:
            layer.use_elementwise(way)

    def freeze_lower_layers(self, count: int) -> None:
        """Training leaves the embeddings and the `count` lowest layers as they are; 0: nothing.

        Raises ConfigError: there are not so many, or they are run at other depths as well (ALBERT).
        """
        config = self.config
        if count > config.num_hidden_layers:
            raise ConfigError(
                f"--freeze_layers is {count}; this model has {config.num_hidden_layers} layers"
            )
        if count and len(config.depths) > config.num_hidden_layers:
            raise ConfigError(
                f"--freeze_layers is {count}, but the layers of this model are run at several "
                "depths; leave it out"
            )
        lowest = (self.embeddings, self.relative_positions, *self.encoder_layers[:count])
        for layer in lowest if count else ():
            if layer is not None:
                layer.trainable = False

    def call(self, inputs, training=False):
        # On several replicas Keras builds a model from the mean of its batches: float ids.
        input_ids = ops.cast(inputs["input_ids"], "int32")
        length = ops.shape(input_ids)[1]
        x = self.embeddings(input_ids, training=training)
        biases = self._attention_biases(inputs.get("attention_mask"), length)
        rotary = self._rotary_tables(length)
        distances = None
        if self.config.positions == "disentangled":
            distances = self.relative_positions(length=length, training=training)
        asked = ops.cast(inputs["masked_positions"], "int32")
        last = len(self.config.depths) - 1
        for depth, index in enumerate(self.config.depths):
            layer = self.encoder_layers[index]
            bias = biases[self.config.attention_windows[index]]
            x = self.call_layer(
                layer,
                x,
                bias=bias,
                rotary=rotary[index],
                distances=distances,
                length=length,
                asked=asked if depth == last else None,
                training=training,
            )
        x = x if self.final_norm is None else self.final_norm(x)
        logits = self.head(x, self.embeddings.word_embeddings)
        return ops.reshape(logits, (-1, ops.shape(asked)[1], self.config.vocab_size))

    def _attention_biases(self, attention_mask, length):
        """For each distinct window, what to add to the scores; None where all may be seen."""
        padding = None
        if attention_mask is not None:
            hidden = 1.0 - ops.cast(attention_mask, "float32")
            padding = MASKED_OUT * hidden[:, None, None, :]
        relative = None
        if self.config.relative_attention_num_buckets:
            relative = ops.cast(self.relative_positions(length=length), "float32")
        biases = {}
        for window in set(self.config.attention_windows):
            band = None if window is None else _outside_window(length, window)
            parts = [part for part in (padding, band, relative) if part is not None]
            biases[window] = sum(parts[1:], start=parts[0]) if parts else None
        return biases

    def _rotary_tables(self, length):
        config = self.config
        if config.positions != "rotary":
            return [None] * config.num_hidden_layers
        tables = {
            theta: _rotary_table(length, config.head_dim, theta, self.compute_dtype)
            for theta in set(config.rotary_thetas)
        }
        return [tables[theta] for theta in config.rotary_thetas]


def _call_layer(layer, x, **arguments):
    return layer(x, **arguments)


def _relative_positions(config: EncoderConfig, policy, seed: int):
    """The layer that knows of distances, None where the layers need none."""
    if config.positions == "disentangled":
        return RelativeEmbeddings(config, dtype=policy, seed=seed)
    if config.relative_attention_num_buckets:
        return RelativePositions(config, dtype=policy)
    return None


def _rotary_table(length, head_dim: int, theta: float, dtype: str):
    frequencies = theta ** (-np.arange(0, head_dim, 2, dtype="float32") / head_dim)
    positions = ops.cast(ops.arange(length), "float32")
    angles = positions[:, None] * frequencies[None]
    return ops.cast(ops.cos(angles), dtype)[:, None], ops.cast(ops.sin(angles), dtype)[:, None]


def _outside_window(length, window: int):
    """(1, 1, T, T): 0 where two tokens are at most `window` apart, MASKED_OUT beyond."""
    position = ops.arange(length)
    distance = ops.abs(position[:, None] - position[None, :])
    return (MASKED_OUT * ops.cast(distance > window, "float32"))[None, None]
