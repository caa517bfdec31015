"""Layers that share a traced graph give the same step as layers traced one by one."""

from functools import cache

import keras
import numpy as np
import pytest

from mlm.backend.input_pipeline import make_input_pipeline
from mlm.checkpoint.families import encoder_config_of
from mlm.model.encoder import MaskedLM
from mlm.training.step import Learner
from mlm.training.step.dataset import TrainingDataset
from mlm.training.step.tensorflow_layers import SharedLayerGraphs
from tests.checkpoint.test_families import small_config
from tests.data.test_dynamic_padding import ONE_SIZE, line_by_line
from tests.support.learners import masked_lm_learner
from tests.support.sweeps import slow

STEPS = 3


@cache
def train(family: str, *, shared: bool, frozen: int = 0, policy: str = "float32") -> Learner:
    """Train some steps with dropout. shared: whether layers share a graph."""
    keras.utils.set_random_seed(7)
    config = encoder_config_of(small_config(family, initializer_range=0.1))
    model = MaskedLM(config, dtype=policy)
    model.build()
    model.freeze_lower_layers(frozen)
    learner = masked_lm_learner(model)
    if not shared:
        model.call_layer = lambda layer, x, **arguments: layer(x, **arguments)
    learner.compile_for_training(keras.optimizers.SGD(0.1), jit_compile=False)
    batches = line_by_line(config.vocab_size, ONE_SIZE)
    learner.fit(make_input_pipeline(TrainingDataset(batches, 0, STEPS)), verbose=0, shuffle=False)
    return learner


def values(learner: Learner) -> list[np.ndarray]:
    """Return the values of the weights and of the dropouts' seeds."""
    variables = learner.model.variables
    return [np.asarray(keras.ops.convert_to_tensor(variable)) for variable in variables]


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("bert", {}),
        slow("bert", {"frozen": 1}),
        slow("bert", {"policy": "mixed_bfloat16"}),
        slow("modernbert", {}),
        slow("mpnet", {}),
        slow("deberta-v2", {}),
        ("albert", {}),
    ],
)
def test_a_step_is_the_same(family, options):
    shared, separate = (train(family, shared=each, **options) for each in (True, False))
    exact = 1e-5 if options.get("policy") is None else 1e-3  # bf16 has 8 bits
    for variable, one, other in zip(
        shared.model.variables, values(shared), values(separate), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=0, atol=exact, err_msg=variable.path)
    seeds = [value for value in values(shared) if value.dtype == np.int64]
    drops = family in ("bert", "mpnet", "deberta-v2")
    assert any(count == STEPS for _, count in seeds) == drops


@pytest.mark.parametrize(
    ("family", "options", "graphs"),
    [
        ("bert", {}, 1),
        slow("bert", {"frozen": 1}, 2),
        slow("modernbert", {}, 2),
        ("albert", {}, 1),
    ],
)
def test_layers_of_equal_shape_share_a_graph(family, options, graphs):
    learner = train(family, shared=True, **options)
    shared = learner.model.call_layer
    assert isinstance(shared, SharedLayerGraphs)
    assert len(shared._graphs) == graphs
