"""Measure a checkpoint folder on held-back texts and examples, and write both into its card.

mlm card runs/imdb --validation_file test.csv.gz --example "A [MASK] film."
mlm card runs/imdb --language en --license apache-2.0 --hub_space me/page
"""

import argparse
import dataclasses
from pathlib import Path

from mlm.backend.startup import load_backend
from mlm.commands.invocation import exit_code, program
from mlm.training.config import TrainingConfig

AS_RECORDED = "as in `mlm train`; default: the value in training.json"


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the command line's values; an argument that cannot be read exits with 2."""
    parser = argparse.ArgumentParser(
        prog=program("card"), description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("folder", help="a checkpoint folder")
    parser.add_argument("--validation_file", nargs="+", default=[], help="texts to measure on")
    parser.add_argument("--max_seq_length", type=int, default=128, help="in tokens; default: 128")
    parser.add_argument("--example", action="append", default=[], help="a sentence with one mask")
    parser.add_argument(
        "--contrast", nargs="+", default=[], help="sentences with one mask that differ in little"
    )
    parser.add_argument("--hub_model_id", help="Hub id (owner/name) of the published model")
    for name in ("license", "dataset_license", "hub_space"):
        parser.add_argument(f"--{name}", help=AS_RECORDED)
    for name in ("language", "dataset_tags"):
        parser.add_argument(f"--{name}", nargs="+", help=AS_RECORDED)
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    given = parse(arguments)
    load_backend()
    return exit_code(lambda: write_card(given))


def write_card(given: argparse.Namespace) -> None:
    """Measure, record the results in training.json, and write the card. Raises UserError."""
    from mlm.training.card import add_measurements, write_model_card
    from mlm.training.card.examples import try_examples
    from mlm.training.card.stated import SETTINGS

    card = {name: value for name in SETTINGS if (value := getattr(given, name)) is not None}
    TrainingConfig.from_dict(card)  # refuses what the Hub would refuse
    evaluation = measure(given) if given.validation_file else None
    tried = try_examples(given.folder, [*given.example, *given.contrast])
    examples, contrasts = tried[: len(given.example)], tried[len(given.example) :]
    add_measurements(
        given.folder, evaluation=evaluation, examples=examples, contrasts=contrasts, card=card
    )
    write_model_card(given.folder, given.hub_model_id)


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
