"""The run of a fine-tuning: it learns, stops and resumes, keeps the best, and says what it did."""

import json
import os
import re
import signal

import numpy as np
import pytest
import transformers

from mlm import hub
from mlm.checkpoint.run_state import newest_state
from mlm.errors import ConfigError
from mlm.evaluation.task.task_figures import TaskFigures
from mlm.finetuning.config import FinetuningConfig
from mlm.finetuning.finetune import finetune, rehearse
from mlm.training.first_checks import finished_record
from mlm.training.run import TrainingStopped
from tests.support.labelled_texts import labelled_texts, small_finetuning, write_csv
from tests.support.served_hub import Plan, api, served_hub
from tests.support.sweeps import slow


@pytest.fixture(scope="module")
def run(labelled_csv, bert_folder):
    """run(output, lines, **changes): the result of a small fine-tuning of a BERT with dropout."""

    def start(output, lines=None, **changes):
        source = changes.pop("source", labelled_csv)
        config = small_finetuning(source, bert_folder, output, **changes)
        return finetune(config, report=(lambda line: None) if lines is None else lines.append)

    return start


def weights(result) -> bytes:
    return (result.folder / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def straight(run, tmp_path_factory):
    """The plain run, to which nothing happened, and its lines."""
    lines: list[str] = []
    return run(tmp_path_factory.mktemp("straight") / "run", lines), lines


def test_separable_texts_are_learnt_to_the_last(run, tmp_path):
    settings = {"classifier_init": "random"}  # a probe of them has learnt them before step 0
    result = run(tmp_path / "run", max_steps=60, eval_steps=60, **settings)
    assert result.figures.metrics["accuracy"] == 1.0
    before = TaskFigures.from_dict(result.training["metrics"]["before"])
    assert before.metrics["accuracy"] < 0.9
    assert result.training["loss_curve"][-1][1] < result.training["loss_curve"][0][1] / 5


def test_the_record_and_the_folder_say_what_happened(straight):
    result, lines = straight
    names = {path.name for path in result.folder.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= names
    assert not names & {"state", "features"}
    record = json.loads((result.folder / "training.json").read_text(encoding="utf-8"))
    assert record["task"] == {
        "problem_type": "single_label_classification",
        "labels": ["neg", "pos"],
        "truncation": "head_tail",
        "max_seq_length": 16,
        "is_of_pairs": False,
    }
    assert record["corpus"]["counts"]["train"]["labels"] == {"neg": 48, "pos": 48}
    assert record["metrics"]["measured_on"] == "validation"
    assert [step for step, _ in record["validation_curve"]] == [0, 4, 8, 12]
    assert {3, 6, 9, 12} <= {step for step, _ in record["loss_curve"]}
    assert record["steps"] == 12
    said = "\n".join(lines)
    for part in (
        "problem type: single_label_classification, because labels are words",
        "train: no text is longer than 16 tokens",
        "12 of 16 texts, 2.0 epochs, from step 0",
        "single_label_classification: neg, pos",
        "chosen by these texts; for a figure to publish",
        "with so few texts this may be chance",
    ):
        assert part in said, part


def test_a_stopped_run_goes_on_as_if_it_had_not_been(straight, run, tmp_path):
    whole, _ = straight

    def interrupt(line: str) -> None:
        if line.startswith("step 4"):
            os.kill(os.getpid(), signal.SIGTERM)

    class Lines(list):
        append = staticmethod(interrupt)

    with pytest.raises(TrainingStopped) as stop:
        run(tmp_path / "run", Lines())
    assert 4 <= stop.value.step < 12
    assert stop.value.step == newest_state(tmp_path / "run" / "state").step
    for changes, named in (
        ({"label_smoothing": 0.1}, "--label_smoothing was 0.0 when this run was saved and is 0.1"),
        ({"truncation": "tail"}, "--truncation was 'head_tail' when this run was saved"),
    ):
        with pytest.raises(ConfigError, match=named):
            run(tmp_path / "run", **changes)
    resumed = run(tmp_path / "run")
    assert weights(resumed) == weights(whole)
    for key in ("loss_curve", "validation_curve", "metrics"):
        assert resumed.training[key] == whole.training[key]


@pytest.mark.slow
def test_other_labels_are_refused_on_resume(run, labelled_csv, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(TrainingStopped):
        patch.setattr("mlm.training.stopping.StopRequest.is_late", lambda self: True)
        run(tmp_path / "run", max_train_minutes=5)
    other = [(text, "other" if label == "pos" else label) for text, label in labelled_texts()]
    changed = write_csv(tmp_path / labelled_csv.name, ("text", "label"), [*other[1:], other[0]])
    with pytest.raises(ConfigError, match="the texts or the tokenizer have changed since"):
        run(tmp_path / "run", source=changed)


@pytest.fixture(scope="module")
def modern(labelled_csv, modernbert_folder):
    """The same for a ModernBERT, which has no dropout."""

    def start(output, lines=None, **changes):
        config = small_finetuning(labelled_csv, modernbert_folder, output, **changes)
        return finetune(config, report=(lambda line: None) if lines is None else lines.append)

    return start


def test_parts_without_dropout_have_the_curves_of_the_whole(modern, tmp_path):
    whole = modern(tmp_path / "whole")
    parts = modern(tmp_path / "parts", per_device_train_batch_size=4, gradient_accumulation_steps=4)
    for curve in ("loss_curve", "validation_curve"):
        np.testing.assert_allclose(parts.training[curve], whole.training[curve], atol=1e-4)


def test_the_best_weights_by_a_metric_are_kept(run, tmp_path):
    changes = {"max_steps": 24, "eval_steps": 3, "learning_rate": 0.05}
    changes |= {"lr_scheduler_type": "constant", "metric_name": "eval_accuracy"}
    lines: list[str] = []
    best = run(tmp_path / "best", lines, load_best_model_at_end=True, **changes)
    seen = [re.match(r"(?:before|step \d+|after): accuracy (\S+) %", line) for line in lines]
    scores = [float(match[1]) for match in seen if match]
    assert len(scores) == 9
    assert max(scores) == pytest.approx(best.figures.metrics["accuracy"] * 100, abs=0.06)
    assert best.training["best_step"] == 3 * int(np.argmax(scores))  # the first of equal ones


@pytest.mark.slow
def test_an_early_stop_goes_by_the_metric_too(run, tmp_path):
    lines: list[str] = []
    stopped = run(
        tmp_path / "run",
        lines,
        learning_rate=0.0,
        eval_steps=2,
        early_stopping_patience=2,
        metric_name="mcc",
    )
    assert stopped.training["steps"] == 4
    assert any(line.startswith("ended at step 4 of 12: no gain on held-out") for line in lines)


def test_a_test_file_is_measured_once_at_the_end(run, tmp_path):
    tested = write_csv(tmp_path / "test.csv", ("text", "label"), labelled_texts()[:20])
    lines: list[str] = []
    result = run(tmp_path / "run", lines, test_file=[str(tested)], max_predict_samples=16)
    metrics = result.training["metrics"]
    assert metrics["measured_on"] == "test"
    assert result.figures.num_examples == 16
    assert TaskFigures.from_dict(metrics["validation"]).num_examples == 28  # of 108, stratified
    said = "\n".join(lines)
    assert "test: 16 of 20 texts are drawn with seed 42" in said
    assert "20" in next(line for line in lines if "training" in line and "test" in line)
    assert "chosen by these texts; for a figure to publish" not in said


def test_a_finished_run_is_found_and_not_overwritten(straight, labelled_csv, bert_folder):
    result, _ = straight
    config = small_finetuning(labelled_csv, bert_folder, result.folder)
    assert finished_record(config) == json.loads((result.folder / "training.json").read_text())
    with pytest.raises(ConfigError, match="holds a finished checkpoint of another run"):
        finetune(small_finetuning(labelled_csv, bert_folder, result.folder, max_steps=13))


def test_frozen_layers_and_rates_by_layer_move_what_they_should(run, bert_folder, tmp_path):
    from mlm.checkpoint.folder import read_checkpoint
    from mlm.checkpoint.task_checkpoint import read_task_checkpoint
    from mlm.checkpoint.weights import variables_by_name

    frozen = run(tmp_path / "frozen", freeze_layers=1, max_steps=2, eval_steps=2)
    before = variables_by_name(read_checkpoint(bert_folder).model)
    after = variables_by_name(read_task_checkpoint(frozen.folder).model)
    encoder = [name for name in after if not name.startswith("head/")]
    assert all(np.array_equal(before[name].numpy(), after[name].numpy()) for name in encoder)


@pytest.mark.parametrize("changes", [{}, slow({"labels_per_class": ["4"]})])
def test_a_dry_run_says_what_would_be_and_writes_nothing(
    changes, labelled_csv, bert_folder, tmp_path
):
    lines: list[str] = []
    config = small_finetuning(labelled_csv, bert_folder, tmp_path / "run", dry_run=True, **changes)
    rehearse(config, report=lines.append)
    said = "\n".join(lines)
    for part in ("12 steps of 16 x", "tokens/s", "GiB", "would stay in", "nothing was written"):
        assert part in said
    assert re.search(r"about \S+ (?:s|min): 12 steps of \S+ s, 4 evaluations of \S+ s, .*", said)
    assert ("the learning curve is not timed" in said) == bool(changes)
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match="call rehearse, which trains nothing"):
        finetune(config)


def test_the_settings_of_masked_training_are_none_of_fine_tuning():
    for name in ("mlm_probability", "suggest_words", "token_store", "vocab_size", "add_words_file"):
        with pytest.raises(ConfigError, match=f"unknown setting '{name}'; `mlm finetune --help`"):
            FinetuningConfig.from_dict({name: 1})


# The Hub


@pytest.fixture
def served(tmp_path, monkeypatch):
    with served_hub(tmp_path / "served", monkeypatch, Plan()) as local:
        yield local


def test_a_run_is_published_and_loaded_from_there(run, served, tmp_path):
    lines: list[str] = []
    there = {"push_to_hub": True, "hub_model_id": "me/sentiment", "max_steps": 2}
    result = run(tmp_path / "run", lines, **there)
    assert result.published.repo_id == "me/sentiment"
    files = set(api().list_repo_files("me/sentiment"))
    assert {"config.json", "model.safetensors", "training.json", "README.md"} <= files
    assert not files & {"curve.json", "features"}
    fetched = hub.fetch_checkpoint("me/sentiment", None).folder
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(fetched)
    assert theirs.config.id2label == {0: "neg", 1: "pos"}
    assert "pipeline_tag: text-classification" in (fetched / "README.md").read_text()
    assert any(line.startswith("published me/sentiment at commit ") for line in lines)


def test_a_run_goes_on_from_the_hub_on_another_machine(straight, run, served, tmp_path):
    whole, _ = straight
    there = {"resume_from_hub": True, "hub_model_id": "me/sentiment", "hub_state_minutes": 0.0}

    class Lines(list):
        @staticmethod
        def append(line: str) -> None:
            if line.startswith("step 4"):
                os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(TrainingStopped):
        run(tmp_path / "one", Lines(), **there)
    lines: list[str] = []
    resumed = run(tmp_path / "two", lines, **there)
    assert any(line.startswith("resuming from step ") for line in lines)
    assert weights(resumed) == weights(whole)
