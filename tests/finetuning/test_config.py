"""The settings of a fine-tuning: what is refused, in one line, before anything is read."""

import subprocess
import sys

import pytest

from mlm.commands.finetune import parse
from mlm.errors import ConfigError
from mlm.finetuning.config import FinetuningConfig
from mlm.finetuning.config_rules import OF_STEPS
from mlm.training.setting import settings_of
from tests.support.places import ROOT

OTHER = {  # setting that a probe would ignore -> another value than its default
    "lr_scheduler_type": "cosine",
    "optim": "muon",
    "early_stopping_patience": 2,
    "load_best_model_at_end": True,
    "max_train_minutes": 1.0,
    "distributed": True,
    "dry_run": True,
    "report_to": "tensorboard",
    "max_grad_norm": 0.5,
    "adam_beta1": 0.8,
    "adam_beta2": 0.8,
    "adam_epsilon": 1e-6,
    "weight_decay": 0.2,
    "layerwise_lr_decay": 0.5,
    "label_smoothing": 0.1,
    "classifier_init": "random",
    "warmup_ratio": 0.2,
    "learning_rate": 1e-3,
    "num_train_epochs": 5.0,
    "resume_from_hub": True,
}


def refusal(**settings) -> str:
    with pytest.raises(ConfigError) as caught:
        FinetuningConfig.from_dict(settings)
    said = str(caught.value)
    assert "\n" not in said
    return said


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"text_column_names": ["a", "b", "c"]}, "--text_column_names has 3 columns; give one"),
        ({"text_column_names": ["a,b,c"]}, "--text_column_names has 3 columns"),
        ({"labels_per_class": ["8", "many"]}, "has 'many'; expected numbers from 1 on, or `all`"),
        ({"labels_per_class": ["0"]}, "--labels_per_class has '0'; expected numbers from 1 on"),
        ({"labels_per_class": ["8"], "compare": ["bert"]}, "expected some of base, random, tfidf"),
        ({"max_predict_samples": 9}, "--max_predict_samples is 9, but there is no --test_file"),
        ({"base_model_name_or_path": "me/a"}, "is me/a, but it is not compared; add base to"),
        ({"labels_per_class": ["8"], "distributed": True}, "in a run without --distributed"),
        ({"seeds": 5}, "--seeds is of a learning curve; give its sizes too"),
        ({"compare": ["base"]}, "--compare is of a learning curve; give its sizes too"),
        ({"zero_shot": "It was [MASK]."}, "--zero_shot needs --label_words"),
        ({"label_words": ["good"]}, "--label_words needs --zero_shot"),
        ({"label_smoothing": 1.0}, "--label_smoothing is 1.0; expected at least 0 and less than 1"),
        ({"layerwise_lr_decay": 0.0}, "expected more than 0 and at most 1"),
        ({"max_seq_length": 2}, "expected at least 3 (two go to special tokens)"),
        ({"lr_decay_ratio": 0.5}, "only --lr_scheduler_type warmup_stable_decay has such a share"),
        ({"truncation": "middle"}, "--truncation is 'middle'"),
        ({"problem_type": "sentiment"}, "--problem_type is 'sentiment'"),
        ({"validation_split_percentage": 100.0}, "expected a number between 0 and 100"),
        ({"push_to_hub": True}, "--push_to_hub needs --hub_model_id"),
    ],
)
def test_what_cannot_work_is_refused(settings, said):
    assert said in refusal(**settings)


@pytest.mark.parametrize("name", OF_STEPS)
def test_a_probe_refuses_what_it_would_ignore(name):
    value = OTHER.get(name, 3)
    settings = {"freeze_encoder": True, name: value, "hub_model_id": "me/x"}
    assert refusal(**settings).startswith(f"--{name} is {value}, but --freeze_encoder fits a")


def test_each_setting_of_optimization_is_a_probes_or_refused_by_it():
    optimization = {
        name
        for name, about in settings_of(FinetuningConfig).items()
        if about.group == "Optimization"
    }
    of_probes = {"per_device_eval_batch_size", "precision", "require_device", "seed"}
    with_another = {"lr_decay_ratio"}  # refused without a schedule that has it
    assert optimization - of_probes - with_another <= set(OF_STEPS)


def test_what_is_compared_moves_no_weights():
    comparison = {
        name: about.moves_weights
        for name, about in settings_of(FinetuningConfig).items()
        if about.group == "Comparison"
    }
    assert {"labels_per_class", "seeds", "compare"} <= set(comparison)
    assert not any(comparison.values())


def test_columns_may_be_given_as_one_word_or_several():
    for given in (["a", "b"], ["a,b"], ["a, b"]):
        assert FinetuningConfig(text_column_names=given).text_columns == ["a", "b"]


def test_the_command_line_has_the_names_of_run_classification():
    words = (
        "--train_file a.csv --validation_file b.csv --test_file c.csv --text_column_names x y "
        "--label_column_name z --metric_name f1_macro --max_train_samples 5 --max_eval_samples 6 "
        "--max_predict_samples 7 --model_name_or_path demo --output_dir out"
    )
    config = parse(words.split())
    assert config.source_files == {"train": ["a.csv"], "validation": ["b.csv"], "test": ["c.csv"]}
    assert config.text_columns == ["x", "y"]
    assert (config.label_column_name, config.metric_name) == ("z", "f1_macro")
    samples = (config.max_train_samples, config.max_eval_samples, config.max_predict_samples)
    assert samples == (5, 6, 7)
    assert parse(["--label_column", "z"]).label_column_name == "z"


def test_the_pooling_is_left_to_the_checkpoint_unless_it_is_given():
    assert FinetuningConfig().pooling is None
    assert FinetuningConfig(classifier_pooling="cls").pooling == "cls"


HEAVY = {"tensorflow", "keras", "torch", "transformers", "sklearn", "scipy", "pandas"}


@pytest.mark.parametrize(
    ("imports", "heavy"),
    [
        ("from mlm.finetuning.config import FinetuningConfig; FinetuningConfig()", {"numpy"}),
        ("import mlm.commands.finetune", set()),
    ],
)
def test_settings_are_checked_without_a_heavy_library(imports, heavy):
    code = f"import sys; {imports}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) & (HEAVY | heavy) == set()
