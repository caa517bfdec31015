"""The encoder: token ids in, logits at the masked positions out. Keras 3, any backend.

One `EncoderConfig` describes every family. The two axes on which they differ most:

    BERT        learned positions, norm after each sub-layer, plain MLP, biases everywhere
    ModernBERT  rotary positions, norm before each sub-layer, gated MLP, global and local attention

Hidden states run as (B*T, H) through the dense layers: a two-dimensional product is the fastest
that every backend has, and its weight gradient is one product as well.
"""

from dataclasses import dataclass
from typing import Literal

import keras
import numpy as np
from keras import ops

# Added to an attention score that may not count, twice at most. Finite in every number format, so
# that no row is NaN: float16 ends at 65504.
MASKED_OUT = -3e4


@dataclass(frozen=True)
class EncoderConfig:
    """The shape of an encoder with its masked-LM head; lengths in tokens, rates in [0, 1].

    attention_windows: a layer's half window (a token sees that many to each side), None for all.
    rotary_thetas: a layer's rotary base; used with `positions="rotary"` only.
    """

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int
    hidden_act: str
    layer_norm_eps: float
    norm: Literal["pre", "post"]
    positions: Literal["learned", "rotary"]
    attention_windows: tuple[int | None, ...]
    rotary_thetas: tuple[float, ...] = ()
    type_vocab_size: int = 0
    gated_mlp: bool = False
    attention_bias: bool = True
    mlp_bias: bool = True
    norm_bias: bool = True
    head_bias: bool = True
    head_act: str = "gelu"
    decoder_bias: bool = True
    tie_word_embeddings: bool = True
    embedding_dropout: float = 0.0
    hidden_dropout: float = 0.0
    attention_dropout: float = 0.0
    initializer_range: float = 0.02
    residual_initializer_range: float = 0.02
    pad_token_id: int | None = 0

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads


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


def _norm(config: EncoderConfig, dtype, name: str) -> keras.layers.LayerNormalization:
    return keras.layers.LayerNormalization(
        epsilon=config.layer_norm_eps, center=config.norm_bias, dtype=dtype, name=name
    )


class Embeddings(keras.layers.Layer):
    """Token (+ position + segment) embeddings, normalised: ids (B, T) -> hidden (B*T, H)."""

    def __init__(self, config: EncoderConfig, *, dtype=None, seed: int = 0, name="embeddings"):
        super().__init__(dtype=dtype, name=name)
        self.config = config
        self.norm = _norm(config, self.dtype_policy, "norm")
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
            else _norm(config, policy, "attention_norm")
        )
        self.mlp_norm = _norm(config, policy, "mlp_norm")
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
        self.norm = _norm(config, policy, "norm")

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


class MaskedLM(keras.Model):
    """An encoder with its masked-LM head, which looks at the asked positions alone.

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
            EncoderLayer(config, index, dtype=policy, seed=seed + 1 + 2 * index)
            for index in range(config.num_hidden_layers)
        ]
        self.final_norm = _norm(config, policy, "final_norm") if config.norm == "pre" else None
        self.head = PredictionHead(config, dtype=policy)

    def build(self, input_shape=None):
        self.embeddings.build((None, None))
        for layer in (*self.encoder_layers, self.final_norm, self.head):
            if layer is not None:
                layer.build((None, self.config.hidden_size))
        self.built = True

    def call(self, inputs, training=False):
        input_ids = inputs["input_ids"]
        length = ops.shape(input_ids)[1]
        x = self.embeddings(input_ids, training=training)
        biases = self._attention_biases(inputs.get("attention_mask"), length)
        rotary = self._rotary_tables(length)
        for index, layer in enumerate(self.encoder_layers):
            bias = biases[self.config.attention_windows[index]]
            x = layer(x, bias=bias, rotary=rotary[index], length=length, training=training)
        x = gather_positions(x, inputs["masked_positions"], length)
        x = x if self.final_norm is None else self.final_norm(x)
        logits = self.head(x, self.embeddings.word_embeddings)
        slots = ops.shape(inputs["masked_positions"])[1]
        return ops.reshape(logits, (-1, slots, self.config.vocab_size))

    def _attention_biases(self, attention_mask, length):
        """For each distinct window, what to add to the scores; None where all may be seen."""
        padding = None
        if attention_mask is not None:
            hidden = 1.0 - ops.cast(attention_mask, "float32")
            padding = MASKED_OUT * hidden[:, None, None, :]
        biases = {}
        for window in set(self.config.attention_windows):
            band = None if window is None else _outside_window(length, window)
            parts = [part for part in (padding, band) if part is not None]
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


def gather_positions(x, positions, length):
    """Rows of the hidden states (B*T, H) at positions (B, P), as (B*P, H)."""
    rows = ops.arange(ops.shape(positions)[0], dtype="int32")[:, None] * length
    return ops.take(x, ops.reshape(rows + ops.cast(positions, "int32"), (-1,)), axis=0)


def rotate(x, cos, sin):
    """Rotary position embedding of x (B, T, N, D) with tables (T, 1, D/2)."""
    first, second = ops.split(x, 2, axis=-1)
    return ops.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


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
