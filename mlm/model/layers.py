"""The encoder's layers, in the order a token passes them. Keras 3, any backend.

Hidden states run as (B*T, H) through the dense layers: a two-dimensional product is the fastest
that every backend has, and its weight gradient is one product as well.
"""

import keras
from keras import ops

from mlm.model.attention import SelfAttention, gather_positions
from mlm.model.blocks import ACTIVATIONS, dense, layer_norm, normal
from mlm.model.encoder_config import EncoderConfig
from mlm.model.fused import Elementwise


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
            self.projection = dense(
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
        initializer = normal(self.config.initializer_range)
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


class FeedForward(keras.layers.Layer):
    """The MLP of one layer, gated (`act(a) * b`) or plain: (B*T, H) -> (B*T, H)."""

    def __init__(self, config: EncoderConfig, *, dtype=None, name="mlp"):
        super().__init__(dtype=dtype, name=name)
        self.config = config
        self.elementwise = Elementwise()
        width, policy = config.intermediate_size, self.dtype_policy
        self.input_dense = dense(
            width * (2 if config.gated_mlp else 1),
            config.initializer_range,
            bias=config.mlp_bias,
            dtype=policy,
            name="input",
        )
        self.output_dense = dense(
            config.hidden_size,
            config.residual_initializer_range,
            bias=config.mlp_bias,
            dtype=policy,
            name="output",
        )

    def build(self, input_shape):
        self.input_dense.build((None, self.config.hidden_size))
        self.output_dense.build((None, self.config.intermediate_size))

    def call(self, x, training=False):
        act, gated = ACTIVATIONS[self.config.hidden_act], self.config.gated_mlp
        x = self.elementwise.activate(act, self.input_dense(x), gated=gated, training=training)
        return self.output_dense(x)


class EncoderLayer(keras.layers.Layer):
    """Attention and MLP, each with its residual, normed before (`pre`) or after (`post`).

    Call: as SelfAttention. Of `asked` positions alone all is computed but the keys and the values,
    which are those of all tokens.
    """

    def __init__(self, config: EncoderConfig, index: int, *, dtype=None, seed: int = 0):
        super().__init__(dtype=dtype, name=f"layer_{index}")
        policy = self.dtype_policy
        self.elementwise = Elementwise()
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

    def use_elementwise(self, way: Elementwise) -> None:
        """Have this way of computing what lies between the products."""
        for layer in (self, self.attention, self.mlp):
            layer.elementwise = way

    def build(self, input_shape):
        for layer in (self.attention, self.mlp, self.attention_norm, self.mlp_norm):
            layer.build((None, self.hidden_size))

    def call(
        self,
        x,
        bias=None,
        rotary=None,
        distances=None,
        length=None,
        asked=None,
        training=False,
    ):
        def attend(y):
            return self.attention(
                y,
                bias=bias,
                rotary=rotary,
                distances=distances,
                length=length,
                asked=asked,
                training=training,
            )

        def think(y):
            return self.mlp(y, training=training)

        def add(x, y, dropout, norm=None):
            return self.elementwise.drop_add(x, y, dropout, norm, training=training)

        rows = x if asked is None else gather_positions(x, asked, length)
        if self.pre_norm:
            rows = add(rows, attend(self.attention_norm(x)), self.attention_dropout)
            return add(rows, think(self.mlp_norm(rows)), self.mlp_dropout)
        rows = add(rows, attend(x), self.attention_dropout, self.attention_norm)
        return add(rows, think(rows), self.mlp_dropout, self.mlp_norm)


class PredictionHead(keras.layers.Layer):
    """Hidden states at the masked positions (N, H) -> logits (N, V), float32."""

    def __init__(self, config: EncoderConfig, *, dtype=None, name="head"):
        super().__init__(dtype=dtype, name=name)
        self.config = config
        policy = self.dtype_policy
        self.dense = dense(
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
            initializer = normal(config.initializer_range)
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
