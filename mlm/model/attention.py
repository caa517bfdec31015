"""Self-attention; rotary positions, relative bias (MPNet), relative embeddings (DeBERTa)."""

import keras
import numpy as np
from keras import ops

from mlm.model.blocks import dense, layer_norm, normal
from mlm.model.encoder_config import EncoderConfig
from mlm.model.fused import PointwiseOps
from mlm.model.position_buckets import deberta_buckets, t5_buckets


class RelativeBias(keras.layers.Layer):
    """Learned bias on the attention scores by relative position (MPNet)."""

    def __init__(self, config: EncoderConfig, *, dtype=None, name="relative_positions"):
        super().__init__(dtype=dtype, name=name)
        self.config = config
        self.buckets = t5_buckets(config.max_position_embeddings)

    def build(self, input_shape):
        """Create the table of biases."""
        config = self.config
        self.table = self.add_weight(
            shape=(config.relative_attention_num_buckets, config.num_attention_heads),
            initializer=normal(config.initializer_range),
            name="relative_attention_bias",
        )

    def call(self, length):
        """Return the bias (1, N, T, T) for sequences of length T."""
        bias = ops.take(self.table, _bucket_of_pairs(self.buckets, length), axis=0)
        return ops.transpose(bias, (2, 0, 1))[None]


class RelativeEmbeddings(keras.layers.Layer):
    """Learned embedding of each relative position bucket (DeBERTa-v2); each layer projects it."""

    def __init__(
        self, config: EncoderConfig, *, dtype=None, seed: int = 0, name="relative_positions"
    ):
        super().__init__(dtype=dtype, name=name)
        self.config = config
        self.buckets = deberta_buckets(config)
        self.norm = layer_norm(config, self.dtype_policy, "norm")
        self.dropout = keras.layers.Dropout(
            config.attention_output_dropout, seed=seed, dtype=self.dtype_policy
        )

    def build(self, input_shape):
        """Create the table of embeddings and its norm."""
        config = self.config
        self.table = self.add_weight(
            shape=(2 * config.relative_span, config.hidden_size),
            initializer=normal(config.initializer_range),
            name="embeddings",
        )
        self.norm.build((None, config.hidden_size))

    def call(self, length, training=False):
        """Return the normed embeddings (2S, H), and the bucket of each pair, (T, T) int32."""
        table = self.dropout(self.norm(ops.convert_to_tensor(self.table)), training=training)
        return table, _bucket_of_pairs(self.buckets, length)


def _bucket_of_pairs(buckets: np.ndarray, length):
    """Return the bucket of i - j for tokens i, j as (T, T).

    buckets: (2L - 1,), of the relative positions -(L - 1)..L - 1.
    """
    position = ops.arange(length)
    return ops.take(buckets, position[:, None] - position[None, :] + len(buckets) // 2)


class SelfAttention(keras.layers.Layer):
    """Multi-head attention of one layer; queries, keys and values come from one matmul."""

    def __init__(self, config: EncoderConfig, *, dtype=None, seed: int = 0, name="attention"):
        super().__init__(dtype=dtype, name=name)
        self.config = config
        self.pointwise_ops = PointwiseOps()
        hidden, policy = config.hidden_size, self.dtype_policy
        std, out_std = config.initializer_range, config.residual_initializer_range
        self.qkv = dense(3 * hidden, std, bias=config.attention_bias, dtype=policy, name="qkv")
        self.output_dense = dense(
            hidden, out_std, bias=config.attention_bias, dtype=policy, name="output"
        )
        self.dropout = keras.layers.Dropout(config.attention_dropout, seed=seed, dtype=policy)

    def build(self, input_shape):
        """Create the weights of both dense layers."""
        shape = (None, self.config.hidden_size)
        self.qkv.build(shape)
        self.output_dense.build(shape)

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
        """Attend over sequences of equal length.

        Args:
            x: (B*T, H), hidden states.
            bias: (B or 1, N or 1, T or 1, T), added to the scores, or None.
            rotary: (cos, sin), each (T, 1, D/2), or None.
            relative_embeddings: the result of RelativeEmbeddings, or None.
            length: T.
            target_positions: (B, P), the only positions to compute, or None for all. Keys and
                values cover all tokens in both cases.
            training: whether to apply dropout.

        Returns:
            (B*T, H), or with target_positions (B*P, H).
        """
        config, targets = self.config, target_positions
        query, key, value = (
            ops.reshape(part, (-1, count, config.num_attention_heads, config.head_dim))
            for part, count in self._project(x, length, targets)
        )
        if rotary is not None:
            of_query = rotary if targets is None else [ops.take(t, targets, axis=0) for t in rotary]
            query, key = rotate(query, *of_query), rotate(key, *rotary)
        # The number of terms in a score; scaling by it keeps the variance.
        terms = 1 if relative_embeddings is None else 3
        query = ops.transpose(query * (terms * config.head_dim) ** -0.5, (0, 2, 1, 3))
        scores = ops.matmul(query, ops.transpose(key, (0, 2, 3, 1)))
        if relative_embeddings is not None:
            table, buckets = relative_embeddings
            buckets = buckets[None] if targets is None else ops.take(buckets, targets, axis=0)
            scores = scores + self._relative_scores(query, key, table, buckets[:, None])
        if bias is not None:
            bias = bias if targets is None else _rows_of_bias(bias, targets)
            scores = scores + ops.cast(bias, scores.dtype)
        probabilities = ops.softmax(scores, axis=-1)
        probabilities = self.pointwise_ops.drop(probabilities, self.dropout, training=training)
        mixed = ops.matmul(probabilities, ops.transpose(value, (0, 2, 1, 3)))
        mixed = ops.reshape(ops.transpose(mixed, (0, 2, 1, 3)), (-1, config.hidden_size))
        return self.output_dense(mixed)

    def _project(self, x, length, target_positions):
        """Return queries, keys and values, (rows, H) each, and the rows of a sequence in each."""
        if target_positions is None:
            # Split, not sliced: a slice's gradient pads with zeros, three times a split's width.
            return [(part, length) for part in ops.split(self.qkv(x), 3, axis=-1)]
        hidden, count = self.config.hidden_size, ops.shape(target_positions)[1]
        targets = gather_positions(x, target_positions, length)
        query = self._project_columns(targets, slice(None, hidden))
        others = ops.split(self._project_columns(x, slice(hidden, None)), 2, axis=-1)
        return [(query, count), *((part, length) for part in others)]

    def _project_columns(self, x, columns: slice):
        """Return some columns of qkv(x): a Dense layer computes all or none."""
        kernel = ops.cast(self.qkv.kernel, x.dtype)[:, columns]
        x = ops.matmul(x, kernel)
        return x + ops.cast(self.qkv.bias, x.dtype)[columns] if self.qkv.use_bias else x

    def _relative_scores(self, query, key, table, buckets):
        """Return the content-to-position and position-to-content scores, (B, N, P, T).

        query: (B, N, P, D), scaled. key: (B, T, N, D). table: (2S, H), an embedding for each
        bucket. buckets: (B or 1, 1, P, T), the bucket of each pair.
        """
        heads, head_dim = self.config.num_attention_heads, self.config.head_dim
        table_query, table_key = (
            ops.transpose(ops.reshape(part, (-1, heads, head_dim)), (1, 2, 0))
            for part in ops.split(self.qkv(table), 3, axis=-1)[:2]
        )
        # Not a matmul of (B, N, T, D) and (1, N, D, 2S): with one head, TensorFlow's on a CPU reads
        # beyond the second operand.
        content = ops.take_along_axis(
            ops.einsum("bntd,nds->bnts", query, table_key), buckets, axis=-1
        )
        key = ops.transpose(key * (3 * head_dim) ** -0.5, (0, 2, 1, 3))
        position = ops.take_along_axis(
            ops.einsum("bntd,nds->bnts", key, table_query),
            ops.transpose(buckets, (0, 1, 3, 2)),
            axis=-1,
        )
        return content + ops.transpose(position, (0, 1, 3, 2))


def gather_positions(x, positions, length):
    """Return the rows of hidden states x (B*T, H) at positions (B, P), as (B*P, H)."""
    rows = ops.arange(ops.shape(positions)[0], dtype="int32")[:, None] * length
    return ops.take(x, ops.reshape(rows + ops.cast(positions, "int32"), (-1,)), axis=0)


def _rows_of_bias(bias, target_positions):
    """Return the rows of a bias (B or 1, N or 1, T or 1, T) at target positions (B, P)."""
    if bias.shape[2] == 1:  # the same for every row
        return bias
    if bias.shape[0] == 1:
        return ops.transpose(ops.take(bias[0], target_positions, axis=1), (1, 0, 2, 3))
    return ops.take_along_axis(bias, target_positions[:, None, :, None], axis=2)


def rotate(x, cos, sin):
    """Apply rotary position embedding to x (B, T, N, D).

    cos, sin: (T, 1, D/2) or (B, T, 1, D/2).
    """
    first, second = ops.split(x, 2, axis=-1)
    return ops.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
