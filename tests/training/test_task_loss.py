"""The losses of tasks equal those that transformers takes from PyTorch: values and gradients."""

import keras
import numpy as np
import pytest
import torch
from keras import ops

from mlm.data.examples.class_weights import class_weights_of
from mlm.training.step.loss import MeanLoss, SummedLoss
from mlm.training.step.task_loss import task_loss

ROWS, LABELS, LENGTH = 6, 3, 5
RANDOM = np.random.default_rng(0)


def logits_of(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape, scale=3.0).astype("float32")


def loss_and_gradient(loss, labels, logits, weights) -> tuple[float, np.ndarray]:
    """Return the loss of a batch, and its gradient by the logits."""

    def of_logits(values):
        return loss(ops.convert_to_tensor(labels), values, sample_weight=weights)

    if keras.backend.backend() == "jax":
        import jax

        value, gradient = jax.value_and_grad(of_logits)(ops.convert_to_tensor(logits))
        return float(value), np.asarray(gradient)
    import tensorflow as tf

    values = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(values)
        value = of_logits(values)
    return float(value), np.asarray(tape.gradient(value, values))


def of_pytorch(loss, labels, logits) -> tuple[float, np.ndarray]:
    values = torch.tensor(logits, requires_grad=True)
    value = loss(values, torch.tensor(labels))
    value.backward()
    return float(value.detach()), values.grad.numpy()


def assert_same(ours, theirs) -> None:
    assert ours[0] == pytest.approx(theirs[0], rel=1e-5)
    np.testing.assert_allclose(ours[1], theirs[1], atol=1e-6)


def uniform(rows: int = ROWS) -> np.ndarray:
    return np.full(rows, 1 / rows, "float32")


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_a_single_label_has_the_cross_entropy(smoothing):
    labels, logits = np.array([0, 1, 2, 2, 1, 0], "int32"), logits_of(ROWS, LABELS)
    ours = SummedLoss(task_loss("single_label_classification", smoothing))
    theirs = torch.nn.CrossEntropyLoss(label_smoothing=smoothing)
    assert_same(
        loss_and_gradient(ours, labels, logits, uniform()),
        of_pytorch(theirs, labels.astype("int64"), logits),
    )


def test_weights_of_classes_are_those_of_pytorch():
    labels, logits = np.array([0, 0, 0, 1, 2, 2], "int32"), logits_of(ROWS, LABELS)
    classes = class_weights_of(labels, LABELS)
    weights = classes[labels] / classes[labels].sum()
    theirs = torch.nn.CrossEntropyLoss(weight=torch.tensor(classes))
    ours = SummedLoss(task_loss("single_label_classification"))
    assert_same(
        loss_and_gradient(ours, labels, logits, weights),
        of_pytorch(theirs, labels.astype("int64"), logits),
    )


def test_tokens_have_the_cross_entropy_of_those_with_a_label():
    labels = RANDOM.integers(0, LABELS, size=(ROWS, LENGTH))
    labels[:, 0] = labels[2, 1:] = -100
    logits = logits_of(ROWS, LENGTH, LABELS)
    weights = (labels != -100) / np.float32((labels != -100).sum())
    ours = SummedLoss(task_loss("token_classification"))
    value, gradient = loss_and_gradient(
        ours, np.maximum(labels, 0).astype("int32"), logits, weights.astype("float32")
    )
    theirs = of_pytorch(torch.nn.CrossEntropyLoss(), labels.reshape(-1), logits.reshape(-1, LABELS))
    assert_same((value, gradient.reshape(-1, LABELS)), theirs)


def test_what_fills_a_token_without_a_label_does_not_matter():
    logits = logits_of(1, 2, LABELS)
    weights = np.array([[1, 0]], "float32")
    loss = SummedLoss(task_loss("token_classification"))
    given = (loss_and_gradient(loss, np.array([[1, fill]]), logits, weights) for fill in (-100, 2))
    assert_same(*given)


def test_several_labels_have_the_binary_cross_entropy():
    labels, logits = RANDOM.integers(0, 2, size=(ROWS, LABELS)), logits_of(ROWS, LABELS)
    logits[0] = (200.0, -200.0, 0.0)  # nothing overflows
    labels = labels.astype("float32")
    ours = SummedLoss(task_loss("multi_label_classification"))
    assert_same(
        loss_and_gradient(ours, labels, logits, uniform()),
        of_pytorch(torch.nn.BCEWithLogitsLoss(), labels, logits),
    )


def test_a_number_has_the_squared_error():
    labels, logits = RANDOM.normal(size=ROWS).astype("float32"), logits_of(ROWS, 1)
    ours = SummedLoss(task_loss("regression"))
    value, gradient = loss_and_gradient(ours, labels, logits, uniform())
    theirs = of_pytorch(torch.nn.MSELoss(), labels, logits[:, 0])
    assert_same((value, gradient[:, 0]), theirs)


def test_the_mean_loss_of_a_run_is_reported_without_smoothing():
    labels, logits = np.array([0, 1, 2, 2, 1, 0], "int32"), logits_of(ROWS, LABELS)
    means = []
    for smoothing in (0.0, 0.3):
        mean = MeanLoss(task_loss("single_label_classification", smoothing))
        mean.update_state(labels, ops.convert_to_tensor(logits), sample_weight=uniform())
        means.append(float(mean.result()))
    assert means[0] == means[1]
