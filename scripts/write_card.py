"""Measure a checkpoint folder on held-back texts and examples, and write both into its card.

python scripts/write_card.py runs/imdb --validation_file test.csv.gz --example "A [MASK] film."
"""

import argparse
import dataclasses
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mlm.devices import load_backend
from mlm.errors import UserError


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="a checkpoint folder")
    parser.add_argument("--validation_file", nargs="+", default=[])
    parser.add_argument("--max_seq_length", type=int, default=128)
    parser.add_argument("--example", action="append", default=[], help="a sentence with a mask")
    parser.add_argument("--hub_model_id", help="where it is or will be published: owner/name")
    return parser.parse_args(arguments)


def measure(said: argparse.Namespace) -> None:
    from mlm.evaluation import evaluate
    from mlm.fill_mask import FillMask
    from mlm.model_card import add_measurements, write_model_card

    evaluation = None
    if said.validation_file:
        length = said.max_seq_length
        measured = evaluate(said.folder, said.validation_file, max_seq_length=length)
        evaluation = {
            "files": [Path(name).name for name in said.validation_file],
            "max_seq_length": length,
            "tokens": measured.tokens.to_dict(),
            "words": dataclasses.asdict(measured.words) if measured.words.num_words else {},
        }
    fill = FillMask.from_pretrained(said.folder)
    examples = [{"text": text, "output": fill(text, top_k=5)} for text in said.example]
    add_measurements(said.folder, evaluation=evaluation, examples=examples)
    write_model_card(said.folder, said.hub_model_id)


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
