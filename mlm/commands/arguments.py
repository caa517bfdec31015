"""Arguments that several commands have: their help, and checks that need no heavy library."""

import argparse
from collections.abc import Mapping, Sequence

from mlm.training.config import TrainingConfig
from mlm.training.setting import settings_of


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
