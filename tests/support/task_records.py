"""The training.json of fine-tunings, with figures of noise, as a run writes it."""

from typing import Any

import numpy as np

from mlm.checkpoint.strict_json import JsonObject
from mlm.checkpoint.task import ProblemType, Task
from mlm.evaluation.task.curve import Curve, CurvePoint
from mlm.evaluation.task.measurement import figures_of

COMMIT = "c0ffee" * 6 + "beef"
LABELS: dict[ProblemType, tuple[str, ...]] = {
    "single_label_classification": ("negative", "positive"),
    "multi_label_classification": ("food", "music", "travel"),
    "regression": ("stars",),
    "token_classification": ("O", "B-PER", "I-PER"),
}
SCORES = {"adapted": (0.7, 0.8, 0.9), "base": (0.5, 0.6, 0.7), "TF-IDF": (0.55, 0.7, 0.8)}
SIZES = (16, 64, 256)


def figures(task: Task, count: int, skill: float = 2.0) -> JsonObject:
    """Return figures of logits that lean towards the right labels."""
    rng = np.random.default_rng(0)
    if task.problem_type == "regression":
        labels = rng.normal(size=count).astype(np.float32)
        return figures_of(task, labels[:, None] + rng.normal(0, 0.3, (count, 1)), labels).to_dict()
    shape = (count, 5) if task.is_of_tokens else (count,)
    ids = rng.integers(0, len(task.labels), shape)
    one_hot = np.eye(len(task.labels))[ids]
    logits = rng.normal(size=one_hot.shape) + skill * (one_hot - 0.5)
    several = task.problem_type == "multi_label_classification"
    labels = one_hot.astype(np.float32) if several else ids.astype(np.int32)
    return figures_of(task, logits, labels).to_dict()


def curve(scores: dict[str, tuple[float, ...]] = SCORES) -> JsonObject:
    """Return a curve with two seeds a point."""
    points = [
        CurvePoint(system, size, seed, score + seed / 100)
        for system, means in scores.items()
        for size, score in zip(SIZES, means, strict=True)
        for seed in (0, 1)
    ]
    return Curve("accuracy", tuple(points), tuple(scores)).to_dict()


def task_record(
    problem_type: ProblemType = "single_label_classification",
    labels: tuple[str, ...] | None = None,
    *,
    measured_on: str = "test",
    **parts: Any,
) -> JsonObject:
    """Return a training.json; `parts` replace parts of it, or of its `task` by `task`."""
    task = Task(problem_type, labels or LABELS[problem_type])
    sizes = {"train": 900, "validation": 100, "test": 200}
    sides = ("train", "validation", "test") if measured_on == "test" else ("train", "validation")
    counts = {
        side: {
            "documents": sizes[side],
            "tokens": 50 * sizes[side],
            "cut_texts": sizes[side] // 10,
            "labels": dict.fromkeys(task.labels, sizes[side] // 2),
        }
        for side in sides
    }
    files = {"train": [{"name": "/home/someone/train.csv", "size": 5, "sha256": "0"}]}
    record: JsonObject = {
        "config": {"train_file": ["train.csv"], "clean_html": "auto", "freeze_encoder": False},
        "recipe": {"train_file": ["train.csv"], "model_name_or_path": "me/adapted", "seeds": 2},
        "base_model": {"repo_id": "me/adapted", "commit": COMMIT},
        "task": {
            "problem_type": problem_type,
            "labels": list(task.labels),
            "truncation": "head_tail",
            "max_seq_length": 64,
            "is_of_pairs": False,
        },
        "corpus": {
            "fingerprint": "f1" * 32,
            "counts": counts,
            "made_from": {"sources": files},
            "report_line": "1,200 rows read from 1 file (text: a_b, label: *c*)",
        },
        "metrics": {
            "before": figures(task, 100, 0.0),
            "validation": figures(task, 100),
            "after": figures(task, sizes[measured_on]),
            "measured_on": measured_on,
        },
        "loss_curve": [[50, 0.6], [100, 0.5]],
        "validation_curve": [[0, 0.7], [100, 0.5]],
        "tokens_per_second": 1000.5,
        "seconds": 700.0,
        "steps": 100,
        "skipped_steps": 0,
        "seed": 42,
        "hardware": {"device": "CPU", "replicas": 1, "policy": "float32"},
        "versions": {"keras": "3.15.0"},
    }
    return record | parts | {"task": record["task"] | parts.get("task", {})}
