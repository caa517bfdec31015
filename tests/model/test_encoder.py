"""MaskedLM: padding, windows, target positions and dropout change only what they should."""

import dataclasses

import keras
import numpy as np
import pytest

from mlm.model.encoder import EncoderConfig, MaskedLM

CONFIG = EncoderConfig(
    vocab_size=50,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=24,
    max_position_embeddings=40,
    hidden_act="gelu",
    layer_norm_eps=1e-5,
    norm="pre",
    positions="rotary",
    attention_windows=(None, None),
    rotary_thetas=(10000.0, 10000.0),
    gated_mlp=True,
    initializer_range=0.5,
    residual_initializer_range=0.5,
)
POST_NORM = dataclasses.replace(
    CONFIG, norm="post", positions="learned", rotary_thetas=(), gated_mlp=False, type_vocab_size=2
)
FAMILIES = {"rotary, pre-norm": CONFIG, "learned, post-norm": POST_NORM}
LENGTH = 12


def make_model(config: EncoderConfig, dtype: str = "float32") -> MaskedLM:
    keras.utils.set_random_seed(1)
    model = MaskedLM(config, dtype=dtype)
    model.build()
    return model


@pytest.fixture(scope="module", params=FAMILIES)
def model(request):
    return make_model(FAMILIES[request.param])


@pytest.fixture(scope="module")
def one_layer():
    return make_model(
        dataclasses.replace(
            CONFIG, num_hidden_layers=1, attention_windows=(None,), rotary_thetas=(10000.0,)
        )
    )


def some_ids(rows: int = 3, length: int = LENGTH) -> np.ndarray:
    return np.random.default_rng(0).integers(5, 50, (rows, length)).astype("int32")


def logits(model, input_ids, positions=None, attention_mask=None, **options) -> np.ndarray:
    rows, length = input_ids.shape
    if positions is None:
        positions = np.tile(np.arange(length, dtype="int32"), (rows, 1))
    inputs = {"input_ids": input_ids, "masked_positions": positions}
    if attention_mask is not None:
        inputs["attention_mask"] = attention_mask
    return model(inputs, **options).numpy()


def test_padding_changes_nothing_for_real_tokens(model):
    input_ids = some_ids()
    expected = logits(model, input_ids)
    padded = np.pad(input_ids, ((0, 0), (0, 7)), constant_values=31)  # not even a pad token
    attention_mask = (np.arange(LENGTH + 7) < LENGTH).astype("int32") * np.ones((3, 1), "int32")
    actual = logits(model, padded, attention_mask=attention_mask)[:, :LENGTH]
    np.testing.assert_allclose(actual, expected, atol=2e-5)
    unmasked = logits(model, padded)[:, :LENGTH]
    assert np.abs(unmasked - expected).max() > 0.1  # else the mask has no effect


def test_a_mask_of_ones_changes_nothing(model):
    input_ids = some_ids()
    ones = np.ones_like(input_ids)
    np.testing.assert_allclose(
        logits(model, input_ids, attention_mask=ones), logits(model, input_ids), atol=1e-6
    )


def test_some_target_positions_give_the_rows_of_all(model):
    input_ids = some_ids()
    positions = np.array([[0, 11, 5], [5, 5, 0], [7, 1, 10]], "int32")
    everywhere = logits(model, input_ids)
    expected = np.take_along_axis(everywhere, positions[..., None], axis=1)
    np.testing.assert_allclose(logits(model, input_ids, positions), expected, atol=2e-5)


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis:UserWarning")
def test_one_token_and_one_position(model):
    one = logits(model, some_ids(rows=1, length=1))
    assert one.shape == (1, 1, 50)
    assert one.dtype == np.float32
    assert np.isfinite(one).all()
    assert logits(model, some_ids(), np.zeros((3, 1), "int32")).shape == (3, 1, 50)


@pytest.mark.parametrize("config", FAMILIES.values(), ids=FAMILIES)
def test_a_window_hides_tokens_beyond_it(config):
    narrow = dataclasses.replace(
        config, attention_windows=(2, 2)
    )  # two layers together reach 4 tokens
    input_ids = some_ids(rows=1)
    changed = input_ids.copy()
    changed[0, 0] = 4
    for windows, model in ((2, make_model(narrow)), (None, make_model(config))):
        change = np.abs(logits(model, changed) - logits(model, input_ids)).max(axis=-1)[0]
        assert (change[:5] > 1e-3).all()
        if windows:
            np.testing.assert_allclose(change[5:], 0, atol=1e-5)
        else:
            assert (change[5:] > 1e-3).all()


def test_padding_far_from_any_token_is_not_nan_in_float16():
    # The last pads see no token within the window, and float16 ends at 65504.
    narrow = dataclasses.replace(CONFIG, attention_windows=(2, None))
    attention_mask = (np.arange(LENGTH) < 4).astype("int32") * np.ones((3, 1), "int32")
    exact = logits(make_model(narrow), some_ids(), attention_mask=attention_mask)[:, :4]
    rough = logits(make_model(narrow, "mixed_float16"), some_ids(), attention_mask=attention_mask)[
        :, :4
    ]
    assert rough.dtype == np.float32
    np.testing.assert_allclose(rough, exact, atol=0.03 * np.abs(exact).max())


@pytest.mark.parametrize(
    "rate",
    ["embedding_dropout", "attention_dropout", "attention_output_dropout", "mlp_dropout"],
)
def test_each_dropout_acts_only_in_training_and_differs_each_time(rate, one_layer):
    dropping = make_model(dataclasses.replace(one_layer.config, **{rate: 0.5}))
    input_ids = some_ids()
    plain = logits(one_layer, input_ids)
    np.testing.assert_allclose(logits(dropping, input_ids), plain, atol=1e-6)
    first, second = (logits(dropping, input_ids, training=True) for _ in range(2))
    assert np.abs(first - plain).max() > 0.1
    assert np.abs(first - second).max() > 0.1


def test_no_two_matrices_have_equal_initial_values(model):
    matrices = [v.numpy() for v in model.trainable_variables if v.ndim == 2]
    by_shape: dict[tuple, list[np.ndarray]] = {}
    for matrix in matrices:
        by_shape.setdefault(matrix.shape, []).append(matrix)
    assert max(map(len, by_shape.values())) >= 2
    for alike in by_shape.values():
        starts = {tuple(matrix.ravel()[:8]) for matrix in alike}
        assert len(starts) == len(alike)


def test_an_untied_decoder_is_a_matrix_of_its_own():
    tied, untied = (
        make_model(CONFIG),
        make_model(dataclasses.replace(CONFIG, tie_word_embeddings=False)),
    )
    assert untied.count_params() - tied.count_params() == 50 * 16
