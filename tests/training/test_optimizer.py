"""The optimizer: schedule, clipping, weight decay, Muon's variables, skipped steps."""

import keras
import numpy as np
import pytest
import torch

from mlm.checkpoint.folder import read_checkpoint
from mlm.training.config import TrainingConfig
from mlm.training.step import safe_update
from mlm.training.step.optimizer import Muon, WarmupThenDecay, make_optimizer

RATE = 0.1
START = {
    "dense/kernel": np.array([[1.0, -2.0], [3.0, 0.5]], "float32"),
    "dense/bias": np.array([1.0, -1.0], "float32"),
    "norm/gamma": np.array([1.0, 2.0], "float32"),
    "norm/beta": np.array([0.5, -0.5], "float32"),
}
GRADIENTS = [
    np.array([[3.0, 0.0], [0.0, -4.0]], "float32"),
    np.array([0.0, 12.0], "float32"),
    np.array([1.0, 2.0], "float32"),
    np.array([0.0, -0.1], "float32"),
]


def variables() -> list[keras.Variable]:
    return [keras.Variable(value, name=name.split("/")[1]) for name, value in START.items()]


def optimizer_for(total_steps: int = 10, **changes):
    settings = {"lr_scheduler_type": "constant", "learning_rate": RATE, "max_grad_norm": 0.0}
    return make_optimizer(TrainingConfig(**(settings | changes)), total_steps)


def values_after(optimizer, gradients, steps: int = 1) -> list[np.ndarray]:
    """Return the values of the START variables after some steps with the same gradients."""
    values = variables()
    optimizer.build(values)
    for _ in range(steps):
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients], values)
    return [value.numpy() for value in values]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("linear", {0: 0.5, 1: 1.0, 2: 2.0, 4: 2.0, 7: 1.0, 9: 1 / 3, 10: 0.0, 11: 0.0}),
        ("constant", {0: 0.5, 1: 1.0, 3: 2.0, 4: 2.0, 10: 2.0, 99: 2.0}),
        ("warmup_stable_decay", {0: 0.5, 3: 2.0, 5: 2.0, 6: 2.0, 7: 1.5, 9: 0.5, 10: 0.0, 11: 0.0}),
        ("cosine", {0: 0.5, 3: 2.0, 4: 2.0, 6: 1.5, 7: 1.0, 8: 0.5, 10: 0.0, 11: 0.0}),
    ],
)
def test_the_learning_rate_of_each_step(kind, expected):
    schedule = WarmupThenDecay(2.0, warmup_steps=4, total_steps=10, kind=kind, decay_ratio=0.4)
    if kind == "linear":
        expected = expected | {2: 1.5, 3: 2.0}
    actual = {step: float(schedule(step)) for step in expected}
    assert actual == pytest.approx(expected)
    again = WarmupThenDecay.from_config(schedule.get_config())
    assert float(again(7)) == float(schedule(7))


def test_without_warm_up_the_first_step_has_the_peak_rate():
    schedule = WarmupThenDecay(2.0, warmup_steps=0, total_steps=4)
    assert [float(schedule(step)) for step in range(5)] == [2.0, 1.5, 1.0, 0.5, 0.0]


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({"warmup_steps": 5}, RATE / 5),
        ({"warmup_ratio": 0.2}, RATE / 4),
        ({"warmup_steps": 5, "warmup_ratio": 0.2}, RATE / 5),
    ],
)
def test_warmup_steps_override_the_ratio(changes, first):
    assert float(optimizer_for(20, **changes).learning_rate) == pytest.approx(first)


@pytest.mark.parametrize("largest", [1.0, 6.5, 1000.0, 0.0])
def test_clipping_scales_all_gradients_by_one_factor(largest):
    optimizer = optimizer_for(max_grad_norm=largest)
    optimizer.build(variables())
    norm = np.sqrt(sum(np.sum(np.square(gradient)) for gradient in GRADIENTS))
    factor = min(1.0, largest / norm) if largest else 1.0
    gradients = [*map(keras.ops.convert_to_tensor, GRADIENTS), None]
    summed, found, finite = optimizer._global_gradient(gradients)
    assert finite
    clipped = safe_update._scale(summed, found)
    assert clipped.pop() is None
    for actual, gradient in zip(clipped, GRADIENTS, strict=True):
        np.testing.assert_allclose(actual.numpy(), gradient * factor, rtol=1e-6)


@pytest.mark.parametrize("optim", ["adamw", "muon"])
def test_weight_decay_applies_to_matrices_only(optim):
    nothing = [np.zeros_like(gradient) for gradient in GRADIENTS]
    kernel, *others = values_after(optimizer_for(optim=optim, weight_decay=0.25), nothing)
    np.testing.assert_allclose(kernel, START["dense/kernel"] * (1 - RATE * 0.25), rtol=1e-6)
    for actual, before in zip(others, list(START.values())[1:], strict=True):
        np.testing.assert_array_equal(actual, before)


def test_without_weight_decay_nothing_changes():
    nothing = [np.zeros_like(gradient) for gradient in GRADIENTS]
    for actual, before in zip(
        values_after(optimizer_for(weight_decay=0.0), nothing), START.values(), strict=True
    ):
        np.testing.assert_array_equal(actual, before)


def test_three_steps_match_pytorchs_adamw():
    settings = {"adam_beta1": 0.8, "adam_beta2": 0.95, "adam_epsilon": 1e-7, "weight_decay": 0.25}
    ours = values_after(optimizer_for(**settings, max_grad_norm=2.0), GRADIENTS, steps=3)
    theirs = [torch.nn.Parameter(torch.from_numpy(value.copy())) for value in START.values()]
    groups = [
        {"params": theirs[:1], "weight_decay": 0.25},
        {"params": theirs[1:], "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(groups, lr=RATE, betas=(0.8, 0.95), eps=1e-7)
    for _ in range(3):
        for parameter, gradient in zip(theirs, GRADIENTS, strict=True):
            parameter.grad = torch.from_numpy(gradient.copy())
        torch.nn.utils.clip_grad_norm_(theirs, 2.0)
        adamw.step()
    for actual, expected in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(actual, expected.detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("folder", ["tiny_checkpoint_folder", "tiny_bert_folder"])
def test_muon_updates_only_the_matrices_inside_the_layers(folder, request):
    model = read_checkpoint(request.getfixturevalue(folder)).model
    optimizer = optimizer_for(optim="muon")
    assert isinstance(optimizer, Muon)
    muons = {
        variable.path.split("/", 1)[1]
        for variable in model.trainable_variables
        if not optimizer._should_use_adamw(variable)
    }
    kernels = ("attention/qkv", "attention/output", "mlp/input", "mlp/output")
    assert muons == {f"layer_{index}/{name}/kernel" for index in range(2) for name in kernels}


def test_muon_moves_a_matrix_in_all_directions():
    gradients = [np.array([[100.0, 0.0], [0.0, 1.0]], "float32"), *GRADIENTS[1:]]
    kernel, *_ = values_after(optimizer_for(optim="muon", weight_decay=0.0), gradients)
    moved = np.linalg.svd(START["dense/kernel"] - kernel, compute_uv=False)
    # Orthogonal up to the error of five Newton-Schulz steps, then scaled by 0.2 * sqrt(2).
    assert moved == pytest.approx(RATE * 0.2 * np.sqrt(2), rel=0.35)


@pytest.mark.parametrize("optim", ["adamw", "muon"])
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_a_non_finite_step_changes_only_the_counters(optim, poison):
    optimizer, values = optimizer_for(optim=optim), variables()
    optimizer.build(values)
    optimizer.apply([keras.ops.convert_to_tensor(g) for g in GRADIENTS], values)
    before = {v.path: v.numpy() for v in (*values, *optimizer.variables)}
    bad = [np.full_like(GRADIENTS[0], poison), *GRADIENTS[1:]]
    optimizer.apply([keras.ops.convert_to_tensor(g) for g in bad], values)
    counters = (optimizer.iterations, optimizer.skipped_steps, optimizer.last_skipped_step)
    assert [int(counter) for counter in counters] == [2, 1, 1]
    for variable in (*values, *optimizer.variables):
        if all(variable is not counter for counter in counters):
            np.testing.assert_array_equal(variable.numpy(), before[variable.path])


def test_loss_scaling_falls_on_overflow_and_rises_after_many_finite_steps(monkeypatch):
    monkeypatch.setattr(safe_update, "STEPS_TO_DOUBLE", 3)
    values, plain = variables(), variables()
    config = TrainingConfig(learning_rate=RATE, lr_scheduler_type="constant", max_grad_norm=1.0)
    scaling, unscaled = make_optimizer(config, 10, scales_loss=True), make_optimizer(config, 10)
    scaling.build(values)
    unscaled.build(plain)
    first = float(scaling.loss_scale)
    assert float(scaling.scale_loss(keras.ops.convert_to_tensor(2.0))) == 2.0 * first
    overflowed = [np.full_like(gradient, np.inf) for gradient in GRADIENTS]
    scaling.apply([keras.ops.convert_to_tensor(g) for g in overflowed], values)
    assert float(scaling.loss_scale) == first / 2
    assert int(scaling.skipped_steps) == 0  # on purpose: the scale was too large
    for variable, before in zip(values, START.values(), strict=True):
        np.testing.assert_array_equal(variable.numpy(), before)
    unscaled.iterations.assign(1)
    for _ in range(3):
        scale = float(scaling.loss_scale)
        scaling.apply([keras.ops.convert_to_tensor(g * scale) for g in GRADIENTS], values)
        unscaled.apply([keras.ops.convert_to_tensor(g) for g in GRADIENTS], plain)
    assert float(scaling.loss_scale) == first
    assert (int(scaling.finite_steps), int(scaling.iterations)) == (0, 4)


def test_an_overflow_at_loss_scale_1_is_counted(monkeypatch):
    monkeypatch.setattr(safe_update, "FIRST_LOSS_SCALE", 2.0)
    values = variables()
    optimizer = make_optimizer(TrainingConfig(skip_bad_steps=5), 10, scales_loss=True)
    optimizer.build(values)
    overflowed = [keras.ops.convert_to_tensor(np.full_like(g, np.inf)) for g in GRADIENTS]
    for _ in range(3):
        optimizer.apply(overflowed, values)
    assert float(optimizer.loss_scale) == 1.0
    assert (int(optimizer.skipped_steps), int(optimizer.last_skipped_step)) == (2, 2)


def test_the_first_skipped_step_beyond_the_allowed_is_kept():
    values = variables()
    optimizer = make_optimizer(TrainingConfig(skip_bad_steps=1), 10)
    optimizer.build(values)
    bad = [keras.ops.convert_to_tensor(np.full_like(g, np.nan)) for g in GRADIENTS]
    good = [keras.ops.convert_to_tensor(g) for g in GRADIENTS]
    for gradient in (good, bad, good, bad, good, bad):
        optimizer.apply(gradient, values)
    assert optimizer.read_skipped() == (3, 3)  # step 3, counted from 0, is the second


@pytest.mark.parametrize(("scales", "scale"), [(False, 1.0), (True, 2.0**15)])
def test_the_loss_scale_is_reset_after_a_state_of_another_number_format(scales, scale):
    values = variables()
    optimizer = make_optimizer(TrainingConfig(), 10, scales_loss=scales)
    optimizer.build(values)
    optimizer.loss_scale.assign(77.0)
    optimizer.finite_steps.assign(9)
    optimizer.reset_loss_scale()
    assert (float(optimizer.loss_scale), int(optimizer.finite_steps)) == (scale, 0)


@pytest.mark.parametrize("optim", ["adamw", "muon"])
def test_a_factor_is_that_of_the_rate_and_of_the_decay(optim):
    settings = {"optim": optim, "weight_decay": 0.5, "learning_rate": RATE}
    config = TrainingConfig(**settings, lr_scheduler_type="constant", max_grad_norm=0.0)
    factors = {"kernel": 0.25, "beta": 0.5}
    found = values_after(make_optimizer(config, 10, rate_factors=factors), GRADIENTS, steps=3)
    for name, value in zip(START, found, strict=True):
        factor = factors.get(name.split("/")[1], 1.0)
        slower = optimizer_for(**settings | {"learning_rate": RATE * factor})
        expected = values_after(slower, GRADIENTS, steps=3)[list(START).index(name)]
        np.testing.assert_allclose(value, expected, rtol=1e-5, err_msg=name)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow has slices")
def test_the_norm_of_an_embeddings_gradient_is_that_of_its_sum():
    import tensorflow as tf

    rows, values = [0, 2, 0, 0], np.array([[1.0, 2.0], [3.0, 0.0], [1.0, 2.0], [2.0, 0.0]], "f")
    dense = np.zeros((3, 2), "float32")
    np.add.at(dense, rows, values)
    slices = tf.IndexedSlices(tf.constant(values), tf.constant(rows), tf.constant([3, 2]))
    moved = []
    for gradient in (slices, tf.constant(dense)):
        table = keras.Variable(np.ones((3, 2), "float32"), name="table")
        optimizer = optimizer_for(max_grad_norm=1.0, adam_epsilon=0.1, weight_decay=0.0)
        optimizer.build([table])
        optimizer.apply([gradient], [table])
        moved.append(table.numpy())
    np.testing.assert_allclose(moved[0], moved[1], rtol=1e-6)
