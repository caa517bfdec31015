"""The commands that train, `train` and `finetune`: settings, signals, exit codes.

Exit codes: 0 done, or done before by the same command; 2 bad arguments or data, nothing trained; 3
stopped by a signal with a whole state (run the same command again to resume); 1 anything else.
"""

import shlex
import signal
import sys
from collections.abc import Callable
from typing import TypeVar

from mlm.backend.startup import backend_to_load, keep_pytorch_out, load_backend
from mlm.commands.invocation import FAILED, program, words_to_repeat
from mlm.commands.settings_parser import given_settings, settings_parser
from mlm.errors import TrainingError, UserError
from mlm.terminal.progress import progress
from mlm.training.recipe_file import read_recipe
from mlm.training.run_settings import RunSettings

STOPPED = 3  # exit code after a signal, with a state to resume from

Settings = TypeVar("Settings", bound=RunSettings)


def parse_settings(
    config_class: type[Settings], arguments: list[str], *, usage: str, description: str
) -> Settings:
    """Parse the command line; what is given there overrides the recipe of --config."""
    keep_pytorch_out()
    name = program(config_class.command)
    parser = settings_parser(
        config_class, prog=name, usage=f"{name} {usage}; --help lists all", description=description
    )
    parser.add_argument("--config", help="Recipe: a YAML file with the same names.")
    values = vars(parser.parse_args(arguments))
    recipe = values.pop("config")
    if recipe is None:
        return config_class(**values)
    given = given_settings(arguments, config_class)
    return config_class.from_dict(
        read_recipe(recipe) | {name: value for name, value in values.items() if name in given}
    )


def until_interrupted(work: Callable[[], int]) -> int:
    """Return the exit code of `work`; SIGTERM stops it as Ctrl-C does."""
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        return work()
    except KeyboardInterrupt:
        _ignore_signals()
        print("stopped before the first step; the same command starts again", file=sys.stderr)
        return 1


def refused(error: UserError) -> int:
    """Print an error of settings or data, before anything was trained; return its exit code."""
    print(f"error: {error}", file=sys.stderr)
    return FAILED


def load_training_backend(config: RunSettings) -> None:
    """Import Keras with its backend, with a sign of life. Raises UserError."""
    with progress(f"loading {backend_to_load(distributed=config.distributed)}"):
        load_backend(distributed=config.distributed)
        import mlm.training.trainer  # noqa: F401  # it takes a second, too


def exit_code_of(train: Callable[[], object], config: RunSettings, arguments: list[str]) -> int:
    """Train, and return the exit code; the backend is loaded."""
    from mlm.training.trainer import TrainingStopped

    try:
        train()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1 if isinstance(error, TrainingError) else FAILED
    except TrainingStopped as stopped:
        _ignore_signals()
        print(f"{stopped}\nto resume: {command_to_resume(config, arguments)}", file=sys.stderr)
        return STOPPED
    return 0


def _ignore_signals() -> None:
    """Ignore further signals: the run has ended in order, its exit code is decided."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)


def command_to_resume(config: RunSettings, arguments: list[str]) -> str:
    """Return the shell command that resumes a stopped run."""
    # The last one counts; the recipe may have set it too.
    names = [name for name in ("overwrite_output_dir", "discard_state") if getattr(config, name)]
    keep = [word for name in names for word in (f"--{name}", "False")]
    return shlex.join([*words_to_repeat(config.command), *arguments, *keep])
