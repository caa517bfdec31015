"""Measure a checkpoint folder on held-out texts and examples, and write both into its card.

mlm card runs/imdb --validation_file test.csv.gz --example "A [MASK] film."
mlm card runs/imdb --language en --license apache-2.0 --hub_space me/page
"""

import argparse
import dataclasses
from pathlib import Path

from mlm.backend.startup import keep_pytorch_out
from mlm.checkpoint.task_checkpoint import check_is_masked_lm
from mlm.commands.arguments import check_files, check_settings, setting_help
from mlm.commands.invocation import exit_code, program
from mlm.commands.waits import load_keras
from mlm.hub.pull import check_folder
from mlm.terminal.lines import say
from mlm.terminal.progress import progress
from mlm.training.card.stated import SETTINGS

RECORDED = "the value in training.json"


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the command line's values; an argument that cannot be read exits with 2."""
    parser = argparse.ArgumentParser(
        prog=program("card"), description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("folder", help="a checkpoint folder")
    parser.add_argument("--validation_file", nargs="+", default=[], help="texts to measure on")
    length = setting_help("max_seq_length", "128")
    parser.add_argument("--max_seq_length", type=int, default=128, help=length)
    parser.add_argument("--example", action="append", default=[], help="a sentence with one mask")
    parser.add_argument(
        "--contrast", nargs="+", default=[], help="sentences with one mask that differ in little"
    )
    parser.add_argument("--hub_model_id", help="Hub id (owner/name) of the published model")
    for name in ("license", "dataset_license", "hub_space"):
        parser.add_argument(f"--{name}", help=setting_help(name, RECORDED))
    for name in ("language", "dataset_tags"):
        parser.add_argument(f"--{name}", nargs="+", help=setting_help(name, RECORDED))
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    given = parse(arguments)
    return exit_code(lambda: write_card(given))


def write_card(given: argparse.Namespace) -> None:
    """Measure, record the results in training.json, and write the card. Raises UserError."""
    card = _check(given)
    say(f"writing the card of {given.folder}")
    keep_pytorch_out()
    _verify(given.folder)
    evaluation, tried = None, []
    sentences = [*given.example, *given.contrast]
    if given.validation_file or sentences:
        check_is_masked_lm(given.folder, given.folder)
        load_keras()
        from mlm.training.card.examples import try_examples

        evaluation = measure(given) if given.validation_file else None
        with progress("trying the examples"):
            tried = try_examples(given.folder, sentences)
    from mlm.training.card import add_measurements, write_model_card

    examples, contrasts = tried[: len(given.example)], tried[len(given.example) :]
    add_measurements(
        given.folder, evaluation=evaluation, examples=examples, contrasts=contrasts, card=card
    )
    write_model_card(given.folder, given.hub_model_id)
    print(f"card: {Path(given.folder) / 'README.md'}")


def _check(given: argparse.Namespace) -> dict[str, object]:
    """Check the arguments, before anything heavy is imported; return the facts for the card."""
    check_folder(Path(given.folder).expanduser())
    check_settings(vars(given))  # refuses what the Hub would refuse
    check_files(given.validation_file)
    return {name: value for name in SETTINGS if (value := getattr(given, name)) is not None}


def _verify(folder: str) -> None:
    from mlm.checkpoint.folder import verify_folder

    with progress(f"checking {folder}"):
        verify_folder(folder)


def measure(given: argparse.Namespace) -> dict[str, object]:
    """Return the figures on the validation files, as add_measurements takes them."""
    from mlm.evaluation.checkpoint_evaluation import evaluate

    length = given.max_seq_length
    found = evaluate(given.folder, given.validation_file, max_seq_length=length)
    return {
        "files": [Path(name).name for name in given.validation_file],
        "max_seq_length": length,
        "tokens": found.tokens.to_dict(),
        "words": dataclasses.asdict(found.words) if found.words.num_words else {},
    }
