"""The task of a config: as transformers understands it, with names that can be shown and saved."""

import json

import pytest

from mlm.checkpoint.config_json import read_config
from mlm.checkpoint.config_task import (
    architecture_of,
    check_task,
    config_for_task,
    stated_task,
    task_of,
)
from mlm.checkpoint.families import encoder_config_of
from mlm.checkpoint.task import Task
from mlm.errors import CheckpointError
from tests.checkpoint.test_families import FAMILY, small_config

SEQUENCE, TOKEN = "BertForSequenceClassification", "BertForTokenClassification"


def read(folder, **fields):
    """Return the config of a folder whose config.json has these fields beside BERT's."""
    raw = {"model_type": "bert", "architectures": [SEQUENCE]} | fields
    (folder / "config.json").write_text(json.dumps(raw))
    return read_config(folder)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, Task("single_label_classification", ("LABEL_0", "LABEL_1"))),
        ({"id2label": {"1": "b", "0": "a"}}, Task("single_label_classification", ("a", "b"))),
        ({"id2label": {"0": "score"}}, Task("regression", ("score",))),
        (
            {"id2label": {"0": "a"}, "problem_type": "multi_label_classification"},
            Task("multi_label_classification", ("a",)),
        ),
        (
            {"id2label": {"0": "O", "1": "B-x"}, "architectures": [TOKEN]},
            Task("token_classification", ("O", "B-x")),
        ),
        ({"architectures": ["BertForMaskedLM"]}, None),
        ({"architectures": ["BertModel"], "problem_type": "regression"}, None),
        ({"architectures": ["RobertaForSequenceClassification"]}, None),
        ({"architectures": None}, None),
    ],
)
def test_the_task_is_read_as_transformers_understands_it(fields, expected, tmp_path):
    assert task_of(read(tmp_path, **fields)) == expected


@FAMILY
@pytest.mark.parametrize(
    "task",
    [
        Task("single_label_classification", ("a", "b c")),
        Task("multi_label_classification", ("x", "y", "ž")),
        Task("regression", ("stars",)),
        Task("token_classification", ("O", "B-x", "I-x")),
    ],
)
def test_a_task_goes_through_a_config(family, task, tmp_path):
    before = small_config(family)
    config = config_for_task(before, task)
    assert before.architectures == small_config(family).architectures  # a copy was changed
    config.to_json_file(tmp_path / "config.json", use_diff=False)
    assert task_of(read_config(tmp_path)) == task
    encoder = encoder_config_of(config, task)
    assert [architecture_of(config, encoder)] == config.architectures


def test_labels_that_are_not_the_models_are_not_written():
    task = Task("single_label_classification", ("a", "b", "c"))
    with pytest.raises(ValueError, match="the model has 3 labels, its config names 2"):
        architecture_of(small_config("bert"), encoder_config_of(small_config("bert"), task))


HOSTILE = {
    "a line end": ({"id2label": {"0": "good", "1": "a\nb"}}, "label 1 is 'a\\\\nb'; expected a"),
    "a terminal's escape": ({"id2label": {"0": "\x1b[2J", "1": "b"}}, "label 0 is '.x1b"),
    "right to left": ({"id2label": {"0": "\u202egood", "1": "b"}}, "printable characters"),
    "an empty name": ({"id2label": {"0": "", "1": "b"}}, "label 0 is ''; expected a name of 1 to"),
    "a long name": ({"id2label": {"0": "g" * 129, "1": "b"}}, "a name of 1 to 128 printable"),
    "half a surrogate pair": ({"id2label": {"0": "\ud800", "1": "b"}}, "half a surrogate pair"),
    "the same name twice": ({"id2label": {"0": "a", "1": "a"}}, "two labels have the name 'a'"),
    "a gap": ({"id2label": {"0": "a", "2": "b"}}, "id2label has the ids .0, 2.; expected 0 and"),
    "an id below 0": ({"id2label": {"-1": "a", "0": "b"}}, "id2label has the ids .-1, 0.;"),
    "one id twice": ({"id2label": {"0": "a", "00": "b", "1": "c"}}, None),
    "a number for a name": (
        {"id2label": {"0": 3, "1": "b"}},
        "config.json' cannot be used|label 0",
    ),
    "a list for a name": ({"id2label": {"0": ["a"], "1": "b"}}, "cannot be used|label 0"),
    "no labels": ({"id2label": {}}, "cannot be used|id2label has the ids"),
    "a list of labels": ({"id2label": ["a", "b"]}, "cannot be used|id2label"),
    "too many": ({"id2label": {str(n): "a" for n in range(10_001)}}, "65,536 at most|10,000"),
    "a huge number": ({"num_labels": 10**6}, "num_labels is 1000000; expected an integer from 0"),
    "a regression of two": (
        {"problem_type": "regression", "id2label": {"0": "a", "1": "b"}},
        "the task is regression with 2 labels; expected 1",
    ),
    "a choice of one": (
        {"problem_type": "single_label_classification", "id2label": {"0": "a"}},
        "single_label_classification",
    ),
    "an unknown problem": (
        {"problem_type": "token_classification"},
        "problem_type is 'token_classification'; expected single_label_classification or",
    ),
    "a problem of lists": ({"problem_type": ["regression"]}, "problem_type is \\['regression'\\]"),
    "an unknown pooling": (
        {"model_type": "modernbert", "classifier_pooling": "max"},
        "classifier_pooling is 'max'; expected cls or mean",
    ),
    "no pooling": (
        {"model_type": "modernbert", "classifier_pooling": None},
        "classifier_pooling is None; expected cls or mean",
    ),
    "a dropout of 1": ({"classifier_dropout": 1}, "classifier_dropout is 1; expected a number"),
    "a dropout of DeBERTa": ({"cls_dropout": -0.1}, "cls_dropout is -0.1; expected a number"),
    "a pooler of 2**40": ({"pooler_hidden_size": 2**40}, "pooler_hidden_size is 1099511627776;"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_config_is_refused_in_one_line(name, tmp_path):
    fields, said = HOSTILE[name]
    if said is None:  # the ids are equal numbers: the last one counts
        assert task_of(read(tmp_path, **fields)).labels == ("b", "c")
        return
    with pytest.raises(CheckpointError, match=said) as refusal:
        task_of(read(tmp_path, **fields))
    assert len(str(refusal.value).splitlines()) == 1
    assert len(str(refusal.value)) < 700
    assert str(refusal.value).isprintable()


def test_odd_names_of_labels_do_not_matter_to_an_encoder(tmp_path):
    config = read(tmp_path, id2label={"0": "a\n", "1": "a\n"})
    assert stated_task(config) is not None


def test_a_pooler_of_another_width_is_refused():
    config = small_config("deberta-v2")
    config.pooler_hidden_size = 12
    task = Task("single_label_classification", ("a", "b"))
    with pytest.raises(CheckpointError, match="pooler_hidden_size is 12; only that of hidden_size"):
        encoder_config_of(config, task)


def test_an_unknown_activation_of_a_pooler_is_refused():
    config = small_config("deberta-v2", pooler_hidden_act="prelu")
    task = Task("single_label_classification", ("a", "b"))
    with pytest.raises(CheckpointError, match="activation 'prelu' is not among"):
        encoder_config_of(config, task)


def test_more_labels_than_a_config_can_hold_are_refused_before_training():
    labels = tuple(f"{'long ' * 20}{index}" for index in range(500))
    with pytest.raises(CheckpointError, match=r"500 labels would have .* a config has 65,536"):
        config_for_task(small_config("bert"), Task("multi_label_classification", labels))
    with pytest.raises(CheckpointError, match="with 10,001 labels; expected 1 to 10,000"):
        check_task(Task("token_classification", tuple(map(str, range(10_001)))))
