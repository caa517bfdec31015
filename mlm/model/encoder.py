"""The encoder: token ids in, hidden states out; MaskedLM gives logits. Keras 3, any backend.

It connects the layers of layers.py and computes what all of them share: the attention biases and
the tables of the rotary positions.
"""

import keras
import numpy as np
from keras import ops

from mlm.errors import ConfigError
from mlm.model.attention import RelativeBias, RelativeEmbeddings
from mlm.model.blocks import layer_norm
from mlm.model.encoder_config import MASKED_OUT, EncoderConfig
from mlm.model.fused import PointwiseOps, make_fused_ops
from mlm.model.layers import Embeddings, EncoderLayer, PredictionHead


class Encoder(keras.Model):
    """Embeddings and layers; a subclass adds the `head` and `call`."""

    head: keras.layers.Layer

    def __init__(self, config: EncoderConfig, *, dtype=None, seed: int = 0, name="encoder"):
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
        self.pointwise_ops = PointwiseOps()
        self.call_layer = _call_layer  # training replaces it on TensorFlow, to trace faster

    def build(self, input_shape=None) -> None:
        """Create all weights; no shape is needed."""
        self.embeddings.build((None, None))
        for layer in (self.relative_positions, *self.encoder_layers, self.final_norm, self.head):
            if layer is not None:
                layer.build((None, self.config.hidden_size))
        self.built = True

    def compile_fused_ops(self) -> PointwiseOps:
        """Fuse the operations other than matmuls, for many batches of few shapes; return them.

        Training and evaluation both do so, so that their figures are equal to the last digit.
        """
        if type(self.pointwise_ops) is PointwiseOps:
            self.use_pointwise_ops(make_fused_ops())
        return self.pointwise_ops

    def use_pointwise_ops(self, pointwise_ops: PointwiseOps) -> None:
        """Use this implementation in all layers."""
        self.pointwise_ops = pointwise_ops
        for layer in self.encoder_layers:
            layer.use_pointwise_ops(pointwise_ops)

    def freeze_lower_layers(self, count: int) -> None:
        """Exclude the embeddings and the `count` lowest layers from training; 0 excludes nothing.

        Raises ConfigError if there are fewer layers, or if they run at other depths too (ALBERT).
        """
        config = self.config
        if count > config.num_hidden_layers:
            raise ConfigError(
                f"--freeze_layers is {count}; this model has {config.num_hidden_layers} layers"
            )
        if count and len(config.depths) > config.num_hidden_layers:
            raise ConfigError(
                f"--freeze_layers is {count}, but the layers of this model run at several depths; "
                "leave it out"
            )
        lowest = (self.embeddings, self.relative_positions, *self.encoder_layers[:count])
        for layer in lowest if count else ():
            if layer is not None:
                layer.trainable = False

    def encode(self, inputs, target_positions=None, training=False):
        """Return the hidden states (B*T, H), or those of target positions (B, P) as (B*P, H).

        inputs: dict of `input_ids` (B, T) int; if some sequences are padded, `attention_mask`
        (B, T), 1 for a real token; in a model with segments, `token_type_ids` (B, T), which are 0
        if they are left out. With `target_positions`, the last layer computes those only.
        """
        # On several replicas Keras builds a model from the mean of its batches, with float ids.
        input_ids = ops.cast(inputs["input_ids"], "int32")
        length = ops.shape(input_ids)[1]
        segments = inputs.get("token_type_ids")
        x = self.embeddings(input_ids, token_type_ids=segments, training=training)
        biases = self._attention_biases(inputs.get("attention_mask"), length)
        rotary = self._rotary_tables(length)
        relative_embeddings = None
        if self.config.positions == "disentangled":
            relative_embeddings = self.relative_positions(length=length, training=training)
        last = len(self.config.depths) - 1
        for depth, index in enumerate(self.config.depths):
            layer = self.encoder_layers[index]
            bias = biases[self.config.attention_windows[index]]
            x = self.call_layer(
                layer,
                x,
                bias=bias,
                rotary=rotary[index],
                relative_embeddings=relative_embeddings,
                length=length,
                target_positions=target_positions if depth == last else None,
                training=training,
            )
        return x if self.final_norm is None else self.final_norm(x)

    def _attention_biases(self, attention_mask, length):
        """Return the bias on the attention scores for each distinct window; None for no bias."""
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
        """Return (cos, sin) for each layer, or None for each."""
        config = self.config
        if config.positions != "rotary":
            return [None] * config.num_hidden_layers
        tables = {
            theta: _rotary_table(length, config.head_dim, theta, self.compute_dtype)
            for theta in set(config.rotary_thetas)
        }
        return [tables[theta] for theta in config.rotary_thetas]


class MaskedLM(Encoder):
    """Encoder with a masked-LM head; the last layer and the head compute masked positions only."""

    def __init__(self, config: EncoderConfig, *, dtype=None, seed: int = 0, name="masked_lm"):
        super().__init__(config, dtype=dtype, seed=seed, name=name)
        self.head = PredictionHead(config, dtype=self.dtype_policy)

    def call(self, inputs, training=False):
        """Return the logits at the masked positions, (B, P, V) float32.

        inputs: as of `encode`, and `masked_positions` (B, P) int in [0, T).
        """
        target_positions = ops.cast(inputs["masked_positions"], "int32")
        x = self.encode(inputs, target_positions, training=training)
        logits = self.head(x, self.embeddings.word_embeddings)
        num_targets = ops.shape(target_positions)[1]
        return ops.reshape(logits, (-1, num_targets, self.config.vocab_size))


def _call_layer(layer, x, **arguments):
    return layer(x, **arguments)


def _relative_positions(config: EncoderConfig, policy, seed: int):
    """Return the layer for relative positions, or None if the model has none."""
    if config.positions == "disentangled":
        return RelativeEmbeddings(config, dtype=policy, seed=seed)
    if config.relative_attention_num_buckets:
        return RelativeBias(config, dtype=policy)
    return None


def _rotary_table(length, head_dim: int, theta: float, dtype: str):
    """Return cos and sin, each (T, 1, D/2)."""
    frequencies = theta ** (-np.arange(0, head_dim, 2, dtype="float32") / head_dim)
    positions = ops.cast(ops.arange(length), "float32")
    angles = positions[:, None] * frequencies[None]
    return ops.cast(ops.cos(angles), dtype)[:, None], ops.cast(ops.sin(angles), dtype)[:, None]


def _outside_window(length, window: int):
    """Return (1, 1, T, T): 0 if two tokens are at most `window` apart, else MASKED_OUT."""
    position = ops.arange(length)
    distance = ops.abs(position[:, None] - position[None, :])
    return (MASKED_OUT * ops.cast(distance > window, "float32"))[None, None]
