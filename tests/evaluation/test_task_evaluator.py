"""A task model measured on labelled examples: logits, figures, the number to compare by."""

import numpy as np
import pytest
import torch

from mlm.checkpoint.task import Task
from mlm.checkpoint.task_checkpoint import read_task_checkpoint
from mlm.data.examples.encoded_examples import NO_LABEL, encode_examples
from mlm.data.examples.example_evaluation_batches import ExampleEvaluationBatches
from mlm.data.labelled.labelled_texts import LabelledTexts
from mlm.evaluation.evaluator import EvaluationStopped
from mlm.evaluation.task_evaluator import TaskEvaluator, figures_of_logits
from tests.support.small_models import small_texts

TEXTS = [text[: 4 + 5 * (row % 7)] for row, text in enumerate(small_texts()[:20])]
CLASSES = Task("single_label_classification", ("neg", "pos"))
TAGS = Task("token_classification", ("O", "B-X", "I-X"))


def labelled(task: Task) -> LabelledTexts:
    if not task.is_of_tokens:
        labels = [task.labels[row % 2] for row in range(len(TEXTS))]
        return LabelledTexts(TEXTS, labels, task, None)
    words = [text.split() for text in TEXTS]
    tags = [[("O", "B-X")[at % 2] for at in range(len(each))] for each in words]
    return LabelledTexts([" ".join(each) for each in words], tags, task, None, words=words)


@pytest.fixture(scope="module", params=[CLASSES, TAGS], ids=["texts", "tokens"])
def measured(request, tiny_bert_folder):
    """(evaluator, model, examples) of a tiny BERT with a new head."""
    checkpoint = read_task_checkpoint(tiny_bert_folder, request.param)
    examples = encode_examples(labelled(request.param), checkpoint.tokenizer, 32)
    batches = ExampleEvaluationBatches(examples, batch_size=6)
    return TaskEvaluator(checkpoint.model, batches), checkpoint.model, examples


def test_logits_come_in_the_order_of_the_examples(measured):
    evaluator, model, examples = measured
    logits = evaluator.logits()
    assert len(logits) == len(examples) == 20
    for row in (0, 7, 19):
        length = int(examples.lengths[row])
        alone = np.asarray(model(examples.inputs(np.array([row]), length)))[0]
        found = logits[row][:length] if examples.task.is_of_tokens else logits[row]
        np.testing.assert_allclose(found, alone, atol=1e-5)
    assert evaluator.seconds > 0


def test_the_loss_is_pytorchs_mean_over_the_labels(measured):
    evaluator, _, examples = measured
    logits = evaluator.logits()
    labels = examples.labels_of(np.arange(20), logits.shape[1])
    theirs = torch.nn.functional.cross_entropy(
        torch.tensor(logits.reshape(-1, logits.shape[-1])),
        torch.tensor(labels.reshape(-1)).long(),
        ignore_index=NO_LABEL,
    )
    figures = evaluator.figures()
    assert figures.loss == pytest.approx(float(theirs), rel=1e-5)
    assert figures.to_dict() == figures_of_logits(examples, logits).to_dict()
    assert figures.criterion == figures.loss
    assert figures.line() == figures.figures.line()


@pytest.mark.parametrize(
    ("name", "sign"), [("accuracy", -1), ("eval_mcc", -1), ("loss", 1), ("ece", 1)]
)
def test_a_metric_has_the_sign_that_makes_lower_better(tiny_bert_folder, name, sign):
    checkpoint = read_task_checkpoint(tiny_bert_folder, CLASSES)
    examples = encode_examples(labelled(CLASSES), checkpoint.tokenizer, 32)
    batches = ExampleEvaluationBatches(examples, batch_size=8)
    measured = TaskEvaluator(checkpoint.model, batches, metric_name=name).figures()
    assert measured.criterion == sign * measured.figures.score(name)


def test_an_evaluation_ends_early_when_it_is_told(measured):
    evaluator, _, _ = measured
    with pytest.raises(EvaluationStopped):
        evaluator.figures(lambda: True)


def test_thinned_batches_have_all_lengths(measured):
    _, _, examples = measured
    batches = ExampleEvaluationBatches(examples, batch_size=4)
    some = batches.thinned(2)
    assert (len(batches), len(some), some.batch_size) == (5, 2, 4)
    spans = [(each.examples.lengths.min(), each.examples.lengths.max()) for each in (batches, some)]
    assert spans[0] == spans[1]
    assert batches.thinned(5) is batches
