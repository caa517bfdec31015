"""Words in every script and for every kind of tokenizer: characters with their marks, or spaced."""

import numpy as np
import pytest
import regex

from mlm.data.tokens.token_facts import TokenFacts
from mlm.data.tokens.word_boundaries import WordBoundaries, byte_alphabet
from tests.support.script_tokenizers import KINDS, TEXTS, UNSPACED, byte_level_of_english, unigram
from tests.support.tokenizer_kinds import KINDS as ENGLISH_KINDS
from tests.support.tokenizer_kinds import TEXTS as ENGLISH_TEXTS


def words_in(tokenizer, text: str) -> list[str]:
    """Return the text's parts that the words of its tokens cover."""
    encoded = tokenizer(text, return_offsets_mapping=True)
    starts = WordBoundaries.of(tokenizer).starts(np.array([encoded["input_ids"]]))[0]
    spans: list[list[int]] = []
    for begins, (start, end) in list(zip(starts, encoded["offset_mapping"], strict=True))[1:-1]:
        if begins or not spans:
            spans.append([start, end])
        spans[-1][1] = end
    return [text[start:end].strip() for start, end in spans]


@pytest.fixture(scope="module")
def bytes_only():
    """A tokenizer with a token for each byte of other scripts than Latin."""
    return byte_level_of_english([])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("我喜欢iPhone手机,好2个", ["我", "喜", "欢", "iPhone", "手", "机", ",", "好", "2", "个"]),
        ("น้ำท่วม ดี", ["น้ำ", "ท่", "ว", "ม", "ดี"]),
        ("コーヒーを が", ["コ", "ー", "ヒ", "ー", "を", "か\u3099"]),
        ("ខ្មែរ", ["ខ្មែ", "រ"]),  # the second letter is written below the first
        ("𠮷野家", ["𠮷", "野", "家"]),  # four bytes
        ("great 海 story", ["great", "海", "story"]),
        ("मौसम अच्छा है", ["मौसम", "अच्छा", "है"]),
        ("Привет, мир", ["Привет", ",", "мир"]),
        ("한국어 문장", ["한국어", "문장"]),
    ],
)
def test_words_are_found_across_the_bytes_of_characters(bytes_only, text, words):
    text = text.replace("が", "か\u3099")
    assert words_in(bytes_only, text) == words


def characters_with_marks(text: str) -> set[int]:
    """Return where the characters of a text begin, by the `regex` library's grapheme clusters."""
    return {match.start() for match in regex.finditer(r"\X", text)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("script", UNSPACED)
def test_every_token_that_begins_a_character_begins_a_word(script, kind):
    tokenizer = KINDS[kind](TEXTS[script])
    boundaries = WordBoundaries.of(tokenizer)
    for text in TEXTS[script]:
        encoded = tokenizer(text, return_offsets_mapping=True)
        starts = boundaries.starts(np.array([encoded["input_ids"]]))[0].tolist()
        characters, last_end = characters_with_marks(text), encoded["offset_mapping"][1][1]
        for begins, (start, end) in list(zip(starts, encoded["offset_mapping"], strict=True))[2:-1]:
            if text[start:end] and text[:start].strip():
                assert begins == (start in characters and start >= last_end), (text, start)
            last_end = end


@pytest.mark.parametrize("kind", ENGLISH_KINDS)
def test_words_of_english_are_where_the_tokenizer_marks_them(kind):
    tokenizer = ENGLISH_KINDS[kind]()
    words = WordBoundaries.of(tokenizer)
    input_ids = np.array([tokenizer(" ".join(ENGLISH_TEXTS[:9]))["input_ids"]])
    assert np.array_equal(words.starts(input_ids)[:, 1:], words.marked[input_ids][:, 1:])
    assert not words.unspaced(input_ids).any()
    assert 0.2 < words.starts(input_ids).mean() < 0.9


def test_a_space_of_its_own_is_one_word_with_the_character_behind_it():
    tokenizer = unigram(TEXTS["Chinese"])
    vocabulary = tokenizer.get_vocab()
    space, letters = vocabulary["▁"], [vocabulary[letter] for letter in "天我"]
    ids = np.array([[2, space, letters[0], letters[1], space, letters[1], 3]])
    starts = WordBoundaries.of(tokenizer).starts(ids)[0, 1:-1]
    assert starts.tolist() == [True, False, True, True, False]


def test_bytes_of_sentencepiece_are_one_character():
    """`<0xE6>` and the like stand for characters without a token of their own."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    names = ["<unk>", "▁a", "b", *(f"<0x{byte:02X}>" for byte in range(256))]
    backend = Tokenizer(models.Unigram([(name, -1.0) for name in names], 0, byte_fallback=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend)
    ids = [0, *tokenizer("ab海é")["input_ids"]]
    assert len(ids) == 1 + 2 + 3 + 2
    starts = WordBoundaries.of(tokenizer).starts(np.array([ids]))[0]
    assert starts[1:].tolist() == [True, False, True, False, False, True, False]


def test_rows_do_not_depend_on_each_other(bytes_only):
    texts = ["我喜欢看海", "海 is the sea", "น้ำท่วมแล้วก็"]
    rows = [bytes_only(text)["input_ids"][:14] for text in texts]  # cut within a character
    words = TokenFacts.of(bytes_only).words
    width = min(map(len, rows))
    together = words.starts(np.array([row[:width] for row in rows]))
    for row, found in zip(rows, together, strict=True):
        assert np.array_equal(words.starts(np.array([row[:width]]))[0], found)


def test_the_alphabet_of_bytes_is_that_of_the_tokenizers_library(bytes_only):
    letters = {byte: letter for letter, byte in byte_alphabet().items()}
    assert len(letters) == 256
    for text in ("\u0007 a~\u00a0é海", "ÿ𠮷"):
        spelled = "".join(letters[byte] for byte in text.encode())
        assert "".join(bytes_only.tokenize(text)) == spelled
