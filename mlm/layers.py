"""The encoder's layers, in the order a token passes them. Keras 3, any backend.

Hidden states run as (B*T, H) through the dense layers: a two-dimensional product is the fastest
that every backend has, and its weight gradient is one product as well.
"""

import keras
from keras import ops

from mlm.encoder_config import EncoderConfig

ACTIVATIONS = {
    "gelu": lambda x: ops.gelu(x, approximate=False),
    "gelu_new": lambda x: ops.gelu(x, approximate=True),
    "gelu_pytorch_tanh": lambda x: ops.gelu(x, approximate=True),
    "relu": ops.relu,
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
    """Token (+ position + segment) embeddings, normalised: ids (B, T) -> hidden (B*T, H)."""

    def __init__(self, config: EncoderConfig, *, dtype=None, seed: int = 0, name="embeddings"):
        super().__init__(dtype=dtype, name=name)
        self.config = config
        self.norm = layer_norm(config, self.dtype_policy, "norm")
        self.dropout = keras.layers.Dropout(
            config.embedding_dropout, seed=seed, dtype=self.dtype_policy
        )

    def build(self, input_shape):
        config = self.config
        self.word_embeddings = self._table(config.vocab_size, "word_embeddings")
        if config.positions == "learned":
            rows = config.max_position_embeddings
            self.position_embeddings = self._table(rows, "position_embeddings")
        if config.type_vocab_size:
            self.token_type_embeddings = self._table(
                config.type_vocab_size, "token_type_embeddings"
            )
        self.norm.build((None, config.hidden_size))

    def _table(self, rows: int, name: str):
        initializer = keras.initializers.TruncatedNormal(stddev=self.config.initializer_range)
        shape = (rows, self.config.hidden_size)
        return self.add_weight(shape=shape, initializer=initializer, name=name)

    def call(self, input_ids, training=False):
        x = ops.take(self.word_embeddings, input_ids, axis=0)
        if self.config.positions == "learned":
            x = x + self.position_embeddings[: ops.shape(input_ids)[1]]
        if self.config.type_vocab_size:
            x = x + self.token_type_embeddings[0]
        x = ops.reshape(x, (-1, self.config.hidden_size))
        return self.dropout(self.norm(x), training=training)


class SelfAttention(keras.layers.Layer):
    """Multi-head attention of one layer; queries, keys and values come from one product.

    Call: hidden (B*T, H); bias (B, 1, T, T) or (1, 1, T, T) to add to the scores, or None;
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
        self.dropout = keras.layers.Dropout(config.hidden_dropout, seed=seed + 1, dtype=policy)

    def build(self, input_shape):
        for layer in (self.attention, self.mlp, self.attention_norm, self.mlp_norm):
            layer.build((None, self.hidden_size))

    def call(self, x, bias=None, rotary=None, length=None, training=False):
        def attend(y):
            return self.dropout(
                self.attention(y, bias=bias, rotary=rotary, length=length, training=training),
                training=training,
            )

        if self.pre_norm:
            x = x + attend(self.attention_norm(x))
            return x + self.dropout(self.mlp(self.mlp_norm(x)), training=training)
        x = self.attention_norm(x + attend(x))
        return self.mlp_norm(x + self.dropout(self.mlp(x), training=training))


class PredictionHead(keras.layers.Layer):
    """Hidden states at the masked positions (N, H) -> logits (N, V), float32."""

    def __init__(self, config: EncoderConfig, *, dtype=None, name="head"):
        super().__init__(dtype=dtype, name=name)
        self.config = config
        policy = self.dtype_policy
        self.dense = _dense(
            config.hidden_size,
            config.residual_initializer_range,
            bias=config.head_bias,
            dtype=policy,
            name="dense",
        )
        self.norm = layer_norm(config, policy, "norm")

    def build(self, input_shape):
        config = self.config
        self.dense.build((None, config.hidden_size))
        self.norm.build((None, config.hidden_size))
        if not config.tie_word_embeddings:
            initializer = keras.initializers.TruncatedNormal(stddev=config.initializer_range)
            shape = (config.vocab_size, config.hidden_size)
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
