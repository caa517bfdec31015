"""One update, in one pass or in micro-batches, compiled or not."""

from collections.abc import Sequence
from functools import cache

import keras
import numpy as np
import pytest

from mlm.backend.input_pipeline import make_input_pipeline
from mlm.checkpoint.families import encoder_config_of
from mlm.model.encoder import MaskedLM
from mlm.training.step.dataset import TrainingDataset
from tests.checkpoint.test_families import small_config
from tests.data.test_dynamic_padding import ONE_SIZE, line_by_line
from tests.support.learners import masked_lm_learner
from tests.support.sweeps import slow

NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
STEPS = 4


@cache
def train(micro_batches: int, lengths: Sequence[int] | None, jit_compile: bool) -> list[np.ndarray]:
    keras.utils.set_random_seed(7)
    config = encoder_config_of(small_config("bert", initializer_range=0.1, **NO_DROPOUT))
    model = MaskedLM(config)
    model.build()
    learner = masked_lm_learner(model, micro_batches)
    learner.compile_for_training(keras.optimizers.SGD(0.1), jit_compile=jit_compile)
    batches = line_by_line(config.vocab_size, lengths)
    learner.fit(make_input_pipeline(TrainingDataset(batches, 0, STEPS)), verbose=0, shuffle=False)
    return [np.asarray(keras.ops.convert_to_tensor(value)) for value in model.trainable_variables]


@pytest.mark.parametrize(
    ("parts", "lengths"),
    [slow(1, ONE_SIZE), (2, ONE_SIZE), slow(1, None), slow(2, None)],
    ids=["whole", "in parts", "whole, several sizes", "in parts, several sizes"],
)
def test_a_step_compiles_as_it_does_for_a_gpu(parts, lengths):
    compiled, plain = train(parts, lengths, True), train(1, lengths, False)
    for one, other in zip(compiled, plain, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
