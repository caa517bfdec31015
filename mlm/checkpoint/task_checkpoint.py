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
from mlm.errors import CheckpointError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

    from mlm.model.task_model import TaskModel

logger = logging.getLogger(__name__)

Pooling = Literal["auto", "cls", "mean"]


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
    pooling: Pooling = "auto",
    dtype: str = "float32",
    seed: int = 0,
) -> TaskCheckpoint:
    """Load a checkpoint folder for a task; see open_task_checkpoint.

    Args:
        folder: the checkpoint folder, of a classifier or, for a new task, of a masked LM.
        task: None for the checkpoint's own.
        pooling: see open_task_checkpoint.
        dtype: a Keras dtype policy (`float32`, `mixed_bfloat16`, `mixed_float16`).
        seed: of the dropout, and of the initial values of a new head.
    """
    return with_task_weights(
        open_task_checkpoint(folder, task, pooling=pooling), dtype=dtype, seed=seed
    )


def open_task_checkpoint(
    folder: str | Path, task: Task | None = None, *, pooling: Pooling = "auto"
) -> OpenTaskCheckpoint:
    """Verify a checkpoint folder and read all but its weights.

    pooling: of a family that has the choice (ModernBERT), what a new head of texts reads: "cls",
    the first token's state, or "mean", the mean over all; "auto" keeps that of a classifier, and
    takes the mean for a masked LM, whose first token has not learned to stand for the text.

    For a new task, the head takes what the folder holds of it, and a line in the log names what is
    new: a classifier of another number of labels is replaced.

    Raises:
        CheckpointError: the folder is not that of a classifier and no task is given; or names the
            file and what is wrong with it.
    """
    folder = Path(folder)
    hf_config = verified_config(folder)
    own = task_of(hf_config) if task is None else task
    if own is None:
        raise _not_a_classifier(folder, hf_config)
    if task is not None:
        _set_pooling(hf_config, pooling)
    config = encoder_config_of(hf_config, own)
    opened = OpenTaskCheckpoint(
        load_tokenizer(folder, config.vocab_size),
        hf_config if task is None else config_for_task(hf_config, own),
        config,
        read_training(folder),
        folder,
        own,
        (),
    )
    missing = tuple(_stored_weights(opened, is_new=task is not None).missing)
    if task is None and missing:
        raise CheckpointError(
            f"{str(folder)!r} lacks the weights of its classifier ({missing[0]}); fetch it again, "
            "or fine-tune it: mlm finetune"
        )
    if missing:
        _report_new_head(hf_config, own, missing)
    return replace(opened, new_variables=missing)


def _set_pooling(hf_config: "PreTrainedConfig", pooling: Pooling) -> None:
    """Set what a new head of texts reads; raise CheckpointError if its family has no choice."""
    if not hasattr(hf_config, "classifier_pooling"):
        if pooling != "auto":
            raise CheckpointError(
                f"pooling is {pooling!r}, but the head of {hf_config.model_type} always reads the "
                "first token's state; leave --classifier_pooling out"
            )
    elif pooling != "auto":
        hf_config.classifier_pooling = pooling
    elif stated_task(hf_config) is None:
        hf_config.classifier_pooling = "mean"


def _stored_weights(opened: OpenTaskCheckpoint, *, is_new: bool) -> StoredWeights:
    family = family_of(opened.hf_config.model_type)
    return StoredWeights(opened.folder, family, opened.config, replace_classifier=is_new)


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
    assign_weights(model, _stored_weights(opened, is_new=bool(opened.new_variables)))
    return TaskCheckpoint(**vars(opened), model=model)


def _not_a_classifier(folder: Path, hf_config: "PreTrainedConfig") -> CheckpointError:
    stated = hf_config.architectures
    return CheckpointError(
        f"{str(folder)!r} is not the checkpoint of a classifier (its architectures: "
        f"{short_repr(stated)}); train one first: mlm finetune --model_name_or_path {folder}"
    )


def _report_new_head(hf_config: "PreTrainedConfig", task: Task, missing: tuple[str, ...]) -> None:
    own = stated_task(hf_config)
    if own is not None and len(own.labels) != len(task.labels):
        logger.warning(
            "the checkpoint's classifier has %d labels, the task %d: its encoder is kept, and new "
            "weights are initialized for %s",
            len(own.labels),
            len(task.labels),
            ", ".join(missing),
        )
        return
    logger.warning(
        "the checkpoint has no weights for %s: new ones are initialized", ", ".join(missing)
    )
