"""Lines on a fine-tuning before it trains: its purpose at once, its settings when all is read."""

from typing import TYPE_CHECKING

from mlm.finetuning.config import FinetuningConfig
from mlm.terminal.tables import format_table
from mlm.training.preparation import count_steps
from mlm.training.summary import (
    changed_settings,
    describe_device,
    describe_evaluations,
    describe_saves,
    describe_size,
    file_names,
)

if TYPE_CHECKING:
    from mlm.finetuning.preparation import FinetuningPreparation

MOST_LABELS = 8  # that are named in one line


def intention(config: FinetuningConfig) -> str:
    """Return what a run is about to do, known from its settings alone."""
    if config.measures_only:
        files = next(filter(None, (config.test_file, config.validation_file, config.train_file)))
        return (
            f"measure {config.model_name_or_path} as a classifier on {file_names(files)}, without "
            "labels; nothing is trained or written"
        )
    texts = file_names(config.train_file)
    end = "a dry run, nothing is written" if config.dry_run else f"result in {config.output_dir}"
    return f"fine-tune {config.model_name_or_path} on {texts}; {end}"


def settings_table(prepared: "FinetuningPreparation", step: int = 0) -> str:
    """Return model, task, texts, steps, device and changed settings, as lines of text.

    step: that the run starts from.
    """
    config, device = prepared.config, prepared.device
    rows = [
        ("model", _model(prepared)),
        ("task", _task(prepared)),
        ("texts", _texts(prepared)),
        ("steps", _steps(prepared, step)),
        *_rate(prepared),
        ("device", describe_device(device)),
        ("precision", f"{device.policy} ({device.reason})"),
        ("output", _output(config)),
        ("settings", ", ".join(changed_settings(config)) or "defaults"),
    ]
    return format_table(["", ""], rows, numbers=False)


def _output(config: FinetuningConfig) -> str:
    if config.freeze_encoder:
        return f"{config.output_dir}, the encoded texts until the end"
    return f"{config.output_dir}, {describe_saves(config)}"


def _rate(prepared: "FinetuningPreparation") -> list[tuple[str, str]]:
    if prepared.config.freeze_encoder:
        return []
    return [
        ("rate", f"{prepared.learning_rate:.2g} at its peak, {prepared.config.lr_scheduler_type}")
    ]


def _steps(prepared: "FinetuningPreparation", step: int) -> str:
    config, batches, total = prepared.config, prepared.batches, prepared.total_steps
    if config.freeze_encoder:
        return "none: a classifier is fitted to texts that are encoded once (--freeze_encoder)"
    beginning = f"resumed at step {step:,}" if step else "from step 0"
    epochs = total * batches.global_batch_size / batches.num_sequences
    asked = count_steps(config, batches.num_sequences, batches.global_batch_size)
    more = f" ({total} steps at least)" if total > asked else ""
    return (
        f"{total:,} of {batches.global_batch_size} texts, {epochs:.1f} epochs{more}, {beginning}; "
        f"{describe_evaluations(config, step)}"
    )


def _model(prepared: "FinetuningPreparation") -> str:
    # It imports Keras, which `intention` has to do without.
    from mlm.finetuning.initial_classifier import starts_as_probe

    new = ", ".join(prepared.checkpoint.new_variables)
    state = f"; new: {new}" if new else "; all weights from the checkpoint"
    if starts_as_probe(prepared) and not prepared.config.freeze_encoder:
        state += "; the classifier starts as a linear probe"
    return (
        f"{prepared.config.model_name_or_path}: {prepared.checkpoint.hf_config.model_type}, "
        f"{describe_size(prepared.model.count_params())}{state}"
    )


def _task(prepared: "FinetuningPreparation") -> str:
    names = prepared.task.labels
    shown = ", ".join(names[:MOST_LABELS])
    more = f" and {len(names) - MOST_LABELS:,} more" if len(names) > MOST_LABELS else ""
    return f"{prepared.task.problem_type}: {shown}{more}"


def _texts(prepared: "FinetuningPreparation") -> str:
    counts = [f"{len(examples):,} {side}" for side, examples in prepared.examples.items()]
    return f"{file_names(prepared.config.train_file)}: {', '.join(counts)}"
