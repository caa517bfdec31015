"""Self-attention, and how it knows where a token stands: rotations, and two kinds of distances."""

import keras
import numpy as np
from keras import ops

from mlm.model.blocks import dense, layer_norm, normal
from mlm.model.encoder_config import EncoderConfig
from mlm.model.fused import Elementwise
from mlm.model.position_buckets import deberta_buckets, t5_buckets


class RelativePositions(keras.layers.Layer):
    """A learned bias on the attention scores by distance (MPNet): length T -> (1, N, T, T)."""

    def __init__(self, config: EncoderConfig, *, dtype=None, name="relative_positions"):
        super().__init__(dtype=dtype, name=name)
        self.config = config
        self.buckets = t5_buckets(config.max_position_embeddings)

    def build(self, input_shape):
        config = self.config
        self.table = self.add_weight(
            shape=(config.relative_attention_num_buckets, config.num_attention_heads),
            initializer=normal(config.initializer_range),
            name="relative_attention_bias",
        )

    def call(self, length):
        bias = ops.take(self.table, _by_distance(self.buckets, length), axis=0)
        return ops.transpose(bias, (2, 0, 1))[None]


class RelativeEmbeddings(keras.layers.Layer):
    """An embedding for each distance (DeBERTa-v2), which each layer projects for itself.

    Call: length T -> the embeddings (2S, H), normed, and which of them a pair has, (T, T) int32.
    """

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
        config = self.config
        self.table = self.add_weight(
            shape=(2 * config.distance_span, config.hidden_size),
            initializer=normal(config.initializer_range),
            name="embeddings",
        )
        self.norm.build((None, config.hidden_size))

    def call(self, length, training=False):
        table = self.dropout(self.norm(ops.convert_to_tensor(self.table)), training=training)
        return table, _by_distance(self.buckets, length)


def _by_distance(values: np.ndarray, length):
    """(T, T): values[i - j] of tokens i, j; `values` (2L - 1,) begins with that of -(L - 1)."""
    position = ops.arange(length)
    return ops.take(values, position[:, None] - position[None, :] + len(values) // 2)


class SelfAttention(keras.layers.Layer):
    """Multi-head attention of one layer; queries, keys and values come from one product.

    Call: hidden (B*T, H); bias (B or 1, N or 1, T or 1, T) to add to the scores, or None;
    rotary (cos, sin), each (T, 1, D/2), or None; distances, what RelativeEmbeddings gives, or
    None; length T; asked, positions (B, P) of the tokens that alone are asked for, or None.
    Returns (B*T, H), of asked positions (B*P, H).
    """

    def __init__(self, config: EncoderConfig, *, dtype=None, seed: int = 0, name="attention"):
        super().__init__(dtype=dtype, name=name)
        self.config = config
        self.elementwise = Elementwise()
        hidden, policy = config.hidden_size, self.dtype_policy
        std, out_std = config.initializer_range, config.residual_initializer_range
        self.qkv = dense(3 * hidden, std, bias=config.attention_bias, dtype=policy, name="qkv")
        self.output_dense = dense(
            hidden, out_std, bias=config.attention_bias, dtype=policy, name="output"
        )
        self.dropout = keras.layers.Dropout(config.attention_dropout, seed=seed, dtype=policy)

    def build(self, input_shape):
        shape = (None, self.config.hidden_size)
        self.qkv.build(shape)
        self.output_dense.build(shape)

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
        config = self.config
        query, key, value = (
            ops.reshape(part, (-1, count, config.num_attention_heads, config.head_dim))
            for part, count in self._projected(x, length, asked)
        )
        if rotary is not None:
            of_query = rotary if asked is None else [ops.take(t, asked, axis=0) for t in rotary]
            query, key = rotate(query, *of_query), rotate(key, *rotary)
        terms = 1 if distances is None else 3  # of a score, which keeps its variance
        query = ops.transpose(query * (terms * config.head_dim) ** -0.5, (0, 2, 1, 3))
        scores = ops.matmul(query, ops.transpose(key, (0, 2, 3, 1)))
        if distances is not None:
            table, row = distances
            row = row[None] if asked is None else ops.take(row, asked, axis=0)
            scores = scores + self._relative_scores(query, key, table, row[:, None])
        if bias is not None:
            bias = bias if asked is None else _rows(bias, asked)
            scores = scores + ops.cast(bias, scores.dtype)
        shares = ops.softmax(scores, axis=-1)
        shares = self.elementwise.drop(shares, self.dropout, training=training)
        mixed = ops.matmul(shares, ops.transpose(value, (0, 2, 1, 3)))
        mixed = ops.reshape(ops.transpose(mixed, (0, 2, 1, 3)), (-1, config.hidden_size))
        return self.output_dense(mixed)

    def _projected(self, x, length, asked):
        """Queries, keys and values, (rows, H) each, and how many a sequence has."""
        if asked is None:
            # Split, not sliced: a slice's gradient pads with zeros, three times a split's width.
            return [(part, length) for part in ops.split(self.qkv(x), 3, axis=-1)]
        hidden, count = self.config.hidden_size, ops.shape(asked)[1]
        query = self._part_of_qkv(gather_positions(x, asked, length), slice(None, hidden))
        others = ops.split(self._part_of_qkv(x, slice(hidden, None)), 2, axis=-1)
        return [(query, count), *((part, length) for part in others)]

    def _part_of_qkv(self, x, columns: slice):
        """Some of what the product would give: a Dense has no way to be asked for less."""
        kernel = ops.cast(self.qkv.kernel, x.dtype)[:, columns]
        x = ops.matmul(x, kernel)
        return x + ops.cast(self.qkv.bias, x.dtype)[columns] if self.qkv.use_bias else x

    def _relative_scores(self, query, key, table, row):
        """Content by position and position by content; query (B, N, P, D) scaled, key (B, T, N, D).

        table (2S, H) holds an embedding for each distance, row (B or 1, 1, P, T) which one a pair
        has.
        """
        heads, head_dim = self.config.num_attention_heads, self.config.head_dim
        far_query, far_key = (
            ops.transpose(ops.reshape(part, (-1, heads, head_dim)), (1, 2, 0))
            for part in ops.split(self.qkv(table), 3, axis=-1)[:2]
        )
        # Not a product of (B, N, T, D) and (1, N, D, 2S): with one head TensorFlow's, on a CPU,
        # reads beyond the second.
        content = ops.take_along_axis(ops.einsum("bntd,nds->bnts", query, far_key), row, axis=-1)
        key = ops.transpose(key * (3 * head_dim) ** -0.5, (0, 2, 1, 3))
        position = ops.take_along_axis(
            ops.einsum("bntd,nds->bnts", key, far_query),
            ops.transpose(row, (0, 1, 3, 2)),
            axis=-1,
        )
        return content + ops.transpose(position, (0, 1, 3, 2))


def gather_positions(x, positions, length):
    """Rows of the hidden states (B*T, H) at positions (B, P), as (B*P, H)."""
    rows = ops.arange(ops.shape(positions)[0], dtype="int32")[:, None] * length
    return ops.take(x, ops.reshape(rows + ops.cast(positions, "int32"), (-1,)), axis=0)


def _rows(bias, asked):
    """Of a bias (B or 1, N or 1, T or 1, T), the rows of asked positions (B, P)."""
    if bias.shape[2] == 1:  # the same for every row
        return bias
    if bias.shape[0] == 1:
        return ops.transpose(ops.take(bias[0], asked, axis=1), (1, 0, 2, 3))
    return ops.take_along_axis(bias, asked[:, None, :, None], axis=2)


def rotate(x, cos, sin):
    """Rotary position embedding of x (B, T, N, D) with tables (T, 1, D/2) or (B, T, 1, D/2)."""
    first, second = ops.split(x, 2, axis=-1)
    return ops.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
