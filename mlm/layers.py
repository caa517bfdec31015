"""The encoder's layers, in the order a token passes them. Keras 3, any backend.

Hidden states run as (B*T, H) through the dense layers: a two-dimensional product is the fastest
that every backend has, and its weight gradient is one product as well.
"""

import keras
import numpy as np
from keras import ops

from mlm.encoder_config import EncoderConfig


def _exact_gelu(x):
    return ops.gelu(x, approximate=False)


def _tanh_gelu(x):
    return ops.gelu(x, approximate=True)


ACTIVATIONS = {  # as transformers names them; several names are one function
    "gelu": _exact_gelu,
    "gelu_python": _exact_gelu,
    "gelu_accurate": _tanh_gelu,
    "gelu_fast": _tanh_gelu,
    "gelu_new": _tanh_gelu,
    "gelu_python_tanh": _tanh_gelu,
    "gelu_pytorch_tanh": _tanh_gelu,
    "hardswish": ops.hard_silu,
    "leaky_relu": lambda x: ops.leaky_relu(x, negative_slope=0.01),
    "linear": lambda x: x,
    "mish": lambda x: x * ops.tanh(ops.softplus(x)),
    "quick_gelu": lambda x: x * ops.sigmoid(1.702 * x),
    "relu": ops.relu,
    "relu2": lambda x: ops.square(ops.relu(x)),
    "relu6": ops.relu6,
    "sigmoid": ops.sigmoid,
    "silu": ops.silu,
    "swish": ops.silu,
    "tanh": ops.tanh,
}


def _dense(units: int, std: float, *, bias: bool, dtype, name: str) -> keras.layers.Dense:
    # A new initializer for each layer: one instance would give all of them the same weights.
    return keras.layers.Dense(
        units,
        use_bias=bias,
        kernel_initializer=keras.initializers.TruncatedNormal(stddev=std),
        dtype=dtype,
        name=name,
    )


def layer_norm(config: EncoderConfig, dtype, name: str) -> keras.layers.LayerNormalization:
    return keras.layers.LayerNormalization(
        epsilon=config.layer_norm_eps, center=config.norm_bias, dtype=dtype, name=name
    )


class Embeddings(keras.layers.Layer):
    """Token (+ position + segment) embeddings, normalised: ids (B, T) -> hidden (B*T, H).

    Positions count from the left; a family that starts behind its padding id has an offset.
    """

    def __init__(self, config: EncoderConfig, *, dtype=None, seed: int = 0, name="embeddings"):
        super().__init__(dtype=dtype, name=name)
        self.config = config
        policy = self.dtype_policy
        self.norm = layer_norm(config, policy, "norm")
        self.dropout = keras.layers.Dropout(config.embedding_dropout, seed=seed, dtype=policy)
        if config.project_embeddings:
            std = config.initializer_range
            self.projection = _dense(
                config.hidden_size, std, bias=True, dtype=policy, name="projection"
            )

    def build(self, input_shape):
        config = self.config
        self.word_embeddings = self._table(config.vocab_size, "word_embeddings")
        if config.positions == "learned":
            rows = config.max_position_embeddings + config.position_offset
            self.position_embeddings = self._table(rows, "position_embeddings")
        if config.type_vocab_size:
            self.token_type_embeddings = self._table(
                config.type_vocab_size, "token_type_embeddings"
            )
        self.norm.build((None, config.embedding_width))
        if config.project_embeddings:
            self.projection.build((None, config.embedding_width))

    def _table(self, rows: int, name: str):
        initializer = keras.initializers.TruncatedNormal(stddev=self.config.initializer_range)
        shape = (rows, self.config.embedding_width)
        return self.add_weight(shape=shape, initializer=initializer, name=name)

    def call(self, input_ids, training=False):
        config = self.config
        x = ops.take(self.word_embeddings, input_ids, axis=0)
        if config.positions == "learned":
            first = config.position_offset
            x = x + self.position_embeddings[first : first + ops.shape(input_ids)[1]]
        if config.type_vocab_size:
            x = x + self.token_type_embeddings[0]
        x = ops.reshape(x, (-1, config.embedding_width))
        x = self.dropout(self.norm(x), training=training)
        return self.projection(x) if config.project_embeddings else x


class RelativePositions(keras.layers.Layer):
    """A learned bias on the attention scores by distance (MPNet): length T -> (1, N, T, T)."""

    def __init__(self, config: EncoderConfig, *, dtype=None, name="relative_positions"):
        super().__init__(dtype=dtype, name=name)
        self.config = config
        self.buckets = _distance_buckets(config.max_position_embeddings)

    def build(self, input_shape):
        config = self.config
        self.table = self.add_weight(
            shape=(config.relative_attention_num_buckets, config.num_attention_heads),
            initializer=keras.initializers.TruncatedNormal(stddev=config.initializer_range),
            name="relative_attention_bias",
        )

    def call(self, length):
        position = ops.arange(length)
        distance = position[None, :] - position[:, None]
        bucket = ops.take(self.buckets, distance + self.config.max_position_embeddings - 1)
        bias = ops.take(self.table, bucket, axis=0)
        return ops.transpose(bias, (2, 0, 1))[None]


def _distance_buckets(longest: int, buckets: int = 32, furthest: int = 128) -> np.ndarray:
    """The bucket of each distance -(longest-1)..longest-1, int32 (Raffel et al. 2020, T5).

    Half the buckets are for tokens ahead; of each half, the near half hold one distance each, the
    others ever more of them. MPNet has 32 of them, whatever its config says.
    """
    distance = np.arange(-(longest - 1), longest)
    half, near = buckets // 2, buckets // 4
    far = np.log(np.maximum(np.abs(distance), 1).astype("float32") / np.float32(near))
    far = near + (far / np.float32(np.log(furthest / near)) * (half - near)).astype("int64")
    bucket = np.where(np.abs(distance) < near, np.abs(distance), np.minimum(far, half - 1))
    return (bucket + half * (distance > 0)).astype("int32")


class SelfAttention(keras.layers.Layer):
    """Multi-head attention of one layer; queries, keys and values come from one product.

    Call: hidden (B*T, H); bias (B or 1, N or 1, T, T) to add to the scores, or None;
    rotary (cos, sin), each (T, 1, D/2), or None; length T. Returns (B*T, H).
    """

    def __init__(self, config: EncoderConfig, *, dtype=None, seed: int = 0, name="attention"):
        super().__init__(dtype=dtype, name=name)
        self.config = config
        hidden, policy = config.hidden_size, self.dtype_policy
        std, out_std = config.initializer_range, config.residual_initializer_range
        self.qkv = _dense(3 * hidden, std, bias=config.attention_bias, dtype=policy, name="qkv")
        self.output_dense = _dense(
            hidden, out_std, bias=config.attention_bias, dtype=policy, name="output"
        )
        self.dropout = keras.layers.Dropout(config.attention_dropout, seed=seed, dtype=policy)

    def build(self, input_shape):
        shape = (None, self.config.hidden_size)
        self.qkv.build(shape)
        self.output_dense.build(shape)

    def call(self, x, bias=None, rotary=None, length=None, training=False):
        config = self.config
        heads, head_dim = config.num_attention_heads, config.head_dim
        # Split, not sliced: a slice's gradient pads with zeros, three times the width of a split's.
        query, key, value = (
            ops.reshape(part, (-1, length, heads, head_dim))
            for part in ops.split(self.qkv(x), 3, axis=-1)
        )
        if rotary is not None:
            query, key = rotate(query, *rotary), rotate(key, *rotary)
        query = ops.transpose(query * head_dim**-0.5, (0, 2, 1, 3))
        scores = ops.matmul(query, ops.transpose(key, (0, 2, 3, 1)))
        if bias is not None:
            scores = scores + ops.cast(bias, scores.dtype)
        shares = self.dropout(ops.softmax(scores, axis=-1), training=training)
        mixed = ops.matmul(shares, ops.transpose(value, (0, 2, 1, 3)))
        mixed = ops.reshape(ops.transpose(mixed, (0, 2, 1, 3)), (-1, config.hidden_size))
        return self.output_dense(mixed)


class FeedForward(keras.layers.Layer):
    """The MLP of one layer, gated (`act(a) * b`) or plain: (B*T, H) -> (B*T, H)."""

    def __init__(self, config: EncoderConfig, *, dtype=None, name="mlp"):
        super().__init__(dtype=dtype, name=name)
        self.config = config
        width, policy = config.intermediate_size, self.dtype_policy
        self.input_dense = _dense(
            width * (2 if config.gated_mlp else 1),
            config.initializer_range,
            bias=config.mlp_bias,
            dtype=policy,
            name="input",
        )
        self.output_dense = _dense(
            config.hidden_size,
            config.residual_initializer_range,
            bias=config.mlp_bias,
            dtype=policy,
            name="output",
        )

    def build(self, input_shape):
        self.input_dense.build((None, self.config.hidden_size))
        self.output_dense.build((None, self.config.intermediate_size))

    def call(self, x):
        activation = ACTIVATIONS[self.config.hidden_act]
        x = self.input_dense(x)
        if self.config.gated_mlp:
            x, gate = ops.split(x, 2, axis=-1)
            return self.output_dense(activation(x) * gate)
        return self.output_dense(activation(x))


class EncoderLayer(keras.layers.Layer):
    """Attention and MLP, each with its residual, normed before (`pre`) or after (`post`)."""

    def __init__(self, config: EncoderConfig, index: int, *, dtype=None, seed: int = 0):
        super().__init__(dtype=dtype, name=f"layer_{index}")
        policy = self.dtype_policy
        self.pre_norm = config.norm == "pre"
        self.hidden_size = config.hidden_size
        self.attention = SelfAttention(config, dtype=policy, seed=seed)
        self.mlp = FeedForward(config, dtype=policy)
        # ModernBERT's embeddings are normed already, so its first layer has no norm of its own.
        skip = self.pre_norm and index == 0
        self.attention_norm = (
            keras.layers.Identity(name="attention_norm")
            if skip
            else layer_norm(config, policy, "attention_norm")
        )
        self.mlp_norm = layer_norm(config, policy, "mlp_norm")
        self.attention_dropout, self.mlp_dropout = (
            keras.layers.Dropout(rate, seed=seed + 1 + which, dtype=policy)
            for which, rate in enumerate((config.attention_output_dropout, config.mlp_dropout))
        )

    def build(self, input_shape):
        for layer in (self.attention, self.mlp, self.attention_norm, self.mlp_norm):
            layer.build((None, self.hidden_size))

    def call(self, x, bias=None, rotary=None, length=None, training=False):
        def attend(y):
            return self.attention_dropout(
                self.attention(y, bias=bias, rotary=rotary, length=length, training=training),
                training=training,
            )

        if self.pre_norm:
            x = x + attend(self.attention_norm(x))
            return x + self.mlp_dropout(self.mlp(self.mlp_norm(x)), training=training)
        x = self.attention_norm(x + attend(x))
        return self.mlp_norm(x + self.mlp_dropout(self.mlp(x), training=training))


class PredictionHead(keras.layers.Layer):
    """Hidden states at the masked positions (N, H) -> logits (N, V), float32."""

    def __init__(self, config: EncoderConfig, *, dtype=None, name="head"):
        super().__init__(dtype=dtype, name=name)
        self.config = config
        policy = self.dtype_policy
        self.dense = _dense(
            config.embedding_width,
            config.residual_initializer_range,
            bias=config.head_bias,
            dtype=policy,
            name="dense",
        )
        self.norm = layer_norm(config, policy, "norm")

    def build(self, input_shape):
        config = self.config
        self.dense.build((None, config.hidden_size))
        self.norm.build((None, config.embedding_width))
        if not config.tie_word_embeddings:
            initializer = keras.initializers.TruncatedNormal(stddev=config.initializer_range)
            shape = (config.vocab_size, config.embedding_width)
            self.decoder = self.add_weight(shape=shape, initializer=initializer, name="decoder")
        if config.decoder_bias:
            self.bias = self.add_weight(
                shape=(config.vocab_size,), initializer="zeros", name="bias"
            )

    def call(self, x, word_embeddings):
        x = self.norm(ACTIVATIONS[self.config.head_act](self.dense(x)))
        table = word_embeddings if self.config.tie_word_embeddings else self.decoder
        logits = ops.matmul(x, ops.transpose(ops.cast(table, x.dtype)))
        logits = ops.cast(logits, "float32")
        return logits + ops.cast(self.bias, "float32") if self.config.decoder_bias else logits


def rotate(x, cos, sin):
    """Rotary position embedding of x (B, T, N, D) with tables (T, 1, D/2)."""
    first, second = ops.split(x, 2, axis=-1)
    return ops.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
