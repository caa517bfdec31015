"""Each family's heads for supervised tasks against transformers' classes: same weights, logits."""

import json

import keras
import numpy as np
import pytest
import torch
import transformers

from mlm.checkpoint.config_task import config_for_task
from mlm.checkpoint.families import FAMILIES, encoder_config_of
from mlm.checkpoint.folder import save_checkpoint, verify_folder
from mlm.checkpoint.task import Task
from mlm.checkpoint.task_checkpoint import read_task_checkpoint
from mlm.checkpoint.weights import variables_by_name
from mlm.model.encoder_config import variable_shapes
from mlm.model.task_model import TaskModel
from tests.checkpoint.test_families import small_config
from tests.support.small_models import every_family
from tests.support.sweeps import sweep

TOLERANCE = 1e-4
SENTIMENT = Task("single_label_classification", ("bad", "good", "neither nor"))
TASKS = {"sequence": SENTIMENT, "token": Task("token_classification", ("O", "B-é", "I-é"))}
AUTO = {
    "sequence": transformers.AutoModelForSequenceClassification,
    "token": transformers.AutoModelForTokenClassification,
}
CASES = [(family, kind, {}) for family in FAMILIES for kind in TASKS] + [
    ("modernbert", "sequence", {"classifier_pooling": "mean"}),
    ("modernbert", "sequence", {"classifier_bias": True, "norm_bias": True}),
    ("modernbert", "token", {"classifier_bias": True, "norm_bias": True}),
    ("deberta-v2", "sequence", {"pooler_hidden_act": "tanh", "type_vocab_size": 2}),
]
QUICK = [case for case in CASES if not case[2] or "classifier_pooling" in case[2]]
EACH_CASE = pytest.mark.parametrize(
    "case", sweep([pytest.param(case, id=" ".join(map(str, case))) for case in CASES], QUICK)
)


def padded_batch() -> dict[str, np.ndarray]:
    """Return three sequences of 12, 7 and 2 tokens."""
    attention_mask = (np.arange(12) < np.array([[12], [7], [2]])).astype("int32")
    input_ids = np.random.default_rng(0).integers(5, 60, (3, 12)).astype("int32")
    return {"input_ids": input_ids * attention_mask, "attention_mask": attention_mask}


def random_config(family: str, kind: str, **changes):
    return config_for_task(small_config(family, initializer_range=0.3, **changes), TASKS[kind])


def torch_model(config, kind: str):
    """Return a random PyTorch model whose biases and norms are not exactly 0 or 1."""
    torch.manual_seed(3)
    model = AUTO[kind].from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def our_logits(model, batch) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(batch))


def torch_logits(model, batch) -> np.ndarray:
    with torch.no_grad():
        return model(**{key: torch.from_numpy(x).long() for key, x in batch.items()}).logits.numpy()


def largest_difference(ours, theirs, batch) -> float:
    """Return the largest difference of a logit: of a text, or of a token that is not padding."""
    assert ours.shape == theirs.shape
    assert np.abs(theirs).max() > 0.1
    of_text = np.ones(len(ours), bool)
    where = of_text if ours.ndim == 2 else batch["attention_mask"].astype(bool)
    return float(np.abs(ours - theirs)[where].max())


@EACH_CASE
def test_a_classifier_of_transformers_gives_the_same_logits_here(case, tmp_path, small_tokenizer):
    family, kind, changes = case
    theirs = torch_model(random_config(family, kind, **changes), kind)
    theirs.save_pretrained(tmp_path)
    small_tokenizer.save_pretrained(tmp_path)
    verify_folder(tmp_path)
    ours = read_task_checkpoint(tmp_path)
    assert (ours.task, ours.new_variables) == (TASKS[kind], ())
    batch = padded_batch()
    difference = largest_difference(
        our_logits(ours.model, batch), torch_logits(theirs, batch), batch
    )
    print(f"{family}, {kind}, {changes}: theirs read here: {difference:.1e}")
    assert difference < TOLERANCE


@EACH_CASE
def test_transformers_loads_every_tensor_of_our_classifier(case, tmp_path, small_tokenizer):
    family, kind, changes = case
    config = random_config(family, kind, **changes)
    keras.utils.set_random_seed(5)
    ours = TaskModel(encoder_config_of(config, TASKS[kind]))
    ours.build()
    random = np.random.default_rng(0)
    for variable in ours.weights:  # biases and norms that are not exactly 0 or 1
        if len(variable.shape) == 1:
            variable.assign_add(random.normal(0, 0.1, variable.shape))
    save_checkpoint(ours, small_tokenizer, tmp_path, hf_config=config)
    verify_folder(tmp_path)
    theirs, loading = AUTO[kind].from_pretrained(tmp_path, output_loading_info=True)
    assert not any(loading.values()), loading
    assert theirs.config.id2label == dict(enumerate(TASKS[kind].labels))
    batch = padded_batch()
    expected = torch_logits(theirs.eval(), batch)
    difference = largest_difference(our_logits(ours, batch), expected, batch)
    print(f"{family}, {kind}, {changes}: ours read there: {difference:.1e}")
    assert difference < TOLERANCE


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("family", every_family())
def test_the_shape_is_known_before_the_model_is_built(family, kind):
    config = encoder_config_of(small_config(family), TASKS[kind])
    model = TaskModel(config)
    model.build()
    built = {name: tuple(value.shape) for name, value in variables_by_name(model).items()}
    assert variable_shapes(config) == built
    assert FAMILIES[family].tensor_names(config).keys() == built.keys()


def test_pairs_of_texts_have_their_segments(tmp_path, small_tokenizer):
    theirs = torch_model(random_config("bert", "sequence"), "sequence")
    theirs.save_pretrained(tmp_path)
    small_tokenizer.save_pretrained(tmp_path)
    ours = read_task_checkpoint(tmp_path)
    batch = padded_batch()
    pairs = batch | {
        "token_type_ids": (np.arange(12) > 4).astype("int32") * batch["attention_mask"]
    }
    expected = torch_logits(theirs, pairs)
    assert np.abs(expected - torch_logits(theirs, batch)).max() > 0.01
    assert largest_difference(our_logits(ours.model, pairs), expected, pairs) < TOLERANCE


def test_problem_type_labels_and_pooling_are_written_as_transformers_has_them(
    tmp_path, small_tokenizer
):
    task = Task("multi_label_classification", ("warm", "rainy day"))
    config = config_for_task(small_config("modernbert", classifier_pooling="mean"), task)
    model = TaskModel(encoder_config_of(config, task))
    model.build()
    save_checkpoint(model, small_tokenizer, tmp_path, hf_config=config)
    written = json.loads((tmp_path / "config.json").read_text())
    assert written["architectures"] == ["ModernBertForSequenceClassification"]
    assert written["id2label"] == {"0": "warm", "1": "rainy day"}
    assert written["label2id"] == {"warm": 0, "rainy day": 1}
    assert written["problem_type"] == task.problem_type
    assert written["classifier_pooling"] == "mean"
    assert read_task_checkpoint(tmp_path).task == task
