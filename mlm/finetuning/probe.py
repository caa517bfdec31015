"""A linear probe: the encoder stays as it is, and a classifier is fitted to its features."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlm.backend.devices import check_required_device
from mlm.checkpoint.weights import round_weights
from mlm.data.examples.encoded_examples import NO_LABEL, EncodedExamples
from mlm.finetuning.features import FEATURES, FeatureCache, make_dense_linear
from mlm.finetuning.linear import LinearModel, fit_linear
from mlm.training.run_lock import run_lock
from mlm.training.run_progress import Progress
from mlm.training.trainer import finish

if TYPE_CHECKING:
    from mlm.finetuning.job import Finetuning, FinetuningResult
    from mlm.finetuning.preparation import FinetuningPreparation
    from mlm.model.task_model import TaskModel


def run_probe(
    job: "Finetuning", report: Callable[[str], None], *, checked: bool = False
) -> "FinetuningResult":
    """Run the job of a fine-tuning without steps: encode once, fit, measure, write, publish.

    Features are kept in the output folder until the end, so that a stopped run need not encode
    again. Arguments and errors as those of `run_job`.
    """
    if not checked:
        job.check(report)
    check_required_device(job.config.require_device)
    output = Path(job.config.output_dir)
    with run_lock(output):
        prepared = job.prepare(report, global_batch_size=None)
        report(job.summary(prepared, 0))
        linear = fit_probe(prepared, FeatureCache(output / FEATURES))
        set_classifier(prepared.model, linear)
        round_weights(prepared.model, job.config.save_dtype)
        measured = prepared.make_evaluator().figures()
        report(f"probe: {measured.line()}")
        result = job.result(prepared, Progress(), measured)
        return finish(job, prepared, result, report)


def fit_probe(prepared: "FinetuningPreparation", cache: FeatureCache) -> LinearModel:
    """Return the linear model of the training texts' features."""
    open_head(prepared.model, prepared.checkpoint.new_variables, prepared.examples["train"])
    features = cache.get(
        prepared.model,
        prepared.examples["train"],
        batch_size=prepared.config.per_device_eval_batch_size,
        what="encoding the training texts",
    )
    rows, labels = labelled_rows(features, prepared.examples["train"])
    return fit_linear(
        rows, labels, prepared.task, balanced=prepared.config.class_weights == "balanced"
    )


def open_head(model: "TaskModel", new_variables: tuple[str, ...], texts: EncodedExamples) -> None:
    """Make a head whose dense layer is new let the encoder's states through."""
    if "head/dense/kernel" not in new_variables or model.task_head.norm:
        return
    some = np.arange(min(len(texts), 64))
    states = model.pooled(texts.inputs(some, int(texts.lengths[some].max())))
    make_dense_linear(model, float(np.abs(np.asarray(states)).max()))


def labelled_rows(features: np.ndarray, examples: EncodedExamples) -> tuple[np.ndarray, np.ndarray]:
    """Return features and labels of all texts, or of all tokens that have a label."""
    if not examples.task.is_of_tokens:
        return features, examples.labels
    labels = examples.labels_of(np.arange(len(examples)), features.shape[1])
    has_label = labels != NO_LABEL
    return features[has_label], labels[has_label]


def set_classifier(model: "TaskModel", linear: LinearModel) -> None:
    """Assign a linear model to the classifier of a head."""
    model.head.classifier.kernel.assign(linear.kernel)
    model.head.classifier.bias.assign(linear.bias)
