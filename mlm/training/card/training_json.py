"""The content of training.json as a card uses it: types, and readers that return them.

Any part may be absent: what a stranger's file has in another shape is dropped when it is read.
"""

from pathlib import Path
from typing import Any, Literal, TypedDict, cast

from mlm.checkpoint.record import reading
from mlm.checkpoint.task import ProblemType

Figures = dict[str, float]  # loss, perplexity, top1, top5, num_tokens or num_words
Setting = object  # None, bool, number, text, or a list of these
Point = list[float]  # step, loss


class BaseModel(TypedDict, total=False):
    """The checkpoint on the Hub that the training began with."""

    repo_id: str
    commit: str


class SourceFile(TypedDict, total=False):
    """A file that texts were read from; `size` in bytes."""

    name: str
    size: int
    sha256: str


class MadeFrom(TypedDict, total=False):
    """The files of a corpus by side, "train" or "validation"."""

    sources: dict[str, list[SourceFile]]


class Corpus(TypedDict, total=False):
    """The texts; `counts` holds `documents` and `tokens` by side, of labelled texts more."""

    fingerprint: str
    counts: dict[str, dict[str, Any]]
    made_from: MadeFrom
    report_line: str


class Metrics(TypedDict, total=False):
    """Figures on the held-out texts before and after the training."""

    before: Figures
    after: Figures


class Example(TypedDict, total=False):
    """A sentence with a mask, and the candidates for it, best first."""

    text: str
    output: list[dict[str, Setting]]


class EvaluationRecord(TypedDict, total=False):
    """Figures on other files, measured after the training."""

    files: list[str]
    max_seq_length: int
    tokens: Figures
    words: Figures


class TaskJson(TypedDict, total=False):
    """The task of a fine-tuning, and how its texts were read."""

    problem_type: ProblemType
    labels: list[str]
    truncation: str
    max_seq_length: int
    is_of_pairs: bool


class TrainingJson(TypedDict, total=False):
    """The content of training.json; `task` and `recipe` are of fine-tunings."""

    config: dict[str, Setting]
    task: TaskJson
    recipe: dict[str, Setting]
    base_model: BaseModel
    corpus: Corpus
    metrics: Metrics
    loss_curve: list[Point]
    validation_curve: list[Point]
    tokens_per_second: float
    seconds: float
    steps: int
    skipped_steps: int
    best_step: int
    seed: int
    hardware: dict[str, Setting]
    versions: dict[str, Setting]
    examples: list[Example]
    contrasts: list[Example]
    card: dict[str, Setting]
    evaluations: list[EvaluationRecord]


def read_training_json(folder: Path) -> TrainingJson:
    """Return the parts of a folder's training.json that have the right shape; {} without one."""
    return cast("TrainingJson", reading.training_of(folder))


def evaluations_in(training: TrainingJson) -> list[EvaluationRecord]:
    """Return the evaluations, the last of each for the same files and length.

    `files` and `max_seq_length` are never absent.
    """
    return cast("list[EvaluationRecord]", reading.evaluations_of(training))


def examples_in(
    training: TrainingJson, kind: Literal["examples", "contrasts"] = "examples"
) -> list[Example]:
    """Return the sentences that were tried; `text` is never absent, `output` may be."""
    return cast("list[Example]", reading.examples_of(training, kind))
