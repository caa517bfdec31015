"""TrainingArguments of both trainings."""

from typing import Any

from transformers import TrainingArguments

Settings = dict[str, Any]  # of our config, most of which TrainingArguments has by that name
Options = dict[str, Any]  # of TrainingArguments

# What the Trainer is told in another way, or not at all.
NOT_ARGUMENTS = {
    *("train_file", "validation_file", "text_column_names", "label_column_name"),
    *("model_name_or_path", "max_seq_length", "truncation"),
    *("precision", "lr_scheduler_type"),
}


def training_arguments(
    settings: Settings, folder: str, on: str = "cpu", **options: Any
) -> TrainingArguments:
    """Return the arguments of a training that saves and reports nothing.

    on: `cpu` or `gpu`; options: more arguments, which replace those of the settings.
    """
    given = {name: value for name, value in settings.items() if name not in NOT_ARGUMENTS}
    quiet: Options = {"report_to": "none", "save_strategy": "no", "disable_tqdm": True}
    in_bf16 = settings["precision"] == "bf16"
    return TrainingArguments(
        folder, bf16=in_bf16, use_cpu=on == "cpu", **quiet, **(given | options)
    )


def options_of_timed_steps(times: int) -> Options:
    """Return the arguments for two steps that do not count and `times` that do.

    Two losses are logged: that of the first step and the mean of the later ones.
    """
    steps = 2 + times
    return {
        "max_steps": steps,
        "logging_strategy": "steps",
        "logging_first_step": True,
        "logging_steps": steps,
    }
