"""A new classifier begins as a linear probe; one that a checkpoint brings is kept."""

from dataclasses import replace

import numpy as np
import pytest

from mlm.finetuning import initial_classifier, job
from mlm.finetuning.features import features_of
from mlm.finetuning.finetune import finetune
from mlm.finetuning.initial_classifier import fit_initial_classifier, starts_as_probe
from mlm.finetuning.linear import fit_linear
from mlm.finetuning.preparation import prepare
from mlm.training.run import TrainingStopped
from tests.finetuning.test_problem_types import write
from tests.support.labelled_texts import small_finetuning


def prepared_for(kind, model, folder, **changes):
    source, settings = write(kind, folder)
    config = small_finetuning(source, model, folder / "run", **settings | changes)
    return prepare(config, lambda line: None)


@pytest.mark.parametrize("kind", ["single", "lists", "regression"])
def test_it_is_the_linear_model_of_the_training_texts(kind, bert_folder, tmp_path):
    prepared = prepared_for(kind, bert_folder, tmp_path)
    train = prepared.examples["train"]
    features = features_of(prepared.model, train, batch_size=8, what="encoding")
    expected = fit_linear(features, train.labels, prepared.task)
    assert starts_as_probe(prepared)
    fit_initial_classifier(prepared)
    found = features @ np.asarray(prepared.model.head.classifier.kernel)
    found += np.asarray(prepared.model.head.classifier.bias)
    np.testing.assert_allclose(found, expected.logits(features), rtol=0.02, atol=0.02)


def test_a_part_of_the_texts_is_enough(bert_folder, tmp_path, monkeypatch):
    counts = []

    def noted(model, examples, **settings):
        counts.append(len(examples))
        return features_of(model, examples, **settings)

    monkeypatch.setattr(initial_classifier, "MOST_TEXTS", 6)
    monkeypatch.setattr(initial_classifier, "features_of", noted)
    prepared = prepared_for("single", bert_folder, tmp_path)
    assert len(prepared.examples["train"]) > 6
    fit_initial_classifier(prepared)
    assert counts == [6]


def test_tokens_many_labels_and_a_wish_for_it_stay_random(bert_folder, tmp_path, monkeypatch):
    assert not starts_as_probe(prepared_for("tokens", bert_folder, tmp_path))
    prepared = prepared_for("single", bert_folder, tmp_path)
    random = replace(prepared.config, classifier_init="random")
    assert not starts_as_probe(replace(prepared, config=random))
    monkeypatch.setattr(initial_classifier, "MOST_LABELS", 1)
    assert not starts_as_probe(prepared)


def test_a_classifier_of_the_checkpoint_is_kept(bert_folder, tmp_path):
    source, settings = write("single", tmp_path)
    config = small_finetuning(source, bert_folder, tmp_path / "run", max_steps=1, **settings)
    result = finetune(config, report=lambda line: None)
    again = prepare(
        replace(config, model_name_or_path=str(result.folder), output_dir=str(tmp_path / "more")),
        lambda line: None,
    )
    assert not starts_as_probe(again)


def test_it_is_fitted_once_before_step_0(bert_folder, tmp_path, monkeypatch):
    fits = []

    def noted(prepared):
        fits.append(prepared.total_steps)
        fit_initial_classifier(prepared)

    monkeypatch.setattr(job, "fit_initial_classifier", noted)
    source, settings = write("single", tmp_path)
    lines: list[str] = []
    config = small_finetuning(
        source, bert_folder, tmp_path / "run", max_steps=4, save_steps=2, max_train_minutes=1e-9,
        **settings,
    )  # fmt: skip
    with pytest.raises(TrainingStopped):
        finetune(config, report=lines.append)
    assert "the classifier starts as a linear probe" in " ".join("\n".join(lines).split())
    finetune(replace(config, max_train_minutes=None), report=lambda line: None)
    assert fits == [4]
