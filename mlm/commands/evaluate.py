"""Measure a checkpoint on texts, or several under one protocol, side by side with a verdict.

mlm evaluate runs/imdb --validation_file test.csv.gz
mlm evaluate google-bert/bert-base-uncased runs/imdb --validation_file test.csv.gz
mlm evaluate runs/imdb --train_file imdb_tr.csv   # the share that training held out

Several models are asked for the same hidden words, so that their figures can be compared whatever
their tokenizers: see mlm/evaluation/model_comparison.py. Exit codes: 0 done; 2 bad arguments, a
model or texts that cannot be used, in one line.
"""

import argparse
from typing import Any

from mlm.backend.startup import keep_pytorch_out
from mlm.commands.arguments import (
    check_files,
    check_settings,
    json_flag,
    setting_help,
)
from mlm.commands.invocation import exit_code, program
from mlm.commands.waits import load_keras
from mlm.data.texts.choices import CLEAN_HTML, ENCODING_ERRORS
from mlm.errors import ConfigError
from mlm.hub.pull import check_name
from mlm.terminal.lines import say, wrapped
from mlm.training.config import TrainingConfig

RECORDED = "the training run's value"
FOR_ITS_TEXTS = f"{RECORDED}, if these are its texts"
NOT_SETTINGS = ("models", "validation_file", "model_revision", "json")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the command line's values; an argument that cannot be read exits with 2."""
    about = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(
        prog=program("evaluate"),
        description=about,
        epilog="With several models, the training run's values are not used, only the defaults.",
    )
    add = parser.add_argument
    add("models", nargs="+", metavar="MODEL", help="checkpoint folders, Hub ids, or `demo`")
    add("--validation_file", nargs="+", default=[], help="measure on all texts of these files")
    held_out = "measure on the share of these files that training holds out"
    add("--train_file", nargs="+", default=[], help=held_out)
    share = setting_help("validation_split_percentage", f"{RECORDED}, else 5")
    add("--validation_split_percentage", type=float, help=share)
    add("--model_revision", help=setting_help("model_revision"))
    add("--text_column", help=setting_help("text_column", FOR_ITS_TEXTS))
    add("--encoding", help=setting_help("encoding", FOR_ITS_TEXTS))
    for name, choices in (("encoding_errors", ENCODING_ERRORS), ("clean_html", CLEAN_HTML)):
        default = f"{FOR_ITS_TEXTS}, else {getattr(TrainingConfig, name)}"
        add(f"--{name}", choices=choices, help=setting_help(name, default))
    length = setting_help("max_seq_length", f"{RECORDED}, else 128")
    add("--max_seq_length", type=int, help=length)
    layout = setting_help("line_by_line", RECORDED)
    add("--line_by_line", action=argparse.BooleanOptionalAction, help=layout)
    samples = setting_help("max_eval_samples", FOR_ITS_TEXTS)
    add("--max_eval_samples", type=int, help=samples)
    batch = setting_help("per_device_eval_batch_size", f"{FOR_ITS_TEXTS}, else 32")
    add("--per_device_eval_batch_size", type=int, help=batch)
    formats = ("auto", "fp32", "bf16", "fp16")
    number_format = f"Number format of the arithmetic. Default: {FOR_ITS_TEXTS}, else fp32."
    add("--precision", choices=formats, help=number_format)
    json_flag(parser)
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    given = parse(arguments)
    return exit_code(lambda: _evaluate(given))


def _evaluate(given: argparse.Namespace) -> None:
    _check(given)
    files = ", ".join(given.validation_file or given.train_file)
    say(f"measuring {', '.join(given.models)} on {files}")
    keep_pytorch_out()
    _fetch(given)
    load_keras()
    settings = {name: value for name, value in vars(given).items() if name not in NOT_SETTINGS}
    if len(given.models) > 1:
        _compare(given, settings)
    else:
        _measure(given, settings)


def _check(given: argparse.Namespace) -> None:
    """Raise UserError for arguments that cannot work, before anything heavy is imported."""
    if bool(given.validation_file) == bool(given.train_file):
        raise ConfigError(
            "give either --validation_file, or --train_file for the share of it that a training "
            "holds out"
        )
    if len(given.models) > 1 and given.model_revision:
        raise ConfigError(
            "--model_revision goes with one model; with several, give owner/name@revision"
        )
    check_settings(vars(given))
    check_files([*given.validation_file, *given.train_file])
    for name in given.models:
        check_name(name)


def _fetch(given: argparse.Namespace) -> None:
    """Fetch and verify the models: what is missing is refused before Keras is loaded."""
    from mlm.hub import fetch_checkpoint
    from mlm.terminal.progress import progress

    for name in given.models:
        with progress(f"fetching {name}"):
            fetch_checkpoint(name, given.model_revision)


def _measure(given: argparse.Namespace, settings: dict[str, Any]) -> None:
    from mlm.commands.evaluation_report import evaluation_json, evaluation_text
    from mlm.evaluation.checkpoint_evaluation import evaluate

    (name,) = given.models
    measured = evaluate(name, given.validation_file, revision=given.model_revision, **settings)
    print(evaluation_json(name, measured) if given.json else wrapped(evaluation_text(measured)))


def _compare(given: argparse.Namespace, settings: dict[str, Any]) -> None:
    from mlm.commands.evaluation_report import comparison_json, comparison_text
    from mlm.evaluation.model_comparison import compare_models

    compared = compare_models(given.models, given.validation_file, **settings)
    print(comparison_json(compared) if given.json else comparison_text(compared))
