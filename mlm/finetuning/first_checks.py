"""Checks of a fine-tuning before texts are read and TensorFlow is loaded.

Imports nothing heavy at its top: what is wrong is said within a second.
"""

from collections.abc import Callable

from mlm.data.labelled.labelled_settings import LabelledSettings
from mlm.data.labelled.labelled_sources import check_sources
from mlm.errors import ConfigError
from mlm.finetuning.config import FinetuningConfig
from mlm.training.first_checks import check_destination, check_model


def labelled_settings(config: FinetuningConfig) -> LabelledSettings:
    """Return the settings that decide how files become labelled texts."""
    return LabelledSettings(
        text_column_names=tuple(config.text_columns),
        label_column_name=config.label_column_name,
        problem_type=config.problem_type,
        encoding=config.encoding,
        encoding_errors=config.encoding_errors,
        clean_html=config.clean_html,
    )


def check_first(config: FinetuningConfig, report: Callable[[str], None]) -> None:
    """Raise UserError if texts, model, destination or permission to publish are missing."""
    if not config.model_name_or_path:
        raise ConfigError(
            "--model_name_or_path is missing; give the checkpoint to fine-tune: the folder of "
            "`mlm train`, a Hub id, or demo"
        )
    if not config.train_file:
        raise ConfigError("--train_file is missing; give files of labelled texts")
    settings = labelled_settings(config)
    for files in config.source_files.values():
        check_sources(files, settings)
    check_destination(config, report)
    check_model(config)
