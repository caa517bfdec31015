"""The form of the figures: JSON, the line for people, the headline, metrics by name."""

import json
import math

import numpy as np
import pytest

from mlm.checkpoint.task import Task
from mlm.errors import CheckpointError, ConfigError, CorpusError
from mlm.evaluation.task.measurement import figures_of
from mlm.evaluation.task.metric_names import greater_is_better, metric_names
from mlm.evaluation.task.task_figures import TaskFigures

BINARY = Task("single_label_classification", ("bad", "good"))
LOGITS = np.tile([[0.0, 1], [1, 0], [0, 2], [0, 1]], (100, 1))
LABELS = np.tile([1, 0, 1, 0], 100)


@pytest.fixture(scope="module")
def figures() -> TaskFigures:
    return figures_of(BINARY, LOGITS, LABELS)


def test_the_line_for_people(figures):
    assert figures.line() == (
        "accuracy 75.0 % (95 % interval 70.5 to 79.0), macro-F1 73.3 %, loss 0.5167, 400 texts"
    )


def test_the_line_of_one_text():
    line = figures_of(BINARY, LOGITS[:1], LABELS[:1]).line()
    assert line.endswith("(95 % interval 20.7 to 100.0), macro-F1 100.0 %, loss 0.3133, 1 text")


def test_the_headline_has_the_interval(figures):
    name, value, low, high = figures.headline
    assert (name, value) == ("accuracy", 0.75)
    assert (low, high) == figures.intervals["accuracy"]


def test_figures_come_back_from_json(figures):
    text = json.dumps(figures.to_dict(), allow_nan=False)
    assert TaskFigures.from_dict(json.loads(text)) == figures


OTHER_TASKS = {
    "multi_label_classification": (("a", "b"), LOGITS - 0.5, np.eye(2, dtype=np.float32)[LABELS]),
    "regression": (("stars",), LOGITS[:, :1], LABELS.astype(np.float32)),
    "token_classification": (("O", "B-X"), LOGITS.reshape(40, 10, 2), LABELS.reshape(40, 10)),
}


@pytest.mark.parametrize("kind", OTHER_TASKS)
def test_figures_of_other_tasks_come_back_from_json(kind):
    labels, *arrays = OTHER_TASKS[kind]
    found = figures_of(Task(kind, labels), *arrays)
    again = TaskFigures.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert again == found and again.line() == found.line()
    names = metric_names(kind, len(labels))
    assert names == (*found.metrics, "loss")
    assert [name for name in names if math.isnan(found.score(name))] == []
    assert found.headline.low <= found.headline.value <= found.headline.high


def test_logits_that_are_not_finite_leave_everything_undefined():
    logits = LOGITS.copy()
    logits[3, 1] = np.nan
    found = figures_of(BINARY, logits, LABELS)
    assert math.isnan(found.loss) and set(found.metrics.values()) == {None}
    assert found.line() == "accuracy undefined, macro-F1 undefined, loss not finite, 400 texts"
    record = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert record["loss"] is None and TaskFigures.from_dict(record).to_dict() == record
    assert math.isnan(found.score("accuracy")) and found.headline == ("accuracy", *[None] * 3)


@pytest.mark.parametrize(
    "change",
    [
        {"problem_type": "ranking"},
        {"labels": [1]},
        {"num_examples": -1},
        {"loss": "low"},
        {"loss": float("nan")},
        {"metrics": [1]},
        {"intervals": {"accuracy": [1]}},
        {"per_label": [{"label": "bad"}]},
        {"confusion_cells": [[0, 2, 5]]},
        {"confusion_cells": [[0, 0]]},
        {"labels": None},
        {"loss": 10**400},
        {"labels": ["\ud800", "good"]},
        {"confusion_cells": [[0, 0, 10**9]]},
        {"per_label": []},
        {"labels": ["bad", "good", "neither"]},
        {"problem_type": "regression"},
    ],
)
def test_a_record_of_another_form_is_refused(figures, change):
    with pytest.raises(CheckpointError, match="the record of a task's figures cannot be read"):
        TaskFigures.from_dict({**figures.to_dict(), **change})


def test_scores_by_all_names_of_a_metric(figures):
    assert figures.score("eval_accuracy") == figures.score("accuracy") == 0.75
    assert figures.score("matthews_correlation") == figures.score("mcc")
    assert figures.score("eval_loss") == figures.loss
    assert [greater_is_better(name) for name in ("f1", "eval_loss", "mse")] == [True, False, False]


def test_an_unknown_metric_is_refused_with_those_that_exist(figures):
    with pytest.raises(ConfigError) as refused:
        figures.score("pearson")
    assert str(refused.value) == (
        "--metric_name 'pearson' does not exist for single_label_classification with 2 labels; "
        "choose one of accuracy, f1_macro, f1, auroc, mcc, ece, loss"
    )


def test_all_names_have_a_score(figures):
    names = metric_names("single_label_classification", 2)
    assert [name for name in names if math.isnan(figures.score(name))] == []
    assert "f1" not in metric_names("single_label_classification", 3)


def test_nothing_to_measure_is_refused():
    with pytest.raises(CorpusError, match="0 of 400 texts have a label to measure on"):
        figures_of(BINARY, LOGITS, LABELS, np.zeros(400))


@pytest.mark.parametrize("logits, labels", [(LOGITS[:, :1], LABELS), (LOGITS, LABELS[:, None])])
def test_shapes_that_do_not_fit_are_refused(logits, labels):
    with pytest.raises(ValueError, match="of shape"):
        figures_of(BINARY, logits, labels)
