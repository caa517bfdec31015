"""The task in a transformers config: its architecture, problem type and names of labels."""

import copy
from typing import TYPE_CHECKING

from mlm.checkpoint.config_bounds import MAX_LABELS
from mlm.checkpoint.config_json import MAX_CONFIG_BYTES
from mlm.checkpoint.config_values import MAX_KEY
from mlm.checkpoint.families import family_of
from mlm.checkpoint.strict_json import short_repr
from mlm.checkpoint.task import TEXT_PROBLEM_TYPES, ProblemType, Task
from mlm.errors import CheckpointError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

    from mlm.model.encoder_config import EncoderConfig

MASKED_LM, OF_TEXTS, OF_TOKENS = (
    "ForMaskedLM",
    "ForSequenceClassification",
    "ForTokenClassification",
)
FEWEST_LABELS = {"single_label_classification": 2}  # as transformers has it; elsewhere 1


def architecture_of(hf_config: "PreTrainedConfig", config: "EncoderConfig") -> str:
    """Return the class of transformers for an encoder with its head.

    Raises ValueError if a task's head has another number of labels than the config names.
    """
    masked_lm = family_of(hf_config.model_type).architecture
    head = config.task_head
    if head is None:
        return masked_lm
    named = len(_label_names(hf_config))
    if head.num_labels != named:
        raise ValueError(f"the model has {head.num_labels} labels, its config names {named}")
    return masked_lm.replace(MASKED_LM, OF_TOKENS if head.kind == "token" else OF_TEXTS)


def task_of(hf_config: "PreTrainedConfig") -> Task | None:
    """Return the task of a classifier's config, None if it is not one.

    Raises CheckpointError if the names of its labels or their number cannot be used.
    """
    task = stated_task(hf_config)
    if task is not None:
        check_task(task)
    return task


def stated_task(hf_config: "PreTrainedConfig") -> Task | None:
    """Return the task of a config as `task_of` does, without a check of the labels' names."""
    architecture = _classifier(hf_config)
    if architecture is None:
        return None
    labels = _label_names(hf_config)
    if sorted(labels) != list(range(len(labels))) or not labels:
        raise CheckpointError(
            f"id2label has the ids {short_repr(sorted(labels))}; expected 0 and those that follow"
        )
    names = tuple(labels[index] for index in range(len(labels)))
    if architecture.endswith(OF_TOKENS):
        return Task("token_classification", names)
    return Task(_problem_type(hf_config, len(names)), names)


def _classifier(hf_config: "PreTrainedConfig") -> str | None:
    """Return the family's classifier among the architectures of a config, or None."""
    masked_lm = family_of(hf_config.model_type).architecture
    known = [masked_lm.replace(MASKED_LM, kind) for kind in (OF_TEXTS, OF_TOKENS)]
    stated = hf_config.architectures
    return next((name for name in stated if name in known), None) if stated else None


def _label_names(hf_config: "PreTrainedConfig") -> dict[int, str]:
    names: dict[int, str] = hf_config.id2label or {}  # type: ignore[assignment]
    return names


def _problem_type(hf_config: "PreTrainedConfig", num_labels: int) -> ProblemType:
    """Return the problem type; if the config has none, what transformers makes of the labels."""
    stated = hf_config.problem_type
    for known in TEXT_PROBLEM_TYPES:
        if stated == known:
            return known
    return "regression" if num_labels == 1 else "single_label_classification"


def check_task(task: Task) -> None:
    """Raise CheckpointError if a checkpoint cannot hold the task's labels."""
    labels, fewest = task.labels, FEWEST_LABELS.get(task.problem_type, 1)
    most = 1 if task.problem_type == "regression" else MAX_LABELS
    if not fewest <= len(labels) <= most:
        expected = f"{fewest} to {most:,}" if fewest < most else f"{most}"
        raise CheckpointError(
            f"the task is {task.problem_type} with {len(labels):,} labels; expected {expected}"
        )
    for index, name in enumerate(labels):
        if not isinstance(name, str) or not 1 <= len(name) <= MAX_KEY or not name.isprintable():
            raise CheckpointError(
                f"label {index} is {short_repr(name)}; expected a name of 1 to {MAX_KEY} printable "
                "characters"
            )
    if len(set(labels)) < len(labels):
        twice = next(name for name in labels if labels.count(name) > 1)
        raise CheckpointError(
            f"two labels have the name {short_repr(twice)}; expected another name for each"
        )


def config_for_task(hf_config: "PreTrainedConfig", task: Task) -> "PreTrainedConfig":
    """Return a copy of a config that names the task's labels and its problem type.

    Raises CheckpointError if a checkpoint cannot hold them.
    """
    check_task(task)
    hf_config = copy.deepcopy(hf_config)
    hf_config.id2label = dict(enumerate(task.labels))
    hf_config.label2id = {name: index for index, name in enumerate(task.labels)}
    stated = task.problem_type
    hf_config.problem_type = None if stated == "token_classification" else stated
    kind = OF_TOKENS if task.is_of_tokens else OF_TEXTS
    architecture = family_of(hf_config.model_type).architecture
    hf_config.architectures = [architecture.replace(MASKED_LM, kind)]
    size = len(hf_config.to_json_string(use_diff=False).encode())
    if size > MAX_CONFIG_BYTES:
        raise CheckpointError(
            f"config.json with the names of {len(task.labels):,} labels would have {size:,} bytes; "
            f"a config has {MAX_CONFIG_BYTES:,} at most; use fewer labels, or shorter names"
        )
    return hf_config
