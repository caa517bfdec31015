"""Tokenizers trained from scratch: every kind, in every script, the same in every process."""

import csv
import hashlib
import json
import subprocess
import sys
import unicodedata
from collections import Counter

import numpy as np
import pytest

from mlm.checkpoint.tokenizer import encode_texts, load_tokenizer, save_tokenizer, tokenizer_hash
from mlm.data.tokens.token_facts import TokenFacts
from mlm.data.tokens.tokenizer_training import train_tokenizer
from mlm.data.tokens.tokenizer_training.alphabet import choose_alphabet
from mlm.data.tokens.tokenizer_training.word_counts import LONGEST_WORD, count_words
from mlm.errors import ConfigError, CorpusError
from tests.support.places import ROOT
from tests.support.sweeps import slow

TYPES = ("wordpiece", "bpe", "unigram")
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
GERMAN = ["Der Schüler öffnet die Tür.", "Über den Flüssen hört man Vögel."] * 5
HINDI = ["यह किताब बहुत अच्छी है।", "मैं हिन्दी में लिखता हूँ।", "वह स्कूल जाती है।"] * 5
ARABIC = ["ذَهَبَ الوَلَدُ إلى المَدرَسَةِ.", "كَتَبَ الطّالِبُ دَرسَهُ."] * 5
THAI_WORDS = ["ฉัน", "กิน", "ข้าว", "ที่", "บ้าน", "เขา", "ไป", "โรงเรียน", "หนังสือ", "น้ำ"]
THAI = ["".join(np.random.default_rng(i).choice(THAI_WORDS, 12)) for i in range(300)]
JAPANESE = ["私は本を読みます。", "彼は学校に行きました。", "これは新しい本です。"] * 5
CHINESE = ["我在学校看书。", "他喜欢这本新书。", "今天天气很好。"] * 5
OF_BUNDLED_CORPUS = "983a532c46ece82af6818ccf2cadf99e"  # as BERT's trainer with accents stripped
TEXTS = [*GERMAN, *HINDI, *ARABIC, *THAI]


def han(count: int) -> list[str]:
    """Return texts of so many Chinese characters, which are about as frequent as words are."""
    order = np.random.default_rng(1).permutation(count)
    draws = (order[int(i)] for i in np.exp(np.random.default_rng(2).random(60_000) * np.log(count)))
    characters = [chr(0x4E00 + int(i) - 1) for i in draws]
    return ["".join(characters[i : i + 50]) for i in range(0, len(characters), 50)]


def lines_of(*arguments, **settings) -> tuple[object, list[str]]:
    lines: list[str] = []
    return train_tokenizer(*arguments, **settings, report=lines.append), lines


def decoded(tokenizer, text: str) -> str:
    return tokenizer.decode(encode_texts(tokenizer, [text])[0])


# What every kind has to do


@pytest.fixture(scope="module", params=TYPES)
def trained(request):
    return train_tokenizer(TEXTS, 600, tokenizer_type=request.param)


def test_special_tokens_have_the_first_ids(trained):
    assert trained.convert_tokens_to_ids(SPECIAL) == [0, 1, 2, 3, 4]
    assert trained.all_special_ids == [1, 3, 0, 2, 4]
    assert sorted(trained.get_vocab().values()) == list(range(len(trained)))
    assert len(trained) <= 600


def test_accents_vowel_signs_and_all_scripts_are_kept(trained):
    for text in (GERMAN[0], HINDI[0], ARABIC[0], THAI[0]):
        assert trained.unk_token_id not in encode_texts(trained, [text])[0]
        assert decoded(trained, text).replace(" ", "") == text.lower().replace(" ", "")


def test_words_that_differ_in_a_mark_differ(trained):
    for one, other in (("öffnet", "offnet"), ("है", "ह"), ("ที่", "ท"), ("كَتَبَ", "كتب")):
        assert encode_texts(trained, [one]) != encode_texts(trained, [other])


def test_both_unicode_forms_are_one_text(trained):
    for text in (GERMAN[1], ARABIC[0], "क़लम"):
        apart = unicodedata.normalize("NFD", text)
        assert apart != text or "क़" in text
        assert encode_texts(trained, [apart]) == encode_texts(trained, [text])


def test_a_mask_takes_the_place_of_a_word_with_the_space_before_it(trained):
    whole = encode_texts(trained, ["tür die hört"])[0]
    first, last = encode_texts(trained, ["tür"])[0], whole[-1]
    masked = trained("tür [MASK] hört").input_ids
    assert masked[: len(first) + 2] == [2, *first, 4]
    assert masked[-2:] == [last, 3]
    after = masked[len(first) + 2 : -1]
    assert whole[-len(after) :] == after


def test_a_special_token_spelled_in_a_text_is_letters(trained):
    assert not set(encode_texts(trained, ["die [SEP] tür [MASK]"])[0]) & {0, 2, 3, 4}


@pytest.mark.parametrize("model_type", ["bert", "modernbert", "roberta", "xlm-roberta"])
def test_a_saved_one_loads_as_it_was(trained, tmp_path, model_type):
    from transformers import AutoTokenizer

    save_tokenizer(trained, tmp_path, model_max_length=64)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    text = "Über [MASK] Tür, यह है ฉันกินข้าว"
    for loaded in (load_tokenizer(tmp_path), AutoTokenizer.from_pretrained(tmp_path)):
        assert tokenizer_hash(loaded) == tokenizer_hash(trained)
        assert loaded(text).input_ids == trained(text).input_ids
        assert loaded.mask_token_id == 4
        assert loaded.model_input_names == ["input_ids", "attention_mask"]


def test_facts_for_masking_can_be_read(trained):
    facts = TokenFacts.of(trained)
    assert (facts.cls_id, facts.sep_id, facts.pad_id, facts.mask_id) == (2, 3, 0, 4)
    assert facts.special_ids.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("tokenizer_type", TYPES)
def test_capitals_are_kept_if_wanted(tokenizer_type):
    cased = train_tokenizer(GERMAN, 400, tokenizer_type=tokenizer_type, cased=True)
    assert decoded(cased, "Der Schüler").strip() == "Der Schüler"
    lower = train_tokenizer(GERMAN, 400, tokenizer_type=tokenizer_type)
    assert decoded(lower, "Der Schüler").strip() == "der schüler"


IN_ANOTHER_PROCESS = """
import json, sys
from mlm.checkpoint.tokenizer import tokenizer_hash
from mlm.data.tokens.tokenizer_training import train_tokenizer
texts, size, types = json.load(sys.stdin)
print(*(tokenizer_hash(train_tokenizer(texts, size, tokenizer_type=kind)) for kind in types))
"""


def test_another_process_trains_the_same_tokenizers():
    here = [tokenizer_hash(train_tokenizer(TEXTS, 500, tokenizer_type=kind)) for kind in TYPES]
    there = subprocess.run(
        [sys.executable, "-c", IN_ANOTHER_PROCESS],
        input=json.dumps([TEXTS, 500, TYPES]),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.split() == here


def test_english_without_accents_has_the_vocabulary_that_it_always_had():
    with (ROOT / "mlm" / "bundled" / "corpus.csv").open(encoding="utf-8") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    vocabulary = json.dumps(sorted(train_tokenizer(texts, 8192).get_vocab().items()))
    assert hashlib.md5(vocabulary.encode()).hexdigest() == OF_BUNDLED_CORPUS


# The kind that suits the script


@pytest.mark.parametrize("texts", [THAI, JAPANESE, ["ខ្ញុំទៅសាលារៀន"] * 4, ["ຂ້ອຍໄປໂຮງຮຽນ"] * 4])
def test_scripts_without_spaces_get_unigram_and_are_told_so(texts):
    tokenizer, lines = lines_of(texts, 300)
    assert type(tokenizer.backend_tokenizer.model).__name__ == "Unigram"
    assert lines[0].startswith("--tokenizer_type auto is unigram here")


@pytest.mark.parametrize("texts", [GERMAN, HINDI, ARABIC, CHINESE, [*GERMAN, THAI[0]]])
def test_others_get_wordpiece(texts):
    tokenizer, lines = lines_of(texts, 300)
    assert type(tokenizer.backend_tokenizer.model).__name__ == "WordPiece"
    assert lines[0].startswith("tokenizer: wordpiece, lower-cased")


def test_unigram_finds_the_words_of_thai():
    tokenizer = train_tokenizer(THAI, 100)
    assert set(THAI_WORDS) <= tokenizer.get_vocab().keys()
    for number in range(20):
        words = np.random.default_rng(number).choice(THAI_WORDS, 12)
        ends = np.cumsum([len(word) for word in words])
        pieces = [tokenizer.decode(piece) for piece in encode_texts(tokenizer, [THAI[number]])[0]]
        assert set(np.cumsum([len(piece) for piece in pieces])) <= {0, *ends}
        assert len(pieces) < 14


def test_byte_level_words_are_not_split_at_vowel_signs():
    tokenizer = train_tokenizer(HINDI * 20, 500, tokenizer_type="bpe")
    assert decoded(tokenizer, "किताब") == "किताब"
    assert len(encode_texts(tokenizer, [" किताब"])[0]) == 1


# The alphabet and [UNK]


def test_the_alphabet_grows_with_the_script():
    texts = han(3000)
    tokenizer, lines = lines_of(texts, 8192)
    known = sum(len(token) == 1 for token in tokenizer.get_vocab())
    assert known > 2500
    assert lines == [
        f"tokenizer: wordpiece, lower-cased, {len(tokenizer):,} entries, {known:,} of them "
        f"characters; {unknown(tokenizer, texts):.2%} of the tokens of the training texts are [UNK]"
    ]
    assert unknown(tokenizer, texts) < 0.005  # characters that occur once


def unknown(tokenizer, texts: list[str]) -> float:
    ids = [token for row in encode_texts(tokenizer, texts) for token in row]
    return ids.count(tokenizer.unk_token_id) / len(ids)


@pytest.mark.parametrize("tokenizer_type", ["wordpiece", "unigram"])
def test_a_vocabulary_too_small_for_the_script_is_told_what_to_give(tokenizer_type):
    texts = han(3000)
    small, lines = lines_of(texts, 1000, tokenizer_type=tokenizer_type)
    assert unknown(small, texts) > 0.05
    assert lines[-1].startswith(f"warning: {unknown(small, texts):.1%} [UNK]: 1,000 entries are")
    assert "--tokenizer_type bpe" in lines[-1]
    size = int(lines[-1].partition("--vocab_size ")[2].partition(",")[0])
    larger, lines = lines_of(texts, size, tokenizer_type=tokenizer_type)
    assert unknown(larger, texts) < 0.01
    assert len(lines) == 1


def test_byte_level_knows_all_characters():
    tokenizer, lines = lines_of(han(3000), 1000, tokenizer_type="bpe")
    assert "0.00% of the tokens" in lines[-1]
    assert tokenizer.unk_token_id not in encode_texts(tokenizer, ["𓀀 ꙮ 🫠"])[0]


def test_a_long_clause_is_not_one_unknown_word():
    clause = "".join(THAI[:9])
    assert 300 < len(clause) <= 512
    tokenizer = train_tokenizer(THAI, 300, tokenizer_type="wordpiece")
    assert unknown(tokenizer, [clause]) == 0


def test_a_vocabulary_too_small_for_the_bytes_is_named():
    with pytest.raises(ConfigError, match=r"vocab_size is 260, .* 256 single bytes"):
        train_tokenizer(GERMAN, 260, tokenizer_type="bpe")


@pytest.mark.parametrize("tokenizer_type", TYPES)
def test_texts_without_words_are_named(tokenizer_type):
    with pytest.raises(CorpusError, match="no word"):
        train_tokenizer(["", " "], 400, tokenizer_type=tokenizer_type)


@pytest.mark.parametrize("tokenizer_type", TYPES)
def test_a_single_word_is_enough(tokenizer_type):
    tokenizer, lines = lines_of(["dog"], 300, tokenizer_type=tokenizer_type)
    assert tokenizer("dog [MASK]").input_ids[-2:] == [4, 3]
    assert len(lines) == (1 if tokenizer_type == "bpe" else 2)  # a letter that occurs once is rare


def test_characters_that_take_two_entries_count_twice():
    alphabet = choose_alphabet(Counter({"aab": 4, "c": 3}), 3, lambda letter: 1 + (letter == "a"))
    assert alphabet == (["a", "b"], 4)


# Counting in bounded memory


def test_words_beyond_the_limit_are_left_out_and_said():
    words = count_words(["aa bb aa cc", "cc aa dd"], str.split, lambda raw: [raw], 4)
    assert words.counts == {"aa": 3, "bb": 1}
    assert words.left_out == 3
    assert words.line().startswith("3 words were left out of the count")
    assert count_words(["a b"], str.split, lambda raw: [raw]).line() == ""


def test_long_words_are_counted_in_parts():
    words = count_words(["x" * (2 * LONGEST_WORD + 1)], str.split, lambda raw: [raw])
    assert words.counts == {"x" * LONGEST_WORD: 2, "x": 1}


# A whole run, and its answers


@pytest.fixture(scope="module")
def thai_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("thai") / "thai.txt"
    path.write_text("\n".join(THAI), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("tokenizer_type", "model_type"),
    [
        ("unigram", "modernbert"),
        slow("wordpiece", "modernbert"),
        slow("wordpiece", "bert"),
        slow("unigram", "bert"),
        slow("bpe", "bert"),
        slow("bpe", "modernbert"),
        slow("bpe", "roberta"),
        slow("unigram", "xlm-roberta"),
    ],
)
def test_a_model_from_scratch_answers_as_in_transformers(
    thai_file, tmp_path, tokenizer_type, model_type
):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("torch")
    from mlm.inference.fill_mask import FillMask
    from mlm.training.config import TrainingConfig
    from mlm.training.trainer import train

    shape = "hidden_size=32,num_hidden_layers=1,num_attention_heads=2,intermediate_size=48"
    config = TrainingConfig(
        train_file=[str(thai_file)],
        output_dir=str(tmp_path / "run"),
        config_overrides=shape,
        model_type=model_type,
        tokenizer_type=tokenizer_type,
        vocab_size=400,
        max_seq_length=32,
        max_steps=2,
        example_texts=["ฉันกิน[MASK]"],
        precision="fp32",
    )
    lines: list[str] = []
    folder = train(config, report=lines.append).folder
    assert any(line.startswith(f"tokenizer: {tokenizer_type}, lower-cased") for line in lines)
    texts = ["ฉันกิน[MASK]ที่บ้าน", "[MASK]ไปโรงเรียน"]
    ours = FillMask.from_pretrained(str(folder))(texts)
    theirs = transformers.pipeline("fill-mask", model=str(folder), device="cpu")(texts)
    for one, other in zip(ours, theirs, strict=True):
        assert [c["score"] for c in one] == pytest.approx([c["score"] for c in other], abs=1e-5)
        assert one[0]["token_str"] == other[0]["token_str"]
        assert not any(mark in c["sequence"] for c in one for mark in ("Ġ", "▁", "##"))
