"""Words of a classifier's card: names of labels, sides, numbers of texts."""

from collections.abc import Sequence

from mlm.checkpoint.record.markdown import code
from mlm.evaluation.task.tables import printable
from mlm.training.card.task.task_record import Side

SIDE_NAMES: dict[Side, str] = {"train": "training", "validation": "validation", "test": "test"}
MOST_LABELS = 8  # in a sentence
LONGEST_NAME = 60  # characters in a sentence


def label_name(name: str) -> str:
    """Return the name of a label, or of a system, for a sentence."""
    plain = printable(name)
    return code(plain if len(plain) <= LONGEST_NAME else f"{plain[: LONGEST_NAME - 1]}…")


def label_names(names: Sequence[str]) -> str:
    """Return the names of labels for a sentence: the first ones, and how many more there are."""
    shown = ", ".join(map(label_name, names[:MOST_LABELS]))
    more = len(names) - MOST_LABELS
    return f"{shown} and {more:,} more" if more > 0 else shown


def percent(share: float) -> str:
    """Return a share as the tables have it: "91.2 %"."""
    return f"{100 * share:.1f} %"
