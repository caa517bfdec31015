"""Trimmed batches lose nothing, have few sizes, and train as untrimmed ones do."""

import dataclasses
from collections.abc import Sequence

import keras
import numpy as np
import pytest

from mlm.backend.input_pipeline import make_input_pipeline
from mlm.checkpoint.families import encoder_config_of
from mlm.checkpoint.weights import variables_by_name
from mlm.data.batches.dynamic_padding import trim_padding, trimmed_sizes
from mlm.data.batches.masked_batches import MaskedBatches
from mlm.model.encoder import MaskedLM
from mlm.training.step.dataset import TrainingDataset
from tests.checkpoint.test_families import small_config
from tests.data.test_masked_batches import FACTS, split_of, training
from tests.support.learners import masked_lm_learner
from tests.support.small_models import every_family
from tests.support.sweeps import sweep

ONE_SIZE = (26, 27, 28, 29, 30) * 6  # lengths of documents whose batches have one size
STEPS = 4  # their batches are trimmed to all sizes but one
DROPOUT = ("hidden_dropout_prob", "attention_probs_dropout_prob")
DROPOUT_OF = {"distilbert": ("dropout", "attention_dropout"), "modernbert": ()}


@pytest.mark.parametrize("longest", [3, 7, 8, 12, 128, 512])
def test_sizes_are_few_and_the_last_holds_any(longest):
    sizes = trimmed_sizes(longest, 0.15)
    batches = training(split_of(range(100, 103), range(600)), max_seq_length=longest)
    assert len(sizes) <= 6
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == (longest, batches.max_targets)


SETTINGS = [{}, {"whole_word_mask": True}, {"span_mask": True}, {"mlm_probability": 0.5}]


@pytest.mark.parametrize("settings", SETTINGS)
def test_only_padding_is_trimmed(settings):
    short = [range(100, 100 + n) for n in (1, 2, 3, 4, 5, 6, 7, 2, 4, 5) * 4]
    split = split_of(*short, range(100, 120), range(100, 190))
    batches = training(split, max_seq_length=64, line_by_line=True, **settings)
    widths = set()
    for step in range(30):
        whole = batches.batch_at(step)
        inputs, labels, weights = trim_padding(whole, batches.sizes)
        width, targets = inputs["input_ids"].shape[1], labels.shape[1]
        widths.add(width)
        assert (width, targets) in batches.sizes
        assert_is_front_of(inputs["input_ids"], whole[0]["input_ids"], FACTS.pad_id)
        assert_is_front_of(inputs["attention_mask"], whole[0]["attention_mask"], 0)
        assert_is_front_of(inputs["masked_positions"], whole[0]["masked_positions"], 0)
        assert_is_front_of(labels, whole[1], 0)
        assert_is_front_of(weights, whole[2], 0)
        smaller = [(w, s) for w, s in batches.sizes if w < width]
        longest, most = inputs["attention_mask"].sum(1).max(), (weights > 0).sum(1).max()
        assert not any(w >= longest and s >= most for w, s in smaller)
    assert {8, 64} <= widths


def assert_is_front_of(front, whole, rest) -> None:
    np.testing.assert_array_equal(front, whole[:, : front.shape[1]])
    assert (whole[:, front.shape[1] :] == rest).all()


def test_packed_sequences_have_one_size():
    batches = training(split_of(range(100, 900)))
    assert batches.sizes == [(12, batches.max_targets)]
    assert batches.tokens_per_step == 4 * 12
    assert not TrainingDataset(batches, 0, 1).lengths_vary


def test_tokens_are_counted_without_padding():
    batches = training(split_of(range(4), range(6), range(100, 200)), line_by_line=True)
    assert batches.tokens_per_step == pytest.approx(4 * (6 + 8 + 12) / 3)


@pytest.mark.parametrize("family", sweep(every_family(), quick=["modernbert"]))
def test_a_step_on_a_trimmed_batch_is_the_step_on_the_whole(family):
    none = dict.fromkeys(DROPOUT_OF.get(family, DROPOUT), 0.0)
    config = encoder_config_of(small_config(family, initializer_range=0.1, **none))
    batches = line_by_line(config.vocab_size)
    sizes = {trim_padding(batches.batch_at(step), batches.sizes)[1].shape for step in range(STEPS)}
    assert len(sizes) == len(batches.sizes) - 1 == 3
    before, whole, trimmed = (
        weights_after(config, batches, how) for how in ("", "whole", "trimmed")
    )
    moved = max(np.abs(whole[name] - before[name]).max() for name in whole)
    apart = max(np.abs(whole[name] - trimmed[name]).max() for name in whole)
    print(f"{family}: weights moved by {moved:.1e}, apart by {apart:.1e}")
    assert apart < 1e-4 * moved


def line_by_line(vocab_size: int, lengths: Sequence[int] | None = None) -> MaskedBatches:
    """Return batches of random documents of these lengths, by default of several sizes."""
    rng = np.random.default_rng(3)
    lengths = [*rng.integers(1, 8, 40), 20, 40] if lengths is None else lengths
    split = split_of(*(rng.integers(5, vocab_size, length) for length in lengths))
    facts = dataclasses.replace(
        FACTS, vocab_size=vocab_size, random_word_ids=np.arange(5, vocab_size, dtype=np.int32)
    )
    shape = {"max_seq_length": 32, "global_batch_size": 4, "mlm_probability": 0.5}
    return MaskedBatches(split, facts, seed=1, line_by_line=True, **shape)


def weights_after(config, batches, how: str) -> dict[str, np.ndarray]:
    """Return the weights of one initial model, or after steps on whole or on trimmed batches."""
    keras.utils.set_random_seed(7)
    model = MaskedLM(config)
    model.build()
    learner = masked_lm_learner(model)
    learner.compile_for_training(keras.optimizers.SGD(0.1), jit_compile=False)
    if how == "whole":
        for step in range(STEPS):
            learner.train_on_batch(*batches.batch_at(step))
    elif how == "trimmed":
        learner.fit(
            make_input_pipeline(TrainingDataset(batches, 0, STEPS)), verbose=0, shuffle=False
        )
    return {
        name: np.asarray(keras.ops.convert_to_tensor(variable))
        for name, variable in variables_by_name(model).items()
    }
