"""The first paragraphs of a classifier's card: what it answers, from what, how well."""

from collections.abc import Mapping
from pathlib import Path

from mlm.evaluation.task.metric_names import SHARES, format_metric
from mlm.evaluation.task.task_figures import TaskFigures, format_range
from mlm.training.card.model_facts import family_phrase, origin_sentence, shape_sentence
from mlm.training.card.task.task_record import TaskRecord
from mlm.training.card.task.wording import SIDE_NAMES, label_names

PROBE = (
    "Its encoder is that of this model, unchanged; only the classifier on it was trained (a linear "
    "probe)."
)
CHOSEN_BY = (
    "Weights or settings may have been chosen by these texts, so that new texts may give less."
)


def task_summary(folder: Path, record: TaskRecord, config: Mapping[str, object]) -> str:
    """Return kind, labels, shape, base model, and the headline figure with its interval.

    Args:
        folder: The checkpoint folder, of which the parameters are counted.
        record: The fine-tuning.
        config: The names and numbers of config.json.
    """
    origin = origin_sentence(record.training, "fine-tuned")
    probe = PROBE if record.is_probe and origin else ""
    parts = [_answers(record, family_phrase(config)), shape_sentence(folder, config), origin, probe]
    return "\n\n".join(filter(None, [" ".join(filter(None, parts)), _headline(record)]))


def _answers(record: TaskRecord, family: str) -> str:
    """Return what the model answers, by the kind of its task."""
    labels, text = record.task.labels, "pair of texts" if record.is_of_pairs else "text"
    count, names = len(labels), f": {label_names(labels)}" if labels else ""
    match record.task.problem_type:
        case "single_label_classification":
            what = f"A text classifier{family}: it gives a {text} one of {count} labels"
        case "multi_label_classification":
            what = f"A text classifier{family}: it gives a {text} any of {count} labels, or none"
        case "regression":
            what = f"A regression model{family}: it gives a {text} a number"
        case _:
            what = f"A token classifier{family}: it gives each word one of {count} labels"
    return f"{what}{names}."


def _headline(record: TaskRecord) -> str:
    """Return the figure that the task is known by; "" if it was not measured."""
    figures = record.figures
    if figures is None or figures.headline.value is None:
        return ""
    side = SIDE_NAMES[record.measured_on]
    unit = "sentence" if record.task.is_of_tokens else "text"
    number = f"{figures.num_examples:,} {side} {unit}{'s' * (figures.num_examples != 1)}"
    unseen = ", which no training step saw" if record.measured_on == "test" else ""
    caution = "" if record.measured_on == "test" else f" {CHOSEN_BY}"
    return f"On {number}{unseen}, its {headline_words(figures)}.{caution}"


def headline_words(figures: TaskFigures) -> str:
    """Return the headline in words: "accuracy is 91.2 % (95 % interval 90.3 to 92.1 %)"."""
    name, value, low, high = figures.headline
    words = f"{figures.title(name)} is {format_metric(name, value)}"
    if low is None or high is None:
        return words
    unit = " %" if name in SHARES else ""
    return f"{words} (95 % interval {format_range(name, low, high)}{unit})"
