"""TrainingConfig: what it refuses and how it says so; recipes and overrides as plain values."""

import pytest

from mlm.errors import ConfigError
from mlm.training.config import TrainingConfig
from mlm.training.config_overrides import parse_config_overrides
from mlm.training.recipe_file import read_recipe
from tests.support.places import ROOT

RECIPES = sorted((ROOT / "scripts" / "recipes").glob("*.yaml"))
REFUSED = [
    {"max_seq_length": 2},
    {"max_seq_length": 0},
    {"per_device_train_batch_size": 0},
    {"per_device_eval_batch_size": -1},
    {"logging_steps": 0},
    {"eval_steps": 0},
    {"save_steps": 0},
    {"vocab_size": 0},
    {"save_total_limit": 1},
    {"max_train_samples": 0},
    {"max_eval_samples": 0},
    {"mlm_probability": 0.0},
    {"mlm_probability": 1.5},
    {"mask_replace_prob": -0.1},
    {"random_replace_prob": 1.1},
    {"mask_replace_prob": 0.9, "random_replace_prob": 0.2},
    {"warmup_ratio": 2.0},
    {"validation_split_percentage": 0.0},
    {"validation_split_percentage": 100.0},
    {"max_steps": 0},
    {"max_steps": -2},
    {"num_train_epochs": 0.0},
    {"warmup_steps": -1},
    {"weight_decay": -0.1},
    {"max_grad_norm": -1.0},
    {"learning_rate": -1e-5},
    {"learning_rate": float("nan")},
    {"learning_rate": "3e-4"},
    {"max_steps": 1.5},
    {"seed": True},
    {"train_file": "reviews.csv"},
    {"text_column": 3},
    {"push_to_hub": True},
    {"precision": "int8"},
    {"optim": "sgd"},
    {"lr_scheduler_type": "polynomial"},
    {"gradient_accumulation_steps": 0},
    {"skip_bad_steps": -1},
    {"freeze_layers": -1},
    {"max_train_minutes": 0.0},
    {"early_stopping_patience": 0},
    {"final_mlm_probability": 0.0},
    {"final_mlm_probability": 1.5},
    {"whole_word_mask": True, "span_mask": True},
    {"group_by_length": True},
    {"hub_state_minutes": -1.0},
    {"resume_from_hub": True},
    {"seed": -1},
    {"seed": 2**32},
    {"adam_beta1": 1.0},
    {"adam_beta2": -0.1},
    {"adam_epsilon": 0.0},
    {"report_to": "wandb"},
    {"save_dtype": "int8"},
    {"license": "all rights reserved"},
    {"dataset_license": "x" * 61},
    {"hub_space": "https://huggingface.co/spaces/me/page"},
]


@pytest.mark.parametrize("settings", REFUSED, ids=str)
def test_a_setting_that_cannot_work_is_refused_by_its_flag_and_value(settings):
    with pytest.raises(ConfigError) as refusal:
        TrainingConfig.from_dict(settings)
    message = str(refusal.value)
    assert "\n" not in message
    for name, value in settings.items():
        assert f"--{name}" in message
        assert value is True or str(value).removesuffix(".0") in message


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"config_overrides": "vocab_size=50"}, "give --vocab_size instead"),
        ({"config_overrides": "hidden_size=8", "model_name_or_path": "demo"}, "leave one of them"),
        ({"vocab_size": 500, "model_name_or_path": "demo"}, "the vocabulary comes from"),
        ({"tokenizer_type": "bpe", "model_name_or_path": "demo"}, "--tokenizer_type is bpe, but"),
        ({"cased": True, "model_name_or_path": "demo"}, "--cased is True, but the vocabulary"),
        ({"add_words_file": "words.txt", "freeze_layers": 1}, "could not learn"),
        ({"hub_tag": "v1"}, "--hub_tag is 'v1', but nothing is published"),
        ({"hub_tag": "v 1", "push_to_hub": True, "hub_model_id": "me/x"}, "--hub_tag is 'v 1'"),
        ({"hub_tag": "main", "push_to_hub": True, "hub_model_id": "me/x"}, "--hub_tag is 'main'"),
        ({"hub_revision": "trial"}, "--hub_revision is 'trial', but nothing is published"),
        ({"hub_revision": "HEAD", "push_to_hub": True, "hub_model_id": "me/x"}, "'HEAD'; expected"),
        ({"language": ["en", "English"]}, "--language is 'English'; expected an ISO 639 code"),
        ({"dataset_tags": ["a/b/c"]}, "--dataset_tags is 'a/b/c'"),
    ],
)
def test_settings_that_would_be_ignored_are_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        TrainingConfig.from_dict(settings)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"max_seq_length": 3},
        {"num_train_epochs": 1},  # a whole number is a float too
        {"num_train_epochs": 0.0, "max_steps": 1},
        {"validation_split_percentage": 0.0, "validation_file": ["held_out.csv"]},
        {"mask_replace_prob": 0.9, "random_replace_prob": 0.1},
        {"mlm_probability": 1.0, "max_grad_norm": 0.0, "warmup_ratio": 1.0},
        {"push_to_hub": True, "hub_model_id": "me/model", "hub_tag": "v1.0"},
        {
            "push_to_hub": True,
            "hub_model_id": "me/model",
            "hub_tag": "release/1.0",
            "hub_revision": "main",
        },
        {"language": ["en", "zh-Hant"], "license": "openrail++", "dataset_tags": ["imdb", "a/b.c"]},
    ],
    ids=str,
)
def test_settings_at_the_edge_are_taken_as_they_are(settings):
    config = TrainingConfig.from_dict(settings)
    assert {name: getattr(config, name) for name in settings} == settings
    assert TrainingConfig.from_dict(config.to_dict()) == config


def test_the_default_list_is_not_shared():
    TrainingConfig().train_file.append("one.csv")
    assert TrainingConfig().train_file == []


@pytest.mark.parametrize("settings", [{"learning_rat": 1e-4}, {1: 2, "learning_rat": 3}])
def test_an_unknown_setting_is_named(settings):
    with pytest.raises(ConfigError, match=r"unknown setting .*--help"):
        TrainingConfig.from_dict(settings)


def test_a_text_for_a_number_is_told_how_yaml_reads_it(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("learning_rate: 3e-4\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"--learning_rate is '3e-4'; .* write 3\.0e-4"):
        TrainingConfig.from_dict(read_recipe(recipe))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_every_recipe_is_valid(path):
    settings = read_recipe(path)
    config = TrainingConfig.from_dict(settings)
    assert config.train_file
    assert {name: config.to_dict()[name] for name in settings} == settings
    parse_config_overrides(config.config_overrides)


def test_there_are_recipes():
    assert RECIPES


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"learning_rate: [1, 2", "cannot be read as YAML"),
        (b"a: 1\n\tb: 2", "cannot be read as YAML"),
        (b"text_column: \xff\xfe", "cannot be read as YAML"),
        (b"", "holds no settings"),
        (b"- learning_rate", "holds no settings"),
        (b"learning_rate", "holds no settings"),
    ],
)
def test_a_recipe_that_cannot_be_read_is_refused_in_one_line(content, said, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_bytes(content)
    with pytest.raises(ConfigError, match=said) as refusal:
        read_recipe(recipe)
    assert str(recipe) in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["absent.yaml", "."])
def test_a_recipe_that_is_no_file_is_refused(name, tmp_path):
    with pytest.raises(ConfigError, match=tmp_path.name):
        read_recipe(tmp_path / name)


def test_overrides_have_the_types_of_their_values():
    text = "hidden_size=256, norm_eps=1e-5,dropout=0.5,hidden_act=relu,tied=false,window=null"
    assert parse_config_overrides(text) == {
        "hidden_size": 256,
        "norm_eps": 1e-5,
        "dropout": 0.5,
        "hidden_act": "relu",
        "tied": False,
        "window": None,
    }
    assert parse_config_overrides(None) == parse_config_overrides(" , ") == {}


@pytest.mark.parametrize("text", ["hidden_size", "=3", "hidden_size=", "a=1,b"])
def test_overrides_without_name_or_value_are_refused(text):
    with pytest.raises(ConfigError, match=r"--config_overrides .*name=value"):
        parse_config_overrides(text)
