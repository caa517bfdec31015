"""The figures against a slow plain computation of the same protocol."""

import csv

import numpy as np
import pytest

from mlm.batches import evaluation_batches
from mlm.checkpoint import read_checkpoint
from mlm.errors import ConfigError, CorpusError
from mlm.evaluation import Evaluator, Figures, SlotScores, evaluate, figures_of, word_figures_of
from mlm.token_store import Split
from mlm.tokenizer import TokenFacts, encode_texts

LENGTH = 20
TEXTS = [
    "I watched this great film. The film was great!",
    "I remembered this clever plot, scene by scene.",
    "unbelievable storytelling, overacted melodrama",  # words of several pieces
    "The moving ending was followed by awful music!",
]


@pytest.fixture(scope="module")
def read(tiny_bert_folder):
    return read_checkpoint(tiny_bert_folder)


@pytest.fixture(scope="module")
def facts(read):
    return TokenFacts.of(read.tokenizer)


def batches_of(read, facts, batch_size: int = 4, **options):
    documents = [[*ids, read.tokenizer.sep_token_id] for ids in encode_texts(read.tokenizer, TEXTS)]
    split = Split(
        np.concatenate([np.array(ids, "int32") for ids in documents]),
        np.cumsum([0, *map(len, documents)]),
    )
    return evaluation_batches(split, facts, max_seq_length=LENGTH, batch_size=batch_size, **options)


@pytest.fixture(scope="module")
def token_batches(read, facts):
    return batches_of(read, facts)


@pytest.fixture(scope="module")
def word_batches(read, facts):
    return batches_of(read, facts, mlm_probability=0.4, whole_word_mask=True)


@pytest.fixture(scope="module")
def token_scores(read, token_batches):
    return Evaluator(read.model, token_batches).slot_scores()


@pytest.fixture(scope="module")
def word_scores(read, word_batches):
    return Evaluator(read.model, word_batches).slot_scores()


def slow_slots(model, batches):
    """(row, position, label, nats, rank) of each real slot, one at a time in float64."""
    slots, row = [], 0
    for inputs, labels, weights in batches:
        logits = model(inputs).numpy().astype(np.float64)
        for b in range(len(labels)):
            for p in range(labels.shape[1]):
                if weights[b, p]:
                    line, label = logits[b, p], labels[b, p]
                    nats = np.log(np.sum(np.exp(line))) - line[label]
                    rank = sorted(-line).index(-line[label])
                    slots.append((row, inputs["masked_positions"][b, p], label, nats, rank))
            row += 1
    return slots


def test_token_figures_are_those_of_the_slow_computation(read, token_batches, token_scores):
    slots = slow_slots(read.model, token_batches)
    ranks = [rank for *_, rank in slots]
    figures = figures_of(token_scores)
    assert figures.num_tokens == len(slots) > 10
    assert figures.loss == pytest.approx(np.mean([nats for *_, nats, _ in slots]), rel=1e-5)
    assert figures.top1 == sum(rank == 0 for rank in ranks) / len(ranks)
    assert figures.top5 == sum(rank < 5 for rank in ranks) / len(ranks)
    assert figures.perplexity == pytest.approx(np.exp(figures.loss))
    assert Figures.from_dict(figures.to_dict()) == figures


def test_labels_are_ranked_as_sorting_would(read, token_batches, token_scores):
    slots = slow_slots(read.model, token_batches)
    real = token_scores.weights > 0
    assert token_scores.ranks[real].tolist() == [rank for *_, rank in slots]
    assert len(set(token_scores.ranks[real].tolist())) > 5


def slow_words(slots, word_starts) -> list[list[int]]:
    """The ranks of each masked word's pieces."""
    words: list[list[int]] = []
    last = (-1, -1)
    for row, position, label, _, rank in slots:
        if (row, position - 1) == last and not word_starts[label]:
            words[-1].append(rank)
        else:
            words.append([rank])
        last = (row, position)
    return words


def test_word_figures_are_those_of_the_slow_computation(read, facts, word_batches, word_scores):
    words = slow_words(slow_slots(read.model, word_batches), facts.word_starts)
    assert max(map(len, words)) > 1
    figures = word_figures_of(word_scores, word_batches, facts.word_starts)
    assert figures.num_words == len(words)
    assert figures.top1 == np.mean([max(ranks) < 1 for ranks in words])
    assert figures.top5 == np.mean([max(ranks) < 5 for ranks in words])


def test_whole_words_are_masked_whole(read, facts, word_batches):
    whole = batches_of(read, facts, mlm_probability=1.0, whole_word_mask=True)
    pieces = {(r, p): label for r, p, label, *_ in slow_slots(read.model, whole)}
    chosen = {(r, p) for r, p, *_ in slow_slots(read.model, word_batches)}
    assert 0 < len(chosen) < len(pieces)
    followers = [
        (place, (place[0], place[1] - 1))
        for place, label in pieces.items()
        if not facts.word_starts[label] and (place[0], place[1] - 1) in pieces
    ]
    assert followers
    assert all((piece in chosen) == (before in chosen) for piece, before in followers)


def test_a_word_is_right_when_all_its_pieces_are():
    # Row 0: a word of two pieces, then one of one piece beside it; row 1: a piece whose start was
    # not masked; the last slots are empty.
    word_starts = np.array([True, True, False])
    labels = np.array([[1, 2, 1, 0], [2, 0, 0, 0]])
    positions = np.array([[3, 4, 5, 0], [6, 0, 0, 0]])
    batches = [({"masked_positions": positions}, labels, None)]
    scores = SlotScores(
        nats=np.zeros((2, 4)),
        ranks=np.array([[0, 3, 0, 0], [7, 0, 0, 0]]),
        weights=np.array([[1, 1, 1, 0], [1, 0, 0, 0]]),
    )
    figures = word_figures_of(scores, batches, word_starts)
    assert (figures.num_words, figures.top1, figures.top5) == (3, 1 / 3, 2 / 3)


def test_neither_the_batch_size_nor_rows_that_fill_it_change_a_figure(
    read, facts, token_batches, token_scores
):
    one_by_one = batches_of(read, facts, batch_size=1)
    filled = batches_of(read, facts, batch_size=16)
    assert len(token_batches) > 1
    assert (len(filled), 16 - filled.num_sequences) == (1, 16 - one_by_one.num_sequences)
    assert filled.num_sequences < 16
    expected = figures_of(token_scores)
    for batches in (one_by_one, filled):
        figures = Evaluator(read.model, batches).figures()
        assert figures.num_tokens == expected.num_tokens
        assert figures.to_dict() == pytest.approx(expected.to_dict(), rel=1e-5)


def test_slots_that_do_not_count_may_hold_anything():
    scores = SlotScores(
        nats=np.array([[1.0, np.nan], [3.0, 1e9]]),
        ranks=np.array([[0, 0], [5, 0]]),
        weights=np.array([[1, 0], [1, 0]]),
    )
    assert figures_of(scores) == Figures(loss=2.0, top1=0.5, top5=0.5, num_tokens=2)


def test_without_a_slot_there_is_no_figure(facts):
    nothing = SlotScores(np.zeros((1, 2)), np.zeros((1, 2)), np.zeros((1, 2)))
    assert figures_of(nothing).num_tokens == 0
    assert np.isnan(figures_of(nothing).loss)
    batch = ({"masked_positions": np.zeros((1, 2), int)}, np.zeros((1, 2), int), None)
    assert word_figures_of(nothing, [batch], facts.word_starts).num_words == 0


@pytest.fixture
def texts_csv(tmp_path):
    path = tmp_path / "texts.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text"], *([text] for text in TEXTS)])
    return path


def test_evaluate_measures_a_folder_on_a_file(tiny_bert_folder, texts_csv, read, facts):
    measured = evaluate(tiny_bert_folder, [str(texts_csv)], max_seq_length=LENGTH, batch_size=4)
    expected = Evaluator(read.model, batches_of(read, facts)).figures()
    assert measured.tokens.to_dict() == pytest.approx(expected.to_dict(), rel=1e-6)
    assert 0 < measured.words.num_words < measured.tokens.num_tokens


def test_a_length_beyond_the_models_positions_is_refused(tiny_bert_folder, texts_csv):
    with pytest.raises(ConfigError, match="--max_seq_length is 65; this model ends at 64"):
        evaluate(tiny_bert_folder, [str(texts_csv)], max_seq_length=65)


def test_a_file_without_a_text_is_refused(tiny_bert_folder, tmp_path):
    (tmp_path / "empty.csv").write_text("text\n\n", encoding="utf-8")
    with pytest.raises(CorpusError, match=r"empty\.csv"):
        evaluate(tiny_bert_folder, [str(tmp_path / "empty.csv")], max_seq_length=LENGTH)
