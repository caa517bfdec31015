"""Texts and model of a fine-tuning: rates by layer, limits, and what is refused for a task."""

import numpy as np
import pytest

from mlm.checkpoint.task import Task
from mlm.checkpoint.task_checkpoint import read_task_checkpoint
from mlm.errors import ConfigError, CorpusError
from mlm.finetuning.comparison import make_systems
from mlm.finetuning.config import FinetuningConfig
from mlm.finetuning.config_rules import check_task
from mlm.finetuning.labelled_sides import read_texts
from mlm.finetuning.preparation import layer_rate_factors, prepare, rate_by_size
from tests.support.family_tokenizers import KINDS
from tests.support.labelled_texts import labelled_texts, small_finetuning, write_csv
from tests.support.small_models import save_random_checkpoint

TWO = Task("single_label_classification", ("neg", "pos"))
SEVERAL = Task("multi_label_classification", ("a", "b"))
NUMBER = Task("regression", ("score",))
TAGS = Task("token_classification", ("O", "B-PER"))
DEBERTA = {
    "relative_attention": True,
    "position_biased_input": False,
    "pos_att_type": ["p2c", "c2p"],
    "share_att_key": True,
    "norm_rel_ebd": "layer_norm",
    "position_buckets": 16,
}


@pytest.mark.parametrize(
    ("width", "layers", "rate"), [(768, 12, 5e-5), (1024, 24, 2.65e-5), (256, 4, 2.6e-4)]
)
def test_smaller_models_learn_at_higher_rates(width, layers, rate):
    assert rate_by_size(width, layers) == pytest.approx(rate, rel=0.01)


def test_rates_fall_from_layer_to_layer(tiny_bert_folder):
    model = read_task_checkpoint(tiny_bert_folder, TWO).model
    factors = layer_rate_factors(model, 0.5)
    by_part: dict[str, set[float]] = {}
    for variable in model.trainable_variables:
        part = variable.path.split("/")[1]
        by_part.setdefault(part, set()).add(factors.get(variable.path, 1.0))
    assert by_part == {"embeddings": {0.125}, "layer_0": {0.25}, "layer_1": {0.5}, "head": {1.0}}
    assert layer_rate_factors(model, 1.0) == {}


def test_the_final_norm_learns_as_the_top_layer_does(tiny_checkpoint_folder):
    model = read_task_checkpoint(tiny_checkpoint_folder, TWO).model
    factors = layer_rate_factors(model, 0.5)
    (norm,) = {factors[v.path] for v in model.final_norm.trainable_variables}
    top = {factors[v.path] for v in model.encoder_layers[-1].trainable_variables}
    assert top == {norm} == {0.5}


def test_relative_positions_are_below_the_lowest_layer(tmp_path, small_tokenizer):
    folder = save_random_checkpoint(tmp_path, small_tokenizer, "deberta-v2", **DEBERTA)
    model = read_task_checkpoint(folder, TWO).model
    factors = layer_rate_factors(model, 0.5)
    assert {factors[v.path] for v in model.relative_positions.trainable_variables} == {0.125}


def test_frozen_layers_have_no_rate(tiny_bert_folder):
    model = read_task_checkpoint(tiny_bert_folder, TWO).model
    model.freeze_lower_layers(1)
    parts = {path.split("/")[1] for path in layer_rate_factors(model, 0.5)}
    assert parts == {"layer_1"}


def test_layers_that_are_shared_have_no_rates_of_their_own(tmp_path, words_tokenizer, labelled_csv):
    folder = save_random_checkpoint(tmp_path / "albert", words_tokenizer, "albert")
    config = small_finetuning(labelled_csv, folder, tmp_path / "run", layerwise_lr_decay=0.9)
    with pytest.raises(ConfigError) as caught:
        prepare(config, lambda line: None)
    assert str(caught.value) == (
        "--layerwise_lr_decay is 0.9, but the layers of this model run at several depths; leave "
        "it out"
    )


@pytest.mark.parametrize(
    ("settings", "task", "said"),
    [
        ({"class_weights": "balanced"}, NUMBER, "--class_weights is balanced, but a regression"),
        ({"class_weights": "balanced"}, SEVERAL, "has no classes that exclude each other"),
        ({"label_smoothing": 0.1}, SEVERAL, "--label_smoothing is 0.1, but a multi_label_class"),
        ({"label_smoothing": 0.1}, NUMBER, "--label_smoothing is 0.1, but a regression has no"),
        ({"truncation": "tail"}, TAGS, "--truncation is tail, but words are labelled"),
        ({"classifier_pooling": "cls"}, TAGS, "--classifier_pooling is cls, but words are"),
        ({"metric_name": "pearson"}, TWO, "does not exist for single_label_classification"),
        ({"metric_name": "accuracy"}, NUMBER, "does not exist for regression"),
    ],
)
def test_settings_without_a_meaning_for_the_task_are_refused(settings, task, said):
    with pytest.raises(ConfigError) as caught:
        check_task(FinetuningConfig(**settings), task)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    check_task(FinetuningConfig(), task)


def test_classes_are_balanced_in_each_batch(bert_folder, tmp_path):
    rows = [row for at, row in enumerate(labelled_texts()) if row[1] == "pos" or at % 8 == 1]
    path = write_csv(tmp_path / "rare.csv", ("text", "label"), rows)
    config = small_finetuning(path, bert_folder, tmp_path / "run", class_weights="balanced")
    prepared = prepare(config, lambda line: None)
    counts = np.bincount(prepared.examples["train"].labels)
    _, labels, weights = prepared.batches.batch_at(0)
    assert weights.sum() == pytest.approx(1.0)
    ratio = weights[labels == 0].max() / weights[labels == 1].max()
    assert ratio == pytest.approx(counts[1] / counts[0], rel=1e-5)


@pytest.mark.parametrize(
    ("family", "settings", "has_segments"),
    [("bert", {}, True), ("bert", {"type_vocab_size": 1}, False), ("deberta-v2", DEBERTA, False)],
)
def test_pairs_have_segments_if_the_model_has(family, settings, has_segments, tmp_path):
    tokenizer = KINDS["bert"]()
    assert "token_type_ids" in tokenizer.model_input_names
    folder = save_random_checkpoint(tmp_path / "model", tokenizer, family, **settings)
    rows = [(text, f"it was {text[-4:]}", label) for text, label in labelled_texts()[:48]]
    path = write_csv(tmp_path / "pairs.csv", ("first", "second", "label"), rows)
    columns = {"text_column_names": ["first", "second"], "labels_per_class": ["all"]}
    config = small_finetuning(path, folder, tmp_path / "run", **columns)
    prepared = prepare(config, lambda line: None)
    inputs, _, _ = prepared.batches.batch_at(0)
    assert ("token_type_ids" in inputs) == has_segments
    assert np.isfinite(prepared.make_evaluator().figures().loss)
    texts = prepared.texts
    (probe,) = make_systems(config, prepared.device, texts.train, texts.validation, [].append)
    assert probe.logits(np.arange(len(texts.train)), 0).shape == (len(texts.validation), 2)


def test_texts_that_are_too_long_for_the_model_are_refused(labelled_csv, bert_folder, tmp_path):
    config = small_finetuning(labelled_csv, bert_folder, tmp_path / "run", max_seq_length=65)
    with pytest.raises(ConfigError, match="this model has positions for 64; give that or less"):
        prepare(config, lambda line: None)


def test_the_fingerprint_is_that_of_texts_and_labels(labelled_csv, bert_folder, tmp_path):
    def fingerprint(path, **changes) -> str:
        config = small_finetuning(path, bert_folder, tmp_path / "run", **changes)
        return prepare(config, lambda line: None).fingerprint

    same = fingerprint(labelled_csv)
    assert same == fingerprint(labelled_csv, learning_rate=1e-5)
    assert same != fingerprint(labelled_csv, max_seq_length=5)
    rows = labelled_texts()
    swapped = [(rows[0][0], rows[1][1]), (rows[1][0], rows[0][1]), *rows[2:]]
    assert same != fingerprint(write_csv(tmp_path / "b.csv", ("text", "label"), swapped))


def test_samples_of_the_other_sides_keep_the_shares_of_classes(labelled_csv, bert_folder, tmp_path):
    config = small_finetuning(labelled_csv, bert_folder, tmp_path / "run", max_eval_samples=10)
    lines: list[str] = []
    prepared = prepare(config, lines.append)
    assert np.bincount(prepared.examples["validation"].labels).tolist() == [5, 5]
    assert "validation: 10 of 32 texts are drawn with seed 42" in lines


def test_what_was_decided_is_said_before_labels_are_refused(tmp_path):
    path = tmp_path / "train.csv"
    rows = "".join(f"A film number {number},{number % 4}.5\n" for number in range(20))
    path.write_text(f"text,label\n{rows}Another film,unrated\n")
    lines: list[str] = []
    with pytest.raises(CorpusError, match="the class 'unrated' has fewer than 2 training texts"):
        read_texts(FinetuningConfig(train_file=[str(path)]), lines.append)
    assert lines == [
        "problem type: single_label_classification, because labels are words, such as 'unrated', "
        "although 20 of 21 are numbers (--problem_type decides)"
    ]
