"""Adapt a checkpoint to texts, or train one from scratch, and publish it.

    python scripts/train.py --train_file imdb.csv --model_name_or_path google-bert/bert-base-uncased
    python scripts/train.py --config scripts/recipes/imdb_modernbert.yaml --output_dir runs/imdb

Exit codes: 0 done; 2 bad arguments or data, nothing trained; 3 stopped by a signal with a whole
state (run the same command again to go on); 1 anything else.
"""

import shlex
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mlm.backend.startup import keep_pytorch_out, load_backend
from mlm.errors import TrainingError, UserError
from mlm.training.config import TrainingConfig
from mlm.training.recipe_file import read_recipe


def parse(arguments: list[str]) -> TrainingConfig:
    """Command line -> TrainingConfig; what is said there overrides the recipe of --config."""
    keep_pytorch_out()
    from transformers import HfArgumentParser

    parser = HfArgumentParser(TrainingConfig, description=__doc__.splitlines()[0])  # type: ignore[arg-type]
    parser.usage = "train.py --train_file FILE ... --model_name_or_path NAME ...; --help lists all"
    parser.add_argument("--config", help="Recipe: a YAML file with the same names.")
    parser.allow_abbrev = False  # `said` below knows whole names only
    given = vars(parser.parse_args(arguments))
    recipe = given.pop("config")
    if recipe is None:
        return TrainingConfig(**given)
    flags = (word.partition("=")[0] for word in arguments if word.startswith("--"))
    said = {flag.removeprefix("--").replace("-", "_") for flag in flags}
    return TrainingConfig.from_dict(
        read_recipe(recipe) | {name: value for name, value in given.items() if name in said}
    )


def main(arguments: list[str]) -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what ends a run, ends it in order
    try:
        return run(arguments)
    except KeyboardInterrupt:
        ignore_signals()
        print("stopped before the first step; the same command begins again", file=sys.stderr)
        return 1


def run(arguments: list[str]) -> int:
    try:
        config = parse(arguments)
        load_backend(distributed=config.distributed)
        from mlm.training.trainer import TrainingStopped, rehearse, train
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        rehearse(config) if config.dry_run else train(config)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1 if isinstance(error, TrainingError) else 2
    except TrainingStopped as stopped:
        ignore_signals()
        print(f"{stopped}\nto go on: {command_to_go_on(config, arguments)}", file=sys.stderr)
        return 3
    return 0


def ignore_signals() -> None:
    """The run has ended in order: one more Ctrl-C is not to spoil its exit code."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)


def command_to_go_on(config: TrainingConfig, arguments: list[str]) -> str:
    # The last word counts; a recipe may have said it too.
    anew = ["--overwrite_output_dir", "False"] if config.overwrite_output_dir else []
    return shlex.join([Path(sys.executable).name, sys.argv[0], *arguments, *anew])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
