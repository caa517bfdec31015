"""Check a checkpoint against published numbers of its model: top 5 words, log-likelihoods.

    python scripts/check_reference.py bert-base-uncased
    python scripts/check_reference.py runs/download --model roberta-base --reference_file ref.json

Exit codes: 0 all agree to 0.001; 1 some do not; 2 bad arguments, or an unreadable checkpoint.
"""

import argparse
import sys
from pathlib import Path

from mlm.backend.startup import load_backend
from mlm.errors import ConfigError, UserError

WORKSPACE = Path(__file__).resolve().parents[2]
PUBLISHED_NUMBERS = WORKSPACE / "shared" / "data" / "fill_mask_reference.json"


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the command line's values; an argument that cannot be read exits with 2."""
    about = (__doc__ or "").split("\n\n")[0]
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("folder", type=Path, help="a checkpoint folder of a published model")
    parser.add_argument(
        "--model", help="the model's name, e.g. roberta-base; default: found in the folder"
    )
    parser.add_argument(
        "--reference_file",
        type=Path,
        help="JSON of published numbers, described in mlm/evaluation/published_numbers.py",
    )
    return parser.parse_args(arguments)


def check(given: argparse.Namespace) -> bool:
    """Print the comparison; return whether all numbers agree. Raises UserError."""
    from mlm.evaluation.published_numbers import (
        compare,
        identify_model,
        read_published_numbers,
        table,
    )

    path = given.reference_file or PUBLISHED_NUMBERS
    if given.reference_file is None and not path.is_file():
        raise ConfigError(
            "no file of published numbers was found: give one with --reference_file FILE; "
            "docs/data.md describes one"
        )
    if not given.folder.is_dir():
        raise ConfigError(f"{given.folder} is not a folder: give a checkpoint folder")
    published = read_published_numbers(path)
    model, named_by = given.model, "--model"
    if model is None:
        model, named_by = identify_model(given.folder, published)
    print(f"{given.folder} as {model} ({named_by})")
    comparisons = compare(given.folder, published, model)
    print(table(comparisons))
    agreeing = sum(comparison.agrees for comparison in comparisons)
    print(f"{agreeing} of {len(comparisons)} agree to 0.001")
    return agreeing == len(comparisons)


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code; see the module's docstring."""
    given = parse(arguments)
    load_backend()
    try:
        return 0 if check(given) else 1
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
