"""Several models under one protocol, and the verdict on them."""

import math

import numpy as np
import pytest

from mlm.checkpoint.folder import read_checkpoint, save_checkpoint
from mlm.errors import ConfigError
from mlm.evaluation.checkpoint_evaluation import evaluate
from mlm.evaluation.model_comparison import Verdict, compare_models, paired_difference
from tests.support.family_tokenizers import KINDS
from tests.support.small_models import save_random_checkpoint, small_texts


@pytest.fixture(scope="module")
def texts_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("texts") / "texts.txt"
    path.write_text("\n".join(text.lower() for text in small_texts()[::8]), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def byte_level_folder(tmp_path_factory):
    return save_random_checkpoint(
        tmp_path_factory.mktemp("bpe"), KINDS["modernbert"](), "modernbert"
    )


@pytest.fixture(scope="module")
def compared(tiny_bert_folder, byte_level_folder, texts_file):
    return compare_models([str(tiny_bert_folder), str(byte_level_folder)], [texts_file])


def test_each_model_has_its_own_tokens_and_all_the_same_words(
    compared, tiny_bert_folder, texts_file
):
    one, other = compared.models
    assert one.words.num_words == other.words.num_words == compared.num_words > 30
    assert one.tokens.num_tokens != other.tokens.num_tokens
    assert not compared.same_vocabulary
    alone = evaluate(tiny_bert_folder, [texts_file], max_seq_length=64)
    assert one.tokens == alone.tokens
    assert compared.held_out.max_seq_length == 64  # of the models, which take no more
    assert one.bits_per_character == pytest.approx(one.nats_per_character / math.log(2))


def test_the_order_of_the_models_does_not_matter(
    compared, tiny_bert_folder, byte_level_folder, texts_file
):
    swapped = compare_models([str(byte_level_folder), str(tiny_bert_folder)], [texts_file])
    assert swapped.models == compared.models[::-1]
    assert swapped.verdict == compared.verdict
    best = min(compared.models, key=lambda model: model.nats_per_character)
    assert compared.verdict.best == best.name
    figures = sorted(model.bits_per_character for model in compared.models)
    assert compared.verdict.difference == pytest.approx(figures[1] - figures[0])


def test_equal_models_have_no_winner(tiny_bert_folder, texts_file, tmp_path):
    read = read_checkpoint(tiny_bert_folder)
    save_checkpoint(read.model, read.tokenizer, tmp_path / "copy", hf_config=read.hf_config)
    names = [str(tiny_bert_folder), str(tmp_path / "copy")]
    compared = compare_models(names, [texts_file], max_eval_samples=8)
    assert compared.same_vocabulary
    assert (compared.verdict.difference, compared.verdict.is_clear) == (0, False)


def test_a_length_that_one_model_does_not_take_is_refused(tiny_bert_folder, texts_file):
    with pytest.raises(ConfigError, match=r"--max_seq_length is 99, but .* takes at most 64"):
        compare_models(["demo", str(tiny_bert_folder)], [texts_file], max_seq_length=99)


def test_the_standard_error_is_that_of_resampled_documents():
    rng = np.random.default_rng(5)
    documents = np.repeat(np.arange(300), rng.integers(1, 9, 300))
    characters = rng.integers(1, 12, len(documents))
    of_document = rng.normal(0.3, 1.0, 300)  # words of one document go together
    differences = characters * 0.2 + of_document[documents] + rng.normal(0, 0.5, len(documents))
    difference, error = paired_difference(differences, characters, documents)
    assert difference == pytest.approx(differences.sum() / characters.sum())
    sums, sizes = np.bincount(documents, differences), np.bincount(documents, characters)
    drawn = rng.integers(0, 300, (4000, 300))
    resampled = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    assert error == pytest.approx(resampled.std(), rel=0.06)


def test_a_single_document_gives_no_standard_error():
    assert paired_difference(np.ones(3), np.full(3, 2), np.full(3, 7)) == (0.5, None)


@pytest.mark.parametrize(
    ("difference", "error", "documents", "is_clear"),
    [
        (0.3, 0.1, 300, True),
        (0.19, 0.1, 300, False),
        (0.3, 0.1, 3, False),
        (0.3, 0.1, 5, True),
        (0.3, None, 1, False),
        (0.0, 0.0, 300, False),
        (0.1, 0.0, 300, True),
    ],
)
def test_models_are_told_apart_by_standard_errors(difference, error, documents, is_clear):
    assert Verdict("a", "b", difference, error, documents).is_clear is is_clear


@pytest.mark.parametrize("documents", [2, 4, 10])
def test_equal_models_are_rarely_told_apart_by_few_documents(documents):
    rng = np.random.default_rng(7)
    found = []
    for _ in range(2000):
        differences = rng.normal(0, 1, documents)
        difference, error = paired_difference(
            differences, np.ones(documents, int), np.arange(documents)
        )
        found.append(Verdict("a", "b", abs(difference), error, documents).is_clear)
    assert np.mean(found) < 0.07  # 5 % are expected
