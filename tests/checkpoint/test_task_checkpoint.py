"""Checkpoints opened for a task: what is taken, what is new, what is said, what is refused."""

import json

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from mlm.checkpoint.families import family_of
from mlm.checkpoint.folder import read_checkpoint, save_checkpoint, verify_folder
from mlm.checkpoint.task import Task
from mlm.checkpoint.task_checkpoint import open_task_checkpoint, read_task_checkpoint
from mlm.checkpoint.weights import variables_by_name
from mlm.errors import CheckpointError, ConfigError
from tests.checkpoint.test_families import small_config
from tests.checkpoint.test_task_heads import AUTO, TASKS, our_logits, padded_batch, torch_logits
from tests.support.small_models import every_family
from tests.support.sweeps import sweep

TWO = Task("single_label_classification", ("bad", "good"))
FIVE = Task("single_label_classification", tuple("12345"))
KINDS = pytest.mark.parametrize("kind", TASKS)
FAMILY = pytest.mark.parametrize("family", sweep(every_family(), quick=["bert", "modernbert"]))
CLASSIFIER = ("head/classifier/kernel", "head/classifier/bias")


def values(model) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in variables_by_name(model).items()}


def labels_of(task: Task) -> dict[int, str]:
    return dict(enumerate(task.labels))


@pytest.fixture
def save_torch(tmp_path, small_tokenizer):
    """save_torch(auto_class, family, **settings) -> (folder, PyTorch model)."""

    def save(auto, family: str, **settings):
        torch.manual_seed(2)
        model = auto.from_config(small_config(family, initializer_range=0.3, **settings))
        folder = tmp_path / f"{family}-{auto.__name__}"
        model.save_pretrained(folder)
        small_tokenizer.save_pretrained(folder)
        return folder, model

    return save


@FAMILY
@KINDS
def test_a_masked_lm_gets_a_head_that_transformers_reads(
    family, kind, save_torch, tmp_path, caplog
):
    folder, _ = save_torch(transformers.AutoModelForMaskedLM, family)
    found = read_task_checkpoint(folder, TASKS[kind], seed=3)
    assert set(found.new_variables) >= set(CLASSIFIER)
    assert f"new ones are initialized for {len(TASKS[kind].labels)} labels" in caplog.text
    encoder = {k: v for k, v in values(read_checkpoint(folder).model).items() if "head/" not in k}
    ours = values(found.model)
    for name, value in encoder.items():
        np.testing.assert_array_equal(ours[name], value, err_msg=name)
    save_checkpoint(found.model, found.tokenizer, tmp_path / "new", hf_config=found.hf_config)
    verify_folder(tmp_path / "new")
    theirs, loading = AUTO[kind].from_pretrained(tmp_path / "new", output_loading_info=True)
    assert not any(loading.values()), loading
    batch = padded_batch()
    expected, logits = torch_logits(theirs.eval(), batch), our_logits(found.model, batch)
    real = batch["attention_mask"].astype(bool) if kind == "token" else slice(None)
    np.testing.assert_allclose(logits[real], expected[real], atol=1e-4)
    again = read_task_checkpoint(tmp_path / "new")
    assert (again.task, again.new_variables) == (TASKS[kind], ())
    for name, value in values(again.model).items():
        np.testing.assert_array_equal(ours[name], value, err_msg=name)


@FAMILY
def test_initial_values_are_drawn_as_transformers_draws_them(family, save_torch):
    task = Task("multi_label_classification", tuple(f"label {index}" for index in range(300)))
    folder, _ = save_torch(transformers.AutoModelForMaskedLM, family)
    ours = read_task_checkpoint(folder, task)
    theirs = AUTO["sequence"].from_config(
        small_config(family, initializer_range=0.3, id2label=labels_of(task))
    )
    parameters = dict(theirs.named_parameters())
    names = family_of(family).tensor_names(ours.config)
    for key in ours.new_variables:
        value, other = values(ours.model)[key], parameters[names[key][0]].detach().numpy()
        assert value.std() == pytest.approx(other.std(), rel=0.1), key


@FAMILY
def test_the_seed_draws_the_new_head(family, save_torch):
    folder, _ = save_torch(transformers.AutoModelForMaskedLM, family)
    first, same, other = (
        values(read_task_checkpoint(folder, TWO, seed=seed).model)[CLASSIFIER[0]]
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).max() > 1e-3


def test_the_pooling_of_a_new_task_is_a_setting_where_the_family_has_it(save_torch, tmp_path):
    folder, _ = save_torch(transformers.AutoModelForMaskedLM, "modernbert")
    found = read_task_checkpoint(folder, TWO, classifier_pooling="mean")
    assert found.config.task_head.pooling == "mean"
    save_checkpoint(found.model, found.tokenizer, tmp_path / "new", hf_config=found.hf_config)
    again = read_task_checkpoint(tmp_path / "new")
    batch = padded_batch()
    np.testing.assert_array_equal(our_logits(found.model, batch), our_logits(again.model, batch))
    folder, _ = save_torch(transformers.AutoModelForMaskedLM, "bert")
    with pytest.raises(ConfigError, match="is 'mean', but bert classifies by the first token only"):
        open_task_checkpoint(folder, TWO, classifier_pooling="mean")


def test_modernberts_head_and_berts_pooler_are_taken(save_torch):
    folder, model = save_torch(transformers.AutoModelForMaskedLM, "modernbert")
    found = read_task_checkpoint(folder, TWO)
    assert found.new_variables == CLASSIFIER
    stored = model.head.dense.weight.detach().numpy().T
    np.testing.assert_array_equal(values(found.model)["head/dense/kernel"], stored)
    folder, model = save_torch(transformers.AutoModelForPreTraining, "bert")
    found = read_task_checkpoint(folder, TWO)
    assert found.new_variables == CLASSIFIER
    stored = model.bert.pooler.dense.weight.detach().numpy().T
    np.testing.assert_array_equal(values(found.model)["head/dense/kernel"], stored)


@FAMILY
@KINDS
def test_another_number_of_labels_replaces_the_classifier_alone(family, kind, save_torch, caplog):
    folder, _ = save_torch(AUTO[kind], family, id2label=labels_of(FIVE))
    own = read_task_checkpoint(folder)
    found = read_task_checkpoint(folder, TASKS[kind])
    assert found.new_variables == CLASSIFIER
    assert "classifier has 5 labels, the task 3: all else is kept, and new weights" in caplog.text
    before, after = values(own.model), values(found.model)
    for name in after.keys() - set(CLASSIFIER):
        np.testing.assert_array_equal(before[name], after[name], err_msg=name)
    assert after[CLASSIFIER[0]].shape[-1] == 3
    assert np.abs(after[CLASSIFIER[0]]).max() > 0


def test_the_same_number_of_other_labels_keeps_the_classifier_and_says_so(save_torch, caplog):
    folder, _ = save_torch(AUTO["sequence"], "bert")
    found = read_task_checkpoint(folder, TWO)
    assert found.new_variables == ()
    assert found.hf_config.id2label == {0: "bad", 1: "good"}
    assert (
        "was trained for the labels ['LABEL_0', 'LABEL_1']; its weights are the initial values "
        "for ['bad', 'good']"
    ) in caplog.text


def test_a_head_of_texts_is_not_one_of_tokens(save_torch):
    folder, _ = save_torch(AUTO["token"], "roberta", id2label=labels_of(TASKS["token"]))
    found = read_task_checkpoint(folder, TASKS["sequence"])
    assert len(found.new_variables) == 4


@FAMILY
@KINDS
def test_a_classifier_loads_as_an_encoder_without_a_masked_lm_head(
    family, kind, save_torch, caplog
):
    folder, _ = save_torch(AUTO[kind], family)
    found = read_checkpoint(folder)
    assert found.fresh_head
    assert "has no masked-LM head" in caplog.text
    with_task = values(read_task_checkpoint(folder).model)
    for name, value in values(found.model).items():
        if "head/" not in name:
            np.testing.assert_array_equal(with_task[name], value, err_msg=name)


def test_a_masked_lm_has_no_task_of_its_own(save_torch):
    folder, _ = save_torch(transformers.AutoModelForMaskedLM, "bert")
    with pytest.raises(CheckpointError, match="not the checkpoint of a classifier") as refusal:
        open_task_checkpoint(folder)
    assert "(config.json has architectures ['BertForMaskedLM'])" in str(refusal.value)
    assert f"mlm finetune --model_name_or_path {folder}" in str(refusal.value)


def rewrite(folder, change) -> None:
    path = folder / "model.safetensors"
    tensors = change(load_file(path))
    save_file({name: value.contiguous() for name, value in tensors.items()}, path, {"format": "pt"})


@pytest.mark.parametrize("name", ["classifier.bias", "bert.pooler.dense.weight"])
def test_an_own_classifier_has_to_be_whole(name, save_torch):
    folder, _ = save_torch(AUTO["sequence"], "bert")
    rewrite(folder, lambda tensors: {key: x for key, x in tensors.items() if key != name})
    with pytest.raises(CheckpointError, match=f"lacks the tensor {name}, so its classifier cannot"):
        open_task_checkpoint(folder)
    new = open_task_checkpoint(folder, TWO).new_variables
    assert len(new) == (2 if name == "classifier.bias" else 1)


@pytest.mark.parametrize("check", [verify_folder, open_task_checkpoint])
def test_a_classifier_has_the_shape_that_the_config_implies(check, save_torch):
    folder, _ = save_torch(AUTO["sequence"], "bert")
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {"0": "a", "1": "b", "2": "c"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"has shape \(2.*\); config.json implies \(3"):
        check(folder)
    assert read_checkpoint(folder).fresh_head  # an encoder does not use it


@pytest.mark.parametrize("check", [verify_folder, open_task_checkpoint])
def test_a_tensor_that_is_not_of_the_model_is_refused(check, save_torch):
    folder, _ = save_torch(AUTO["sequence"], "bert")
    rewrite(folder, lambda tensors: tensors | {"adapter.weight": torch.zeros(2)})
    with pytest.raises(CheckpointError, match="holds 'adapter\\.weight', which config"):
        check(folder)


def test_a_layer_of_the_encoder_may_not_be_missing(save_torch):
    folder, _ = save_torch(AUTO["sequence"], "bert")
    lost = "bert.encoder.layer.1.output.dense.bias"
    rewrite(folder, lambda tensors: {key: x for key, x in tensors.items() if key != lost})
    for task in (None, TWO):
        with pytest.raises(CheckpointError, match=f"lacks the tensor {lost}"):
            open_task_checkpoint(folder, task)


@pytest.mark.parametrize("family", every_family())
def test_an_untied_masked_lm_leaves_its_decoder(family, save_torch):
    folder, _ = save_torch(transformers.AutoModelForMaskedLM, family, tie_word_embeddings=False)
    assert set(open_task_checkpoint(folder, TWO).new_variables) >= set(CLASSIFIER)
