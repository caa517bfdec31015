"""Figures without labels: texts and settings to a report, with the bundled model too."""

import csv
import gzip
import json
import subprocess
import sys
from itertools import islice
from types import SimpleNamespace

import pytest

from mlm.errors import ConfigError
from mlm.evaluation.task.curve import CurvePoint
from mlm.finetuning import learning_curve, zero_shot_run
from mlm.finetuning.config import FinetuningConfig
from mlm.finetuning.learning_curve import CurveRecord
from mlm.finetuning.zero_shot_run import measure_zero_shot
from tests.finetuning.test_zero_shot import counting_model

ROWS = [("great great", "good"), ("great", "good"), ("soup", "bad"), ("un soup", "bad")]


@pytest.fixture
def counts(monkeypatch):
    """Answer for any checkpoint by counting words."""
    asked = []

    def open_masked_lm(name, revision):
        asked.append((name, revision))
        return counting_model()

    for module in (zero_shot_run, learning_curve):
        monkeypatch.setattr(module, "open_masked_lm", open_masked_lm)
    return asked


def write_texts(path, rows=ROWS):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return str(path)


def settings(path, **more) -> FinetuningConfig:
    given = {
        "model_name_or_path": "any",
        "test_file": [str(path)],
        "zero_shot": "It was [MASK].",
        "label_words": ["soup,un", "great"],
    }
    return FinetuningConfig(**(given | more))


def test_figures_and_report(tmp_path, counts):
    path = write_texts(tmp_path / "texts.csv")
    lines = []
    figures = measure_zero_shot(
        settings(path, calibration="none", learning_rate=1.0), report=lines.append
    )
    assert figures.metrics["accuracy"] == 1
    assert counts == [("any", None)]
    assert lines[0] == ("nothing is trained, so these settings have no effect: --learning_rate 1.0")
    assert lines[-4] == (
        "zero-shot: 'It was [MASK].' behind each part of 58 tokens of a text; calibration: none"
    )
    assert lines[-3] == "label words: bad = soup, un; good = great"
    assert lines[-2].startswith("\non 4 test texts, without labels: accuracy 100.0 % (95 % ")
    assert list(tmp_path.iterdir()) == [tmp_path / "texts.csv"]


def test_exchanged_words_are_suspected(tmp_path, counts):
    path = write_texts(tmp_path / "texts.csv", ROWS * 3)
    lines = []
    words = {"label_words": ["great", "soup,un"], "calibration": "empty"}
    assert measure_zero_shot(settings(path, **words), report=lines.append).metrics["accuracy"] == 0
    assert lines[-3] == (
        "the accuracy is below chance (50.0 %): are the label words in the order of the labels? "
        "The other way round:\n  --label_words bad=soup,un good=great"
    )


def test_the_first_of_test_validation_and_training_texts(tmp_path, counts):
    path = write_texts(tmp_path / "texts.csv", [*ROWS * 2, ("great soup", "good")])
    for files, count in (
        ({"train_file": [path], "max_train_samples": 3}, "3 train texts"),
        ({"train_file": ["none.csv"], "validation_file": [path]}, "9 validation texts"),
        ({"validation_file": ["none.csv"], "test_file": [path]}, "9 test texts"),
    ):
        lines = []
        measure_zero_shot(settings(path, **({"test_file": []} | files)), report=lines.append)
        assert lines[-2].startswith(f"\non {count}, ")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"model_name_or_path": None},
            "--model_name_or_path is missing; give the masked LM to ask: the folder of `mlm "
            "train`, a Hub id, or demo",
        ),
        (
            {"test_file": []},
            "--test_file is missing; give files of labelled texts to measure on",
        ),
        (
            {"problem_type": "multi_label_classification"},
            "--zero_shot is for texts that have one class each; this task is "
            "multi_label_classification: leave it out",
        ),
        (
            {"text_column_names": ["text", "text_2"]},
            "--zero_shot reads one text, and these are pairs: name one column with "
            "--text_column_names, or leave it out",
        ),
    ],
)
def test_refused(tmp_path, counts, more, message):
    path = tmp_path / "texts.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "text_2", "label"), *((a, a, b) for a, b in ROWS)])
    with pytest.raises(ConfigError) as error:
        measure_zero_shot(settings(path, **({"text_column_names": ["text"]} | more)))
    assert str(error.value) == message
    assert counts == []


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"label_words": []},
            "--zero_shot needs --label_words, e.g. --zero_shot 'It was [MASK].' --label_words "
            "bad,awful good,great",
        ),
        (
            {"zero_shot": None, "label_words": [], "calibration": "empty"},
            "--calibration is empty, but there is nothing to calibrate without --zero_shot; leave "
            "it out",
        ),
        (
            {"push_to_hub": True, "hub_model_id": "me/x"},
            "--push_to_hub publishes a trained model, but --zero_shot without --labels_per_class "
            "trains none; leave one of them out, or add --labels_per_class",
        ),
    ],
)
def test_settings_refused(more, message):
    with pytest.raises(ConfigError) as error:
        settings("texts.csv", **more)
    assert str(error.value) == message


def test_points_of_0_labels(tmp_path, counts, monkeypatch):
    """The adapted model and its base get a point each; a resumed curve does not ask them again."""
    path = write_texts(tmp_path / "texts.csv")
    config = settings(path, labels_per_class=["1"], compare=["base", "random"], seed=7)
    texts = zero_shot_run._read_texts(config, "test", print)
    base = {"base_model": {"repo_id": "me/base", "commit": "c0"}}
    prepared = SimpleNamespace(checkpoint=SimpleNamespace(training=base))
    record = CurveRecord("key", "accuracy")
    for _ in range(2):
        learning_curve._draw_zero_labels(record, config, prepared, texts, print)
        assert record.points == [CurvePoint("adapted", 0, 7, 1.0), CurvePoint("base", 0, 7, 1.0)]
        assert counts == [("any", None), ("me/base", "c0")]


def test_a_base_that_cannot_answer_is_left_out(tmp_path, counts, monkeypatch):
    path = write_texts(tmp_path / "texts.csv")
    config = settings(path, labels_per_class=["1"], compare=["base"], base_model_name_or_path="b")
    texts = zero_shot_run._read_texts(config, "test", print)
    prepared = SimpleNamespace(checkpoint=SimpleNamespace(training=None))

    def open_masked_lm(name, revision):
        if name == "b":
            raise ConfigError("no head")
        return counting_model()

    monkeypatch.setattr(learning_curve, "open_masked_lm", open_masked_lm)
    record, lines = CurveRecord("key", "accuracy"), []
    learning_curve._draw_zero_labels(record, config, prepared, texts, lines.append)
    assert [point.system for point in record.points] == ["adapted"]
    assert lines[-1] == "base has no point of 0 labels: no head"


def test_the_key_of_a_curve_has_the_words(monkeypatch):
    monkeypatch.setattr(learning_curve, "weights_hash", lambda model: "weights")
    prepared = SimpleNamespace(fingerprint="texts", model=None)
    given = [
        {},
        {"zero_shot": "That was [MASK]."},
        {"label_words": ["un", "great"]},
        {"calibration": "empty"},
        {"zero_shot": None, "label_words": []},
    ]
    configs = [settings("texts.csv", labels_per_class=["8"], **more) for more in given]
    keys = {learning_curve._key(config, prepared, "accuracy") for config in configs}
    assert len(keys) == len(given)


COMMAND = """
import json, sys
from mlm.commands.finetune import main
code = main(json.loads(sys.argv[1]))
print("code", code, "tensorflow" in sys.modules, "torch" in sys.modules)
"""


def test_the_command_with_the_bundled_model(tmp_path, shared_data):
    """40 reviews, 20 of each class: better than chance, without TensorFlow."""
    pytest.importorskip("ai_edge_litert")
    path = shared_data / "imdb" / "train.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = [(row["text"], row["polarity"]) for row in islice(csv.DictReader(file), 400)]
    some = [each for label in "01" for each in [row for row in rows if row[1] == label][:20]]
    arguments = [
        *("--model_name_or_path", "demo", "--train_file", write_texts(tmp_path / "a.csv", some)),
        *("--zero_shot", "In short, this movie was [MASK].", "--label_words"),
        *("1=good,great,excellent,wonderful", "0=bad,awful,terrible,boring"),
        *("--output_dir", str(tmp_path / "out")),
    ]
    run = subprocess.run(
        [sys.executable, "-c", COMMAND, json.dumps(arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "code 0 False False" in run.stdout, run.stdout + run.stderr
    printed = " ".join(run.stdout.split())
    assert "label words: 0 = bad, awful, terrible, boring; 1 = good, great, excellent" in printed
    accuracy = float(printed.split("on 40 train texts, without labels: accuracy ")[1].split()[0])
    assert accuracy >= 65
    assert not (tmp_path / "out").exists()
