"""Lines on a fine-tuning that has ended: its figures by label, what to do next."""

import shlex
from typing import TYPE_CHECKING

from mlm.checkpoint.strict_json import JsonObject
from mlm.evaluation.task.tables import text_tables
from mlm.evaluation.task.task_figures import TaskFigures

if TYPE_CHECKING:
    from mlm.finetuning.config import FinetuningConfig

FEW_TEXTS = 100  # with less, an accuracy of 80 % has an interval of 16 points


def outcome_lines(config: "FinetuningConfig", record: JsonObject) -> list[str]:
    """Return lines on a run that has ended; `record` is the content of its training.json."""
    metrics = record["metrics"]
    figures = TaskFigures.from_dict(metrics["after"])
    side = metrics["measured_on"]
    lines = [
        "",
        f"on {figures.num_examples:,} {side} texts: {figures.line()}",
        "",
        text_tables(figures),
    ]
    if side == "validation":
        lines.append(
            "weights or settings may have been chosen by these texts; for a figure to publish, "
            "measure on others with --test_file"
        )
    if figures.num_examples < FEW_TEXTS:
        lines.append("with so few texts this may be chance: label more to measure on")
    return [*lines, "", "next:", *_next_steps(config, is_of_pairs=record["task"]["is_of_pairs"])]


def finished_lines(config: "FinetuningConfig", record: JsonObject) -> list[str]:
    """Return lines on a run that the same command finished earlier."""
    return [
        f"finished already: {config.output_dir} holds the result of this command "
        f"({record.get('steps', 0):,} steps); nothing is done",
        *outcome_lines(config, record),
        "to train again: --overwrite_output_dir, or another --output_dir",
    ]


def _next_steps(config: "FinetuningConfig", *, is_of_pairs: bool) -> list[str]:
    folder = shlex.quote(config.output_dir)
    pair = ' --text_pair "another"' if is_of_pairs else ""
    columns = f" --text_column_names {_two_columns(config)}" if is_of_pairs else ""
    steps = [
        ("try it", f'mlm classify "a text"{pair} --model_name_or_path {folder}'),
        ("classify a file", f"mlm classify FILE.csv{columns} --model_name_or_path {folder}"),
        ("publish it", "" if config.push_to_hub else f"mlm push {folder} OWNER/NAME --private"),
    ]
    return [f"  {command}  # {purpose}" for purpose, command in steps if command]


def _two_columns(config: "FinetuningConfig") -> str:
    """Return the names of the columns of pairs, or letters if they were found."""
    return shlex.join(config.text_columns or ["A", "B"])
