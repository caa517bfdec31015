"""Learners of masked language models, as a run makes them."""

from mlm.model.encoder import MaskedLM
from mlm.training.step import Learner
from mlm.training.step.loss import masked_lm_loss


def masked_lm_learner(model: MaskedLM, micro_batches: int = 1) -> Learner:
    return Learner(model, masked_lm_loss(model.compile_fused_ops()), micro_batches)
