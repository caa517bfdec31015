"""The losses of supervised tasks, as transformers has them: one value for each label."""

import keras
from keras import ops

from mlm.checkpoint.task import ProblemType
from mlm.training.step.loss import ElementLoss


def task_loss(problem_type: ProblemType, label_smoothing: float = 0.0) -> ElementLoss:
    """Return the loss of each label of a batch, float32.

    Labels and logits by problem type: single label (B,) int and (B, L); tokens (B, T) int, negative
    where there is none, and (B, T, L); multi-label (B, L) float and (B, L), whose loss is the mean
    over the labels; regression (B,) float and (B, 1).

    label_smoothing: share of a label's probability that is spread over all labels; the mean loss
    of a run is reported without it.
    """
    if problem_type == "multi_label_classification":
        return _binary_cross_entropies
    if problem_type == "regression":
        return _squared_errors

    def cross_entropies(labels, logits, *, training: bool):
        labels = ops.maximum(labels, 0)  # a token without a label has weight 0, and any label here
        plain = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
        if not (training and label_smoothing):
            return plain
        uniform = ops.logsumexp(logits, axis=-1) - ops.mean(logits, axis=-1)
        return (1.0 - label_smoothing) * plain + label_smoothing * uniform

    return cross_entropies


def _binary_cross_entropies(labels, logits, *, training: bool):
    labels = ops.cast(labels, logits.dtype)
    return ops.mean(ops.softplus(logits) - logits * labels, axis=-1)


def _squared_errors(labels, logits, *, training: bool):
    return ops.square(ops.squeeze(logits, axis=-1) - ops.cast(labels, logits.dtype))
