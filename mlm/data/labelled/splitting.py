"""Hold out validation texts, and remove texts that are in two sides.

A text is on one side by a hash of it, as in data/tokens/corpus.py: the order of the rows does not
matter, and all rows of a text are on the same side.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from mlm.data.labelled.checks import LEAST_EXAMPLES
from mlm.data.labelled.labelled_report import LabelledReport
from mlm.data.labelled.labelled_texts import LabelledTexts
from mlm.errors import ConfigError, CorpusError


def split_off_validation(
    texts: LabelledTexts, percentage: float
) -> tuple[LabelledTexts, LabelledTexts]:
    """Return the training and the validation side of texts.

    Args:
        texts: with labels. Each class has its share on both sides; without classes, the texts do.
        percentage: of the different texts that go to validation, in (0, 100).

    Raises:
        ConfigError: the percentage cannot work.
        CorpusError: a side has no text.
    """
    if not 0 < percentage < 100:
        raise ConfigError(
            f"--validation_split_percentage is {percentage:g}, expected more than 0 and less than "
            "100"
        )
    digests = texts.digests()
    held_out: set[bytes] = set()
    groups = _groups(texts, digests)
    for group in groups:
        held_out.update(group[: _share(len(group), percentage)])
    if not held_out:  # each class is too small for a share
        least = LEAST_EXAMPLES if len(groups) > 1 else 1
        held_out.update(group[0] for group in groups if len(group) > least)
    train = [row for row, digest in enumerate(digests) if digest not in held_out]
    validation = [row for row, digest in enumerate(digests) if digest in held_out]
    if not train or not validation:
        raise _too_few_error(texts, "validation" if train else "training", percentage)
    return texts.take(train), texts.take(validation)


def _too_few_error(texts: LabelledTexts, side: str, percentage: float) -> CorpusError:
    leave = "text leaves" if len(texts) == 1 else "texts leave"
    each = ""
    if texts.task.problem_type == "single_label_classification":
        each = f", as each class keeps {LEAST_EXAMPLES} for training"
    ends = "" if texts.words is None else " (an empty line ends a sentence)"
    return CorpusError(
        f"{len(texts):,} {leave} none for {side} at --validation_split_percentage "
        f"{percentage:g}{each}: give more texts{ends}, or a --validation_file"
    )


def _share(count: int, percentage: float) -> int:
    """Return the number of texts of a class for validation; at least one is left for training."""
    return min(int(count * percentage / 100 + 0.5), count - 1)


def _groups(texts: LabelledTexts, digests: Sequence[bytes]) -> list[list[bytes]]:
    """Return the different texts of each class in the order of their hashes; all, without classes.

    A text with several classes belongs to the one that it has most often.
    """
    if texts.task.problem_type != "single_label_classification":
        return [sorted(set(digests))]
    labels: defaultdict[bytes, Counter[str]] = defaultdict(Counter)
    for digest, label in zip(digests, texts.labels, strict=True):
        labels[digest][label] += 1
    groups: defaultdict[str, list[bytes]] = defaultdict(list)
    for digest, counts in labels.items():
        groups[min(counts, key=lambda label: (-counts[label], label))].append(digest)
    return [sorted(groups[label]) for label in sorted(groups)]


def without_texts_of(
    texts: LabelledTexts, others: LabelledTexts, sides: tuple[str, str], report: LabelledReport
) -> LabelledTexts:
    """Return the texts that are not among `others`; the report says how many were removed.

    sides: the names of both, for messages.

    Raises:
        CorpusError: no text is left.
    """
    held_out = set(others.digests())
    kept = [row for row, digest in enumerate(texts.digests()) if digest not in held_out]
    if len(kept) == len(texts):
        return texts
    if not kept:
        raise CorpusError(f"all {sides[0]} texts are also {sides[1]} texts: give different files")
    count = len(texts) - len(kept)
    report.say(
        f"{count:,} {sides[0]} text{'s are' if count > 1 else ' is'} also among the {sides[1]} "
        f"texts, and left out of {sides[0]}"
    )
    return texts.take(kept)


def say_repeats(texts: LabelledTexts, report: LabelledReport) -> None:
    """Say how many training texts are repeats of others, and how many have different labels."""
    labels: defaultdict[bytes, set[str]] = defaultdict(set)
    for digest, label in zip(texts.digests(), texts.labels, strict=True):
        labels[digest].add(str(label))
    repeats = len(texts) - len(labels)
    if not repeats:
        return
    conflicts = sum(len(found) > 1 for found in labels.values())
    have = "has" if conflicts == 1 else "have"
    differ = f"; {conflicts:,} of the repeated texts {have} different labels" if conflicts else ""
    repeat = (
        "row repeats the text of another, and is"
        if repeats == 1
        else ("rows repeat the text of another, and are")
    )
    report.say(f"{repeats:,} training {repeat} kept{differ}")
