"""The systems beside the adapted model: its base by the record, random weights, TF-IDF."""

import dataclasses
import json

import numpy as np
import pytest

from mlm import hub
from mlm.checkpoint.folder import save_checkpoint
from mlm.checkpoint.task import Task
from mlm.checkpoint.task_checkpoint import read_task_checkpoint
from mlm.checkpoint.weights import variables_by_name
from mlm.errors import ConfigError
from mlm.finetuning.comparison import base_model_of, make_systems, random_weights
from mlm.finetuning.config import FinetuningConfig
from mlm.finetuning.preparation import prepare
from mlm.finetuning.systems import TfidfSystem, can_use_tfidf
from mlm.finetuning.tfidf import tfidf_scores
from tests.support.labelled_texts import labelled_texts, small_finetuning, tagged_lines
from tests.support.served_hub import Plan, served_hub

PROBE = {"freeze_encoder": True, "labels_per_class": ["all"]}
TWO = Task("single_label_classification", ("neg", "pos"))


@pytest.fixture(scope="module")
def adapted(bert_folder):
    return read_task_checkpoint(bert_folder, TWO)


def base_of(adapted, training, **settings):
    config = FinetuningConfig(model_name_or_path="runs/imdb", **settings)
    return base_model_of(config, dataclasses.replace(adapted, training=training))


def test_the_base_is_what_the_record_says(adapted):
    record = {"base_model": {"repo_id": "me/base", "commit": "abc"}, "config": {}}
    assert base_of(adapted, record) == ("me/base", "abc")
    scratch = {"base_model": None, "config": {"model_name_or_path": None}}
    assert base_of(adapted, scratch) == (None, None)
    given = base_of(
        adapted,
        None,
        base_model_name_or_path="me/other",
        labels_per_class=["8"],
        compare=["base"],
    )
    assert given == ("me/other", None)


@pytest.mark.parametrize(
    "record",
    [
        None,
        {"base_model": {"repo_id": None, "commit": None}, "config": {"model_name_or_path": "base"}},
        {"base_model": "me/base"},
    ],
)
def test_a_record_that_does_not_say_is_refused(adapted, record):
    with pytest.raises(ConfigError) as caught:
        base_of(adapted, record)
    assert str(caught.value) == (
        "the record of runs/imdb does not say which model it was adapted from; name that as "
        "--base_model_name_or_path, or leave base out of --compare"
    )


def test_random_weights_have_the_shape_and_nothing_else(adapted):
    found = random_weights(adapted, "float32", 3)
    same, other = (random_weights(adapted, "float32", seed) for seed in (3, 4))
    name = "layer_0/mlp/input/kernel"
    mine, again, fourth, trained = (
        np.asarray(variables_by_name(each.model)[name]) for each in (found, same, other, adapted)
    )
    assert mine.shape == trained.shape
    np.testing.assert_array_equal(mine, again)
    assert np.abs(mine - fourth).max() > 1e-3
    assert np.abs(mine - trained).max() > 1e-3


def test_random_weights_of_a_tagger_have_no_dense_layer(bert_folder, tmp_path):
    path = tmp_path / "a.conll"
    rare = "\n\nthe B-RARE\nfilm B-KIND\n"
    path.write_text(tagged_lines() + rare, encoding="utf-8")
    config = small_finetuning(path, bert_folder, tmp_path / "run", compare=["random"], **PROBE)
    prepared = prepare(config, lambda line: None)
    train, test = prepared.texts.train, prepared.texts.validation
    systems = make_systems(config, prepared.device, train, test, lambda line: None)
    assert [system.name for system in systems] == ["adapted", "random"]
    without_rare = [row for row, tags in enumerate(train.labels) if "B-RARE" not in tags]
    assert len(prepared.task.labels) == 3
    for system in systems:  # of two of the three tags
        assert system.logits(np.array(without_rare[:4]), 42).shape == (len(test), 8, 3)


@pytest.fixture
def published(tmp_path, monkeypatch, bert_folder, words_tokenizer):
    """A base on a local Hub, and a folder that was adapted from it: other weights, a record."""
    with served_hub(tmp_path, monkeypatch, Plan()):
        commit = hub.push_checkpoint(bert_folder, "me/base").commit
        from mlm.checkpoint.folder import read_checkpoint

        checkpoint = read_checkpoint(bert_folder)
        for variable in checkpoint.model.trainable_variables:
            variable.assign(variable * 1.5)
        record = {
            "base_model": {"repo_id": "me/base", "commit": commit},
            "config": {"model_name_or_path": "me/base"},
        }
        save_checkpoint(
            checkpoint.model,
            words_tokenizer,
            tmp_path / "adapted",
            hf_config=checkpoint.hf_config,
            training=record,
        )
        yield tmp_path / "adapted"


def test_systems_are_made_of_the_hubs_base_random_weights_and_words(
    published, labelled_csv, tmp_path
):
    assert json.loads((published / "training.json").read_text())["base_model"]["repo_id"]
    config = small_finetuning(
        labelled_csv,
        published,
        tmp_path / "run",
        compare=["base", "random", "tfidf", "base"],
        **PROBE,
    )
    prepared = prepare(config, lambda line: None)
    train, test = prepared.texts.train, prepared.texts.validation
    lines: list[str] = []
    systems = make_systems(config, prepared.device, train, test, lines.append)
    assert [system.name for system in systems] == ["adapted", "base", "random", "TF-IDF"]
    assert lines == []
    logits = [system.logits(np.arange(len(train)), 42) for system in systems]
    assert {each.shape for each in logits} == {(len(test), 2)}
    assert np.abs(logits[0] - logits[1]).max() > 1e-3
    files = sorted((tmp_path / "run" / "features").glob("*.npy"))
    assert len(files) == 6  # two sides of three encoders
    repeated = systems[1].logits(np.arange(len(train)), 42)
    np.testing.assert_array_equal(repeated, logits[1])


def test_a_base_that_is_none_is_said(bert_folder, labelled_csv, tmp_path, words_tokenizer):
    from mlm.checkpoint.folder import read_checkpoint

    checkpoint = read_checkpoint(bert_folder)
    record = {"base_model": None, "config": {"model_name_or_path": None}}
    save = {"hf_config": checkpoint.hf_config, "training": record}
    save_checkpoint(checkpoint.model, words_tokenizer, tmp_path / "scratch", **save)
    config = small_finetuning(
        labelled_csv,
        tmp_path / "scratch",
        tmp_path / "run",
        labels_per_class=["all"],
        compare=["base"],
    )
    prepared = prepare(config, lambda line: None)
    lines: list[str] = []
    texts = prepared.texts
    systems = make_systems(config, prepared.device, texts.train, texts.validation, lines.append)
    assert [system.name for system in systems] == ["adapted"]
    assert lines == [
        f"base is left out: {tmp_path / 'scratch'} was trained from scratch, so random weights are "
        "what it was before"
    ]


# TF-IDF

TEXTS = [text for text, _ in labelled_texts()]
IS_POS = np.array([label == "pos" for _, label in labelled_texts()])


def test_words_are_enough_where_a_word_decides():
    scores = tfidf_scores(TEXTS[:64], IS_POS[:64].astype("int32"), TEXTS[64:], TWO)
    assert scores.shape == (64, 2)
    np.testing.assert_array_equal(scores.argmax(1) == 1, IS_POS[64:])
    labels = np.stack([IS_POS, ["film" in text for text in TEXTS]], axis=1).astype("float32")
    several = Task("multi_label_classification", ("pos", "film"))
    scores = tfidf_scores(TEXTS[:64], labels[:64], TEXTS[64:], several)
    np.testing.assert_array_equal(scores > 0, labels[64:] > 0)
    numbers = IS_POS.astype("float32") * 2 + 1
    scores = tfidf_scores(TEXTS[:64], numbers[:64], TEXTS[64:], Task("regression", ("score",)))
    assert scores.shape == (64, 1)
    assert np.corrcoef(scores[:, 0], numbers[64:])[0, 1] > 0.9


@pytest.mark.parametrize("present", [[2], [0, 2], [0, 1, 3]])
def test_a_class_without_a_text_has_a_score_and_is_never_the_best(present):
    labels = np.array(present)[np.arange(64) % len(present)]
    task = Task("single_label_classification", tuple("abcd"))
    scores = tfidf_scores(TEXTS[:64], labels, TEXTS[64:], task)
    assert scores.shape == (64, 4)
    assert set(scores.argmax(1)) <= set(present)
    assert np.isfinite(scores).all()


def test_a_label_that_all_texts_have_or_none_is_a_constant():
    labels = np.stack([IS_POS, np.ones(128), np.zeros(128)], axis=1).astype("float32")[:64]
    task = Task("multi_label_classification", ("pos", "all", "none"))
    scores = tfidf_scores(TEXTS[:64], labels, TEXTS[64:], task)
    np.testing.assert_array_equal(scores[:, 0] > 0, IS_POS[64:])
    expected = np.tile([np.log(129), -np.log(129)], (64, 1))
    np.testing.assert_allclose(scores[:, 1:], expected, rtol=1e-5)


def test_words_are_balanced_as_probes_are():
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    few = [text for text, is_pos in zip(TEXTS, IS_POS, strict=True) if not is_pos][:6]
    train = [*few, *(text for text, is_pos in zip(TEXTS, IS_POS, strict=True) if is_pos)]
    labels = np.arange(len(train)) >= 6
    found = tfidf_scores(train, labels.astype("int32"), TEXTS, TWO, balanced=True)
    vectorizer = TfidfVectorizer(sublinear_tf=True)
    theirs = LogisticRegression(C=10.0, class_weight="balanced", max_iter=1000)
    theirs.fit(vectorizer.fit_transform(train), labels)
    np.testing.assert_allclose(found, theirs.predict_log_proba(vectorizer.transform(TEXTS)))
    plain = tfidf_scores(train, labels.astype("int32"), TEXTS, TWO)
    assert np.abs(found - plain).max() > 0.1


@pytest.mark.parametrize("text", ["👍 👍", "a b"])
def test_texts_without_words_tell_nothing_apart(text):
    scores = tfidf_scores([text] * 8, np.arange(8, dtype="int32") % 2, ["a good film"], TWO)
    np.testing.assert_allclose(np.exp(scores), 0.5, atol=1e-3)


def test_pairs_are_joined_and_tokens_have_no_words(bert_folder, labelled_csv, tmp_path):
    prepared = prepare(
        small_finetuning(labelled_csv, bert_folder, tmp_path / "run"), lambda line: None
    )
    train = prepared.texts.train
    empty = ["it was"] * len(train)
    pairs = dataclasses.replace(train, texts=empty, second_texts=train.texts)
    test = pairs.take(range(8))
    logits = TfidfSystem(pairs, test).logits(np.arange(len(train)), 0)
    assert [TWO.labels[each] for each in logits.argmax(1)] == test.labels
    assert can_use_tfidf(TWO)
    assert not can_use_tfidf(Task("token_classification", ("O",)))
