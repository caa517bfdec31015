"""The learner of a run with its optimizer and its loss metric, compiled for the device."""

from typing import NamedTuple

from mlm.training.run_parts import RunParts
from mlm.training.step.learner import Learner
from mlm.training.step.loss import MeanLoss
from mlm.training.step.optimizer import make_optimizer
from mlm.training.step.safe_update import SafeUpdate


class CompiledLearner(NamedTuple):
    """A compiled Keras model with its parts; `loss` is the mean over the steps since a reset."""

    learner: Learner
    optimizer: SafeUpdate
    loss: MeanLoss


def compile_learner(prepared: RunParts) -> CompiledLearner:
    """Make learner and optimizer of a prepared run, in the scope of its device."""
    device = prepared.device
    with device.scope():
        learner = Learner(prepared.model, prepared.element_loss(), prepared.micro_batches)
        optimizer = make_optimizer(
            prepared.config,
            prepared.total_steps,
            learning_rate=prepared.learning_rate,
            scales_loss=device.policy == "mixed_float16",
            rate_factors=prepared.rate_factors(),
        )
        loss = learner.compile_for_training(optimizer, jit_compile=device.jit_compile)
    return CompiledLearner(learner, optimizer, loss)
