"""mlm.data.examples: batches of labelled examples depend only on (seed, step)."""

import numpy as np
import pytest

from mlm.checkpoint.task import Task
from mlm.data.examples.class_weights import class_weights_of
from mlm.data.examples.encoded_examples import NO_LABEL, EncodedExamples
from mlm.data.examples.example_batches import ExampleBatches
from mlm.data.examples.example_evaluation_batches import ExampleEvaluationBatches
from mlm.errors import ConfigError, CorpusError

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


def test_class_weights_of_tokens_leave_those_without_a_label_out():
    labels = [NO_LABEL, 1, NO_LABEL, NO_LABEL, 0, 1, NO_LABEL]
    batches = batches_of(
        examples_of([3, 4], labels, TAGS), size=2, class_weights=np.array([3, 1], np.float32)
    )
    _, found, weights = batches.batch_at(0)
    expected = np.select([found == 0, found == 1], [3 / 5, 1 / 5], 0.0)
    assert weights.ravel().tolist() == pytest.approx(expected.ravel().tolist())


def batches_of(examples, size=4, **settings):
    return ExampleBatches(examples, global_batch_size=size, **({"seed": 5} | settings))


def random_examples(count=100, task=CLASSES, labels=None, **columns):
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 65, count)
    labels = rng.integers(0, 2, count) if labels is None else labels
    return examples_of(lengths, labels, task, max_seq_length=64, **columns)


def test_a_batch_depends_on_seed_and_step_only():
    examples = random_examples()
    first, second = batches_of(examples), batches_of(examples)
    for step in (40, 3, 77, 0):
        for one, other in zip(first.batch_at(step), second.batch_at(step), strict=True):
            assert str(one) == str(other)
    others = batches_of(examples, seed=6)
    assert not np.array_equal(first.example_indices(0), others.example_indices(0))


def test_batches_hold_examples_of_similar_length_if_grouped():
    examples = random_examples()
    spread = {}
    for grouped in (True, False):
        batches = batches_of(examples, group_by_length=grouped)
        rows = [examples.lengths[batches.example_indices(step)] for step in range(25)]
        assert sorted(np.concatenate(rows)) == sorted(examples.lengths)
        spread[grouped] = sum(int(row.max() - row.min()) for row in rows)
    assert spread[True] < spread[False] / 5


def test_facts_of_the_batches():
    batches = batches_of(examples_of([3, 5, 9, 3], [0, 1, 1, 0]), size=2)
    assert (batches.global_batch_size, batches.num_sequences, batches.is_padded) == (2, 4, True)
    assert batches.sizes == [(8, 0), (16, 0)]
    assert batches.tokens_per_step == 10
    full = batches_of(examples_of([32, 32], [0, 1]), size=2)
    assert not full.is_padded
    rounded = batches_of(examples_of([5, 5], [0, 1]), size=2)  # to a width of 8
    assert rounded.is_padded


def test_there_are_more_rows_in_a_batch_than_examples():
    batches = batches_of(examples_of([3, 4, 5], [0, 1, 1]), size=8)
    for step in range(5):
        inputs, labels, weights = batches.batch_at(step)
        assert inputs["input_ids"].shape[0] == len(labels) == len(weights) == 8
        assert weights.sum() == 1
    seen = np.concatenate([batches.example_indices(step) for step in range(3)])
    assert np.bincount(seen).tolist() == [8, 8, 8]


def test_pairs_have_token_types():
    starts = np.array([2, 4], np.int32)
    examples = examples_of([5, 6], [0, 1], second_starts=starts)
    inputs = examples.inputs(np.array([1, 0]), 8)
    assert inputs["input_ids"].tolist() == [[2] * 6 + [PAD] * 2, [1] * 5 + [PAD] * 3]
    assert inputs["attention_mask"].tolist() == [[1] * 6 + [0] * 2, [1] * 5 + [0] * 3]
    assert inputs["token_type_ids"].tolist() == [
        [0] * 4 + [1] * 2 + [0] * 2,
        [0, 0, 1, 1, 1, 0, 0, 0],
    ]
    trimmed, _, _ = batches_of(examples, size=2).trim(batches_of(examples, size=2).batch_at(0))
    assert trimmed["token_type_ids"].shape == trimmed["input_ids"].shape == (2, 8)


@pytest.mark.parametrize(
    ("problem_type", "labels", "shape", "dtype"),
    [
        ("single_label_classification", np.arange(4, dtype=np.int32), (4,), "int32"),
        ("multi_label_classification", np.ones((4, 3), np.float32), (4, 3), "float32"),
        ("regression", np.ones(4, np.float32), (4,), "float32"),
    ],
)
def test_labels_of_each_task(problem_type, labels, shape, dtype):
    examples = examples_of([3] * 4, labels, Task(problem_type, ("a", "b", "c")))
    _, found, weights = batches_of(examples).batch_at(0)
    assert (found.shape, found.dtype, weights.shape) == (shape, dtype, (4,))


def test_some_examples_of_all():
    labels = np.arange(12, dtype=np.int32)
    examples = examples_of([3, 4, 5], labels, TAGS, second_starts=np.array([1, 2, 3]))
    some = examples.take(np.array([2, 0]))
    assert some.ids.tolist() == [3] * 5 + [1] * 3
    assert some.labels.tolist() == [7, 8, 9, 10, 11, 0, 1, 2]
    assert (some.offsets.tolist(), some.second_starts.tolist()) == ([0, 5, 8], [3, 1])
    none = examples.take(np.array([], np.int64))
    assert (len(none), len(none.ids)) == (0, 0)


def test_settings_that_cannot_work_are_refused():
    examples = examples_of([3] * 4, [0, 1, 0, 1])
    with pytest.raises(ConfigError, match="global_batch_size is 0"):
        batches_of(examples, size=0)
    with pytest.raises(ConfigError, match="step is -1"):
        batches_of(examples).batch_at(-1)
    with pytest.raises(ConfigError, match="there are 3 class weights, expected one for each of"):
        batches_of(examples, class_weights=np.ones(3, np.float32))
    numbers = examples_of([3] * 4, [0.5] * 4, Task("regression", ("x",)))
    with pytest.raises(ConfigError, match="--class_weights is for tasks with one class"):
        batches_of(numbers, class_weights=np.ones(1, np.float32))
    with pytest.raises(CorpusError):
        batches_of(examples.take(np.array([], np.int64)))


# Evaluation ---------------------------------------------------------------------------------------


def test_all_examples_are_measured_once_and_restored():
    examples = random_examples(50)
    batches = ExampleEvaluationBatches(examples, batch_size=8)
    widths, outputs, real = [], [], 0
    for inputs, labels, weights in batches:
        widths.append(inputs["input_ids"].shape[1])
        assert inputs["input_ids"].shape[0] == len(labels) == len(weights) == 8
        real += int(weights.sum())
        outputs.append(np.stack([inputs["input_ids"][:, 0], labels], 1))
    assert (len(batches), real) == (7, 50)
    assert widths == sorted(widths) and set(widths) <= {8, 16, 32, 48, 64}
    restored = batches.reorder(np.concatenate(outputs))
    assert restored[:, 0].tolist() == list(range(1, 51))
    assert restored[:, 1].tolist() == examples.labels.tolist()
    with pytest.raises(IndexError):
        batches[7]


def test_outputs_of_tokens_are_restored_as_the_labels_are():
    lengths = [9, 3, 20, 4, 5]
    labels = np.arange(sum(lengths), dtype=np.int32)
    labels[3] = NO_LABEL
    examples = examples_of(lengths, labels, TAGS)
    batches = ExampleEvaluationBatches(examples, batch_size=2)
    outputs = [
        np.pad(each, ((0, 0), (0, batches.width - each.shape[1])), constant_values=NO_LABEL)
        for _, each, _ in batches
    ]
    restored = batches.reorder(np.concatenate(outputs))
    assert np.array_equal(restored, examples.labels_of(np.arange(5), batches.width))
    weights = [weights for _, _, weights in batches]
    assert sum(int(each.sum()) for each in weights) == 40
    assert weights[-1][1].sum() == 0


# Class weights ------------------------------------------------------------------------------------


def test_class_weights_are_those_of_scikit_learn():
    labels = np.random.default_rng(1).choice(4, 200, p=[0.6, 0.2, 0.15, 0.05])
    module = pytest.importorskip("sklearn.utils.class_weight")
    expected = module.compute_class_weight("balanced", classes=np.arange(4), y=labels)
    assert class_weights_of(labels, 4).tolist() == pytest.approx(expected.tolist())
    with_gaps = np.concatenate([labels, [NO_LABEL] * 50])
    assert class_weights_of(with_gaps, 4).tolist() == pytest.approx(expected.tolist())
    assert class_weights_of(np.array([0, 0]), 2).tolist() == [0.5, 0]


def test_weighted_batches_are_weighted_as_by_torch():
    torch = pytest.importorskip("torch")
    examples = random_examples(64)
    class_weights = np.array([1, 5], np.float32)
    batches = batches_of(examples, size=16, class_weights=class_weights)
    _, labels, weights = batches.batch_at(0)
    logits = torch.tensor(np.random.default_rng(0).normal(size=(16, 2)))
    targets = torch.tensor(labels, dtype=torch.long)
    each = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    expected = torch.nn.functional.cross_entropy(
        logits, targets, weight=torch.tensor(class_weights, dtype=logits.dtype)
    )
    assert float((each * torch.tensor(weights)).sum()) == pytest.approx(float(expected), rel=1e-6)
