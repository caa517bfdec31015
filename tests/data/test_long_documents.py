"""A book in one line: cut into documents, some of them held out, in bounded memory."""

import json
import subprocess
import sys

import pytest

from mlm.data.texts.cleaning import TextReport, read_texts
from mlm.data.texts.long_documents import LONGEST_DOCUMENT, PART, parts_of
from mlm.data.tokens.corpus import build_token_store, texts_of_side
from tests.support.places import ROOT


def book(characters: int) -> str:
    sentences = (
        f"Chapter {number} tells of the sea, and of {number * 7} ships." for number in range(10**6)
    )
    text = ""
    for sentence in sentences:
        if len(text) + len(sentence) >= characters:
            return text + "x" * (characters - len(text))
        text += f"{sentence} "
    raise AssertionError


def test_a_document_at_the_limit_stays_whole():
    text = book(LONGEST_DOCUMENT)
    assert list(parts_of(text)) == [text]


def test_a_longer_one_is_cut_at_the_ends_of_sentences():
    text = book(LONGEST_DOCUMENT + 1)
    parts = list(parts_of(text))
    assert "".join(parts) == text
    assert all(part.endswith("ships. ") for part in parts[:-1])
    assert all(PART // 2 < len(part) <= PART for part in parts[:-1])


@pytest.mark.parametrize(
    ("unit", "end"),
    [
        ("कमल खिलता है। ", "। "),
        ("私は本を読みます。", "。"),
        ("word ", " "),
        ('"Stop!" ', '!" '),
        ("ก", "ก"),
    ],
)
def test_every_script_is_cut_where_it_can_be(unit, end):
    text = unit * (LONGEST_DOCUMENT // len(unit) + 10)
    parts = list(parts_of(text))
    assert "".join(parts) == text
    assert all(part.endswith(end) for part in parts)
    assert max(map(len, parts)) <= PART


@pytest.fixture
def book_file(tmp_path):
    path = tmp_path / "book.txt"
    path.write_text(book(600_000) + "\n", encoding="utf-8")
    return path


def test_a_part_of_a_single_book_is_held_out_and_said(tmp_path, book_file, small_tokenizer):
    store = build_token_store(tmp_path / "store", small_tokenizer, train_files=[str(book_file)])
    train, validation = store.train.num_documents, store.validation.num_documents
    assert 0.02 < validation / (train + validation) < 0.1
    rows, cut, *warnings = store.report_line.split("\n")
    assert not any("characters each" in line for line in warnings)
    assert rows.startswith("1 row read from 1 file: 0 empty and 0 repeated dropped, 0 with HTML")
    assert cut == (
        f"1 document of over 100,000 characters was cut at the ends of sentences into "
        f"{train + validation} documents of at most 5,000, so that some can be held out"
    )
    held_out = list(texts_of_side("validation", train_files=[str(book_file)]))
    assert len(held_out) == validation


def test_html_and_rows_are_counted_by_document(tmp_path):
    path = tmp_path / "book.txt"
    path.write_text(f"{'One more line.<br /> ' * 10_000}\n{' ' * 200_000}\n\nshort\n")
    report = TextReport()
    texts = list(read_texts([str(path)], text_column=None, encoding=None, report=report))
    assert (report.rows, report.empty, report.with_html, report.cut) == (4, 2, 1, 1)
    assert report.parts == len(texts) - 1 + report.repeated
    assert "<" not in "".join(texts)


PEAK = """
import json, sys
from mlm.checkpoint.tokenizer import load_tokenizer
from mlm.data.tokens.corpus import build_token_store
folder, path = json.load(sys.stdin)
tokenizer = load_tokenizer(f"{folder}/tokenizer")
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM"))
before = peak()
build_token_store(f"{folder}/store", tokenizer, train_files=[path])
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak from /proc")
def test_memory_is_bounded_for_ten_megabytes_in_a_line(tmp_path):
    from mlm.checkpoint.tokenizer import save_tokenizer
    from mlm.data.tokens.tokenizer_training import train_tokenizer

    path = tmp_path / "book.txt"
    path.write_text(book(10_000_000), encoding="utf-8")
    # A token a byte, nearly: the most that a tokenizer can make of a text.
    tokenizer = train_tokenizer(["a b"], 300, tokenizer_type="bpe")
    (tmp_path / "tokenizer").mkdir()
    save_tokenizer(tokenizer, tmp_path / "tokenizer", model_max_length=64)
    done = subprocess.run(
        [sys.executable, "-c", PEAK],
        input=json.dumps([str(tmp_path), str(path)]),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < 400  # MB; 174 when this was written
