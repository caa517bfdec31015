"""Fused ops give the same values and gradients as operator by operator."""

from functools import partial
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from mlm.backend.input_pipeline import make_input_pipeline
from mlm.checkpoint.families import encoder_config_of
from mlm.model.blocks import ACTIVATIONS
from mlm.model.encoder import MaskedLM
from mlm.model.fused import PointwiseOps
from mlm.model.fused.tensorflow import FusedOps, _drop
from mlm.training.step import Learner
from mlm.training.step.dataset import TrainingDataset
from mlm.training.step.loss import masked_lm_loss
from tests.checkpoint.test_families import small_config
from tests.data.test_dynamic_padding import ONE_SIZE, line_by_line
from tests.support.learners import masked_lm_learner
from tests.support.sweeps import slow, sweep

UNFUSED, FUSED = PointwiseOps(), FusedOps()
NO_DROPOUT = keras.layers.Dropout(0.0)
RANDOM = np.random.default_rng(3)


def numbers(*shape: int, dtype="float32") -> tf.Tensor:
    return tf.cast(RANDOM.normal(0, 2, shape).astype("float32"), dtype)


def value_and_gradients(function, *tensors):
    """Return a function's value in a graph, and its gradients for the upstream 1, 2, 3, ..."""

    @tf.function(autograph=False)
    def run(*tensors):
        watched = [each for each in tensors if each.dtype.is_floating]
        with tf.GradientTape() as tape:
            tape.watch(watched)
            result = function(*tensors)
        upstream = tf.reshape(tf.range(1, tf.size(result) + 1), tf.shape(result))
        return result, tape.gradient(result, watched, tf.cast(upstream, result.dtype))

    result, gradients = run(*tensors)
    return [np.asarray(tf.cast(each, "float32")) for each in (result, *gradients)]


def check_same(function, *tensors, rtol=1e-5):
    """Compare function(pointwise_ops, *tensors) and its gradients, fused and unfused."""
    fused, unfused = (
        value_and_gradients(partial(function, each), *tensors) for each in (FUSED, UNFUSED)
    )
    for one, other in zip(fused, unfused, strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol * np.abs(other).max())


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("name", sweep(ACTIVATIONS, quick=["gelu", "relu", "silu"]))
@pytest.mark.parametrize("training", [False, True])
def test_activations(name, gated, training):
    act = ACTIVATIONS[name]
    check_same(lambda ops, x: ops.activate(act, x, gated=gated, training=training), numbers(5, 12))


def test_an_activation_in_16_bits_is_rounded_once():
    x = numbers(64, 32, dtype="bfloat16")
    exact = tf.nn.gelu(tf.cast(x, "float32"))
    got, _ = value_and_gradients(
        lambda x: FUSED.activate(ACTIVATIONS["gelu"], x, gated=False, training=True), x
    )
    expected = np.asarray(tf.cast(tf.cast(exact, "bfloat16"), "float32"))
    np.testing.assert_allclose(got, expected, rtol=2**-8)  # a few differ in the last bit


@pytest.mark.parametrize("center", [True, False])
def test_residual_and_norm(center):
    norm = keras.layers.LayerNormalization(epsilon=1e-6, center=center)
    norm.build((None, 16))
    for variable in norm.variables:
        variable.assign(RANDOM.normal(1, 0.5, 16))

    def function(ops, x, y):
        return ops.drop_add_norm(x, y, NO_DROPOUT, norm, training=True)

    check_same(function, numbers(7, 16), numbers(7, 16))


def test_gradients_of_a_norms_weights():
    norm = keras.layers.LayerNormalization()
    norm.build((None, 16))

    def function(ops, x, y, *values):
        mapping = list(zip(norm.variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return ops.drop_add_norm(x, y, NO_DROPOUT, norm, training=True)

    check_same(function, numbers(7, 16), numbers(7, 16), numbers(16), numbers(16))


def test_cross_entropy():
    labels = tf.constant(RANDOM.integers(0, 50, (4, 3)), "int32")
    check_same(
        lambda ops, logits: ops.cross_entropy(logits, labels, training=True), numbers(4, 3, 50)
    )


def test_cross_entropy_of_large_and_of_nan_logits():
    labels = tf.zeros((3, 1), "int32")
    logits = tf.constant([[[1e4, -1e4]], [[-1e4, 1e4]], [[np.nan, 0.0]]])
    loss, gradient = value_and_gradients(
        partial(FUSED.cross_entropy, labels=labels, training=True), logits
    )
    np.testing.assert_allclose(loss[:2, 0], [0.0, 2e4])
    assert np.isnan(loss[2]).all()
    assert np.isfinite(gradient[:2]).all()


@pytest.mark.parametrize("label", [-100, 50])
def test_a_label_outside_the_vocabulary_gives_a_non_finite_gradient(label):
    """The optimizer skips a step with such a gradient."""
    labels = tf.constant([3, label], "int32")
    loss, gradient = value_and_gradients(
        partial(FUSED.cross_entropy, labels=labels, training=True), numbers(2, 50)
    )
    assert np.isfinite(loss[0])
    assert np.isinf(loss[1])
    assert not np.isfinite(gradient[1]).any()


def test_the_highest_dropout_rate_keeps_some_values():
    left = _drop(0.9999999, tf.ones(2), tf.constant([65534, 65535], "uint16")).numpy()
    np.testing.assert_array_equal(left, [0.0, 65536.0])


def test_a_tenth_of_all_random_values_drops():
    """All 65,536 values of 16 bits; the values that are kept restore the mean."""
    random_bits = tf.constant(np.arange(1 << 16, dtype="uint16"))
    left = _drop(0.1, tf.ones(1 << 16), random_bits).numpy()
    assert (left == 0).sum() == round(0.1 * (1 << 16))
    assert left.mean() == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("shape", [(3, 5), (64, 256)], ids=["odd", "even"])
def test_dropout_drops_the_same_in_the_gradient_and_others_the_next_time(shape):
    dropout = keras.layers.Dropout(0.5, seed=1)

    def drop(x):
        return FUSED.drop(x, dropout, training=True)

    x = tf.ones(shape)
    (first, gradient), (second, _) = value_and_gradients(drop, x), value_and_gradients(drop, x)
    assert set(np.unique(first)) == {0.0, 2.0}
    np.testing.assert_array_equal(gradient > 0, first > 0)
    assert (first != second).any()
    assert int(dropout.seed_generator.state.numpy()[1]) == 2


def test_dropout_before_a_residual():
    dropout = keras.layers.Dropout(0.5, seed=1)

    def drop_add(x, y):
        return FUSED.drop_add_norm(x, y, dropout, training=True)

    result, of_x, of_y = value_and_gradients(drop_add, tf.zeros((40, 8)), tf.ones((40, 8)))
    assert set(np.unique(result)) == {0.0, 2.0}
    np.testing.assert_array_equal(of_y, of_x * result)


@pytest.mark.parametrize("training", [False, True])
def test_nothing_is_dropped_at_rate_0_or_outside_training(training):
    dropout = keras.layers.Dropout(0.0 if training else 0.5)
    x = numbers(4, 8)
    result, _ = value_and_gradients(lambda x: FUSED.drop(x, dropout, training=training), x)
    np.testing.assert_array_equal(result, x)


def losses(family: str, policy: str, pointwise_ops: PointwiseOps | None) -> list[float]:
    """Return the losses of some steps without dropout; None keeps the Learner's own ops."""
    keras.utils.set_random_seed(7)
    config = encoder_config_of(small_config(family, initializer_range=0.1))
    model = MaskedLM(config, dtype=policy)
    model.build()
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    learner = masked_lm_learner(model)
    assert isinstance(model.pointwise_ops, FusedOps)
    if pointwise_ops is not None:
        learner = Learner(model, masked_lm_loss(pointwise_ops))
        model.use_pointwise_ops(pointwise_ops)
    learner.compile_for_training(keras.optimizers.SGD(0.1), jit_compile=False)
    batches = line_by_line(config.vocab_size, ONE_SIZE)
    steps = [TrainingDataset(batches, step, step + 1) for step in range(4)]
    fits = [learner.fit(make_input_pipeline(step), verbose=0, shuffle=False) for step in steps]
    return [fit.history["mean_loss"][0] for fit in fits]


@pytest.mark.parametrize(
    ("policy", "exact", "family"),
    [
        ("float32", 1e-5, "bert"),
        ("mixed_bfloat16", 1e-2, "modernbert"),
        *(
            slow("float32", 1e-5, family)
            for family in ("modernbert", "mpnet", "deberta-v2", "albert")
        ),
        *(
            slow("mixed_bfloat16", 1e-2, family)
            for family in ("bert", "mpnet", "deberta-v2", "albert")
        ),
    ],
)
def test_training_gives_the_same_losses(family, policy, exact):
    fused, apart = (losses(family, policy, way) for way in (None, UNFUSED))
    np.testing.assert_allclose(fused, apart, rtol=exact)


@pytest.mark.parametrize(("family", "functions"), [("bert", 5), slow("modernbert", 3)])
def test_equal_operations_are_compiled_once(family, functions):
    """BERT: activation, dropout, dropout with residual and norm, the loss and its metric."""
    keras.utils.set_random_seed(7)
    config = encoder_config_of(small_config(family))
    model = MaskedLM(config)
    model.build()
    learner = masked_lm_learner(model)
    learner.compile_for_training(keras.optimizers.SGD(0.1), jit_compile=False)
    batches = line_by_line(config.vocab_size, ONE_SIZE)
    learner.fit(make_input_pipeline(TrainingDataset(batches, 0, 1)), verbose=0, shuffle=False)
    assert len(model.pointwise_ops._compiled) == functions


@pytest.mark.parametrize(
    "patch",
    [
        lambda monkeypatch: monkeypatch.setattr(
            tf.config, "list_logical_devices", lambda kind: [SimpleNamespace(name=kind)]
        ),
        lambda monkeypatch: monkeypatch.setattr(tf.test, "is_built_with_xla", lambda: False),
        lambda monkeypatch: monkeypatch.setattr(tf.distribute, "has_strategy", lambda: True),
    ],
    ids=["a GPU", "no XLA", "several replicas"],
)
def test_elsewhere_nothing_is_fused(monkeypatch, patch):
    patch(monkeypatch)
    dropout = keras.layers.Dropout(0.5)
    norm = keras.layers.LayerNormalization()
    norm.build((None, 8))

    @tf.function(autograph=False)
    def run(x):
        x = FUSED.activate(ACTIVATIONS["gelu"], x, gated=True, training=True)
        y = FUSED.drop(x, dropout, training=True)
        x = FUSED.drop_add_norm(x, y, dropout, norm, training=True)
        return FUSED.cross_entropy(x, tf.zeros(tf.shape(x)[0], "int32"), training=True)

    graph = run.get_concrete_function(tf.TensorSpec((2, 16))).graph
    assert not any("Call" in operation.type for operation in graph.get_operations())
