"""The limits of a classifier: what its figures say about it, and what they do not."""

from collections.abc import Iterator

from mlm.checkpoint.record.markdown import section
from mlm.evaluation.task.label_figures import LabelFigures
from mlm.evaluation.task.task_figures import TaskFigures
from mlm.training.card.stated import stated_facts
from mlm.training.card.task.task_record import TaskRecord
from mlm.training.card.task.wording import SIDE_NAMES, label_name, percent

FEW_TEXTS = 100  # with less, an accuracy of 80 % has an interval of 16 points
UNKNOWN = (
    "Not measured, and so not known: its answers to texts from other sources, of other times or by "
    "other people than those that it was measured on, and to texts that are meant to mislead it."
)
PREJUDICE = (
    "It repeats what the people who labelled its texts thought, and the errors and prejudices of "
    "the texts and of the model that it was fine-tuned from; an answer does not judge anybody."
)


def limits_section(record: TaskRecord) -> str:
    """Return the limits, one a line."""
    lines = [*_of_measurement(record), *_of_labels(record), *_of_texts(record)]
    return section("Limits and biases", "\n".join(f"- {line}" for line in lines))


def _of_measurement(record: TaskRecord) -> Iterator[str]:
    figures, side = record.figures, SIDE_NAMES[record.measured_on]
    if figures is None:
        yield "Its figures are not known."
        return
    if figures.num_examples < FEW_TEXTS:
        yield (
            f"It was measured on {figures.count()} only: with so few, its figures may be chance."
        )
    if record.measured_on == "validation":
        yield (
            "It was measured on texts by which weights or settings may have been chosen; measure "
            "it on others before you rely on it."
        )
    if record.task.problem_type == "single_label_classification":
        yield from _of_balance(figures, side)
    error = figures.metrics.get("ece")
    if error is not None:
        yield (
            f"Its scores are {100 * error:.1f} points off on average (calibration error): a score "
            "of 0.9 is not a promise to be right in 90 % of the texts."
        )


def _of_balance(figures: TaskFigures, side: str) -> Iterator[str]:
    """Yield the figure of a constant answer, and the label that is found least often."""
    labels = [label for label in figures.per_label if label.support]
    total = sum(label.support for label in labels)
    if not total:
        return
    most = max(labels, key=lambda label: label.support)
    yield (
        f"{label_name(most.label)} is the label of {percent(most.support / total)} of the {side} "
        "texts: whoever always answers it has that accuracy."
    )
    least = min(labels, key=_recall)
    if least.recall is not None:
        yield (
            f"It finds {label_name(least.label)} least often: {percent(least.recall)} of "
            f"{least.support:,} {side} text{'s' * (least.support != 1)}."
        )


def _recall(label: LabelFigures) -> float:
    return 1.0 if label.recall is None else label.recall


def _of_labels(record: TaskRecord) -> Iterator[str]:
    match record.task.problem_type:
        case "single_label_classification":
            yield "It knows only its labels: a text that fits none of them gets one as well."
        case "multi_label_classification":
            yield "A label counts as given from a score of 0.5 on; no other limit was tried."
        case "regression":
            yield "Its numbers may lie outside the range of those that it was trained on."
        case _:
            yield "It labels words as they were split in its texts; others may be split otherwise."


def _of_texts(record: TaskRecord) -> Iterator[str]:
    codes = ", ".join(f"`{code}`" for code in stated_facts(record.training).languages)
    if codes:
        yield f"Its texts are in {codes}; other languages were not measured."
    else:
        yield "The language of its texts was not stated; no other one was measured."
    yield PREJUDICE
    yield UNKNOWN
