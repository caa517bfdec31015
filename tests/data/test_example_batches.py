"""mlm.data.examples: batches of labelled examples depend only on (seed, step)."""

import numpy as np
import pytest

from mlm.checkpoint.task import Task
from mlm.data.examples.encoded_examples import NO_LABEL, EncodedExamples
from mlm.data.examples.example_batches import ExampleBatches

PAD = 0
CLASSES = Task("single_label_classification", ("a", "b"))
TAGS = Task("token_classification", ("B-X", "O"))


def examples_of(lengths, labels, task=CLASSES, max_seq_length=32, **columns):
    """Return examples of these lengths; all ids of example i are i + 1."""
    ids = np.repeat(np.arange(1, len(lengths) + 1, dtype=np.uint16), lengths)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    cut = np.zeros(len(lengths), np.float32)
    return EncodedExamples(
        ids, offsets, np.array(labels), task, PAD, max_seq_length, cut, **columns
    )


def test_every_epoch_has_each_example_once_and_weights_sum_to_one():
    examples = examples_of([3, 9, 4, 30, 5, 6], [0, 1, 0, 1, 0, 1])
    batches = ExampleBatches(examples, global_batch_size=2, seed=3)
    for epoch in range(3):
        seen = [batches.example_indices(step) for step in range(3 * epoch, 3 * epoch + 3)]
        assert sorted(np.concatenate(seen)) == list(range(6))
    for step in range(9):
        inputs, labels, weights = batches.batch_at(step)
        rows = inputs["input_ids"][:, 0] - 1
        assert labels.tolist() == examples.labels[rows].tolist()
        assert weights.sum() == 1
        trimmed, _, _ = batches.trim((inputs, labels, weights))
        width = trimmed["input_ids"].shape[1]
        assert width in (8, 16, 24, 32) and width >= inputs["attention_mask"].sum(1).max()


def test_class_weights_are_normalized_in_a_batch():
    examples = examples_of([3] * 4, [0, 0, 0, 1])
    weights = np.array([1, 3], np.float32)
    batches = ExampleBatches(examples, global_batch_size=4, seed=0, class_weights=weights)
    _, labels, found = batches.batch_at(0)
    assert found.tolist() == pytest.approx(np.where(labels == 1, 3 / 6, 1 / 6).tolist())


def test_tokens_without_a_label_have_no_weight():
    labels = [NO_LABEL, 1, NO_LABEL, NO_LABEL, 0, 1, NO_LABEL]
    batches = ExampleBatches(examples_of([3, 4], labels, TAGS), global_batch_size=2, seed=0)
    _, found, weights = batches.trim(batches.batch_at(0))
    assert found.shape == weights.shape == (2, 8)
    assert np.array_equal(weights > 0, found != NO_LABEL)
    assert weights.sum() == pytest.approx(1)
