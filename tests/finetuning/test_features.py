"""Features of texts: computed once, in the order of the texts, let through by a new head."""

import dataclasses

import numpy as np
import pytest

from mlm.checkpoint.task import Task
from mlm.checkpoint.task_checkpoint import read_task_checkpoint
from mlm.data.examples.encoded_examples import encode_examples
from mlm.finetuning import features as features_module
from mlm.finetuning.features import FeatureCache, features_of, make_dense_linear
from mlm.model.encoder_config import TaskHeadConfig
from mlm.model.task_head import TaskHead
from tests.evaluation.test_task_evaluator import CLASSES, TAGS, labelled
from tests.model.test_encoder import CONFIG


@pytest.fixture(scope="module", params=[CLASSES, TAGS], ids=["texts", "tokens"])
def read(request, tiny_checkpoint_folder):
    """(model, examples) of a tiny ModernBERT."""
    checkpoint = read_task_checkpoint(tiny_checkpoint_folder, request.param)
    examples = encode_examples(labelled(request.param), checkpoint.tokenizer, 32)
    return checkpoint.model, examples


def test_the_classifier_makes_the_logits_of_them(read):
    model, examples = read
    found = features_of(model, examples, batch_size=6, what="encoding")
    rows = np.arange(len(examples))
    inputs = examples.inputs(rows, 32)
    logits = np.asarray(model(inputs))
    ours = np.asarray(model.head.classifier(found))
    if examples.task.is_of_tokens:
        for row, length in enumerate(examples.lengths):
            np.testing.assert_allclose(ours[row, :length], logits[row, :length], atol=1e-4)
    else:
        np.testing.assert_allclose(ours, logits, atol=1e-4)


def test_texts_are_encoded_once(read, tmp_path, monkeypatch):
    model, examples = read
    encoded: list[int] = []

    def counted(*arguments, **options):
        encoded.append(1)
        return features_of(*arguments, **options)

    monkeypatch.setattr(features_module, "features_of", counted)
    settings = {"batch_size": 8, "what": "encoding"}
    first = FeatureCache(tmp_path / "f").get(model, examples, **settings)
    again = FeatureCache(tmp_path / "f").get(model, examples, **settings)
    np.testing.assert_array_equal(first, again)
    assert len(encoded) == 1
    assert [path.suffix for path in (tmp_path / "f").iterdir()] == [".npy"]
    FeatureCache(tmp_path / "f").get(model, examples.take(np.arange(9)), **settings)
    assert len(encoded) == 2
    model.head.classifier.bias.assign_add(np.ones(model.head.classifier.bias.shape))
    FeatureCache(tmp_path / "f").get(model, examples, **settings)
    assert len(encoded) == 2  # the classifier is not part of them
    scale = model.final_norm.gamma
    scale.assign(scale * 2.0)
    FeatureCache(tmp_path / "f").get(model, examples, **settings)
    assert len(encoded) == 3
    scale.assign(scale / 2.0)


def test_a_damaged_file_is_written_again_and_only_own_files_are_deleted(read, tmp_path):
    model, examples = read
    settings = {"batch_size": 8, "what": "encoding"}
    cache = FeatureCache(tmp_path / "features")
    cache.delete()  # there is none yet
    first = cache.get(model, examples, **settings)
    (path,) = (tmp_path / "features").iterdir()
    for content in (b"", b"nothing", path.read_bytes()[:200]):
        path.write_bytes(content)
        np.testing.assert_array_equal(cache.get(model, examples, **settings), first)
    (tmp_path / "features" / ".writing-x").mkdir()
    (tmp_path / "features" / "mine.npy").write_bytes(b"x")
    cache.delete()
    assert [each.name for each in (tmp_path / "features").iterdir()] == ["mine.npy"]
    (tmp_path / "features" / "mine.npy").unlink()
    cache.get(model, examples, **settings)
    cache.delete()
    assert not (tmp_path / "features").exists()


@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu", "linear"])
def test_a_new_dense_layer_is_linear_after_it(activation):
    width = CONFIG.hidden_size
    settings = TaskHeadConfig("sequence", 2, dense_size=width, dense_act=activation)
    head = TaskHead(dataclasses.replace(CONFIG, task_head=settings))
    head.build((None, width))

    class Model:
        task_head = settings

    model = Model()
    model.head = head
    states = np.random.default_rng(0).normal(size=(64, width), scale=4.0).astype("float32")
    make_dense_linear(model, float(np.abs(states).max()))
    found = np.asarray(head.features(states))
    ones = np.concatenate([states, np.ones((64, 1), "float32")], axis=1)
    solution, *_ = np.linalg.lstsq(ones, found, rcond=None)
    spread = found.std()
    np.testing.assert_allclose(ones @ solution / spread, found / spread, atol=1e-3)
    # Nothing of the states is lost: they are linear in the features as well.
    back, *_ = np.linalg.lstsq(
        np.concatenate([found - found.mean(0), np.ones((64, 1), "float32")], axis=1),
        states,
        rcond=None,
    )
    restored = np.concatenate([found - found.mean(0), np.ones((64, 1), "float32")], axis=1) @ back
    np.testing.assert_allclose(restored / states.std(), states / states.std(), atol=1e-2)


def test_a_task_of_one_number_has_features_too(tiny_bert_folder, tmp_path):
    task = Task("regression", ("score",))
    checkpoint = read_task_checkpoint(tiny_bert_folder, task)
    texts = labelled(CLASSES)
    numbers = type(texts)(texts.texts, [0.5] * len(texts), task, None)
    examples = encode_examples(numbers, checkpoint.tokenizer, 32)
    found = features_of(checkpoint.model, examples, batch_size=8, what="encoding")
    assert found.shape == (20, checkpoint.model.head.width)
