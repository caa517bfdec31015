"""The measured sections of a classifier's card: its figures, and the learning curve."""

from mlm.checkpoint.record.markdown import section
from mlm.evaluation.task.curve import Curve
from mlm.evaluation.task.curve_tables import curve_markdown
from mlm.evaluation.task.labels_saved import LabelsSaved, labels_saved
from mlm.evaluation.task.metric_names import TITLES, format_metric
from mlm.evaluation.task.tables import markdown_tables
from mlm.training.card.task.task_record import TaskRecord
from mlm.training.card.task.wording import label_name

PICTURE = "learning_curve.svg"
INTERVALS = (
    "A 95 % interval covers the choice of the texts measured on; it covers neither that of the "
    "training texts nor the seed of the training."
)
PROBES = (
    "Each point is a linear probe: the encoder stays as it is, and a classifier is fitted to its "
    "states for a number of labelled texts, drawn by a seed. So the curve compares encoders, and "
    "its last point is not the figure of this model, which was trained as the recipe says."
)
OWN_PROBE = (
    "Each point is a linear probe, as this model is: the encoder stays as it is, and a classifier "
    "is fitted to its states for a number of labelled texts, drawn by a seed."
)
SYSTEMS = {  # as mlm finetune names them
    "adapted": "the model that this one was fine-tuned from",
    "base": "the model that `adapted` was adapted from",
    "random": "weights of the same shape that were never trained",
    "TF-IDF": "words and logistic regression, without an encoder",
}


def figures_section(record: TaskRecord) -> str:
    """Return all figures, on which texts they were measured, and those of the validation texts."""
    figures = record.figures
    if figures is None:
        return ""
    on = "Measured once, at the end, on the test texts, which chose nothing."
    if record.measured_on == "validation":
        on = "Measured on the validation texts, by which weights or settings may have been chosen."
    chosen = ""
    if record.validation:
        chosen = f"On the validation texts, for choosing by: {record.validation.line()}."
    return section("Figures", f"{on} {INTERVALS}", markdown_tables(figures), chosen)


def curve_section(record: TaskRecord) -> str:
    """Return the picture of the learning curve, the labels saved, and both as tables."""
    curve = record.curve
    if curve is None:
        return ""
    name = TITLES[curve.metric]
    alt = f"{name[:1].upper()}{name[1:]} against the number of labels; the tables have the numbers."
    return section(
        "Learning curve",
        f"![{alt}]({PICTURE})",
        " ".join(filter(None, [OWN_PROBE if record.is_probe else PROBES, _systems(curve)])),
        saved_sentences(curve),
        curve_markdown(curve),
        _comparisons(record, curve),
    )


def _comparisons(record: TaskRecord, curve: Curve) -> str:
    """Return McNemar's tests with the most labels, as a list."""
    first, *others = curve.systems
    tests = [
        f"- {record.comparisons[other].line(label_name(other), label_name(first))}"
        for other in others
        if other in record.comparisons
    ]
    return "\n".join(["With the most labels, on the same texts:", "", *tests]) if tests else ""


def _systems(curve: Curve) -> str:
    known = [
        f"{label_name(system)} is {SYSTEMS[system]}"
        for system in curve.systems
        if system in SYSTEMS
    ]
    return f"{'; '.join(known)}." if known else ""


def saved_sentences(curve: Curve) -> str:
    """Return the labels saved with the fewest labels, and with a middle number of them."""
    first, *others = curve.systems
    sizes = list(curve.spreads(first))
    if not others or not any(sizes):
        return ""
    saved = {other: labels_saved(curve, first, other) for other in others}
    rows = sorted({sizes.index(min(filter(None, sizes))), len(sizes) // 2})
    return " ".join(
        _saved_sentence(curve, sizes[row], {other: each[row] for other, each in saved.items()})
        for row in rows
    )


def _saved_sentence(curve: Curve, labels: int, saved: dict[str, LabelsSaved]) -> str:
    first = curve.systems[0]
    score = format_metric(curve.metric, curve.spreads(first)[labels].mean)
    needs = [f"{label_name(other)} needs {each.text()}" for other, each in saved.items()]
    count = f"{labels:,} label{'s' * (labels != 1)}"
    return (
        f"With {count}, {label_name(first)} has {TITLES[curve.metric]} {score}; "
        f"for that, {', '.join(needs)}."
    )
