"""The same words for all tokenizers, whatever their tokens."""

import numpy as np
import pytest

from mlm.errors import CorpusError
from mlm.evaluation.shared_words import choose_shared_words, shared_spans, split_at_words
from mlm.inference.vocabulary import Vocabulary
from tests.support.family_tokenizers import KINDS

SENTENCES = (
    "the quick brown film jumps over the lazy movie, quickly. the story of a boring ending.",
    "judge the jumping dogs 1 2 3, waltz for quick jigs; a bad nymph was great (film)!",
)
TEXTS = [f"{sentence} {year}" for year in range(1990, 2000) for sentence in SENTENCES]
SIZE = 24


@pytest.fixture(scope="module")
def tokenizers():
    return [KINDS[name]() for name in ("bert", "roberta", "xlm-roberta")]


def chosen(texts, tokenizers, **options):
    return choose_shared_words(texts, tokenizers, max_seq_length=SIZE, **options)


def spelled(tokenizer, passages) -> list[str]:
    vocabulary = Vocabulary(tokenizer)
    return [
        vocabulary.spelling(passage.input_ids[first:last].tolist())
        for passage in passages
        for first, last in passage.words
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("don't stop", ["don", "'", "t", "stop"]),
        ("  in 1999, 3.5 %", ["in", "1999", ",", "3", ".", "5", "%"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("我们看电影", ["我", "们", "看", "电", "影"]),
        ("น้ำดี", ["น้ำ", "ดี"]),
        ("cafe\u0301 noir", ["cafe\u0301", "noir"]),
        ("", []),
    ],
)
def test_a_text_is_split_by_its_letters_alone(text, words):
    assert [text[first:last] for first, last in split_at_words(text)] == words


def test_words_that_a_token_joins_are_one():
    text = "我们看 a-b"
    one_each = [(0, 1), (1, 2), (2, 3), (4, 5), (5, 6), (6, 7)]
    longer = [(0, 2), (2, 3), (4, 6), (6, 7)]
    assert shared_spans(text, [one_each]) == one_each
    assert shared_spans(text, [one_each, longer]) == [(0, 2), (2, 3), (4, 6), (6, 7)]


def test_all_models_are_asked_for_the_same_words(tokenizers):
    shared = chosen(TEXTS, tokenizers)
    words = [spelled(t, p) for t, p in zip(tokenizers, shared.passages, strict=True)]
    assert words[0] == words[1] == words[2]
    assert len(words[0]) > 10 and {"film", "quick"} & set(words[0])
    assert shared.characters.tolist() == list(map(len, words[0]))
    assert all(any(map(str.isalnum, word)) for word in words[0])
    tokens = [
        sum(last - first for p in each for first, last in p.words) for each in shared.passages
    ]
    assert len(set(tokens)) > 1  # or nothing was shown


def test_about_fifteen_of_a_hundred_words_are_hidden(tokenizers):
    texts = [f"film {number} was a movie of the year and a story" for number in range(200)]
    shared = chosen(texts, tokenizers[:1])
    assert 0.12 < len(shared.characters) / (11 * 200) < 0.18
    assert np.all(np.diff(shared.documents) >= 0) and shared.documents[-1] > 190


def test_passages_fit_every_model_and_hold_each_word_once(tokenizers):
    shared = chosen(TEXTS, tokenizers)
    for passages in shared.passages:
        assert len(passages) == len(shared.passages[0]) > len(TEXTS)
        assert max(len(passage.input_ids) for passage in passages) <= SIZE - 2
    few = chosen(TEXTS, tokenizers, max_passages=3)
    assert [len(passages) <= 3 for passages in few.passages] == [True] * 3
    assert few.characters.tolist() == shared.characters[: len(few.characters)].tolist()


def test_another_model_does_not_change_the_draw(tokenizers):
    words = []
    for tokenizer in tokenizers:
        found = spelled(tokenizer, chosen(TEXTS, [tokenizer]).passages[0])
        words.append([word for word in found if not word.isdigit()])  # some are [UNK] in the first
    assert words[0] == words[1] == words[2]


def test_a_word_that_one_tokenizer_spells_differently_is_left_out_for_all(tokenizers):
    shouted = [text.upper() for text in TEXTS]  # the first tokenizer lower-cases
    alone = chosen(shouted, tokenizers[1:2])
    assert alone.num_left_out == 0
    together = chosen(shouted, tokenizers[:2])
    assert together.num_left_out > 0
    assert set(spelled(tokenizers[1], together.passages[1])) <= {
        *"123",
        *map(str, range(1990, 2000)),
    }


def test_texts_without_a_shared_word_are_refused(tokenizers):
    with pytest.raises(CorpusError, match="no word of these texts can be compared"):
        chosen(["!!! ... ???"], tokenizers)
