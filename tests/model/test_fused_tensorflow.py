"""What TensorFlow's CPU does in one loop: the same as operator by operator, both ways."""

from functools import partial
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from mlm.backend.input_pipeline import fed
from mlm.checkpoint.families import encoder_config_of
from mlm.model.blocks import ACTIVATIONS
from mlm.model.encoder import MaskedLM
from mlm.model.fused import Elementwise
from mlm.model.fused.tensorflow import FusedElementwise, _dropped
from mlm.training.step import Learner
from mlm.training.step.dataset import TrainingDataset
from tests.checkpoint.test_families import small_config
from tests.data.test_dynamic_padding import ONE_SIZE, line_by_line
from tests.support.sweeps import slow

BY_OPERATORS, FUSED = Elementwise(), FusedElementwise()
NO_DROPOUT = keras.layers.Dropout(0.0)
RANDOM = np.random.default_rng(3)


def numbers(*shape: int, dtype="float32") -> tf.Tensor:
    return tf.cast(RANDOM.normal(0, 2, shape).astype("float32"), dtype)


def both_ways(function, *tensors):
    """In a graph: what it gives, and the gradients of what it gives times 1, 2, 3, ..."""

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


def check_same(ask, *tensors, rtol=1e-5):
    fused, apart = (both_ways(partial(ask, way), *tensors) for way in (FUSED, BY_OPERATORS))
    for one, other in zip(fused, apart, strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol * np.abs(other).max())


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("training", [False, True])
def test_activations(name, gated, training):
    act = ACTIVATIONS[name]
    check_same(lambda way, x: way.activate(act, x, gated=gated, training=training), numbers(5, 12))


def test_an_activation_in_16_bits_is_rounded_once():
    x = numbers(64, 32, dtype="bfloat16")
    exact = tf.nn.gelu(tf.cast(x, "float32"))
    got, _ = both_ways(
        lambda x: FUSED.activate(ACTIVATIONS["gelu"], x, gated=False, training=True), x
    )
    expected = np.asarray(tf.cast(tf.cast(exact, "bfloat16"), "float32"))
    np.testing.assert_allclose(got, expected, rtol=2**-8)  # the last bit, in a few cases


@pytest.mark.parametrize("center", [True, False])
def test_residual_and_norm(center):
    norm = keras.layers.LayerNormalization(epsilon=1e-6, center=center)
    norm.build((None, 16))
    for variable in norm.variables:
        variable.assign(RANDOM.normal(1, 0.5, 16))

    def ask(way, x, y):
        return way.drop_add(x, y, NO_DROPOUT, norm, training=True)

    check_same(ask, numbers(7, 16), numbers(7, 16))


def test_a_norms_own_gradients():
    norm = keras.layers.LayerNormalization()
    norm.build((None, 16))

    def ask(way, x, y, *values):
        mapping = list(zip(norm.variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return way.drop_add(x, y, NO_DROPOUT, norm, training=True)

    check_same(ask, numbers(7, 16), numbers(7, 16), numbers(16), numbers(16))


def test_cross_entropy():
    labels = tf.constant(RANDOM.integers(0, 50, (4, 3)), "int32")
    check_same(lambda way, logits: way.nats(logits, labels, training=True), numbers(4, 3, 50))


def test_cross_entropy_of_far_and_of_broken_logits():
    labels = tf.zeros((3, 1), "int32")
    logits = tf.constant([[[1e4, -1e4]], [[-1e4, 1e4]], [[np.nan, 0.0]]])
    nats, gradient = both_ways(partial(FUSED.nats, labels=labels, training=True), logits)
    np.testing.assert_allclose(nats[:2, 0], [0.0, 2e4])
    assert np.isnan(nats[2]).all()
    assert np.isfinite(gradient[:2]).all()


@pytest.mark.parametrize("label", [-100, 50])
def test_a_label_out_of_the_vocabulary_is_no_step(label):
    """As an update is passed over whose gradient is not finite."""
    labels = tf.constant([3, label], "int32")
    nats, gradient = both_ways(partial(FUSED.nats, labels=labels, training=True), numbers(2, 50))
    assert np.isfinite(nats[0])
    assert np.isinf(nats[1])
    assert not np.isfinite(gradient[1]).any()


def test_the_highest_rate_of_dropout_leaves_a_little():
    left = _dropped(0.9999999, tf.ones(2), tf.constant([65534, 65535], "uint16")).numpy()
    np.testing.assert_array_equal(left, [0.0, 65536.0])


def test_each_chance_drops_or_keeps():
    """Of the 65,536 chances that 16 bits have, a tenth drops; the others keep the mean."""
    chances = tf.constant(np.arange(1 << 16, dtype="uint16"))
    left = _dropped(0.1, tf.ones(1 << 16), chances).numpy()
    assert (left == 0).sum() == round(0.1 * (1 << 16))
    assert left.mean() == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("shape", [(3, 5), (64, 256)], ids=["odd", "even"])
def test_dropout_drops_the_same_both_ways_and_others_the_next_time(shape):
    dropout = keras.layers.Dropout(0.5, seed=1)

    def ask(x):
        return FUSED.drop(x, dropout, training=True)

    x = tf.ones(shape)
    (first, gradient), (second, _) = both_ways(ask, x), both_ways(ask, x)
    assert set(np.unique(first)) == {0.0, 2.0}
    np.testing.assert_array_equal(gradient > 0, first > 0)
    assert (first != second).any()
    assert int(dropout.seed_generator.state.numpy()[1]) == 2


def test_dropout_before_a_residual():
    dropout = keras.layers.Dropout(0.5, seed=1)

    def ask(x, y):
        return FUSED.drop_add(x, y, dropout, training=True)

    result, of_x, of_y = both_ways(ask, tf.zeros((40, 8)), tf.ones((40, 8)))
    assert set(np.unique(result)) == {0.0, 2.0}
    np.testing.assert_array_equal(of_y, of_x * result)


@pytest.mark.parametrize("training", [False, True])
def test_nothing_is_dropped_where_nothing_is_to_be(training):
    dropout = keras.layers.Dropout(0.0 if training else 0.5)
    x = numbers(4, 8)
    result, _ = both_ways(lambda x: FUSED.drop(x, dropout, training=training), x)
    np.testing.assert_array_equal(result, x)


def losses(family: str, policy: str, way: Elementwise | None) -> list[float]:
    """Of some steps without dropout; `way` None takes the Learner's own."""
    keras.utils.set_random_seed(7)
    config = encoder_config_of(small_config(family, initializer_range=0.1))
    model = MaskedLM(config, dtype=policy)
    model.build()
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    learner = Learner(model)
    assert isinstance(learner.elementwise, FusedElementwise)
    if way is not None:
        learner.elementwise = way
        model.use_elementwise(way)
    learner.compile_for_training(keras.optimizers.SGD(0.1), jit_compile=False)
    batches = line_by_line(config.vocab_size, ONE_SIZE)
    steps = [TrainingDataset(batches, step, step + 1) for step in range(4)]
    fits = [learner.fit(fed(step), verbose=0, shuffle=False) for step in steps]
    return [fit.history["nats"][0] for fit in fits]


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
def test_training_is_the_same(family, policy, exact):
    fused, apart = (losses(family, policy, way) for way in (None, BY_OPERATORS))
    np.testing.assert_allclose(fused, apart, rtol=exact)


@pytest.mark.parametrize(("family", "functions"), [("bert", 5), slow("modernbert", 3)])
def test_what_is_alike_is_compiled_once(family, functions):
    """BERT: activation, dropout, dropout with residual and norm, the loss and its metric."""
    keras.utils.set_random_seed(7)
    config = encoder_config_of(small_config(family))
    model = MaskedLM(config)
    model.build()
    learner = Learner(model)
    learner.compile_for_training(keras.optimizers.SGD(0.1), jit_compile=False)
    batches = line_by_line(config.vocab_size, ONE_SIZE)
    learner.fit(fed(TrainingDataset(batches, 0, 1)), verbose=0, shuffle=False)
    assert len(learner.elementwise._compiled) == functions


@pytest.mark.parametrize(
    "elsewhere",
    [
        lambda monkeypatch: monkeypatch.setattr(
            tf.config, "list_logical_devices", lambda kind: [SimpleNamespace(name=kind)]
        ),
        lambda monkeypatch: monkeypatch.setattr(tf.test, "is_built_with_xla", lambda: False),
        lambda monkeypatch: monkeypatch.setattr(tf.distribute, "has_strategy", lambda: True),
    ],
    ids=["a GPU", "no XLA", "several replicas"],
)
def test_elsewhere_it_goes_operator_by_operator(monkeypatch, elsewhere):
    elsewhere(monkeypatch)
    dropout = keras.layers.Dropout(0.5)
    norm = keras.layers.LayerNormalization()
    norm.build((None, 8))

    @tf.function(autograph=False)
    def ask(x):
        x = FUSED.activate(ACTIVATIONS["gelu"], x, gated=True, training=True)
        x = FUSED.drop_add(x, FUSED.drop(x, dropout, training=True), dropout, norm, training=True)
        return FUSED.nats(x, tf.zeros(tf.shape(x)[0], "int32"), training=True)

    graph = ask.get_concrete_function(tf.TensorSpec((2, 16))).graph
    assert not any("Call" in operation.type for operation in graph.get_operations())
