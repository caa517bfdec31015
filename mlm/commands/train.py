"""Adapt a checkpoint to texts, or train one from scratch, and publish it.

    mlm train --train_file imdb.csv --model_name_or_path google-bert/bert-base-uncased
    mlm train --config scripts/recipes/imdb_modernbert.yaml --output_dir runs/imdb
    mlm train --train_file imdb.csv --model_name_or_path demo --suggest_words 50 > words.txt

Exit codes: 0 done, or done before by the same command; 2 bad arguments or data, nothing trained; 3
stopped by a signal with a whole state (run the same command again to resume); 1 anything else.
"""

import sys

from mlm import __version__
from mlm.commands.training_run import (
    exit_code_of,
    load_training_backend,
    parse_settings,
    refused,
    until_interrupted,
)
from mlm.errors import UserError
from mlm.terminal.lines import print_lines
from mlm.training.config import TrainingConfig
from mlm.training.first_checks import check_first, finished_record
from mlm.training.outcome import finished_lines
from mlm.training.summary import intention


def parse(arguments: list[str]) -> TrainingConfig:
    """Parse the command line; what is given there overrides the recipe of --config."""
    return parse_settings(
        TrainingConfig,
        arguments,
        usage="--train_file FILE ... --model_name_or_path NAME ...",
        description=(__doc__ or "").splitlines()[0],
    )


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    return until_interrupted(lambda: _run(arguments))


def _run(arguments: list[str]) -> int:
    try:
        config = parse(arguments)
        if config.suggest_words is not None:
            _suggest_words(config)
            return 0
        if config.train_file or config.token_store:
            print_lines(f"mlm {__version__}: {intention(config)}")
        if record := finished_record(config):
            print_lines("\n".join(finished_lines(config, record)))
            return 0
        check_first(config, print_lines)
        load_training_backend(config)
    except UserError as error:
        return refused(error)
    from mlm.training.trainer import rehearse, train

    run = rehearse if config.dry_run else train
    return exit_code_of(lambda: run(config, report=print_lines, checked=True), config, arguments)


def _suggest_words(config: TrainingConfig) -> None:
    """Print the words alone to stdout, for a file, and how they were chosen to stderr."""
    from mlm.training.suggested_words import suggest_words

    suggestions = suggest_words(config)
    print(*suggestions.explanation(), sep="\n", file=sys.stderr)
    print(
        "to use them: write the list to a file with `> words.txt`, take out what is not a word of "
        "the domain, and train with --add_words_file words.txt",
        file=sys.stderr,
        flush=True,
    )
    for word in suggestions.words:
        print(word.text)
