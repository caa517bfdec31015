"""Arguments that several commands have: their help, and checks that need no heavy library."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlm.errors import CheckpointError
from mlm.training.config import TrainingConfig
from mlm.training.setting import settings_of

CONFIG = "config.json"  # of a checkpoint folder
LONGEST_ID = 2  # parts of a Hub id: owner/name


def setting_help(name: str, default: str | None = None) -> str:
    """Return the help of a training setting for argparse, with another default if one is given."""
    text = settings_of(TrainingConfig)[name].help
    if default is not None:
        text = f"{text.partition(' Default:')[0]} Default: {default}."
    return text.replace("%", "%%")


def json_flag(parser: argparse.ArgumentParser) -> None:
    """Add --json."""
    parser.add_argument("--json", action="store_true", help="print JSON, for scripts")


def check_settings(given: Mapping[str, object]) -> None:
    """Raise ConfigError for a value that no training takes; None and empty lists are not given."""
    known = settings_of(TrainingConfig)
    TrainingConfig.from_dict(
        {name: value for name, value in given.items() if name in known and value not in (None, [])}
    )


def check_files(files: Sequence[str]) -> None:
    """Raise CorpusError if a file of texts is missing, or of an unknown format."""
    from mlm.data.texts.text_files import expand_files

    if files:
        expand_files(files)


def check_folder(folder: str | Path) -> None:
    """Raise CheckpointError unless this is a folder that may hold a checkpoint."""
    path = Path(folder).expanduser()
    if not path.is_dir():
        what = "is a file" if path.is_file() else "does not exist"
        raise CheckpointError(
            f"{str(folder)!r} {what}; expected a checkpoint folder, such as a run's --output_dir"
        )
    if not (path / CONFIG).is_file():
        raise CheckpointError(
            f"{str(folder)!r} has no {CONFIG}, so it does not hold a checkpoint; expected a folder "
            "such as the --output_dir of a run that has ended"
        )


def check_model(name: str) -> None:
    """Raise CheckpointError for the path of a folder that is missing or not a checkpoint's.

    A name that is neither a path nor that of a folder here may be a Hub id.
    """
    path = Path(name).expanduser()
    is_path = name.startswith((".", "/", "~", "\\")) or len(path.parts) > LONGEST_ID
    if name != "demo" and (is_path or path.exists()):
        check_folder(name)


def say(line: str) -> None:
    """Print a line for whoever waits, on stderr, at once."""
    print(line, file=sys.stderr, flush=True)
