"""One update, in one pass or in micro-batches, compiled or not."""

import keras
import numpy as np
import pytest

from mlm.backend.input_pipeline import make_input_pipeline
from mlm.checkpoint.families import encoder_config_of
from mlm.model.encoder import MaskedLM
from mlm.training.step import Learner
from mlm.training.step.dataset import TrainingDataset
from tests.checkpoint.test_families import small_config
from tests.data.test_dynamic_padding import line_by_line

NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
STEPS = 4


def train(micro_batches: int, jit_compile: bool) -> list[np.ndarray]:
    keras.utils.set_random_seed(7)
    config = encoder_config_of(small_config("bert", initializer_range=0.1, **NO_DROPOUT))
    model = MaskedLM(config)
    model.build()
    learner = Learner(model, micro_batches)
    learner.compile_for_training(keras.optimizers.SGD(0.1), jit_compile=jit_compile)
    batches = line_by_line(config.vocab_size)
    learner.fit(make_input_pipeline(TrainingDataset(batches, 0, STEPS)), verbose=0, shuffle=False)
    return [np.asarray(keras.ops.convert_to_tensor(value)) for value in model.trainable_variables]


@pytest.mark.parametrize("micro_batches", [1, 2])
def test_a_step_compiles_as_it_does_for_a_gpu(micro_batches):
    for compiled, plain in zip(train(micro_batches, True), train(1, False), strict=True):
        np.testing.assert_allclose(compiled, plain, atol=1e-5)
