"""The demo's corpus: mlm/bundled has the file that the script writes, and it is good English."""

import csv
import io
import random
import re

import pytest

from scripts import make_demo_corpus as maker

# "an" goes by sound, not by letter; independent of the script's own rule.
AN_IN_SPITE_OF_LETTER = {"hour", "honest", "heir"}
A_IN_SPITE_OF_LETTER = {"one", "used", "useful", "unique", "university", "european"}


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(maker.OUTPUT.read_text(encoding="utf-8"))))


@pytest.fixture(scope="module")
def texts(rows) -> list[str]:
    return [row["text"] for row in rows]


def test_the_script_writes_the_bundled_file_byte_for_byte():
    assert maker.corpus_csv().encode("utf-8") == maker.OUTPUT.read_bytes()


def test_another_seed_gives_other_texts(texts):
    assert maker.make_texts(20, random.Random(maker.SEED + 1)) != texts[:20]


def test_each_row_has_an_id_and_a_text_and_the_file_is_small(rows):
    assert [row["id"] for row in rows] == [str(i) for i in range(1, maker.NUM_TEXTS + 1)]
    assert set(rows[0]) == {"id", "kind", "text"}
    assert maker.OUTPUT.stat().st_size < 1_000_000


def test_the_kinds_take_turns(rows):
    kinds = [row["kind"] for row in rows]
    assert kinds == [maker.KINDS[i % 3] for i in range(maker.NUM_TEXTS)]


def test_all_texts_differ(texts):
    assert len(set(texts)) == len(texts)


def test_texts_have_two_to_four_sentences_and_20_to_60_words(texts):
    for text in texts:
        assert 2 <= len(re.findall(r"\.(?: |$)", text)) <= 4, text
        assert 20 <= len(text.split()) <= 60, text


def test_no_text_is_about_films(texts):
    film = re.compile(r"\b(movie|film|cinema|actor|actress|director|screen|plot|scene)", re.I)
    assert [text for text in texts if film.search(text)] == []


def test_every_name_in_braces_was_replaced(texts):
    assert [text for text in texts if re.search(r"[{}|\[\]_]", text)] == []


def test_sentences_begin_with_a_capital(texts):
    assert [text for text in texts if re.search(r"(?:^|\. )[^A-Z]", text)] == []


def test_a_and_an_go_by_sound(texts):
    wrong = set()
    for article, word in re.findall(r"\b(an?) (\w+)", " ".join(texts), re.I):
        vowel = word[0].lower() in "aeiou" or word.lower() in AN_IN_SPITE_OF_LETTER
        vowel = vowel and word.lower() not in A_IN_SPITE_OF_LETTER
        if vowel != (article.lower() == "an"):
            wrong.add(f"{article} {word}")
    assert wrong == set()


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (
            r"(?<!of )(?<!of the )\b(eggs|drums|mountains) (was|is|has)\b",
            "plural noun, singular verb",
        ),
        (r"(?<!of the )\b(soup|cake|guitar|train|lake) (were|are)\b", "singular noun, plural verb"),
        (r"\b(it|he|she) were\b|\bthey was\b", "pronoun and verb"),
        (r"\b(he|she|who) (play|practice|want|like)\b", "third person without s"),
        (r"\bI (wants|likes|plays)\b", "first person with s"),
        (r"\b(\w+) \1\b", "repeated word"),
    ],
)
def test_words_agree(texts, wrong, why):
    assert [text for text in texts if re.search(wrong, text)] == [], why


def test_the_three_subjects_are_equally_frequent_and_none_is_dominated_by_one_word(texts):
    for subject, table in enumerate((maker.DISHES, maker.INSTRUMENTS, maker.PLACES)):
        own = texts[subject::3]
        names = [row["name"][0] for row in maker.read_table(table)]
        shares = {name: sum(name in text for text in own) / len(own) for name in names}
        assert min(shares.values()) > 0 and max(shares.values()) < 0.5, shares
