"""Measure a checkpoint folder on held-back texts and examples, and write both into its card.

python scripts/write_card.py runs/imdb --validation_file test.csv.gz --example "A [MASK] film."
python scripts/write_card.py runs/imdb --language en --license apache-2.0 --hub_space me/page
"""

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mlm.backend.startup import load_backend
from mlm.errors import UserError
from mlm.training.config import TrainingConfig


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="a checkpoint folder")
    parser.add_argument("--validation_file", nargs="+", default=[])
    parser.add_argument("--max_seq_length", type=int, default=128)
    parser.add_argument("--example", action="append", default=[], help="a sentence with a mask")
    parser.add_argument(
        "--contrast", nargs="+", default=[], help="sentences with a mask that differ in little"
    )
    parser.add_argument("--hub_model_id", help="where it is or will be published: owner/name")
    for name in ("license", "dataset_license", "hub_space"):  # as train.py has them
        parser.add_argument(f"--{name}")
    for name in ("language", "dataset_tags"):
        parser.add_argument(f"--{name}", nargs="+")
    return parser.parse_args(arguments)


def measure(said: argparse.Namespace) -> None:
    from mlm.training.card import add_measurements, write_model_card
    from mlm.training.card.examples import try_examples
    from mlm.training.card.stated import SETTINGS

    card = {name: value for name in SETTINGS if (value := getattr(said, name)) is not None}
    TrainingConfig.from_dict(card)  # refuses what the Hub would
    evaluation = measured(said) if said.validation_file else None
    tried = try_examples(said.folder, [*said.example, *said.contrast])
    examples, contrasts = tried[: len(said.example)], tried[len(said.example) :]
    add_measurements(
        said.folder, evaluation=evaluation, examples=examples, contrasts=contrasts, card=card
    )
    write_model_card(said.folder, said.hub_model_id)


def measured(said: argparse.Namespace) -> dict[str, Any]:
    """The figures on the validation files, as add_measurements takes them."""
    from mlm.evaluation.evaluator import evaluate

    length = said.max_seq_length
    found = evaluate(said.folder, said.validation_file, max_seq_length=length)
    return {
        "files": [Path(name).name for name in said.validation_file],
        "max_seq_length": length,
        "tokens": found.tokens.to_dict(),
        "words": dataclasses.asdict(found.words) if found.words.num_words else {},
    }


def main(arguments: list[str]) -> int:
    load_backend()
    try:
        measure(parse(arguments))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
