"""The encoder with the head of a supervised task: token ids in, logits of labels out."""

from keras import ops

from mlm.model.encoder import Encoder
from mlm.model.encoder_config import EncoderConfig, TaskHeadConfig
from mlm.model.task_head import TaskHead


class TaskModel(Encoder):
    """Encoder with a task head; if it pools the first token, the last layer computes only that.

    `config.task_head` has to be set.
    """

    def __init__(self, config: EncoderConfig, *, dtype=None, seed: int = 0, name="task_model"):
        super().__init__(config, dtype=dtype, seed=seed, name=name)
        assert config.task_head is not None
        self.task_head: TaskHeadConfig = config.task_head
        of_head = seed + 1 + 3 * config.num_hidden_layers  # the layers have those below
        self.head = TaskHead(config, dtype=self.dtype_policy, seed=of_head)

    def call(self, inputs, training=False):
        """Return the logits float32: (B, L) of texts, or (B, T, L) of their tokens.

        inputs: as of `Encoder.encode`.
        """
        return self._headed(inputs, self.head, self.task_head.num_labels, training)

    def features(self, inputs):
        """Return what the classifier gets, float32: (B, D), or (B, T, D) of tokens."""
        return self._headed(inputs, self.head.features, self.head.width, training=False)

    def _headed(self, inputs, head, width: int, training):
        """Return the outputs of the head, or of its part below the classifier."""
        if self.task_head.kind == "sequence":
            return head(self.pooled(inputs, training=training), training=training)
        outputs = head(self.encode(inputs, training=training), training=training)
        length = ops.shape(inputs["input_ids"])[1]
        return ops.reshape(outputs, (-1, length, width))

    def pooled(self, inputs, training=False):
        """Return the state of each text that the head gets, (B, H) float32.

        That is the first token's, or the mean over the tokens of the attention mask; `head` gives
        its logits. inputs: as of `Encoder.encode`.
        """
        if self.task_head.pooling == "mean":
            return self._mean(inputs, training)
        first = ops.zeros_like(ops.cast(inputs["input_ids"], "int32")[:, :1])
        return ops.cast(self.encode(inputs, first, training=training), "float32")

    def _mean(self, inputs, training):
        x = ops.cast(self.encode(inputs, training=training), "float32")
        x = ops.reshape(x, (-1, ops.shape(inputs["input_ids"])[1], self.config.hidden_size))
        mask = inputs.get("attention_mask")
        if mask is None:
            return ops.mean(x, axis=1)
        mask = ops.cast(mask, "float32")[:, :, None]
        return ops.sum(x * mask, axis=1) / ops.maximum(ops.sum(mask, axis=1), 1.0)
