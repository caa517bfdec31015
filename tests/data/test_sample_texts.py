"""Samples of a token store, as the model sees them."""

import numpy as np

from mlm.data.tokens.sample_texts import sample_lines, shorten
from mlm.data.tokens.token_store import Split
from mlm.data.tokens.tokenizer_training import train_tokenizer

TEXTS = [f"the violin played a slow waltz number {number}" for number in range(20)]


def split_of(texts: list[str]) -> tuple[Split, object]:
    tokenizer = train_tokenizer(TEXTS, 300)
    documents = [
        [*tokenizer.encode(text, add_special_tokens=False), tokenizer.sep_token_id]
        for text in texts
    ]
    offsets = np.cumsum([0, *map(len, documents)], dtype=np.int64)
    return Split(
        np.concatenate([np.array(ids, np.uint16) for ids in documents]), offsets
    ), tokenizer


def test_texts_are_spread_over_the_side_and_decoded():
    split, tokenizer = split_of(TEXTS)
    heading, *lines = sample_lines(split, tokenizer, 4)
    assert heading == "4 of the texts as the model sees them:"
    assert lines == [f"  {TEXTS[at]}" for at in (0, 5, 10, 15)]


def test_fewer_texts_than_samples_are_all_shown():
    split, tokenizer = split_of(TEXTS[:4])
    assert sample_lines(split, tokenizer, 10)[1:] == [f"  {text}" for text in TEXTS[:4]]


def test_what_the_tokenizer_does_not_know_is_shown_as_unknown():
    split, tokenizer = split_of(["THE violin 今"])
    assert sample_lines(split, tokenizer) == [
        "a text as the model sees it:",
        "  the violin [UNK]",
    ]


def test_lines_fit_a_terminal():
    split, tokenizer = split_of([" ".join(TEXTS)])
    (_, line) = sample_lines(split, tokenizer, 1)
    assert line.endswith("...") and 70 < len(line) <= 80


def test_wide_characters_count_twice_and_marks_nothing():
    assert shorten("今天天气很好", 12) == "今天天气很好"
    assert shorten("今天天气很好啊", 12) == "今天天气..."
    assert shorten("e\u0301" * 12, 12) == "e\u0301" * 12
    assert shorten("short", 12, cut=True) == "short..."
