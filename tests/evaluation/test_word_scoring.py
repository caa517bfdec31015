"""Scores of hidden words against a slow computation, one word and one piece at a time."""

import numpy as np
import pytest

from mlm.checkpoint.folder import read_checkpoint
from mlm.data.tokens.token_facts import TokenFacts
from mlm.evaluation.evaluator import Evaluator
from mlm.evaluation.shared_words import Passage, choose_shared_words
from mlm.evaluation.word_scoring import WordBatches, word_scores_of

TEXTS = [
    "unbelievable storytelling overacted melodrama of the film",
    "I remembered this clever plot, scene by scene. The film was great!",
    "The moving ending was followed by awful music and this great actor",
] * 3
LENGTH = 40


@pytest.fixture(scope="module")
def read(tiny_bert_folder):
    return read_checkpoint(tiny_bert_folder)


@pytest.fixture(scope="module")
def facts(read):
    return TokenFacts.of(read.tokenizer)


@pytest.fixture(scope="module")
def passages(read) -> list[Passage]:
    (passages,) = choose_shared_words(TEXTS, [read.tokenizer], max_seq_length=LENGTH).passages
    # One word each: what other hidden words show does not matter then.
    return [passage._replace(words=[word]) for passage in passages for word in passage.words]


def slow_scores(model, facts, passage) -> tuple[float, int]:
    (first, last), cross_entropy, worst = passage.words[0], 0.0, 0
    for piece in range(first, last):
        ids = [facts.cls_id, *passage.input_ids, facts.sep_id]
        ids[1 + piece : 1 + last] = [facts.mask_id] * (last - piece)
        inputs = {
            "input_ids": np.array([ids], np.int32),
            "attention_mask": np.ones((1, len(ids)), np.int32),
            "masked_positions": np.array([[1 + piece]], np.int32),
        }
        logits = np.asarray(model(inputs))[0, 0].astype(np.float64)
        label = passage.input_ids[piece]
        cross_entropy += np.log(np.exp(logits).sum()) - logits[label]
        worst = max(worst, int((logits > logits[label]).sum()))
    return cross_entropy, worst


@pytest.mark.parametrize("batch_size", [2, 64])
def test_words_are_scored_piece_by_piece_from_left_to_right(read, facts, passages, batch_size):
    batches = WordBatches(passages, facts, batch_size=batch_size, max_seq_length=LENGTH)
    found = word_scores_of(batches, Evaluator(read.model, batches).target_scores())
    expected = [slow_scores(read.model, facts, passage) for passage in passages]
    assert max(last - first for p in passages for first, last in p.words) > 2
    assert found.cross_entropy == pytest.approx([each for each, _ in expected], rel=1e-4)
    assert found.worst_rank.tolist() == [rank for _, rank in expected]


def test_other_words_stay_hidden_while_a_later_piece_is_asked(facts):
    ids = np.array([10, 11, 12, 13, 14], np.int32)
    passage = Passage(ids, [(0, 1), (2, 4)])
    batches = WordBatches([passage], facts, batch_size=4, max_seq_length=LENGTH)
    (inputs, labels, weights), mask = batches[0], facts.mask_id
    assert inputs["input_ids"][:2, 1:6].tolist() == [
        [mask, 11, mask, mask, 14],
        [mask, 11, 12, mask, 14],
    ]
    assert labels[:2].tolist() == [[10, 12], [13, 0]]
    assert inputs["masked_positions"][:2].tolist() == [[1, 3], [4, 0]]
    assert weights.tolist() == [[1, 1], [1, 0], [0, 0], [0, 0]]
    assert batches.words[:2].tolist() == [[0, 1], [1, -1]]


def test_a_batch_is_as_wide_as_its_longest_passage_needs(facts):
    passages = [Passage(np.full(size, 10, np.int32), [(0, 1)]) for size in (3, 60, 70, 2)]
    batches = WordBatches(passages, facts, batch_size=2, max_seq_length=80)
    assert [inputs["input_ids"].shape[1] for inputs, _, _ in batches] == [80, 32]
