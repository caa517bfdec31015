"""Training, validation and test texts of a run, read, checked, split and sampled.

sides = read_sides(settings, report, train_files=["train.csv"], test_files=["test.csv"])
sides.train, sides.validation, sides.test
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from mlm.data.labelled.checks import check_classes, check_left
from mlm.data.labelled.label_remarks import short_name
from mlm.data.labelled.labelled_files import read_labelled
from mlm.data.labelled.labelled_report import LabelledReport
from mlm.data.labelled.labelled_settings import LabelledSettings
from mlm.data.labelled.labelled_texts import LabelledTexts
from mlm.data.labelled.sampling import sample_texts
from mlm.data.labelled.splitting import say_repeats, split_off_validation, without_texts_of
from mlm.errors import ConfigError

_SHOWN = 10  # classes
_DEFAULT_PERCENTAGE = 10.0


@dataclass(frozen=True, eq=False)
class Sides:
    """The labelled texts of a run; test is None if no test file was given."""

    train: LabelledTexts
    validation: LabelledTexts
    test: LabelledTexts | None


def read_sides(
    settings: LabelledSettings,
    report: LabelledReport,
    *,
    train_files: Sequence[str | Path],
    validation_files: Sequence[str | Path] = (),
    test_files: Sequence[str | Path] = (),
    validation_split_percentage: float = _DEFAULT_PERCENTAGE,
    max_train_samples: int | None = None,
    seed: int = 0,
) -> Sides:
    """Read the texts of all sides; no text is in two of them.

    A text in several sides stays in the test side, else in validation. Labels that the training
    files never have are refused. Validation is held out before the training texts are sampled, so
    that it is the same for any size of the sample.

    Args:
        settings: see `read_labelled`.
        report: gets a line for each side and for all that is left out.
        train_files: see `read_labelled`.
        validation_files: empty holds out a share of the training texts.
        test_files: may be empty.
        validation_split_percentage: of the training texts, without a validation file.
        max_train_samples: number of training texts to keep, with the shares of their classes.
        seed: of the sample.

    Raises:
        CorpusError: files or labels cannot work; see checks.py.
        ConfigError: max_train_samples cannot work.
    """
    train = read_labelled(train_files, settings, report)
    check_classes(train, "training")
    say_repeats(train, report)
    others = {
        side: read_labelled(files, settings, report, like=train, side=side)
        for side, files in (("test", test_files), ("validation", validation_files))
        if files
    }
    for side, texts in others.items():
        check_classes(texts, side)
    train, validation = _separate(train, others, validation_split_percentage, report)
    check_left(train)
    train = _sampled(train, max_train_samples, seed, report)
    sides = Sides(train, validation, others.get("test"))
    _say_counts(sides, report)
    return sides


def _separate(
    train: LabelledTexts,
    others: dict[str, LabelledTexts],
    percentage: float,
    report: LabelledReport,
) -> tuple[LabelledTexts, LabelledTexts]:
    """Return the training and validation texts that are in no other side."""
    validation = others.get("validation")
    if "test" in others and validation is not None:
        validation = without_texts_of(validation, others["test"], ("validation", "test"), report)
    for side, texts in others.items():
        train = without_texts_of(train, texts, ("training", side), report)
    if validation is None:
        train, validation = split_off_validation(train, percentage)
    return train, validation


def _sampled(
    train: LabelledTexts,
    max_train_samples: int | None,
    seed: int,
    report: LabelledReport,
) -> LabelledTexts:
    if max_train_samples is None:
        return train
    sampled = sample_texts(train, max_train_samples, seed)
    left_out = len(train) - len(sampled)
    report.say(
        f"{left_out:,} training texts left out by --max_train_samples, drawn with seed {seed}"
    )
    _say_missing_classes(sampled, report)
    return sampled


def _say_missing_classes(texts: LabelledTexts, report: LabelledReport) -> None:
    """Say which classes a sample has no text of; it has one of each if it is large enough.

    Raises:
        ConfigError: only one class is left, so that there is nothing to learn.
    """
    if texts.task.problem_type != "single_label_classification":
        return
    present = set(texts.labels)
    missing = [short_name(name) for name in texts.task.labels if name not in present]
    if missing and len(present) == 1:
        raise ConfigError(
            f"--max_train_samples {len(texts):,} leaves training texts of one class only: give "
            f"{len(texts.task.labels):,} or more"
        )
    if missing:
        more = f" and {len(missing) - _SHOWN:,} more" if len(missing) > _SHOWN else ""
        report.say(
            f"--max_train_samples {len(texts):,} leaves no training text of the "
            f"class{'es' * (len(missing) > 1)} {', '.join(missing[:_SHOWN])}{more}: give "
            f"{len(texts.task.labels):,} or more"
        )


def _say_counts(sides: Sides, report: LabelledReport) -> None:
    for name, texts in (
        ("training", sides.train),
        ("validation", sides.validation),
        ("test", sides.test),
    ):
        if texts is not None:
            report.say(f"{name}: {describe(texts)}")


def describe(texts: LabelledTexts) -> str:
    """Return the number of texts, of each label, and their lengths, for people."""
    lengths = [len(text.split()) for text in texts.texts]
    longest = f"{int(np.median(lengths)):,} words at the median, {max(lengths):,} at most"
    count = "1 text" if len(texts) == 1 else f"{len(texts):,} texts"
    return f"{count} ({_describe_labels(texts)}), {longest}"


def _describe_labels(texts: LabelledTexts) -> str:
    if texts.task.problem_type == "regression":
        return f"{min(texts.labels):g} to {max(texts.labels):g}"
    labels = texts.labels
    if texts.task.problem_type != "single_label_classification":
        labels = list(chain.from_iterable(labels))
    counts = Counter(labels)
    shown = [f"{short_name(name)}: {counts[name]:,}" for name in texts.task.labels[:_SHOWN]]
    more = len(texts.task.labels) - _SHOWN
    return ", ".join(shown) + (f", and {more:,} labels more" if more > 0 else "")
