"""TaskModel: pooling, padding, segments, dropout and initial values."""

import dataclasses

import keras
import numpy as np
import pytest

from mlm.model.encoder import MaskedLM
from mlm.model.encoder_config import TaskHeadConfig, num_parameters
from mlm.model.task_model import TaskModel
from tests.model.test_encoder import CONFIG, POST_NORM, some_ids

TEXTS = TaskHeadConfig("sequence", 3, dense_size=16, dropout=0.5, dense_dropout=0.5)
HEADS = {
    "first": TEXTS,
    "mean": dataclasses.replace(TEXTS, pooling="mean", norm=True),
    "token": TaskHeadConfig("token", 4, dropout=0.5),
}


def make_model(head: TaskHeadConfig, config=CONFIG, dtype="float32", seed=0) -> TaskModel:
    keras.utils.set_random_seed(1)
    model = TaskModel(dataclasses.replace(config, task_head=head), dtype=dtype, seed=seed)
    model.build()
    return model


@pytest.fixture(scope="module", params=HEADS)
def model(request):
    return make_model(HEADS[request.param])


def as_array(x) -> np.ndarray:
    return np.asarray(x)


def test_a_text_has_one_row_of_logits_and_a_token_one_each(model):
    logits = as_array(model({"input_ids": some_ids()}))
    assert logits.shape == ((3, 12, 4) if model.task_head.kind == "token" else (3, 3))
    assert logits.dtype == np.float32


def test_padding_changes_nothing(model):
    ids = some_ids(rows=2, length=8)
    padded = np.concatenate([ids, np.zeros((2, 4), "int32")], axis=1)
    mask = np.concatenate([np.ones_like(ids), np.zeros((2, 4), "int32")], axis=1)
    short = as_array(model({"input_ids": ids}))
    long = as_array(model({"input_ids": padded, "attention_mask": mask}))
    np.testing.assert_allclose(long[:, :8] if short.ndim == 3 else long, short, atol=1e-5)


def test_pooled_states_are_what_the_head_gets():
    for name in ("first", "mean"):
        model = make_model(HEADS[name])
        inputs = {"input_ids": some_ids()}
        states = as_array(model.encode(inputs)).reshape(3, 12, 16)
        pooled = as_array(model.pooled(inputs))
        expected = states[:, 0] if name == "first" else states.mean(axis=1)
        np.testing.assert_allclose(pooled, expected, atol=1e-5)
        np.testing.assert_allclose(as_array(model.head(pooled)), as_array(model(inputs)), atol=1e-5)


def test_the_encoder_is_that_of_a_masked_lm():
    masked_lm = MaskedLM(CONFIG)
    masked_lm.build()
    encoders = [
        [each.path.split("/", 1)[1] for each in model.weights if "/head/" not in each.path]
        for model in (masked_lm, make_model(TEXTS))
    ]
    assert encoders[0] == encoders[1]


def test_segments_count_and_the_first_is_the_default():
    model = make_model(TEXTS, POST_NORM)
    inputs = {"input_ids": some_ids()}
    default = as_array(model(inputs))
    first = as_array(model(inputs | {"token_type_ids": np.zeros((3, 12), "int32")}))
    second = as_array(model(inputs | {"token_type_ids": np.ones((3, 12), "int32")}))
    np.testing.assert_array_equal(default, first)
    assert np.abs(default - second).max() > 1e-3


def test_segments_are_refused_by_a_model_without():
    with pytest.raises(ValueError, match="a model without segments"):
        make_model(TEXTS)({"input_ids": some_ids(), "token_type_ids": np.zeros((3, 12), "int32")})


def test_dropout_and_the_new_head_are_those_of_the_seed(model):
    inputs = {"input_ids": some_ids()}
    same, other = (make_model(model.task_head, seed=seed) for seed in (0, 1))
    logits = [as_array(make_model(model.task_head)(inputs, training=True))]
    logits += [as_array(each(inputs, training=True)) for each in (same, other)]
    np.testing.assert_array_equal(logits[0], logits[1])
    assert np.abs(logits[0] - logits[2]).max() > 1e-3
    kernels = [as_array(each.head.classifier.kernel) for each in (model, other)]
    assert np.abs(kernels[0] - kernels[1]).max() > 1e-3
    assert not as_array(model.head.classifier.bias).any()


@pytest.mark.parametrize("truncated", [False, True])
def test_initial_values_have_the_deviation_of_the_config(truncated):
    head = TaskHeadConfig(
        "sequence", 400, dense_size=400, dense_std=0.5, classifier_std=2.0, truncated_init=truncated
    )
    layer = make_model(head).head
    for kernel, std in ((layer.dense.kernel, 0.5), (layer.classifier.kernel, 2.0)):
        values = as_array(kernel)
        assert np.std(values) == pytest.approx(std * (0.88 if truncated else 1.0), rel=0.05)
        assert (np.abs(values).max() <= 2 * std) == truncated


def test_parameters_are_counted_without_a_model(model):
    assert num_parameters(model.config) == model.count_params()


def test_mixed_precision_keeps_logits_of_float32(model):
    mixed = make_model(model.task_head, dtype="mixed_bfloat16")
    logits = as_array(mixed({"input_ids": some_ids()}))
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, as_array(model({"input_ids": some_ids()})), atol=0.5)
