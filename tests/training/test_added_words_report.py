"""Report of the added words: counts in the training texts, and the words that never occur."""

import numpy as np

from mlm.checkpoint.tokenizer import encode_texts
from mlm.training import added_words_report
from mlm.training.added_words_report import report_added_words
from tests.support.script_tokenizers import TEXTS, byte_level


def grown(*words):
    from tokenizers import AddedToken

    tokenizer = byte_level(TEXTS["Chinese"])
    tokenizer.add_tokens([AddedToken(word, normalized=True, lstrip=True) for word in words])
    return tokenizer


def lines(tokenizer, words, texts):
    tokens = np.concatenate([np.array(ids, np.uint16) for ids in encode_texts(tokenizer, texts)])
    return list(report_added_words(tokenizer, words, tokens))


def test_every_word_is_counted(monkeypatch):
    monkeypatch.setattr(added_words_report, "TOKENS_AT_ONCE", 7)
    texts = ["我在京东买书", "京东,疫苗,京东", "疫苗和covid"]
    assert lines(grown("京东", "疫苗", "covid"), ["疫苗", "京东", "covid"], texts) == [
        "--add_words_file: words added: 3, their occurrences in the training texts: 6 "
        "(京东 3, 疫苗 2, covid 1)"
    ]


def test_words_that_never_occur_are_named():
    words = [f"w{n}x" for n in range(8)]
    assert lines(grown(*words), [*words, ","], ["w7x again, w7x"]) == [
        "--add_words_file: words added: 8, their occurrences in the training texts: 2 (w7x 2); "
        "1 of the list need no token of their own",
        "warning: 7 of the added words never occur in the training texts and will not be learned: "
        "w0x, w1x, w2x, w3x, w4x and 2 more",
    ]


def test_a_list_without_a_new_word_is_said():
    assert lines(grown(), [","], ["a, b"]) == [
        "--add_words_file: words added: 0, their occurrences in the training texts: 0; "
        "1 of the list need no token of their own"
    ]
