"""The content of a fine-tuning's training.json as a card uses it: typed, and checked.

Anyone may have written the file: a part that cannot be read is treated as absent.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from mlm.checkpoint.folder import read_training
from mlm.checkpoint.task import Task
from mlm.data.examples.truncation import TRUNCATIONS, Truncation
from mlm.errors import CheckpointError
from mlm.evaluation.task.curve import Curve
from mlm.evaluation.task.mcnemar import McNemar
from mlm.evaluation.task.task_figures import TaskFigures
from mlm.training.card.training_json import TrainingJson

Side = Literal["train", "validation", "test"]
SIDES: tuple[Side, ...] = ("train", "validation", "test")
Part = TypeVar("Part", TaskFigures, Curve, McNemar)


@dataclass(frozen=True)
class TaskRecord:
    """A fine-tuning as its card describes it.

    Attributes:
        training: The content of training.json that other cards have as well.
        task: The problem type and the names of the labels.
        length: Most tokens of a text, special ones included; None if unknown.
        truncation: What is kept of a longer text; None if unknown.
        is_of_pairs: Whether two texts are read together.
        measured_on: The side that `figures` and `curve` are of.
        figures: The figures at the end; None if unknown.
        validation: Those of the validation texts; None if unknown.
        curve: The learning curve; None if none was drawn.
        comparisons: McNemar's tests of the other systems of the curve against its first.
        is_probe: Whether only the classifier was trained.
    """

    training: TrainingJson
    task: Task
    length: int | None
    truncation: Truncation | None
    is_of_pairs: bool
    measured_on: Side
    figures: TaskFigures | None
    validation: TaskFigures | None
    curve: Curve | None
    comparisons: dict[str, McNemar]
    is_probe: bool

    @property
    def counts(self) -> dict[str, dict[str, Any]]:
        """The numbers of texts by side: `documents`, `tokens`, `cut_texts`, `labels`."""
        return self.training.get("corpus", {}).get("counts", {})


def read_task_record(folder: Path, training: TrainingJson) -> TaskRecord:
    """Return what the training.json of a folder says about its fine-tuning.

    training: its parts of the right shape, with a problem type in `task`.
    """
    content: Mapping[str, Any] = read_training(folder) or {}
    stated = training["task"]
    task = Task(stated["problem_type"], tuple(stated.get("labels", [])))
    metrics, truncation = content.get("metrics"), stated.get("truncation")
    on_test = training.get("metrics", {}).get("measured_on") == "test"
    return TaskRecord(
        training=training,
        task=task,
        length=stated.get("max_seq_length"),
        truncation=next((known for known in TRUNCATIONS if known == truncation), None),
        is_of_pairs=stated.get("is_of_pairs", False),
        measured_on="test" if on_test else "validation",
        figures=_figures(metrics, "after", task),
        validation=_figures(metrics, "validation", task) if on_test else None,
        curve=_readable(Curve.from_dict, content.get("curve")),
        comparisons=_comparisons(content.get("comparisons")),
        is_probe=training.get("config", {}).get("freeze_encoder") is True,
    )


def _comparisons(record: object) -> dict[str, McNemar]:
    """Return the readable tests; labels and systems of a stranger are escaped where shown."""
    if not isinstance(record, Mapping):
        return {}
    tests = {str(name): _readable(McNemar.from_dict, each) for name, each in record.items()}
    return {name: test for name, test in tests.items() if test is not None}


def _figures(metrics: object, name: str, task: Task) -> TaskFigures | None:
    """Return figures of the task's own labels; None if there are none."""
    record = metrics.get(name) if isinstance(metrics, Mapping) else None
    figures = _readable(TaskFigures.from_dict, record)
    if figures and (figures.problem_type, figures.labels) == (task.problem_type, task.labels):
        return figures
    return None


def _readable(read: Callable[[Mapping[str, Any]], Part], record: object) -> Part | None:
    if not isinstance(record, Mapping):
        return None
    try:
        return read(record)
    except CheckpointError:
        return None
