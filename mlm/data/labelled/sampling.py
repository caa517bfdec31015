"""Choose some of the texts, by a seed: of all classes, whatever the order of the file.

A smaller sample is the beginning of a larger one with the same seed. The order of the rows in the
file does not matter, because a text's place is decided by a hash of it.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict

from mlm.data.labelled.labelled_texts import LabelledTexts
from mlm.errors import ConfigError, CorpusError


def rows_per_class(texts: LabelledTexts, count: int, seed: int) -> list[int]:
    """Return `count` rows of each class: one of each, then the second of each, and so on.

    Raises:
        ConfigError: count is below 1, or a text has not exactly one class.
        CorpusError: a class has fewer texts.
    """
    _check_count("labels_per_class", count)
    if texts.task.problem_type != "single_label_classification":
        raise ConfigError(
            "--labels_per_class is for texts that have one class each; this task is "
            f"{texts.task.problem_type}: give --max_train_samples"
        )
    counts = Counter(texts.labels)
    fewest = min(texts.task.labels, key=lambda name: counts[name])
    if counts[fewest] < count:
        raise CorpusError(
            f"--labels_per_class is {count:,}, but the class {fewest!r} has {counts[fewest]:,} "
            "training texts: lower it, or give more texts"
        )
    ranks = _ranks(texts, seed)
    order = {name: number for number, name in enumerate(texts.task.labels)}
    rows = [row for row, rank in enumerate(ranks) if rank < count]
    return sorted(rows, key=lambda row: (ranks[row], order[texts.labels[row]]))


def sample_texts(texts: LabelledTexts, count: int, seed: int) -> LabelledTexts:
    """Return the texts of `sample_rows`."""
    return texts.take(sample_rows(texts, count, seed))


def sample_rows(texts: LabelledTexts, count: int, seed: int) -> list[int]:
    """Return `count` rows, or all if there are fewer; each class keeps its share.

    The first texts are one of each class.

    Raises:
        ConfigError: count is below 1.
    """
    _check_count("max_train_samples", count)
    ranks = _ranks(texts, seed)
    if texts.task.problem_type != "single_label_classification":
        return sorted(range(len(texts)), key=ranks.__getitem__)[:count]
    sizes = Counter(texts.labels)
    order = {name: number for number, name in enumerate(texts.task.labels)}

    def place(row: int) -> tuple[float, int]:
        label, rank = texts.labels[row], ranks[row]
        return ((rank + 0.5) / sizes[label] if rank else 0.0), order[label]

    return sorted(range(len(texts)), key=place)[:count]


def _check_count(name: str, count: int) -> None:
    if count < 1:
        raise ConfigError(f"--{name} is {count}, expected 1 or more, or leave it out")


def _ranks(texts: LabelledTexts, seed: int) -> list[int]:
    """Return the place of each row among those of its class, drawn by the seed.

    The repeats of a text come after all texts that are different. Without classes, the place is
    that among all rows.
    """
    key = str(seed).encode()
    digests = texts.digests()
    seen: Counter[bytes] = Counter()
    places: list[tuple[int, bytes, int]] = []
    for row, digest in enumerate(digests):
        drawn = hashlib.blake2b(digest, digest_size=16, key=key).digest()
        places.append((seen[digest], drawn, row))
        seen[digest] += 1
    ranks = [0] * len(places)
    sizes: defaultdict[str, int] = defaultdict(int)
    has_classes = texts.task.problem_type == "single_label_classification"
    for _, _, row in sorted(places):
        label = texts.labels[row] if has_classes else ""
        ranks[row] = sizes[label]
        sizes[label] += 1
    return ranks
