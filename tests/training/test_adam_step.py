"""The fused AdamW update gives the numbers of Keras' own: weights, moments and decay."""

import keras
import numpy as np
import pytest

from mlm.training.step.optimizer import AdamW

if keras.backend.backend() != "tensorflow":
    pytest.skip("tests an operator of TensorFlow", allow_module_level=True)


def train(optimizer_class, weight_decay: float) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return weights and moments after five steps with given gradients."""
    random = np.random.default_rng(0)
    weights = [keras.Variable(random.normal(size=shape), dtype="float32") for shape in ((7, 5), 3)]
    optimizer = optimizer_class(
        learning_rate=0.01, beta_1=0.8, beta_2=0.95, epsilon=1e-6, weight_decay=weight_decay
    )
    optimizer.build(weights)
    for _ in range(5):
        gradients = [random.normal(size=w.shape).astype("float32") for w in weights]
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients], weights)
    moments = [v.numpy() for v in optimizer.variables if "moment" in v.name or "veloc" in v.name]
    return [w.numpy() for w in weights], moments


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_the_numbers_are_those_of_keras(weight_decay):
    ours, theirs = (train(kind, weight_decay) for kind in (AdamW, keras.optimizers.AdamW))
    assert len(ours[1]) == len(theirs[1]) == 4
    for one, other in zip(ours[0] + ours[1], theirs[0] + theirs[1], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


def test_several_devices_use_keras_own_update(monkeypatch):
    from mlm.training.step import tensorflow as step

    monkeypatch.setattr(step, "is_on_one_device", lambda: False)
    monkeypatch.setattr(step, "adamw_update", None)  # a call would fail
    assert len(train(AdamW, 0.0)[0]) == 2
