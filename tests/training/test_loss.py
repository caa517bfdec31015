"""Loss and gradients are right: compared with plain NumPy in float64, and with transformers."""

import math

import keras
import numpy as np
import pytest
import torch
import transformers
from safetensors.numpy import load_file

from mlm.checkpoint.families import family_of
from mlm.checkpoint.folder import read_checkpoint
from mlm.checkpoint.tokenizer import encode_texts
from mlm.checkpoint.weights import save_weights
from mlm.data.batches.evaluation_batches import evaluation_batches
from mlm.data.batches.masked_batches import MaskedBatches
from mlm.data.tokens.token_facts import TokenFacts
from mlm.data.tokens.token_store import Split
from mlm.evaluation.evaluator import Evaluator
from tests.support.learners import masked_lm_learner
from tests.support.plain_bert import PlainMaskedLM
from tests.support.small_models import save_random_checkpoint, small_texts

LENGTH, ROWS, STEPS = 24, 6, 3
NO_DROPOUT = {
    "bert": {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
    "roberta": {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
    # A window shorter than the texts, in one of two layers.
    "modernbert": {"local_attention": 8, "global_attn_every_n_layers": 2},
}
FAMILIES = tuple(NO_DROPOUT)
PLAIN = ("bert", "modernbert")


@pytest.fixture(scope="module")
def folders(tmp_path_factory, small_tokenizer):
    """Family -> a checkpoint folder without dropout."""
    return {
        family: save_random_checkpoint(
            tmp_path_factory.mktemp(family), small_tokenizer, family, **settings
        )
        for family, settings in NO_DROPOUT.items()
    }


@pytest.fixture(scope="module")
def split(small_tokenizer) -> Split:
    """Documents of 1 to 40 tokens: some fill a sequence, some are padded or have no target."""
    texts = small_texts()[:40]
    lines = [text[: 3 + 7 * (index % 9)] for index, text in enumerate(texts)] + texts[:4] * 2
    documents = [
        [*ids, small_tokenizer.sep_token_id] for ids in encode_texts(small_tokenizer, lines)
    ]
    return Split(
        np.concatenate([np.array(ids, "int32") for ids in documents]),
        np.cumsum([0, *map(len, documents)]),
    )


@pytest.fixture(scope="module")
def batches(split, small_tokenizer):
    """Training batches of three steps."""
    masked = MaskedBatches(
        split,
        TokenFacts.of(small_tokenizer),
        max_seq_length=LENGTH,
        global_batch_size=ROWS,
        seed=5,
        line_by_line=True,
    )
    return [masked.batch_at(step) for step in range(STEPS)]


def test_the_batches_are_difficult(batches):
    """Sequences are padded, and have no, one or several chosen tokens."""
    chosen = np.concatenate([(weights > 0).sum(1) for *_, weights in batches])
    assert {0, 1, 2} <= set(chosen.tolist())
    for inputs, _, weights in batches:
        assert 0 < inputs["attention_mask"].sum() < inputs["attention_mask"].size
        assert weights.sum() == pytest.approx(1, abs=1e-6)


@pytest.fixture(scope="module")
def training_figures(folders, batches):
    """Family -> the loss and the metric `cross_entropy` that training reports for each batch."""
    return {family: figures_of_steps(folder, batches) for family, folder in folders.items()}


def figures_of_steps(folder, batches) -> list[dict[str, float]]:
    learner = masked_lm_learner(read_checkpoint(folder).model)
    learner.compile_for_training(keras.optimizers.SGD(0.0), jit_compile=False)
    figures = []
    for batch in batches:
        learner.reset_metrics()
        figures.append(learner.train_on_batch(*batch, return_dict=True))
    return figures


def largest_difference(figures, expected) -> float:
    """Return the largest relative difference of loss and metric from the expected loss."""
    pairs = zip(figures, expected, strict=True)
    return max(abs(float(f[name]) / e - 1) for f, e in pairs for name in ("loss", "mean_loss"))


@pytest.mark.parametrize("family", PLAIN)
def test_the_training_loss_is_the_mean_over_chosen_tokens(
    family, folders, batches, training_figures
):
    plain = PlainMaskedLM(folders[family])
    expected = [plain.cross_entropy(*batch).sum() / np.count_nonzero(batch[2]) for batch in batches]
    worst = largest_difference(training_figures[family], expected)
    print(f"{family}: largest relative difference of a training loss {worst:.1e}")
    assert worst < 2e-6


@pytest.mark.parametrize("family", PLAIN)
def test_the_evaluators_figures_match_plain_numpy(family, folders, split, small_tokenizer):
    facts = TokenFacts.of(small_tokenizer)
    batches = evaluation_batches(
        split, facts, max_seq_length=LENGTH, batch_size=7, line_by_line=True
    )
    plain = PlainMaskedLM(folders[family])
    losses = np.concatenate([plain.cross_entropy(*batch)[batch[2] > 0] for batch in batches])
    figures = Evaluator(read_checkpoint(folders[family]).model, batches).figures()
    print(f"{family}: loss {figures.loss:.9f}, plain {losses.mean():.9f}")
    assert figures.num_tokens == len(losses) > 50
    assert figures.loss == pytest.approx(losses.mean(), rel=2e-6)
    assert figures.perplexity == math.exp(figures.loss)


def labels_at_positions(inputs, labels, weights) -> torch.Tensor:
    """Return (B, T): the label at each chosen position, -100 elsewhere, as transformers has it."""
    at_positions = np.full(inputs["input_ids"].shape, -100)
    rows, slots = np.nonzero(weights)
    at_positions[rows, inputs["masked_positions"][rows, slots]] = labels[rows, slots]
    return torch.from_numpy(at_positions)


def loss_of_transformers(model, inputs, labels, weights) -> torch.Tensor:
    return model(
        input_ids=torch.from_numpy(inputs["input_ids"]).long(),
        attention_mask=torch.from_numpy(inputs["attention_mask"]).long(),
        labels=labels_at_positions(inputs, labels, weights),
    ).loss


@pytest.mark.parametrize("family", FAMILIES)
def test_transformers_computes_the_same_loss(family, folders, batches, training_figures):
    theirs = transformers.AutoModelForMaskedLM.from_pretrained(folders[family]).eval()
    with torch.no_grad():
        expected = [float(loss_of_transformers(theirs, *batch)) for batch in batches]
    worst = largest_difference(training_figures[family], expected)
    print(f"{family}: largest relative difference from transformers' loss {worst:.1e}")
    assert worst < 2e-6


class GradientKeeper(keras.optimizers.Optimizer):
    """Keeps the gradients and updates nothing. Runs eagerly only."""

    def apply(self, grads, trainable_variables=None):
        self.kept = [np.asarray(keras.ops.convert_to_numpy(gradient)) for gradient in grads]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_gradient_matches_pytorch(family, folders, batches, tmp_path):
    theirs = transformers.AutoModelForMaskedLM.from_pretrained(folders[family]).train()
    loss_of_transformers(theirs, *batches[0]).backward()
    keeper, learner = (
        GradientKeeper(learning_rate=0.0),
        masked_lm_learner(read_checkpoint(folders[family]).model),
    )
    learner.compile_for_training(keeper, jit_compile=False)
    learner.run_eagerly = True
    learner.train_on_batch(*batches[0])
    # Saved as a checkpoint, the gradients get PyTorch's names and layouts.
    for variable, gradient in zip(learner.trainable_variables, keeper.kept, strict=True):
        variable.assign(gradient)
    path = tmp_path / "gradients.safetensors"
    save_weights(learner.model, family_of(family), path, dtype="float32")
    ours = load_file(path)
    expected = {n: p.grad.numpy() for n, p in theirs.named_parameters() if n in ours}
    assert expected.keys() == ours.keys()
    differences = {
        name: np.abs(ours[name] - gradient).max() / np.abs(gradient).max()
        for name, gradient in expected.items()
        if not name.endswith("key.bias")  # zero except for rounding: it shifts all scores of a row
    }
    worst = max(differences, key=differences.get)
    print(f"{family}: largest relative difference of a gradient {differences[worst]:.1e} ({worst})")
    assert differences[worst] < 1e-4
