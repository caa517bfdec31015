"""The learning curve: points saved one by one, resumed, never drawn twice, and what they count."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from mlm.checkpoint.task import Task
from mlm.data.examples.encoded_examples import EncodedExamples
from mlm.data.labelled.labelled_texts import LabelledTexts
from mlm.errors import ConfigError
from mlm.finetuning import learning_curve
from mlm.finetuning.config import FinetuningConfig
from mlm.finetuning.finetune import finetune
from mlm.finetuning.learning_curve import (
    CurveRecord,
    Sample,
    curve_lines,
    draw_curve,
    samples_of,
    saved_record,
)
from tests.finetuning.test_problem_types import write
from tests.support.labelled_texts import small_finetuning
from tests.support.places import ROOT

TWO = Task("single_label_classification", ("neg", "pos"))
LABELS = np.arange(20) % 2
SAMPLES = [Sample(np.arange(size), seed) for size in (4, 8) for seed in (0, 1)]
SAMPLES.append(Sample(np.arange(16), 0))


def examples() -> EncodedExamples:
    zeros = np.zeros(20, "float32")
    ids, offsets = np.zeros(20, "uint16"), np.arange(21)
    return EncodedExamples(ids, offsets, LABELS.astype("int32"), TWO, 0, 8, zeros)


class FakeSystem:
    """Is wrong on its first `wrong` texts; notes what it was asked."""

    def __init__(self, name: str, wrong: int):
        self.name, self.wrong, self.asked = name, wrong, []

    def logits(self, rows: np.ndarray, seed: int) -> np.ndarray:
        self.asked.append((len(rows), seed))
        right = np.arange(20) >= self.wrong
        return np.eye(2)[np.where(right, LABELS, 1 - LABELS)] * 4.0


class Killed(Exception):
    pass


@pytest.fixture
def path(tmp_path):
    return tmp_path / "curve.json"


def empty() -> CurveRecord:
    return CurveRecord("key", "accuracy")


def test_points_are_saved_one_by_one_and_the_rest_is_drawn_on_resume(path):
    class Fails(FakeSystem):
        def logits(self, rows, seed):
            if len(self.asked) == 3:
                raise Killed
            return super().logits(rows, seed)

    with pytest.raises(Killed):
        draw_curve(empty(), [Fails("adapted", 2), FakeSystem("base", 6)], SAMPLES, examples(), path)
    saved = saved_record(path, "key", "accuracy")
    assert [(p.labels, p.seed, p.score) for p in saved.points] == [
        (4, 0, 0.9),
        (4, 1, 0.9),
        (8, 0, 0.9),
    ]
    assert not saved.is_complete
    systems = [FakeSystem("adapted", 2), FakeSystem("base", 6)]
    draw_curve(saved, systems, SAMPLES, examples(), path)
    assert systems[0].asked == [(8, 1), (16, 0)]
    assert systems[1].asked == [(4, 0), (4, 1), (8, 0), (8, 1), (16, 0)]
    again = saved_record(path, "key", "accuracy")
    assert again.is_complete
    assert again.to_dict() == saved.to_dict()
    straight = empty()
    draw_curve(straight, systems, SAMPLES, examples(), path)
    assert straight.to_dict() == saved.to_dict()


def test_the_last_points_are_compared_on_the_same_texts(path):
    record = empty()
    systems = [FakeSystem("adapted", 2), FakeSystem("base", 12)]
    draw_curve(record, systems, SAMPLES, examples(), path)
    (test,) = record.comparisons.values()
    assert list(record.comparisons) == ["base"]
    assert 0 < test.p < 0.01
    said = "\n".join(curve_lines(record))
    assert "with the most labels, on the same texts:" in said
    for name in ("adapted", "base"):
        assert name in said


def test_a_curve_whose_metric_is_undefined_has_no_points(path):
    tags = Task("token_classification", ("O", "B-X"))
    nothing = EncodedExamples(
        np.zeros(20, "uint16"),
        np.arange(21),
        np.zeros(20, "int32"),
        tags,
        0,
        8,
        np.zeros(20, "float32"),
    )

    class FindsNothing(FakeSystem):
        def logits(self, rows, seed):
            return np.tile([1.0, 0.0], (20, 1, 1))

    record = CurveRecord("key", "f1")
    draw_curve(record, [FindsNothing("adapted", 0)], SAMPLES, nothing, path)
    assert record.to_dict()["curve"] is None
    assert curve_lines(record) == [
        "the learning curve has no points: f1 is undefined on these texts"
    ]


def test_another_key_or_a_damaged_file_starts_again(path):
    draw_curve(empty(), [FakeSystem("adapted", 2)], SAMPLES, examples(), path)
    assert saved_record(path, "key", "accuracy").points
    assert not saved_record(path, "other", "accuracy").points
    path.write_text(path.read_text()[:50])
    assert not saved_record(path, "key", "accuracy").points
    path.write_text(json.dumps({"key": "key", "curve": {"points": 1}}))
    assert not saved_record(path, "key", "accuracy").points


def texts_of(task: Task, labels) -> LabelledTexts:
    return LabelledTexts([f"text {row}" for row in range(len(labels))], labels, task, None)


CLASSES = texts_of(TWO, ["neg"] * 6 + ["pos"] * 14)


def drawn(texts: LabelledTexts, *sizes: str, seeds: int = 2) -> tuple[list, list[str]]:
    lines: list[str] = []
    config = FinetuningConfig(labels_per_class=list(sizes), seeds=seeds)
    return list(samples_of(config, texts, lines.append)), lines


def test_samples_have_so_many_texts_of_each_class():
    samples, lines = drawn(CLASSES, "all", "4", "2")
    assert [(len(s.rows), s.seed) for s in samples] == [
        (4, 42),
        (4, 43),
        (8, 42),
        (8, 43),
        (20, 42),
    ]
    for sample in samples[:-1]:
        counts = np.bincount([CLASSES.labels[row] == "pos" for row in sample.rows])
        assert counts[0] == counts[1]
    assert set(samples[0].rows) < set(samples[2].rows)  # a sample grows
    assert lines == []


def test_sizes_that_are_too_large_are_said():
    samples, lines = drawn(CLASSES, "6", "7", "1000")
    assert {len(sample.rows) for sample in samples} == {12}
    assert lines == [
        "7 labels a class left out: the smallest class has 6 training texts",
        "1,000 labels a class left out: the smallest class has 6 training texts",
    ]


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        ("regression", [float(row) for row in range(20)]),
        ("multi_label_classification", [["a"] if row % 2 else ["a", "b"] for row in range(20)]),
        ("token_classification", [["a", "b"]] * 20),
    ],
)
def test_tasks_without_one_class_a_text_count_texts(kind, labels):
    texts = texts_of(Task(kind, ("a", "b")), labels)
    samples, lines = drawn(texts, "5", "30", "all", seeds=1)
    assert [len(sample.rows) for sample in samples] == [5, 20]
    assert lines[0] == f"--labels_per_class counts texts: a {kind} has no classes"
    assert lines[1] == "30 labels left out: there are 20 training texts"


def test_a_run_whose_sizes_are_all_too_large_is_refused(labelled_csv, bert_folder, tmp_path):
    config = small_finetuning(
        labelled_csv, bert_folder, tmp_path / "run", freeze_encoder=True, labels_per_class=["1000"]
    )
    with pytest.raises(ConfigError, match="--labels_per_class is 1000, more than the training"):
        finetune(config, report=lambda line: None)


CURVE = {"labels_per_class": ["2", "8", "all"], "seeds": 2, "compare": ["random", "tfidf"]}


def test_a_run_draws_its_curve_and_keeps_it(modernbert_folder, labelled_csv, tmp_path, monkeypatch):
    lines: list[str] = []
    settings = CURVE | {"freeze_encoder": True}
    config = small_finetuning(labelled_csv, modernbert_folder, tmp_path / "run", **settings)
    result = finetune(config, report=lines.append)
    points = result.training["curve"]["points"]
    systems = {point["system"] for point in points}
    assert systems == {"adapted", "random", "TF-IDF"}
    assert len(points) == 3 * 5
    assert "learning curve: linear probes, measured on 32 validation texts" in lines
    best = {p["system"]: p["score"] for p in points if p["labels"] == 96}
    assert best["TF-IDF"] == 1.0  # a word decides
    assert not (result.folder / "features").exists()
    monkeypatch.setattr(learning_curve, "make_systems", None)  # a call would fail
    again = small_finetuning(
        labelled_csv, modernbert_folder, tmp_path / "run", overwrite_output_dir=True, **settings
    )
    assert finetune(again, report=lambda line: None).training["curve"] == result.training["curve"]


@pytest.mark.parametrize("kind", ["tokens", "lists", "regression"])
@pytest.mark.slow
def test_other_tasks_have_curves(kind, modernbert_folder, tmp_path):
    source, settings = write(kind, tmp_path)
    settings |= {"freeze_encoder": True, "labels_per_class": ["8", "all"], "compare": ["tfidf"]}
    lines: list[str] = []
    config = small_finetuning(source, modernbert_folder, tmp_path / "run", **settings)
    result = finetune(config, report=lines.append)
    assert any(line.startswith("--labels_per_class counts texts: a ") for line in lines)
    left_out = "tfidf is left out: it has no features for single words" in lines
    assert left_out == (kind == "tokens")
    assert {point["labels"] for point in result.training["curve"]["points"]} >= {8}


@pytest.mark.slow
def test_a_killed_process_goes_on_with_its_curve(modernbert_folder, labelled_csv, tmp_path):
    output = tmp_path / "run"
    words = [sys.executable, "-m", "mlm", "finetune", "--train_file", str(labelled_csv)]
    words += ["--model_name_or_path", str(modernbert_folder), "--output_dir", str(output)]
    settings = (
        "--freeze_encoder --max_seq_length 16 --precision fp32 --compare random "
        "--labels_per_class 1 2 4 8 16 all --seeds 8"
    )
    words += settings.split()
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL)
    while process.poll() is None and not (output / "curve.json").is_file():
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    partial = json.loads((output / "curve.json").read_text())
    assert not partial["is_complete"]
    done = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    whole = json.loads((output / "curve.json").read_text())
    count = len(partial["curve"]["points"])
    assert whole["is_complete"]
    assert whole["curve"]["points"][:count] == partial["curve"]["points"]
    assert len(whole["curve"]["points"]) == 2 * (5 * 8 + 1)
    assert "learning curve: linear probes" in done.stdout
    again = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    assert "finished already" in again.stdout
