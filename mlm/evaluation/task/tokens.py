"""Figures of a token task: precision, recall and F1 of entities, accuracy of tokens."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from mlm.checkpoint.task import Task
from mlm.evaluation.task.entities import Entity, are_plain, entities_in, parse_tag
from mlm.evaluation.task.intervals import Interval, percentile_intervals, resampled_sums
from mlm.evaluation.task.label_figures import defined, f1_scores, figures_by_label, ratio
from mlm.evaluation.task.losses import cross_entropy
from mlm.evaluation.task.task_figures import TaskFigures


def token_figures(
    task: Task, logits: np.ndarray, labels: np.ndarray, mask: np.ndarray, *, seed: int
) -> TaskFigures:
    """Return the figures of N sentences, entities counted as seqeval counts them.

    An entity is found if its type, first and last token are right. Precision, recall and F1 are
    over all entities of all types together (micro). Of plain tags, such as parts of speech, each
    token counts as an entity, so that these three are the accuracy. The bootstrap draws sentences:
    the tokens and entities of one sentence depend on each other.

    Args:
        task: Names of the L labels, such as O, B-PER, I-PER.
        logits: (N, T, L); finite where `mask` is true.
        labels: (N, T) label ids.
        mask: (N, T) bool, True for tokens with a label; others are left out of the sentence.
        seed: Of the bootstrap.
    """
    has_token = mask.any(-1)
    logits, labels, mask = logits[has_token], labels[has_token], mask[has_token]
    predicted = logits.argmax(-1)
    pairs = list(_entity_pairs(task, labels, predicted, mask))
    is_right = (labels == predicted) & mask
    rows = np.array(
        [
            (len(found & actual), len(found), len(actual), right, count)
            for (actual, found), right, count in zip(
                pairs, is_right.sum(-1), mask.sum(-1), strict=True
            )
        ]
    )
    values = _metrics(rows.sum(0)[None])
    return TaskFigures(
        task.problem_type,
        task.labels,
        num_examples=len(rows),
        loss=float(cross_entropy(logits[mask], labels[mask]).mean()),
        metrics={name: defined(value[0]) for name, value in values.items()},
        intervals=_bootstrap(rows, seed),
        per_label=figures_by_label(*_counts_by_type(pairs)),
    )


def _entity_pairs(
    task: Task, labels: np.ndarray, predicted: np.ndarray, mask: np.ndarray
) -> Iterator[tuple[set[Entity], set[Entity]]]:
    """Yield the right and the predicted entities of each sentence; of plain tags, each token."""
    if are_plain(task.labels):
        names = task.labels
        for both, is_token in zip(zip(labels, predicted, strict=True), mask, strict=True):
            actual, found = (
                {Entity(names[i], at, at) for at, i in enumerate(ids[is_token].tolist())}
                for ids in both
            )
            yield actual, found
        return
    tags = [parse_tag(name) for name in task.labels]
    for both, is_token in zip(zip(labels, predicted, strict=True), mask, strict=True):
        actual, found = (entities_in([tags[i] for i in ids[is_token].tolist()]) for ids in both)
        yield actual, found


def _counts_by_type(
    pairs: list[tuple[set[Entity], set[Entity]]],
) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Return the types in alphabetical order; hits, predictions and right entities of each."""
    counters: tuple[Counter[str], Counter[str], Counter[str]] = (Counter(), Counter(), Counter())
    for actual, found in pairs:
        for counter, entities in zip(counters, (actual & found, found, actual), strict=True):
            counter.update(entity.type for entity in entities)
    types = sorted(set().union(*counters))
    hits, predicted, support = (np.array([counter[t] for t in types], int) for counter in counters)
    return types, hits, predicted, support


def _metrics(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Return metrics, each (R,), from (R, 5): hits, found, actual; right tokens, all tokens."""
    hits, found, actual, right, count = sums.T
    return {
        "f1": f1_scores(hits, found, actual),
        "precision": ratio(hits, found),
        "recall": ratio(hits, actual),
        "accuracy": ratio(right, count),
    }


def _bootstrap(rows: np.ndarray, seed: int) -> dict[str, Interval]:
    return percentile_intervals(_metrics(resampled_sums(rows, seed)))
