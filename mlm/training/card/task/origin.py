"""The sections on a classifier's origin: its labels, texts, command and training run."""

from mlm.checkpoint.record.markdown import escape_markdown, section
from mlm.evaluation.task.tables import MAX_ROWS, Table, as_markdown, printable
from mlm.training.card.origin import (
    command_section,
    datasets_line,
    files_table,
    fingerprint_line,
    run_section,
    sizes_table,
)
from mlm.training.card.task.task_record import SIDES, TaskRecord
from mlm.training.card.task.wording import SIDE_NAMES
from mlm.training.card.training_json import TrainingJson

OF_STEPS = ("steps", "tokens_per_second", "seconds", "best_step")  # a probe has none
NO_COUNT = "-"


def labels_section(record: TaskRecord) -> str:
    """Return how many texts, or words, have each label; "" if that is not known."""
    counts = {side: record.counts.get(side, {}).get("labels", {}) for side in SIDES}
    sides = [side for side in SIDES if counts[side]]
    names = [name for name in record.task.labels if any(name in counts[side] for side in sides)]
    if not names:
        return ""
    title = f"{'Words' if record.task.is_of_tokens else 'Texts'} by label"
    shown = names
    if len(names) > MAX_ROWS:
        title = f"{title} (the {MAX_ROWS} with the most, of {len(names):,})"
        shown = sorted(names, key=lambda name: -counts[sides[0]].get(name, 0))[:MAX_ROWS]
    rows = [[name, *(_number(counts[side].get(name)) for side in sides)] for name in shown]
    header = ["label", *(SIDE_NAMES[side] for side in sides)]
    return section("Labels", as_markdown(Table(title, header, rows, num_names=1)))


def _number(count: int | None) -> str:
    return NO_COUNT if count is None else f"{count:,}"


def task_data_section(record: TaskRecord) -> str:
    """Return the texts: data sets and licence, files, sizes, how they were read, fingerprint."""
    corpus = record.training.get("corpus", {})
    line = corpus.get("report_line", "").split("\n")[0]  # it has names of columns
    return section(
        "Data",
        datasets_line(record.training),
        files_table(corpus),
        sizes_table(record.counts, SIDES, "texts"),
        escape_markdown(printable(line)),
        fingerprint_line(corpus),
    )


def task_recipe_section(record: TaskRecord) -> str:
    """Return the command that repeats the training; "" if its settings are not known."""
    recipe = {
        name: value
        for name, value in record.training.get("recipe", {}).items()
        if name.isascii() and name.isidentifier()
    }
    return command_section("mlm finetune", recipe) if recipe else ""


def task_run_section(record: TaskRecord) -> str:
    """Return the hardware of the training run, its steps and speed, and its library versions."""
    training: TrainingJson = record.training.copy()
    if record.is_probe:
        for name in OF_STEPS:
            training.pop(name, None)  # type: ignore[misc]
    return run_section(training)
