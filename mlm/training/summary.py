"""Lines on a run before it trains: its purpose at once, its settings when all is read."""

import dataclasses
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from mlm.terminal.tables import format_table
from mlm.training.config import TrainingConfig
from mlm.training.run_settings import RunSettings
from mlm.training.setting import default_of, settings_of

if TYPE_CHECKING:
    from mlm.backend.devices import Device
    from mlm.training.preparation import Preparation

# They have rows of their own, or are said by the lines around the table.
SHOWN_ELSEWHERE = (
    "train_file",
    "token_store",
    "model_name_or_path",
    "output_dir",
    "overwrite_output_dir",
    "discard_state",
    "dry_run",
)


def intention(config: TrainingConfig) -> str:
    """Return what a run on some texts is about to do, known from its settings alone."""
    texts = file_names(config.train_file or config.token_store)
    if config.model_name_or_path:
        work = f"adapt {config.model_name_or_path} to {texts}"
    else:
        work = f"train a new {config.model_type} on {texts}"
    end = "a dry run, nothing is written" if config.dry_run else f"result in {config.output_dir}"
    return f"{work}; {end}"


def settings_table(prepared: "Preparation", step: int = 0) -> str:
    """Return model, texts, steps, device and changed settings, as lines of text.

    step: that the run starts from.
    """
    config, device = prepared.config, prepared.device
    beginning = f"resumed at step {step:,}" if step else "from step 0"
    rows = [
        ("model", _model(prepared)),
        ("texts", _texts(prepared)),
        ("sequences", _sequences(prepared)),
        ("steps", f"{prepared.total_steps:,}, {beginning}; {describe_evaluations(config, step)}"),
        ("device", describe_device(device)),
        ("precision", f"{device.policy} ({device.reason})"),
        ("output", f"{config.output_dir}, {describe_saves(config)}"),
        ("settings", ", ".join(changed_settings(config)) or "defaults"),
    ]
    return format_table(["", ""], rows, numbers=False)


def file_names(files: Sequence[str]) -> str:
    """Return the names of the first files, and how many more there are."""
    names = ", ".join(PurePosixPath(name).name or name for name in files[:2])
    return f"{names} and {len(files) - 2:,} more" if len(files) > 2 else names


def describe_device(device: "Device") -> str:
    """Return the name of a device, or of several."""
    return device.name if device.num_replicas == 1 else f"{device.num_replicas} x {device.name}"


def _model(prepared: "Preparation") -> str:
    name = prepared.config.model_name_or_path or "new"
    size = describe_size(prepared.model.count_params())
    return (
        f"{name}: {prepared.hf_config.model_type}, {size}, "
        f"vocabulary {prepared.model.config.vocab_size:,}"
    )


def describe_size(count: int) -> str:
    """Return a number of parameters for people."""
    size = f"{count / 1e6:,.1f} M" if count >= 100_000 else f"{count:,}"
    return f"{size} parameters"


def _texts(prepared: "Preparation") -> str:
    counts = prepared.store.manifest["counts"]
    train, held_out = counts["train"], counts["validation"]
    names = file_names(prepared.config.train_file or prepared.config.token_store)
    return (
        f"{names}: {train['documents']:,} documents to train on "
        f"({train['tokens']:,} tokens), {held_out['documents']:,} held out"
    )


def _sequences(prepared: "Preparation") -> str:
    batches, longest = prepared.batches, prepared.config.max_seq_length
    epochs = prepared.total_steps * batches.global_batch_size / batches.num_sequences
    return (
        f"{batches.num_sequences:,} of {'at most ' if batches.is_padded else ''}{longest} tokens, "
        f"{batches.global_batch_size} in a step, {epochs:.1f} epochs"
    )


def describe_evaluations(config: RunSettings, step: int) -> str:
    """Return when a run is evaluated, and when it stops early."""
    patience = config.early_stopping_patience
    stop = f"; stops after {patience} evaluations without gain" if patience else ""
    before = "" if step else "before, "  # a run that is resumed has done that
    return f"evaluated {before}every {config.eval_steps:,} steps and at the end{stop}"


def describe_saves(config: RunSettings) -> str:
    """Return when the state of a run is saved."""
    minutes = f" or {config.save_minutes:g} minutes" if config.save_minutes else ""
    return f"a state every {config.save_steps:,} steps{minutes}"


def changed_settings(config: RunSettings) -> list[str]:
    """Return the settings that differ from their defaults, as flags."""
    defaults = {field.name: default_of(field) for field in dataclasses.fields(config)}
    return [
        f"--{name} {_spelled(value)}".rstrip()
        for name in settings_of(config)
        if name not in SHOWN_ELSEWHERE and (value := getattr(config, name)) != defaults[name]
    ]


def _spelled(value: object) -> str:
    if value is True:
        return ""
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
