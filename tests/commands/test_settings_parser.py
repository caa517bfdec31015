"""The parser of a config class: its groups, its spellings, its defaults."""

import dataclasses
import shlex
from typing import get_type_hints

import pytest
from transformers import HfArgumentParser

from mlm.commands.settings_parser import given_settings, settings_parser
from mlm.commands.train import parse
from mlm.commands.training_run import command_to_resume
from mlm.errors import ConfigError
from mlm.training.config import TrainingConfig
from mlm.training.setting import default_of, settings_of

GROUPS = ["Texts", "Model", "Masking", "Optimization", "Run", "Publishing", "Card"]


@pytest.fixture(scope="module")
def help_text():
    return settings_parser(TrainingConfig, prog="mlm train").format_help()


def test_help_has_the_groups_in_their_order(help_text):
    headings = [
        line[:-1] for line in help_text.splitlines() if line.endswith(":") and line[0] != " "
    ]
    assert headings == ["options", *GROUPS]


def test_each_setting_is_shown_once_in_one_spelling(help_text):
    shown = [line.split()[0] for line in help_text.splitlines() if line.startswith("  --")]
    assert shown == [f"--{name}" for name in settings_of(TrainingConfig)]


def test_every_setting_has_a_help_that_ends_as_a_sentence():
    assert [n for n, about in settings_of(TrainingConfig).items() if about.help[-1] != "."] == []


def test_defaults_are_those_of_the_config():
    values = vars(settings_parser(TrainingConfig).parse_args([]))
    assert values == dataclasses.asdict(TrainingConfig())


@pytest.mark.parametrize("flag", ["--max_steps", "--max-steps"])
def test_both_spellings_are_accepted_and_override_a_recipe(flag, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("train_file: [a.csv]\nmax_steps: 3\nseed: 5\n")
    config = parse(["--config", str(recipe), flag, "7"])
    assert (config.max_steps, config.seed, config.train_file) == (7, 5, ["a.csv"])


def test_a_setting_given_with_its_default_overrides_a_recipe(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("seed: 5\n")
    assert parse(["--config", str(recipe), "--seed=42"]).seed == 42


def test_given_settings_are_told_apart_from_values():
    arguments = ["--train-file", "a.csv", "--seed=1", "b--c", "-x"]
    assert given_settings(arguments, TrainingConfig) == {"train_file", "seed"}


def test_a_flag_is_not_completed(capsys):
    with pytest.raises(SystemExit):
        parse(["--max_step", "3"])
    assert "--max_step" in capsys.readouterr().err


def test_a_value_that_cannot_work_is_refused_as_from_a_recipe():
    with pytest.raises(ConfigError, match="--max_seq_length is 2; expected at least 3"):
        parse(["--max_seq_length", "2"])


@pytest.mark.parametrize(
    "arguments",
    [
        "--train_file a.csv b.csv --max-steps 7 --learning-rate 3e-4 --encoding cp1252",
        "--line_by_line --push_to_hub False --overwrite_output_dir yes --span_mask",
        "--precision bf16 --optim=muon --language en de --max_eval_samples 10 --text_column a",
    ],
)
def test_it_reads_what_the_parser_of_transformers_reads(arguments):
    # Without metadata, which that parser hands to argparse.
    kinds = get_type_hints(TrainingConfig)
    fields = [
        (field.name, kinds[field.name], dataclasses.field(default_factory=default_of(field).copy))
        if isinstance(default_of(field), list)
        else (field.name, kinds[field.name], default_of(field))
        for field in dataclasses.fields(TrainingConfig)
    ]
    theirs = HfArgumentParser(dataclasses.make_dataclass("Plain", fields))
    words = arguments.split()
    assert settings_parser(TrainingConfig).parse_args(words) == theirs.parse_args(words)


def test_a_truth_is_true_or_false(capsys):
    with pytest.raises(SystemExit):
        parse(["--line_by_line", "perhaps"])
    assert "'perhaps' is neither true nor false" in capsys.readouterr().err


def test_a_stopped_run_is_resumed_though_it_was_to_start_again(monkeypatch):
    monkeypatch.setattr("sys.argv", ["/usr/bin/mlm"])
    arguments = ["--train_file", "a.csv", "--overwrite_output_dir", "--discard_state"]
    command = command_to_resume(parse(arguments), arguments)
    again = parse(shlex.split(command)[2:])
    assert not again.starts_again and again.train_file == ["a.csv"]
