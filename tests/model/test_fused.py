"""GELU in training, which has a gradient of its own."""

import keras
import numpy as np
import pytest
import torch

from mlm.checkpoint.families import encoder_config_of
from mlm.model.blocks import ACTIVATIONS
from mlm.model.encoder import MaskedLM
from mlm.model.fused import PointwiseOps
from tests.checkpoint.test_families import small_config

X = np.concatenate([np.linspace(-9, 9, 181), [-300.0, 300.0]]).astype("float32")


def test_gelu_in_training_has_pytorchs_gradient():
    x = torch.tensor(X, requires_grad=True)
    expected = torch.nn.functional.gelu(x)
    expected.sum().backward()

    def gelu(x):
        return PointwiseOps().activate(ACTIVATIONS["gelu"], x, gated=False, training=True)

    np.testing.assert_allclose(np.asarray(gelu(X)), expected.detach(), atol=1e-6)
    np.testing.assert_allclose(gradient(gelu), x.grad, atol=1e-6)


def gradient(function) -> np.ndarray:
    if keras.backend.backend() == "jax":
        import jax

        return np.asarray(jax.grad(lambda x: function(x).sum())(X))
    import tensorflow as tf

    x = tf.Variable(X)
    with tf.GradientTape() as tape:
        y = function(tf.convert_to_tensor(x))
    return tape.gradient(y, x).numpy()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tests TensorFlow's registry")
def test_prediction_registers_no_gradients():
    from tensorflow.python.framework.ops import gradient_registry

    model = MaskedLM(encoder_config_of(small_config("bert")))
    model.build()
    ids = np.zeros((1, 4), "int32")
    before = set(gradient_registry.list())
    model.predict({"input_ids": ids, "masked_positions": ids[:, :1]}, verbose=0)
    assert set(gradient_registry.list()) == before
