"""Adapt a checkpoint to texts, or train one from scratch, and publish it.

    mlm train --train_file imdb.csv --model_name_or_path google-bert/bert-base-uncased
    mlm train --config scripts/recipes/imdb_modernbert.yaml --output_dir runs/imdb
    mlm train --train_file imdb.csv --model_name_or_path demo --suggest_words 50 > words.txt

Exit codes: 0 done, or done before by the same command; 2 bad arguments or data, nothing trained; 3
stopped by a signal with a whole state (run the same command again to resume); 1 anything else.
"""

import shlex
import signal
import sys

from mlm import __version__
from mlm.backend.startup import backend_to_load, keep_pytorch_out, load_backend
from mlm.commands.invocation import FAILED, program, words_to_repeat
from mlm.commands.settings_parser import given_settings, settings_parser
from mlm.errors import TrainingError, UserError
from mlm.terminal.lines import print_lines
from mlm.terminal.progress import progress
from mlm.training.config import TrainingConfig
from mlm.training.first_checks import check_first, finished_record
from mlm.training.outcome import finished_lines
from mlm.training.recipe_file import read_recipe
from mlm.training.summary import intention

STOPPED = 3  # exit code after a signal, with a state to resume from


def parse(arguments: list[str]) -> TrainingConfig:
    """Parse the command line; what is given there overrides the recipe of --config."""
    keep_pytorch_out()
    name = program("train")
    parser = settings_parser(
        TrainingConfig,
        prog=name,
        usage=f"{name} --train_file FILE ... --model_name_or_path NAME ...; --help lists all",
        description=(__doc__ or "").splitlines()[0],
    )
    parser.add_argument("--config", help="Recipe: a YAML file with the same names.")
    values = vars(parser.parse_args(arguments))
    recipe = values.pop("config")
    if recipe is None:
        return TrainingConfig(**values)
    given = given_settings(arguments)
    return TrainingConfig.from_dict(
        read_recipe(recipe) | {name: value for name, value in values.items() if name in given}
    )


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # it stops a run as Ctrl-C does
        return _run(arguments)
    except KeyboardInterrupt:
        _ignore_signals()
        print("stopped before the first step; the same command starts again", file=sys.stderr)
        return 1


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
        with progress(f"loading {backend_to_load(distributed=config.distributed)}"):
            load_backend(distributed=config.distributed)
            from mlm.training.trainer import TrainingStopped, rehearse, train
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    try:
        (rehearse if config.dry_run else train)(config, report=print_lines, checked=True)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1 if isinstance(error, TrainingError) else FAILED
    except TrainingStopped as stopped:
        _ignore_signals()
        print(f"{stopped}\nto resume: {command_to_resume(config, arguments)}", file=sys.stderr)
        return STOPPED
    return 0


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


def _ignore_signals() -> None:
    """Ignore further signals: the run has ended in order, its exit code is decided."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)


def command_to_resume(config: TrainingConfig, arguments: list[str]) -> str:
    """Return the shell command that resumes a stopped run."""
    # The last one counts; the recipe may have set it too.
    names = [name for name in ("overwrite_output_dir", "discard_state") if getattr(config, name)]
    keep = [word for name in names for word in (f"--{name}", "False")]
    return shlex.join([*words_to_repeat("train"), *arguments, *keep])
