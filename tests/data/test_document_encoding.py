"""Cached encoding gives the ids of the tokenizer itself, also for texts chosen to break it."""

import numpy as np
import pytest

from mlm.checkpoint.tokenizer import encode_texts
from mlm.data.tokens import document_encoding
from mlm.data.tokens.document_encoding import DocumentEncoder, splits_at_spaces_and_punctuation
from tests.support.places import ROOT
from tests.support.tokenizer_kinds import KINDS

WORDS = [
    "The", "film,", "it's", "FILM", "café", "cafe\u0301", "\u0301", ",\u0301b", "[SEP]", "[MASK]!",
    "<b>", "a--b", "我看了电影", "ΣΑΣ", "İ", "e\u200bf", "x" * 120, "½", "👍🏽", "don’t", "...", "",
    "\u00ad", "1,000.5", "««ja»»", "\ufffd", "_a_", "naïve", "Ⅷ", "ß",
]  # fmt: skip


def texts(count: int, seed: int) -> list[str]:
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, random.integers(0, 12))) for _ in range(count)]


def tokenizer_ids(tokenizer, documents: list[str]) -> list[list[int]]:
    return [[*ids, tokenizer.sep_token_id] for ids in encode_texts(tokenizer, documents)]


def documents_of(encoder: DocumentEncoder, given: list[str]) -> list[list[int]]:
    ids, ends = encoder.encode(given)
    assert ids.dtype == np.uint16 and ends.dtype == np.int64
    return [part.tolist() for part in np.split(ids, ends[:-1])] if given else []


@pytest.mark.parametrize("cache_bytes", [0, 1000, 2**25])
@pytest.mark.parametrize("check_every", [100, 10**6])
@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_the_tokenizers(kind, check_every, cache_bytes, monkeypatch):
    monkeypatch.setattr(document_encoding, "CACHE_BYTES", cache_bytes)
    monkeypatch.setattr(document_encoding, "CHECK_EVERY", check_every)
    tokenizer = KINDS[kind]()
    encoder = DocumentEncoder(tokenizer, np.dtype(np.uint16))
    for seed, count in enumerate((20, 1, 0, 30)):
        batch = texts(count, seed)
        assert documents_of(encoder, batch) == tokenizer_ids(tokenizer, batch)


def test_real_texts_and_vocabulary(shared_data):
    from mlm.checkpoint.tokenizer import load_tokenizer
    from mlm.data.texts.cleaning import read_texts
    from mlm.data.texts.text_files import expand_files
    from mlm.data.texts.text_report import TextReport

    files = expand_files([str(shared_data / "imdb" / "test_4k.csv.gz")])
    batch = list(read_texts(files, text_column=None, encoding=None, report=TextReport()))[:500]
    tokenizer = load_tokenizer(ROOT / "mlm" / "bundled" / "imdb_modernbert")
    assert splits_at_spaces_and_punctuation(tokenizer)
    encoder = DocumentEncoder(tokenizer, np.dtype(np.uint16))
    assert documents_of(encoder, batch) == tokenizer_ids(tokenizer, batch)


def test_an_added_word_may_have_a_space_in_it(small_tokenizer):
    import copy

    tokenizer = copy.deepcopy(small_tokenizer)
    assert splits_at_spaces_and_punctuation(tokenizer)
    tokenizer.add_tokens(["the film"])
    assert not splits_at_spaces_and_punctuation(tokenizer)
    encoder = DocumentEncoder(tokenizer, np.dtype(np.uint16))
    batch = ["i liked the film very much", "the film"]
    assert documents_of(encoder, batch) == tokenizer_ids(tokenizer, batch)
    assert len(tokenizer) - 1 in documents_of(encoder, batch)[1]


def test_the_cache_is_dropped_if_words_do_not_repeat(small_tokenizer, monkeypatch):
    encoded: list[list[str]] = []

    def record(tokenizer, texts):
        encoded.append(texts)
        return encode_texts(tokenizer, texts)

    monkeypatch.setattr(document_encoding, "encode_texts", record)
    monkeypatch.setattr(document_encoding, "CHECK_EVERY", 100)
    encoder = DocumentEncoder(small_tokenizer, np.dtype(np.uint16))
    for _ in range(3):
        encoder.encode(["film film " * 20])
    assert encoded == [["film", ""]] or encoded == [["film"]], "cached after the first batch"
    new = [f"{number:0150b}" for number in range(3)]
    for text in new:
        encoder.encode([text])
    assert encoded[-1] == new[-1:] and new[0] in encoded[-3]
    encoder.encode(["film film"])
    assert encoded[-1] == ["film film"], "whole, because the cache was dropped"
