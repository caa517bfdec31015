"""A probe as the result of a run: fitted to features, published as a head, of each problem type."""

import numpy as np
import pytest
import torch
import transformers
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from mlm.checkpoint.task_checkpoint import read_task_checkpoint
from mlm.errors import ConfigError
from mlm.finetuning import features as features_module
from mlm.finetuning import linear
from mlm.finetuning import probe as probe_module
from mlm.finetuning.features import features_of
from mlm.finetuning.finetune import finetune
from mlm.finetuning.preparation import prepare
from mlm.finetuning.probe import labelled_rows, open_head
from tests.finetuning.test_problem_types import example, write
from tests.support.labelled_texts import small_finetuning
from tests.support.sweeps import sweep


def config_of(source, model, output, **changes):
    return small_finetuning(source, model, output, freeze_encoder=True, **changes)


@pytest.fixture
def fitted(monkeypatch):
    """The linear models that were fitted, in order."""
    seen: list[linear.LinearModel] = []

    def noted(*arguments, **options):
        seen.append(linear.fit_linear(*arguments, **options))
        return seen[-1]

    monkeypatch.setattr(probe_module, "fit_linear", noted)
    return seen


KINDS = ("single", "lists", "regression", "tokens", "pairs")


@pytest.mark.parametrize("kind", sweep(KINDS, quick=["single", "tokens"]))
def test_the_published_head_is_the_linear_model(kind, bert_folder, tmp_path, fitted):
    source, settings = write(kind, tmp_path)
    lines: list[str] = []
    config = config_of(source, bert_folder, tmp_path / "run", **settings)
    result = finetune(config, report=lines.append)
    ours = read_task_checkpoint(result.folder)
    (model,) = fitted
    np.testing.assert_array_equal(np.asarray(ours.model.head.classifier.kernel), model.kernel)
    prepared = prepare(config, lambda line: None)
    open_head(prepared.model, prepared.checkpoint.new_variables, prepared.examples["train"])
    validation = prepared.examples["validation"]
    features = features_of(prepared.model, validation, batch_size=8, what="encoding")
    expected = model.logits(features)
    logits = np.asarray(ours.model(validation.inputs(np.arange(len(validation)), 16)))
    width = min(logits.shape[1], expected.shape[1])
    if kind == "tokens":
        real = np.arange(width) < validation.lengths[:, None]
        logits, expected = logits[:, :width][real], expected[:, :width][real]
    np.testing.assert_allclose(logits, expected, atol=1e-4 * max(1.0, np.abs(expected).max()))
    auto = transformers.AutoModelForSequenceClassification
    if kind == "tokens":
        auto = transformers.AutoModelForTokenClassification
    theirs = auto.from_pretrained(result.folder).eval()
    first, second = example(kind)
    batch = transformers.AutoTokenizer.from_pretrained(result.folder)(
        first, second, padding=True, return_tensors="pt", return_token_type_ids=kind == "pairs"
    )
    with torch.no_grad():
        answers = theirs(**batch).logits.numpy()
    given = {name: value.numpy().astype("int32") for name, value in batch.items()}
    found = np.asarray(ours.model(given))
    np.testing.assert_allclose(found, answers, atol=1e-4 * max(1.0, np.abs(answers).max()))
    assert not (result.folder / "features").exists()
    assert any("a classifier is fitted to texts that are encoded once" in line for line in lines)
    assert "a state every" not in "\n".join(lines)


def test_the_classes_have_scikit_learns_decision(bert_folder, tmp_path, fitted, monkeypatch):
    monkeypatch.setattr(linear, "_choose_strength", lambda features, labels: 1.0)
    source, _ = write("single", tmp_path)
    config = config_of(source, bert_folder, tmp_path / "run")
    finetune(config, report=lambda line: None)
    prepared = prepare(config, lambda line: None)
    train = prepared.examples["train"]
    open_head(prepared.model, prepared.checkpoint.new_variables, train)
    rows, labels = labelled_rows(
        features_of(prepared.model, train, batch_size=8, what="encoding"), train
    )
    scaled = StandardScaler().fit_transform(rows)
    theirs = LogisticRegression(C=1.0, max_iter=1000).fit(scaled, labels)
    logits = fitted[0].logits(rows)
    ours = logits[:, 1] - logits[:, 0]
    np.testing.assert_allclose(ours, theirs.decision_function(scaled), atol=2e-2)


def test_a_stopped_probe_does_not_encode_again(bert_folder, tmp_path, monkeypatch):
    source, _ = write("single", tmp_path)
    encoded: list[str] = []

    def counted(*arguments, **options):
        encoded.append(options["what"])
        return features_of(*arguments, **options)

    def killed(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(features_module, "features_of", counted)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(probe_module, "fit_linear", killed)
        finetune(config_of(source, bert_folder, tmp_path / "run"), report=lambda line: None)
    assert (tmp_path / "run" / "features").is_dir()
    finetune(config_of(source, bert_folder, tmp_path / "run"), report=lambda line: None)
    assert encoded == ["encoding the training texts"]
    assert not (tmp_path / "run" / "features").exists()


def test_balanced_classes_are_none_of_several_labels(bert_folder, tmp_path):
    source, _ = write("lists", tmp_path)
    config = config_of(source, bert_folder, tmp_path / "run", class_weights="balanced")
    with pytest.raises(ConfigError, match="has no classes that exclude each other; leave it out"):
        finetune(config, report=lambda line: None)
