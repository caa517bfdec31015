"""Comparisons: the words that rose and fell, words that only one side knows."""

import pytest

from mlm.errors import InputError
from mlm.inference.comparison import compare, compare_models, compare_texts
from mlm.inference.fill_mask import FillMask
from tests.support.fake_checkpoint import LIKED, byte_level_tokenizer, fake_checkpoint

SENTENCE = "I have watched this [MASK] and it was awesome."


@pytest.fixture(scope="module")
def base() -> FillMask:
    return FillMask(fake_checkpoint(), "base")


@pytest.fixture(scope="module")
def adapted() -> FillMask:
    return FillMask(fake_checkpoint(liked=LIKED | {"soup": 9.5, "movie": 0.0}), "adapted")


def test_what_rose_and_what_fell_by_how_much():
    found = compare({"a": 0.5, "b": 0.3, "c": 0.2}, {"a": 0.1, "b": 0.35, "c": 0.55}, top_k=5)
    assert [d.word for d in found.rose] == ["c", "b"]
    assert [d.word for d in found.fell] == ["a"]
    assert [d.change for d in found.rose] == pytest.approx([0.35, 0.05])
    assert found.fell[0] == ("a", 0.5, 0.1)


def test_a_word_that_one_side_does_not_know_has_no_probability_there():
    found = compare({"Film": 0.6, "kino": 0.4}, {"film": 0.9, "cinema": 0.1}, top_k=5)
    assert [tuple(d) for d in found.rose] == [("film", 0.6, 0.9), ("cinema", None, 0.1)]
    assert [tuple(d) for d in found.fell] == [("kino", 0.4, None)]


def test_equal_answers_have_no_differences():
    assert compare({"a": 1.0}, {"a": 1.0}, 5).as_dict() == {"rose": [], "fell": []}


def test_two_models_on_one_sentence(base, adapted):
    (mask,) = compare_models(base, adapted, SENTENCE, 1)
    assert [d.word for d in mask.rose + mask.fell] == ["soup", "movie"]
    for model, side in ((base, 1), (adapted, 2)):
        for difference in mask.rose + mask.fell:
            (alone,) = model(SENTENCE, targets=[difference.word])
            assert difference[side] == pytest.approx(alone["score"])


def test_models_of_different_vocabularies_meet_at_their_words(base):
    other = FillMask(fake_checkpoint(byte_level_tokenizer(), {"Ġmovie": 9.0}), "bpe")
    (mask,) = compare_models(base, other, "the [MASK] was", 3)
    assert (mask.rose[0].word.strip(), mask.rose[0].first is not None) == ("movie", True)


def test_one_model_on_two_sentences(base):
    masks = compare_texts(base, "he ___ this ___ .", "she ___ a ___ .", 4)
    assert len(masks) == 2
    for mask in masks:
        assert len(mask.rose) == len(mask.fell) == 4
        changes = [d.change for d in mask.rose]
        assert changes == sorted(changes, reverse=True)


def test_two_models_find_the_same_number_of_masks(base):
    other = FillMask(fake_checkpoint(byte_level_tokenizer(), {}), "other")
    text = "<mask> [MASK] [MASK]"  # each model has its own token in it
    with pytest.raises(InputError, match=r"Masks for \S+: 2, for other: 1; .* spelt alike"):
        compare_models(base, other, text, 3)


def test_two_sentences_have_the_same_number_of_masks(base):
    with pytest.raises(InputError, match="Masks for the first text: 1, for the second text: 2"):
        compare_texts(base, "he ___", "she ___ ___", 4)


def test_the_probabilities_of_all_words_are_those_of_the_vocabulary(base):
    (scores,) = base.word_probabilities(SENTENCE)
    assert scores["…ing"] != scores.get("ing")
    single = {c["token_str"]: c["score"] for c in base(SENTENCE, top_k=20)}
    assert scores["movie"] == pytest.approx(single["movie"])
    assert (
        sum(scores.values()) < 1
    )  # rows of the embedding without a word have some probability too


def test_spellings_are_one_word_with_their_scores_summed():
    liked = {"Ġthe": 6.0, "the": 5.0, "Ġfilm": 4.0}
    fill = FillMask(fake_checkpoint(byte_level_tokenizer(), liked), "bpe")
    (answer,) = fill.answer(["it ___ was"], top_k=3, merge=True)
    best = answer.masks[0][0]
    apart = {c["token_str"]: c["score"] for c in fill("it ___ was", top_k=fill.vocab_size)}
    assert (best.word, best.tokens) == ("the", (fill.vocabulary.id_of("Ġthe"),))
    assert best.score == pytest.approx(apart[" the"] + apart["the"])
