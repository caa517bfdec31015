"""The head of a supervised task: hidden states in, logits out. Keras 3, any backend."""

import keras
from keras import ops

from mlm.model.blocks import ACTIVATIONS, layer_norm
from mlm.model.encoder_config import EncoderConfig, TaskHeadConfig


class TaskHead(keras.layers.Layer):
    """Dense layer, activation and norm, if the family has them, then the classifier.

    seed: of the dropouts and of the initial values, which do not depend on what else is drawn.
    """

    def __init__(self, config: EncoderConfig, *, dtype=None, seed: int = 0, name="head"):
        super().__init__(dtype=dtype, name=name)
        assert config.task_head is not None
        policy, head = self.dtype_policy, config.task_head
        self.config, self.hidden_size = head, config.hidden_size
        self.dense_dropout, self.dropout = (
            keras.layers.Dropout(rate, seed=seed + which, dtype=policy)
            for which, rate in enumerate((head.dense_dropout, head.dropout))
        )
        self.dense = self.norm = None
        if head.dense_size is not None:
            self.dense = keras.layers.Dense(
                head.dense_size,
                use_bias=head.dense_bias,
                kernel_initializer=_initializer(head, head.dense_std, seed),
                dtype=policy,
                name="dense",
            )
        if head.norm:
            self.norm = layer_norm(config, policy, "norm")
        self.classifier = keras.layers.Dense(
            head.num_labels,
            kernel_initializer=_initializer(head, head.classifier_std or head.dense_std, seed + 1),
            dtype="float32",  # few numbers, whose last digits decide between labels
            name="classifier",
        )

    @property
    def width(self) -> int:
        """Width of what the classifier gets."""
        return self.hidden_size if self.dense is None else self.dense.units

    def build(self, input_shape):
        """Create the weights."""
        if self.dense is not None:
            self.dense.build((None, self.hidden_size))
        if self.norm is not None:
            self.norm.build((None, self.width))
        self.classifier.build((None, self.width))

    def call(self, x, training=False):
        """Return the logits (N, L) float32 of hidden states (N, H), pooled ones or a token's."""
        return self.classifier(self.features(x, training=training))

    def features(self, x, training=False):
        """Return what the classifier gets, (N, D) float32, of hidden states (N, H)."""
        if self.dense is not None:
            x = self.dense(self.dense_dropout(x, training=training))
            x = ACTIVATIONS[self.config.dense_act](x)
        if self.norm is not None:
            x = self.norm(x)
        return ops.cast(self.dropout(x, training=training), "float32")


def _initializer(head: TaskHeadConfig, std: float, seed: int) -> keras.initializers.Initializer:
    kind = (
        keras.initializers.TruncatedNormal
        if head.truncated_init
        else (keras.initializers.RandomNormal)
    )
    return kind(stddev=std, seed=seed)
