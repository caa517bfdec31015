"""The encoder's layers, in the order of the data flow. Keras 3, any backend.

Dense layers get hidden states as (B*T, H): a two-dimensional matmul is the fastest on every
backend, and its weight gradient is one matmul as well.
"""

import keras
from keras import ops

from mlm.model.attention import SelfAttention, gather_positions
from mlm.model.blocks import ACTIVATIONS, dense, layer_norm, normal
from mlm.model.encoder_config import EncoderConfig
from mlm.model.fused import PointwiseOps


class Embeddings(keras.layers.Layer):
    """Token (+ position + segment) embeddings, normalized.

    Positions count from the left, from `position_offset` on: RoBERTa's begin after its padding id.
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
        """Create the tables of embeddings, the norm and the projection."""
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

    def call(self, input_ids, token_type_ids=None, training=False):
        """Return the hidden states (B*T, H) of ids (B, T).

        token_type_ids: (B, T), the segment of each token; None if all are of the first.
        """
        config = self.config
        x = ops.take(self.word_embeddings, input_ids, axis=0)
        if config.positions == "learned":
            first = config.position_offset
            x = x + self.position_embeddings[first : first + ops.shape(input_ids)[1]]
        if config.type_vocab_size:
            x = x + self._segments(token_type_ids)
        elif token_type_ids is not None:
            raise ValueError("token_type_ids given to a model without segments; leave them out")
        x = ops.reshape(x, (-1, config.embedding_width))
        x = self.dropout(self.norm(x), training=training)
        return self.projection(x) if config.project_embeddings else x

    def _segments(self, token_type_ids):
        """Return the embeddings of segments (B, T), or that of the first, (H,)."""
        if token_type_ids is None:
            return self.token_type_embeddings[0]
        segments = ops.cast(token_type_ids, "int32")
        return ops.take(self.token_type_embeddings, segments, axis=0)


class FeedForward(keras.layers.Layer):
    """The MLP of one layer, gated (`act(a) * b`) or plain."""

    def __init__(self, config: EncoderConfig, *, dtype=None, name="mlp"):
        super().__init__(dtype=dtype, name=name)
        self.config = config
        self.pointwise_ops = PointwiseOps()
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
        """Create the weights of both dense layers."""
        self.input_dense.build((None, self.config.hidden_size))
        self.output_dense.build((None, self.config.intermediate_size))

    def call(self, x, training=False):
        """Transform hidden states (B*T, H) to (B*T, H)."""
        act, gated = ACTIVATIONS[self.config.hidden_act], self.config.gated_mlp
        x = self.pointwise_ops.activate(act, self.input_dense(x), gated=gated, training=training)
        return self.output_dense(x)


class EncoderLayer(keras.layers.Layer):
    """Attention and MLP, each with a residual, normed before (`pre`) or after (`post`)."""

    def __init__(self, config: EncoderConfig, index: int, *, dtype=None, seed: int = 0):
        super().__init__(dtype=dtype, name=f"layer_{index}")
        policy = self.dtype_policy
        self.pointwise_ops = PointwiseOps()
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

    def use_pointwise_ops(self, pointwise_ops: PointwiseOps) -> None:
        """Use this implementation of the operations other than matmuls."""
        for layer in (self, self.attention, self.mlp):
            layer.pointwise_ops = pointwise_ops

    def build(self, input_shape):
        """Create the weights of both sub-layers and their norms."""
        for layer in (self.attention, self.mlp, self.attention_norm, self.mlp_norm):
            layer.build((None, self.hidden_size))

    def call(
        self,
        x,
        bias=None,
        rotary=None,
        relative_embeddings=None,
        length=None,
        target_positions=None,
        training=False,
    ):
        """Return the hidden states (B*T, H), or of target positions (B*P, H).

        Arguments as of SelfAttention. With `target_positions`, only those positions are computed;
        keys and values still cover all tokens.
        """

        def attend(y):
            return self.attention(
                y,
                bias=bias,
                rotary=rotary,
                relative_embeddings=relative_embeddings,
                length=length,
                target_positions=target_positions,
                training=training,
            )

        def feed_forward(y):
            return self.mlp(y, training=training)

        def add(x, y, dropout, norm=None):
            return self.pointwise_ops.drop_add_norm(x, y, dropout, norm, training=training)

        rows = x
        if target_positions is not None:
            rows = gather_positions(x, target_positions, length)
        if self.pre_norm:
            rows = add(rows, attend(self.attention_norm(x)), self.attention_dropout)
            return add(rows, feed_forward(self.mlp_norm(rows)), self.mlp_dropout)
        rows = add(rows, attend(x), self.attention_dropout, self.attention_norm)
        return add(rows, feed_forward(rows), self.mlp_dropout, self.mlp_norm)


class PredictionHead(keras.layers.Layer):
    """Dense layer, activation and norm, then the decoder, tied to the word embeddings or not."""

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
        """Create the weights; with tied embeddings the decoder has a bias at most."""
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
        """Return the logits (N, V) float32 of hidden states (N, H)."""
        x = self.norm(ACTIVATIONS[self.config.head_act](self.dense(x)))
        table = word_embeddings if self.config.tie_word_embeddings else self.decoder
        logits = ops.matmul(x, ops.transpose(ops.cast(table, x.dtype)))
        logits = ops.cast(logits, "float32")
        return logits + ops.cast(self.bias, "float32") if self.config.decoder_bias else logits
