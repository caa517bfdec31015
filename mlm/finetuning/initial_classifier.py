"""A new classifier's values at step 0: those of a linear probe, instead of random ones.

A random classifier sends random gradients into the encoder, which change it before the classifier
means anything. Source: Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features and
Underperform Out-of-Distribution", section 4: first a linear probe, then all weights.
"""

from typing import TYPE_CHECKING

import numpy as np

from mlm.backend import processes
from mlm.data.labelled.sampling import sample_rows
from mlm.finetuning.features import features_of
from mlm.finetuning.linear import fit_linear
from mlm.finetuning.probe import set_classifier

if TYPE_CHECKING:
    from mlm.finetuning.preparation import FinetuningPreparation

MOST_TEXTS = 2000  # to fit it to; the steps have all of them
MOST_LABELS = 100  # each needs some of these texts, and time
CLASSIFIER = "head/classifier/kernel"


def starts_as_probe(prepared: "FinetuningPreparation") -> bool:
    """Return whether the classifier of a run is fitted before its first step.

    One that the checkpoint brings is kept. That of tokens stays random, and that of a cluster,
    whose processes could fit values that differ in their last digits.
    """
    return (
        prepared.config.classifier_init == "probe"
        and CLASSIFIER in prepared.checkpoint.new_variables
        and not prepared.task.is_of_tokens
        and len(prepared.task.labels) <= MOST_LABELS
        and processes.count() == 1
    )


def fit_initial_classifier(prepared: "FinetuningPreparation") -> None:
    """Fit the classifier to the features that the head has for some training texts."""
    rows = np.array(sample_rows(prepared.texts.train, MOST_TEXTS, prepared.config.seed))
    examples = prepared.examples["train"].take(rows)
    features = features_of(
        prepared.model,
        examples,
        batch_size=prepared.config.per_device_eval_batch_size,
        what="fitting the new classifier",
    )
    balanced = prepared.config.class_weights == "balanced"
    set_classifier(
        prepared.model, fit_linear(features, examples.labels, prepared.task, balanced=balanced)
    )
