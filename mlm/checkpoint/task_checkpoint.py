"""Load the checkpoint folder of a classifier, or any checkpoint for a new task."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mlm.checkpoint.config_task import config_for_task, stated_task, task_of
from mlm.checkpoint.families import encoder_config_of, family_of
from mlm.checkpoint.folder import OpenCheckpoint, read_training, verified_config
from mlm.checkpoint.strict_json import short_repr
from mlm.checkpoint.task import Task
from mlm.checkpoint.tokenizer import load_tokenizer
from mlm.checkpoint.weights import StoredWeights, assign_weights
from mlm.errors import CheckpointError, ConfigError
from mlm.model.encoder_config import EncoderConfig

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

    from mlm.model.task_model import TaskModel

logger = logging.getLogger(__name__)

Pooling = Literal["cls", "mean"]


@dataclass(frozen=True)
class OpenTaskCheckpoint(OpenCheckpoint):
    """A verified checkpoint folder, opened for a task; its weights are not read.

    Attributes:
        task: the given one, or the checkpoint's own; `config` and `hf_config` have its head.
        new_variables: the head's variables that the folder has no values for; none if the task is
            the checkpoint's own.
    """

    task: Task
    new_variables: tuple[str, ...]


@dataclass(frozen=True)
class TaskCheckpoint(OpenTaskCheckpoint):
    """A loaded checkpoint folder of a task.

    Attributes:
        model: the encoder with the task's head; `new_variables` hold initial values.
    """

    model: "TaskModel"


def read_task_checkpoint(
    folder: str | Path,
    task: Task | None = None,
    *,
    classifier_pooling: Pooling | None = None,
    dtype: str = "float32",
    seed: int = 0,
) -> TaskCheckpoint:
    """Load a checkpoint folder for a task; see open_task_checkpoint.

    Args:
        folder: the checkpoint folder, of a classifier or, for a new task, of a masked LM.
        task: None for the checkpoint's own.
        classifier_pooling: of a new task: the first token ("cls") or the mean of all; None keeps
            that of a classifier, and is the mean for a masked LM, whose first token has not learned
            to stand for the text.
        dtype: a Keras dtype policy (`float32`, `mixed_bfloat16`, `mixed_float16`).
        seed: of the dropout, and of the initial values of a new head.
    """
    opened = open_task_checkpoint(folder, task, classifier_pooling=classifier_pooling)
    return with_task_weights(opened, dtype=dtype, seed=seed)


def open_task_checkpoint(
    folder: str | Path, task: Task | None = None, *, classifier_pooling: Pooling | None = None
) -> OpenTaskCheckpoint:
    """Verify a checkpoint folder and read all but its weights.

    For a new task, the head takes what the folder holds of it, and a line in the log names what is
    new: a classifier of another number of labels is replaced.

    Raises:
        CheckpointError: the folder is not that of a classifier and no task is given; or names the
            file and what is wrong with it.
        ConfigError: the family has no `classifier_pooling`.
    """
    folder = Path(folder)
    hf_config = verified_config(folder)
    if task is not None:
        _set_pooling(hf_config, classifier_pooling)
    own = task_of(hf_config) if task is None else task
    if own is None:
        raise _not_a_classifier(folder, hf_config)
    config = encoder_config_of(hf_config, own)
    new = _new_variables(folder, hf_config, config, is_new=task is not None)
    if task is not None:
        _report_new_head(hf_config, config, task, new)
        hf_config = config_for_task(hf_config, task)
    tokenizer = load_tokenizer(folder, config.vocab_size)
    training = read_training(folder)
    return OpenTaskCheckpoint(tokenizer, hf_config, config, training, folder, own, new)


def _set_pooling(hf_config: "PreTrainedConfig", classifier_pooling: Pooling | None) -> None:
    has_choice = hasattr(hf_config, "classifier_pooling")
    if classifier_pooling is None:
        if has_choice and stated_task(hf_config) is None:
            hf_config.classifier_pooling = "mean"
        return
    if not has_choice:
        raise ConfigError(
            f"--classifier_pooling is {classifier_pooling!r}, but {hf_config.model_type} "
            "classifies by the first token only; leave it out"
        )
    hf_config.classifier_pooling = classifier_pooling


def _new_variables(
    folder: Path, hf_config: "PreTrainedConfig", config: EncoderConfig, *, is_new: bool
) -> tuple[str, ...]:
    """Return the variables without stored values; CheckpointError if the task is not new."""
    family = family_of(hf_config.model_type)
    stored = StoredWeights(folder, family, config, replace_classifier=is_new)
    if stored.missing and not is_new:
        tensor = family.tensor_names(config)[stored.missing[0]][0]
        raise CheckpointError(
            f"{str(folder)!r} lacks the tensor {tensor}, so its classifier cannot answer; fetch it "
            f"again, or train it: mlm finetune --model_name_or_path {folder}"
        )
    return tuple(stored.missing)


def with_task_weights(
    opened: OpenTaskCheckpoint, *, dtype: str = "float32", seed: int = 0
) -> TaskCheckpoint:
    """Return an open checkpoint with its model; imports Keras. See read_task_checkpoint."""
    from mlm.model.task_model import TaskModel

    # The encoder is assigned as a whole, so draw nothing for it; the head has its own ranges.
    config = replace(opened.config, initializer_range=0.0, residual_initializer_range=0.0)
    model = TaskModel(config, dtype=dtype, seed=seed)
    model.build()
    model.config = opened.config
    family, is_new = family_of(opened.hf_config.model_type), bool(opened.new_variables)
    stored = StoredWeights(opened.folder, family, opened.config, replace_classifier=is_new)
    assign_weights(model, stored)
    return TaskCheckpoint(**vars(opened), model=model)


def _not_a_classifier(folder: Path, hf_config: "PreTrainedConfig") -> CheckpointError:
    stated = hf_config.architectures
    return CheckpointError(
        f"{str(folder)!r} is not the checkpoint of a classifier (config.json has architectures "
        f"{short_repr(stated)}); train one first: mlm finetune --model_name_or_path {folder}"
    )


def _report_new_head(
    hf_config: "PreTrainedConfig", config: EncoderConfig, task: Task, new: tuple[str, ...]
) -> None:
    """Log what of a new task's head has initial values, and what an older classifier left."""
    names, own = family_of(hf_config.model_type).tensor_names(config), stated_task(hf_config)
    layers = sorted({tensor.rpartition(".")[0] for key in new for tensor in names[key]})
    if own is not None and new and len(own.labels) != len(task.labels):
        logger.warning(
            "the checkpoint's classifier has %d labels, the task %d: all else is kept, and new "
            "weights are initialized for %s",
            len(own.labels),
            len(task.labels),
            ", ".join(layers),
        )
    elif new:
        logger.warning(
            "the checkpoint has no weights of %s: new ones are initialized for %d labels",
            ", ".join(layers),
            len(task.labels),
        )
    elif own is not None and own.labels != task.labels:
        logger.warning(
            "the checkpoint's classifier was trained for the labels %s; its weights are the "
            "initial values for %s",
            short_repr(list(own.labels)),
            short_repr(list(task.labels)),
        )


def check_is_masked_lm(folder: str | Path, name: str) -> None:
    """Raise ConfigError for a classifier, whose masked-LM head would be new; name: for people."""
    if stated_task(verified_config(Path(folder))) is not None:
        raise ConfigError(
            f"{name} is a classifier, and masked words are asked for: give the masked LM that it "
            "was fine-tuned from. A classifier is measured by `mlm finetune`, see --test_file"
        )
