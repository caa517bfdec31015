"""Several masks together: the search against all pairs, the score against its definition."""

import itertools
import json

import numpy as np
import pytest

from mlm.errors import InputError
from mlm.inference.engines.engine import Question
from mlm.inference.fill_mask import FillMask
from mlm.inference.joint_filling import JointTokens, search_jointly
from tests.support.fake_checkpoint import fake_checkpoint

TEXT = "The ___ was ___ again."


@pytest.fixture(scope="module")
def fill(tiny_checkpoint_folder) -> FillMask:
    return FillMask.from_pretrained(tiny_checkpoint_folder)


def probabilities_of(fill: FillMask, question: Question, tokens) -> list[float]:
    """Return the probability of each word given the others, by the definition."""
    found = []
    for hidden in range(len(tokens)):
        ids = list(question.input_ids)
        for i, (position, token) in enumerate(zip(question.positions, tokens, strict=True)):
            ids[position] = fill.predictor.mask_id if i == hidden else token
        logits = fill.predictor.logits([Question(ids, [question.positions[hidden]])])[0][0]
        found.append(np.exp(logits[tokens[hidden]]) / np.exp(logits.astype(np.float64)).sum())
    return found


def test_a_filling_is_scored_by_masking_each_word_again(fill):
    question = fill.read(TEXT).question
    for joint in search_jointly(fill.predictor, fill.vocabulary, question):
        scores = probabilities_of(fill, question, joint.tokens)
        assert np.exp(joint.log_probabilities) == pytest.approx(scores, rel=1e-4)
        assert joint.score == pytest.approx(np.prod(scores) ** 0.5, rel=1e-4)


class Agreeing:
    """A model of two masks that prefers "movie great" and "film awesome" to all other pairs."""

    def __init__(self, fill: FillMask):
        words = ("movie", "film", "great", "awesome")
        self.movie, self.film, self.great, self.awesome = map(fill.vocabulary.id_of, words)
        self.partner = {self.movie: self.great, self.film: self.awesome}
        self.partner |= {b: a for a, b in self.partner.items()}

    def row(self, other: int, first: bool, size: int) -> np.ndarray:
        logits = np.full(size, -20.0)
        if other in self.partner:
            logits[self.partner[other]] = 5.0
        else:  # "movie" and "awesome" are each the best on its own, but do not fit together
            liked, less = (self.movie, self.film) if first else (self.awesome, self.great)
            logits[liked], logits[less] = 1.0, 0.9
        return logits


def test_words_that_fit_each_other_win_over_the_best_of_each(monkeypatch):
    fill = FillMask(fake_checkpoint(), "fake")
    agreeing, question = Agreeing(fill), fill.read(TEXT).question

    def predict(batch):
        size = fill.checkpoint.model.config.vocab_size
        rows = np.zeros((*batch["masked_positions"].shape, size), np.float32)
        for i, j in np.ndindex(*batch["masked_positions"].shape):
            first = batch["masked_positions"][i, j] == question.positions[0]
            other = batch["input_ids"][i, question.positions[1 if first else 0]]
            rows[i, j] = agreeing.row(int(other), bool(first), size)
        return rows

    monkeypatch.setattr(fill.checkpoint.model, "predict_on_batch", predict)
    alone = fill(TEXT, top_k=1)
    assert [each[0]["token_str"] for each in alone] == ["movie", "awesome"]
    best, second = fill.fill_jointly(TEXT, top_k=2)
    assert {tuple(best.words), tuple(second.words)} == {("movie", "great"), ("film", "awesome")}
    assert best.score > 0.99


def test_the_search_wide_enough_misses_nothing(fill):
    question = fill.read(TEXT).question
    few = fill.vocabulary.ids[5:25].tolist()
    wide = search_jointly(fill.predictor, fill.vocabulary, question, beams=600)
    assert len(wide) == 600
    best = wide[0].score
    for pair in itertools.islice(itertools.product(few, few), 0, 400, 37):
        assert np.prod(probabilities_of(fill, question, pair)) ** 0.5 <= best * (1 + 1e-4)


def test_no_special_token_is_ever_filled_in(fill):
    question = fill.read(TEXT).question
    wide = search_jointly(fill.predictor, fill.vocabulary, question, beams=300)
    assert fill.vocabulary.special.isdisjoint({t for joint in wide for t in joint.tokens})


def test_the_text_stays_as_it_was_written():
    fill = FillMask(fake_checkpoint(), "fake")
    for joint in fill.fill_jointly("I LIKE  <mask>,\nÉtienne … <MASK>!", top_k=3):
        first, second = joint.words
        assert joint.sequence == f"I LIKE  {first},\nÉtienne … {second}!"
        assert joint.parts[1::2] == joint.words
        assert json.loads(json.dumps(joint.as_dict())) == joint.as_dict()


def test_one_mask_gives_the_order_of_the_single_list(fill):
    text = "I have watched this ___ again"
    single = fill(text, top_k=5)
    together = fill.fill_jointly(text, top_k=5)
    assert [j.words[0] for j in together] == [
        fill.vocabulary.spelling([c["token"]]) for c in single
    ]
    assert [j.score for j in together] == pytest.approx([c["score"] for c in single], rel=1e-4)


def test_too_many_masks_are_refused():
    fill = FillMask(fake_checkpoint(), "fake")
    with pytest.raises(InputError, match="9 masks; at most 8 are filled together"):
        fill.fill_jointly("___ " * 9)


def test_the_score_is_the_geometric_mean():
    assert JointTokens((1, 2), (np.log(0.5), np.log(0.125))).score == pytest.approx(0.25)
