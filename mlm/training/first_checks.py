"""Checks of a run before texts are read and TensorFlow is loaded, and of a run that has finished.

Imports nothing heavy at its top: what is wrong is said within a second.
"""

import os
from collections.abc import Callable
from pathlib import Path

from mlm import hub
from mlm.checkpoint.folder import read_training
from mlm.checkpoint.run_state import TrainingState, newest_run, newest_state
from mlm.checkpoint.strict_json import JsonObject
from mlm.data.texts.cleaning import ReadingSettings
from mlm.data.texts.text_files import expand_files
from mlm.errors import ConfigError, UserError
from mlm.terminal.progress import progress
from mlm.training.added_words import read_words
from mlm.training.config import TrainingConfig
from mlm.training.event_log import EventLog
from mlm.training.outcome import CAN_RECITE
from mlm.training.run_lock import check_not_locked
from mlm.training.run_settings import RunSettings
from mlm.training.state.resuming import check_same_settings

# They say where or how a run starts, not what comes of it.
NOT_COMPARED = ("output_dir", "overwrite_output_dir", "discard_state", "dry_run")


def check_first(config: TrainingConfig, report: Callable[[str], None] = print) -> None:
    """Report who can read what will be pushed.

    Raises UserError if texts, model, destination or permission to publish are missing.
    """
    _check_texts(config)
    if config.add_words_file:
        read_words(config.add_words_file)
    check_destination(config, report)
    check_model(config)


def check_destination(config: RunSettings, report: Callable[[str], None]) -> None:
    """Raise UserError if the result could not be written or published, or replaces another."""
    _check_output(Path(config.output_dir), config)
    if config.hub_model_id and (config.push_to_hub or config.resume_from_hub):
        _check_repository(config, report)
    if config.overwrite_output_dir and config.resume_from_hub:
        _check_branch(config)


def check_model(config: RunSettings) -> None:
    """Fetch the initial checkpoint, if there is one, so that a wrong name is said at once."""
    if config.model_name_or_path:
        hub.fetch_checkpoint(config.model_name_or_path, config.model_revision)


def _check_texts(config: TrainingConfig) -> None:
    if config.token_store:
        return  # they are looked for with the tokenizer that they need
    settings = ReadingSettings(
        config.text_column, config.encoding, config.encoding_errors, config.clean_html
    )
    for files in (config.train_file, config.validation_file):
        if files or files is config.train_file:
            settings.check(expand_files(files))


def _check_output(output: Path, config: RunSettings) -> None:
    """Raise ConfigError if the result could not be written, or something would be overwritten."""
    existing = next(path for path in (output, *output.absolute().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        reason = "no permission to write" if existing.is_dir() else "not a folder"
        raise ConfigError(
            f"cannot write to {str(output)!r}: {str(existing)!r} is {reason}; "
            "choose another --output_dir"
        )
    EventLog(output / "logs" if config.report_to == "tensorboard" else None)
    if not config.dry_run:
        check_not_locked(output)
    if config.overwrite_output_dir:
        _check_no_state(output, config)
    elif (output / "model.safetensors").exists() and not _state_in(output):
        raise ConfigError(
            f"{str(output)!r} holds a finished checkpoint{_difference(output, config)}; give "
            "another --output_dir, or --overwrite_output_dir to replace it when the new run ends"
        )
    run = None if config.starts_again else newest_run(output / "state")
    if run and "config" in run:
        check_same_settings(run, config)


def _check_no_state(output: Path, config: RunSettings) -> None:
    """Raise ConfigError if a state would be deleted without --discard_state."""
    state = None if config.discard_state else _state_in(output)
    if state:
        total = state.run.get("total_steps", "?")
        raise ConfigError(
            f"{str(output)!r} holds the state of an interrupted run, at step {state.step} of "
            f"{total}; leave --overwrite_output_dir out to resume it, or add --discard_state to "
            "delete it and start again"
        )


def _state_in(output: Path) -> TrainingState | None:
    if not (output / "state").is_dir():
        return None
    with progress(f"checking the states in {output}"):
        return newest_state(output / "state")


def _check_repository(config: RunSettings, report: Callable[[str], None]) -> None:
    """Raise UserError if the Hub would not take what the run pushes."""
    target = hub.check_push(
        str(config.hub_model_id),
        private=config.hub_private_repo,
        tag=config.hub_tag if config.push_to_hub else None,
        branch=config.hub_revision,
    )
    what = "the checkpoint" if config.push_to_hub else "the states of this run"
    report(f"{what} will be pushed to {target}")
    if config.push_to_hub:  # else the end of the run says it
        report(CAN_RECITE)


def _check_branch(config: RunSettings) -> None:
    """Raise ConfigError if the run would delete a state on the Hub without --discard_state."""
    step = hub.newest_step(str(config.hub_model_id))
    if step is not None and not config.discard_state:
        raise ConfigError(
            f"the branch of {config.hub_model_id} holds the state of an interrupted run, at step "
            f"{step}; leave --overwrite_output_dir out to resume it, or add --discard_state to "
            "delete it and start again"
        )


def finished_record(config: RunSettings) -> JsonObject | None:
    """Return the training.json in `output_dir` if it is of this very run, finished; else None.

    That is: the same settings (of paths, the last part), and texts with the same sizes and hashes.
    """
    output = Path(config.output_dir)
    if config.overwrite_output_dir or not (output / "model.safetensors").is_file():
        return None
    record = read_training(output)
    if not record or "metrics" not in record or _state_in(output):
        return None
    given = record.get("config")
    if not isinstance(given, dict) or _compared(given, config) != _compared(
        config.to_public_dict(), config
    ):
        return None
    return record if _has_same_texts(record, config) else None


def _difference(output: Path, config: RunSettings) -> str:
    """Describe how the settings of the finished run in `output` differ; "" if it is not known."""
    given = (read_training(output) or {}).get("config")
    if not isinstance(given, dict):
        return ""
    was, now = (_compared(each, config) for each in (given, config.to_public_dict()))
    differing = [f"--{name} was {was.get(name)!r}" for name in now if was.get(name) != now[name]]
    more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
    return f" of another run ({', '.join(differing[:3])}{more})" if differing else ""


def _compared(settings: JsonObject, config: RunSettings) -> JsonObject:
    """Return the settings that two runs have to share; one that a record lacks has its default."""
    every = type(config)().to_dict() | settings
    return {name: value for name, value in every.items() if name not in NOT_COMPARED}


def _has_same_texts(record: JsonObject, config: RunSettings) -> bool:
    try:
        with progress("comparing the texts with those of the finished run"):
            sources = config.source_identities()
        return bool(sources) and sources == record["corpus"]["made_from"]["sources"]
    except (UserError, KeyError, TypeError):
        return False
