"""Words of several pieces: scores against the chain rule, the search against all pairs."""

import itertools

import numpy as np
import pytest

from mlm.errors import InputError
from mlm.inference.engines.engine import Question
from mlm.inference.fill_mask import FillMask
from mlm.inference.whole_words import score_words, search_words
from tests.support.fake_checkpoint import fake_checkpoint

pytestmark = pytest.mark.kaggle

SENTENCE = "I have watched this ___ again"


@pytest.fixture(scope="module")
def fill(tiny_checkpoint_folder) -> FillMask:
    return FillMask.from_pretrained(tiny_checkpoint_folder)


def chain_rule(fill: FillMask, text: str, pieces: list[int]) -> float:
    """Return the probability of a word, piece by piece, from the model's logits."""
    probability = 1.0
    for known, piece in enumerate(pieces):
        shown = [*pieces[:known], *[fill.predictor.mask_id] * (len(pieces) - known)]
        ids = fill.predictor.encode(text.replace("___", fill.mask_token))
        at = ids.index(fill.predictor.mask_id)
        ids = [*ids[:at], *shown, *ids[at + 1 :]]
        logits = fill.predictor.logits([Question(ids, [at + known])])[0][0].astype(np.float64)
        probability *= np.exp(logits[piece]) / np.exp(logits).sum()
    return probability


def pairs_of_pieces(fill: FillMask) -> list[tuple[int, int]]:
    """Return words of two pieces of letters that the tokenizer splits so."""
    vocabulary = fill.vocabulary
    starts = vocabulary.boundaries.starts_alone[vocabulary.ids]
    first, later = (
        vocabulary.ids[vocabulary.has_letters & kind].tolist() for kind in (starts, ~starts)
    )
    pairs = itertools.product(first[::7], later[::7])
    return [p for p in pairs if fill.predictor.encode_word(vocabulary.spelling(list(p))) == [*p]]


def long_words(fill: FillMask, count: int) -> list[str]:
    """Return words that the tokenizer splits into two pieces."""
    return [fill.vocabulary.spelling(list(pair)) for pair in pairs_of_pieces(fill)[:count]]


def test_a_word_of_pieces_has_the_product_of_their_probabilities(fill):
    words = long_words(fill, 3)
    assert len(words) == 3
    for answer in fill(SENTENCE, targets=words):
        assert answer["token_str"] in words
        assert answer["token"] == fill.predictor.encode_word(answer["token_str"])
        assert answer["score"] == pytest.approx(
            chain_rule(fill, SENTENCE, answer["token"]), rel=1e-4
        )


def test_words_of_one_piece_and_of_several_are_in_one_list(fill):
    whole, longer = fill(SENTENCE, top_k=1)[0], long_words(fill, 1)[0]
    answers = fill(SENTENCE, targets=[longer, whole["token_str"]])
    assert [a["token_str"] for a in answers] == [whole["token_str"], longer]
    assert answers[0]["score"] == pytest.approx(whole["score"], rel=1e-5)


def test_each_mask_scores_its_own_word_while_the_others_stay_masks(fill):
    text, word = "The ___ was ___.", long_words(fill, 1)[0]
    one, other = fill(text, targets=[word])
    assert one[0]["sequence"] == f"The {word} was ___."
    assert other[0]["sequence"] == f"The ___ was {word}."
    question = fill.read(text).question
    pieces = fill.predictor.encode_word(word)
    for index, answer in enumerate((one, other)):
        alone = score_words(fill.predictor, question, index, [pieces])
        assert answer[0]["score"] == pytest.approx(float(np.exp(alone[0])), rel=1e-5)


def test_the_search_wide_enough_finds_the_best_word_of_two_pieces(fill):
    question, width = fill.read(SENTENCE).question, len(fill.vocabulary)
    found = search_words(fill.predictor, fill.vocabulary, question, 0, max_pieces=2, beams=width)
    pairs = pairs_of_pieces(fill)
    scored = score_words(fill.predictor, question, 0, pairs)
    assert len(pairs) > 10
    assert found[0].log_probability >= scored.max() - 1e-4
    assert sorted(found, key=lambda word: -word.log_probability) == found


def test_a_found_word_is_of_letters_and_split_so_by_the_tokenizer(fill):
    (candidates,) = fill.fill_whole_words(SENTENCE, top_k=20)
    assert 0 < len(candidates) <= 20
    for candidate in candidates:
        assert candidate.word.isalpha() and 2 <= len(candidate.tokens) <= 4
        assert fill.predictor.encode_word(candidate.word) == list(candidate.tokens)
        assert candidate.sequence == SENTENCE.replace("___", candidate.word)
        assert 0 < candidate.score < 1


def test_a_text_without_room_for_pieces_is_refused():
    fill = FillMask(fake_checkpoint(max_length=8), "short")
    full = "the the the the the ___"
    assert fill.fill_whole_words(full) == [[]]
    with pytest.raises(InputError, match="9 tokens and short reads 8"):
        fill(full, targets=["watchable"])
