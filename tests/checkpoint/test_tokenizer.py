"""Tokenizers: trained ones load anywhere, published ones unchanged, bad folders are refused."""

import copy
import json
import shutil
import socket
from types import SimpleNamespace

import numpy as np
import pytest

from mlm.checkpoint.tokenizer import encode_texts, load_tokenizer, save_tokenizer, tokenizer_hash
from mlm.data.batches.evaluation_batches import evaluation_batches
from mlm.data.batches.masking import mask_tokens
from mlm.data.tokens.token_facts import TokenFacts, random_word_ids, special_ids
from mlm.data.tokens.tokenizer_training import train_tokenizer
from mlm.data.tokens.word_boundaries import WordBoundaries
from mlm.errors import CheckpointError, ConfigError, CorpusError
from tests.support.family_tokenizers import KINDS, save_as_on_the_hub
from tests.support.places import SHARED

REAL = SHARED / "data" / "tokenizers"
NAMES = {"vocab": "vocab.txt", "vocab_json": "vocab.json", "merges": "merges.txt"}

TEXTS = [
    "The quick brown fox jumps over the lazy dog, quickly.",
    "Waltz, bad nymph, for quick jigs vex the lazy foxes!",
    "Sphinx of black quartz: judge my vow, judge the jumping dogs.",
    "Café, naïve, Führer — the accents stay.",
] * 3


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS, 120)


@pytest.fixture(scope="module")
def byte_level():
    """A small byte-level BPE tokenizer like RoBERTa's, trained here."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(TEXTS, trainer)
    names = ("cls_token", "pad_token", "sep_token", "unk_token", "mask_token")
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, **dict(zip(names, special, strict=True))
    )


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*arguments):
        raise AssertionError(f"network used: {arguments}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def real(*names):
    missing = [name for name in names if not (REAL / name).is_file()]
    if missing:
        pytest.skip(f"real vocabularies are not here: {REAL / missing[0]}")
    return [REAL / name for name in names]


def load_renamed(folder, **sources):
    """Load the tokenizer of a new folder that has these files, under the names of checkpoints."""
    folder.mkdir()
    for name, source in sources.items():
        shutil.copyfile(source, folder / NAMES[name])
    return load_tokenizer(folder)


def write_json(path, content):
    path.write_text(json.dumps(content), encoding="utf-8")


# Training


def test_special_tokens_have_the_first_five_ids(tokenizer):
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert tokenizer.convert_tokens_to_ids(special) == [0, 1, 2, 3, 4]
    assert (tokenizer.pad_token_id, tokenizer.unk_token_id) == (0, 1)
    assert (tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.mask_token_id) == (2, 3, 4)
    assert special_ids(tokenizer).tolist() == [0, 1, 2, 3, 4]


def test_a_sentence_gets_its_special_tokens(tokenizer):
    tokens = tokenizer.convert_ids_to_tokens(tokenizer("The [MASK], the").input_ids)
    assert tokens == ["[CLS]", "the", "[MASK]", ",", "the", "[SEP]"]


def test_capitals_are_folded(tokenizer):
    assert tokenizer.tokenize("QUICK Café") == tokenizer.tokenize("quick café")
    assert not any(token != token.lower() for token in tokenizer.get_vocab() if token[0] != "[")


@pytest.mark.parametrize("vocab_size", [20, 60, 90])
def test_the_vocabulary_never_passes_its_size(vocab_size):
    assert len(train_tokenizer(TEXTS, vocab_size)) <= vocab_size


def test_few_words_give_a_small_vocabulary():
    small = train_tokenizer(["a dog", "a dog"], 1000)
    assert set(small.get_vocab()) >= {"a", "dog"}
    assert len(small) < 30


def test_ids_have_no_gap(tokenizer):
    assert sorted(tokenizer.get_vocab().values()) == list(range(len(tokenizer)))


def test_training_is_deterministic():
    # The trainer of `tokenizers` by itself gives four different vocabularies here.
    hashes = {tokenizer_hash(train_tokenizer(TEXTS, 60)) for _ in range(4)}
    assert len(hashes) == 1


def test_texts_are_read_once():
    assert tokenizer_hash(train_tokenizer(iter(TEXTS), 90)) == tokenizer_hash(
        train_tokenizer(TEXTS, 90)
    )


def test_letters_that_occur_once_are_left_out():
    every_letter_once = "".join(map(chr, range(0x4E00, 0x4E00 + 3000)))
    trained = train_tokenizer([*TEXTS, every_letter_once], 5000)
    assert not any(chr(0x4E00 + i) in trained.get_vocab() for i in range(3000))


def test_a_vocabulary_too_small_is_named():
    with pytest.raises(ConfigError, match="vocab_size is 5"):
        train_tokenizer(TEXTS, 5)


@pytest.mark.parametrize("texts", [[], ["", " \n"]])
def test_texts_without_words_are_named(texts):
    with pytest.raises(CorpusError, match="no word"):
        train_tokenizer(texts, 100)


# Saving and loading


@pytest.mark.parametrize("model_type", [None, "bert", "modernbert"])
def test_a_trained_tokenizer_loads_with_plain_auto_tokenizer(tokenizer, tmp_path, model_type):
    from transformers import AutoTokenizer

    save_tokenizer(tokenizer, tmp_path, model_max_length=64)
    if model_type:
        write_json(tmp_path / "config.json", {"model_type": model_type})
    for loaded in (load_tokenizer(tmp_path), AutoTokenizer.from_pretrained(tmp_path)):
        assert tokenizer_hash(loaded) == tokenizer_hash(tokenizer)
        assert loaded.model_max_length == 64
        assert loaded.mask_token_id == 4
        encoded = loaded("The LAZY fox [MASK].", "A dog.")
        assert encoded.input_ids == tokenizer("The LAZY fox [MASK].", "A dog.").input_ids
        assert set(encoded) == {"input_ids", "attention_mask"}


def test_the_saved_class_is_known_to_transformers_4_and_5(tokenizer, tmp_path):
    save_tokenizer(tokenizer, tmp_path, model_max_length=64)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert config["do_lower_case"] is True


def test_a_loaded_tokenizer_saves_the_same_again(tokenizer, tmp_path):
    for folder, length in (("first", 64), ("second", 32)):
        (tmp_path / folder).mkdir()
        save_tokenizer(tokenizer, tmp_path / folder, model_max_length=length)
        tokenizer = load_tokenizer(tmp_path / folder)
    first, second = (tmp_path / name / "tokenizer.json" for name in ("first", "second"))
    assert first.read_text(encoding="utf-8") == second.read_text(encoding="utf-8")
    assert tokenizer.model_max_length == 32


def test_truncation_and_padding_are_not_saved(tmp_path):
    used = train_tokenizer(TEXTS, 90)
    used(["the dog", "the quick brown fox"], padding="max_length", truncation=True, max_length=4)
    save_tokenizer(used, tmp_path, model_max_length=64)
    saved = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    assert saved["truncation"] is saved["padding"] is None


def test_truncation_and_padding_of_a_published_file_are_dropped(tokenizer, tmp_path):
    save_tokenizer(tokenizer, tmp_path, model_max_length=64)
    content = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    content["truncation"] = {
        "direction": "Right",
        "max_length": 4,
        "strategy": "LongestFirst",
        "stride": 0,
    }
    write_json(tmp_path / "tokenizer.json", content)
    loaded = load_tokenizer(tmp_path)
    assert loaded.backend_tokenizer.truncation is None
    assert encode_texts(loaded, TEXTS) == encode_texts(tokenizer, TEXTS)


SAID_ONCE = {  # option of the class -> family; component of tokenizer.json, its setting, a value
    "strip_accents": ("bert", "normalizer", "strip_accents", False),
    "tokenize_chinese_chars": ("bert", "normalizer", "handle_chinese_chars", False),
    "do_lower_case": ("bert", "normalizer", "lowercase", False),
    "add_prefix_space": ("roberta", "pre_tokenizer", "add_prefix_space", True),
}


@pytest.mark.parametrize("option", SAID_ONCE)
def test_what_tokenizer_json_says_counts_where_tokenizer_config_does_not_repeat_it(
    option, tmp_path
):
    from transformers import AutoTokenizer

    family, component, setting, value = SAID_ONCE[option]
    KINDS[family]().save_pretrained(tmp_path)
    write_json(tmp_path / "config.json", {"model_type": family})
    content = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    assert content[component][setting] != value
    content[component][setting] = value
    write_json(tmp_path / "tokenizer.json", content)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))
    overruled = config.pop(option)
    write_json(tmp_path / "tokenizer_config.json", config)

    def setting_of(tokenizer) -> object:
        return json.loads(tokenizer.backend_tokenizer.to_str())[component][setting]

    loaded = load_tokenizer(tmp_path)
    assert setting_of(loaded) == value
    save_tokenizer(loaded, tmp_path, model_max_length=64)
    assert setting_of(AutoTokenizer.from_pretrained(tmp_path)) == value
    write_json(tmp_path / "tokenizer_config.json", config | {option: overruled})
    assert setting_of(load_tokenizer(tmp_path)) == overruled


@pytest.mark.parametrize("with_config", [False, True])
def test_vocab_txt_alone_is_enough(tmp_path, no_network, with_config):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "dog", "##s"]
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    if with_config:
        write_json(tmp_path / "config.json", {"model_type": "bert"})
    loaded = load_tokenizer(tmp_path)
    assert loaded("A DOGS [MASK]").input_ids == [2, 5, 6, 7, 4, 3]


def test_a_vocabulary_with_capitals_keeps_them(tmp_path):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "Dog", "##s"]
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    loaded = load_tokenizer(tmp_path)
    assert loaded("a Dogs A").input_ids == [2, 5, 6, 7, 1, 3]
    (tmp_path / "again").mkdir()
    save_tokenizer(loaded, tmp_path / "again", model_max_length=64)
    assert load_tokenizer(tmp_path / "again")("a Dogs A").input_ids == [2, 5, 6, 7, 1, 3]


def test_capitals_that_only_tokenizer_json_keeps_are_kept(tmp_path):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "Dog"]
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    save_tokenizer(load_tokenizer(tmp_path), tmp_path, model_max_length=64)
    (tmp_path / "vocab.txt").unlink()
    (tmp_path / "tokenizer_config.json").unlink()
    write_json(tmp_path / "config.json", {"model_type": "bert"})
    assert load_tokenizer(tmp_path)("a Dog").input_ids == [2, 5, 6, 3]


def test_loading_uses_no_network(tokenizer, tmp_path, no_network):
    save_tokenizer(tokenizer, tmp_path, model_max_length=64)
    assert len(load_tokenizer(tmp_path)) == len(tokenizer)


def test_a_folder_without_tokenizer_is_named(tmp_path):
    write_json(tmp_path / "config.json", {"model_type": "bert"})
    with pytest.raises(CheckpointError, match=r"has no tokenizer: expected tokenizer\.json"):
        load_tokenizer(tmp_path)
    with pytest.raises(CheckpointError, match="has no tokenizer"):
        load_tokenizer(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", ['{"model": ', "[]", "{}x"])
def test_a_broken_file_is_named_in_one_line(tokenizer, tmp_path, name, content):
    save_tokenizer(tokenizer, tmp_path, model_max_length=64)
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(CheckpointError, match=name) as caught:
        load_tokenizer(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_tokenizer_json_that_is_none_is_named_in_one_line(tokenizer, tmp_path):
    save_tokenizer(tokenizer, tmp_path, model_max_length=64)
    write_json(tmp_path / "tokenizer.json", {"model": {"type": "nonsense"}})
    with pytest.raises(CheckpointError, match=r"model\.type is 'nonsense'") as caught:
        load_tokenizer(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["tokenizer_config.json", "config.json"])
def test_code_in_the_folder_is_never_run(tokenizer, tmp_path, name):
    save_tokenizer(tokenizer, tmp_path, model_max_length=64)
    evil = tmp_path / "evil.py"
    evil.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n", encoding="utf-8")
    path = tmp_path / name
    config = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    config["auto_map"] = {"AutoTokenizer": [None, "evil.Evil"], "AutoConfig": "evil.Evil"}
    write_json(path, config)
    with pytest.raises(CheckpointError, match="auto_map"):
        load_tokenizer(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_a_tokenizer_without_mask_token_is_named(tokenizer, tmp_path):
    save_tokenizer(tokenizer, tmp_path, model_max_length=64)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))
    del config["mask_token"]
    write_json(tmp_path / "tokenizer_config.json", config)
    with pytest.raises(CheckpointError, match="sets no mask_token"):
        load_tokenizer(tmp_path)


# Hash


def test_the_hash_tells_vocabularies_apart_and_nothing_else():
    one, other = train_tokenizer(TEXTS, 90), train_tokenizer(TEXTS, 60)
    before = tokenizer_hash(one)
    assert before != tokenizer_hash(other)
    one("the dog", padding="max_length", truncation=True, max_length=4)
    assert tokenizer_hash(one) == before


# Encoding


def test_encode_texts_equals_the_tokenizer_without_special_tokens(tokenizer):
    expected = [tokenizer(text, add_special_tokens=False).input_ids for text in TEXTS]
    assert encode_texts(tokenizer, TEXTS) == expected


def test_encode_texts_neither_truncates_nor_warns(tmp_path, tokenizer, caplog):
    save_tokenizer(tokenizer, tmp_path, model_max_length=8)
    loaded = load_tokenizer(tmp_path)
    assert [len(ids) for ids in encode_texts(loaded, ["the " * 50, "", "the"])] == [50, 0, 1]
    assert not caplog.records
    assert encode_texts(loaded, []) == []


def test_a_special_token_spelled_out_is_text(tokenizer):
    (ids,) = encode_texts(tokenizer, ["the [SEP] dog [MASK]"])
    assert not set(ids) & {0, 2, 3, 4}
    # For other callers it stays the special token.
    assert tokenizer.backend_tokenizer.encode_special_tokens is False
    assert tokenizer("[MASK]").input_ids == [2, 4, 3]


def test_real_bert_ids(tmp_path):
    vocabulary, cases, expected = real(
        "bert-base-uncased-vocab.txt", "bert-cases.inp", "bert-cases.out"
    )
    texts = cases.read_bytes().decode().split("\n__ggml_vocab_test__\n")
    ids = expected.read_text(encoding="utf-8").split("\n")
    assert len(texts) == len(ids) > 40
    loaded = load_renamed(tmp_path / "bert", vocab=vocabulary)
    assert encode_texts(loaded, texts) == [[int(word) for word in line.split()] for line in ids]


# Facts about ids


def test_facts_of_a_trained_tokenizer(tokenizer):
    facts = TokenFacts.of(tokenizer)
    assert (facts.pad_id, facts.cls_id, facts.sep_id, facts.mask_id) == (0, 2, 3, 4)
    assert facts.vocab_size == len(tokenizer) == len(facts.words.marked)
    assert facts.random_word_ids.tolist() == list(range(5, len(tokenizer)))
    assert (facts.special_ids.dtype, facts.random_word_ids.dtype) == (np.int64, np.int32)


def test_word_pieces_start_words_unless_they_go_on(tokenizer):
    starts = WordBoundaries.of(tokenizer).marked
    for token, index in tokenizer.get_vocab().items():
        assert starts[index] == (not token.startswith("##"))


def test_byte_level_words_begin_with_a_space_or_punctuation(byte_level):
    starts = WordBoundaries.of(byte_level).marked
    vocabulary = byte_level.get_vocab()
    begin = ["Ġ", "Ġthe", "Ċ", ",", "!", "<mask>"]
    go_on = ["a", "7", "the", "Ã", "©"]  # Ã and © are halves of é
    assert all(starts[vocabulary[token]] for token in begin if token in vocabulary)
    assert not any(starts[vocabulary[token]] for token in go_on if token in vocabulary)
    assert {"Ġthe", "a", "Ã", ","} <= vocabulary.keys()


def test_added_words_start_words(byte_level):
    grown = copy.deepcopy(byte_level)
    grown.add_tokens(["covid"])
    facts = TokenFacts.of(grown)
    index = grown.convert_tokens_to_ids("covid")
    assert facts.words.marked[index]
    assert index in facts.random_word_ids
    assert facts.vocab_size == len(byte_level) + 1


def test_placeholders_are_never_drawn(tmp_path):
    words = [
        "[PAD]",
        "[unused0]",
        "[unused993]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "a",
        "unused",
    ]
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    loaded = load_tokenizer(tmp_path)
    assert special_ids(loaded).tolist() == [0, 3, 4, 5, 6]
    assert random_word_ids(loaded).tolist() == [7, 8]


def test_a_tokenizer_that_marks_word_ends_is_named():
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE(vocab={"a</w>": 0}, merges=[], end_of_word_suffix="</w>"))
    with pytest.raises(CheckpointError, match="does not mark where words begin"):
        WordBoundaries.of(PreTrainedTokenizerFast(tokenizer_object=backend))


def whole_words(tokenizer, text):
    """Return the texts of all words that whole-word masking chooses in a text over 400 seeds."""
    facts = TokenFacts.of(tokenizer)
    (ids,) = encode_texts(tokenizer, [text])
    input_ids = np.array([[facts.cls_id, *ids, facts.sep_id]], np.int32)
    words = set()
    for seed in range(400):
        masked = mask_tokens(
            input_ids,
            np.isin(input_ids, facts.special_ids),
            np.random.default_rng(seed),
            mlm_probability=1 / len(ids),
            max_targets=12,
            mask_token_id=facts.mask_id,
            random_word_ids=facts.random_word_ids,
            word_starts=facts.words.starts(input_ids),
        )
        chosen = masked.labels[masked.weights > 0].tolist()
        words.add(tokenizer.decode(chosen).strip())
    return words - {""}


def test_whole_words_of_word_pieces(tokenizer):
    assert len(tokenizer.tokenize("waltzing")) > 1
    assert whole_words(tokenizer, "The waltzing fox, lazy!") == {
        "the",
        "waltzing",
        "fox",
        ",",
        "lazy",
        "!",
    }


def test_whole_words_of_byte_level_pieces(byte_level):
    assert len(byte_level.tokenize(" waltzing")) > 1
    assert whole_words(byte_level, "The waltzing café, lazy!") == {
        "The",
        "waltzing",
        "café",
        ",",
        "lazy",
        "!",
    }


def test_real_bert_facts(tmp_path):
    (vocabulary,) = real("bert-base-uncased-vocab.txt")
    facts = TokenFacts.of(load_renamed(tmp_path / "bert", vocab=vocabulary))
    assert (facts.cls_id, facts.sep_id, facts.pad_id, facts.mask_id) == (101, 102, 0, 103)
    assert facts.special_ids.tolist() == [0, 100, 101, 102, 103]
    # 994 [unusedN] entries and 5 special tokens are never drawn.
    assert len(facts.random_word_ids) == facts.vocab_size - 994 - 5
    assert facts.random_word_ids.min() == 999


def test_real_cased_bert_keeps_capitals(tmp_path):
    (vocabulary,) = real("bert-base-cased-vocab.txt")
    loaded = load_renamed(tmp_path / "bert", vocab=vocabulary)
    assert loaded.tokenize("Hello Führer") == ["Hello", "F", "##ührer"]


def test_real_tokenizer_json_equals_vocab_txt(tmp_path):
    vocabulary, content = real("bert-base-uncased-vocab.txt", "bert-base-uncased-tokenizer.json")
    write_json(tmp_path / "config.json", {"model_type": "bert"})
    shutil.copyfile(content, tmp_path / "tokenizer.json")
    texts = ["A film by Führer's naïve café, 20% off!", "dog " * 600]
    loaded = load_tokenizer(tmp_path)  # the file has padding and truncation to 256
    from_vocabulary = load_renamed(tmp_path / "bert", vocab=vocabulary)
    assert encode_texts(loaded, texts) == encode_texts(from_vocabulary, texts)


def test_real_roberta_facts_and_whole_words(tmp_path):
    vocabulary, merges = real("roberta-base-vocab.json", "roberta-base-merges.txt")
    loaded = load_renamed(tmp_path / "roberta", vocab_json=vocabulary, merges=merges)
    facts = TokenFacts.of(loaded)
    assert (facts.cls_id, facts.sep_id, facts.pad_id, facts.mask_id) == (0, 2, 1, 50264)
    # Without 5 special tokens and the 3 "madeupwordN" that pad the vocabulary.
    assert len(facts.random_word_ids) == facts.vocab_size - 5 - 3
    assert loaded("Hello world").input_ids == [0, 31414, 232, 2]
    text = "Unbelievably Führer-like naïveté…"
    assert whole_words(loaded, text) == {"Unbelievably", "Führer", "-like", "naïveté", "…"}


def test_a_real_tokenizer_feeds_batches(tmp_path):
    (vocabulary,) = real("bert-base-uncased-vocab.txt")
    loaded = load_renamed(tmp_path / "bert", vocab=vocabulary)
    facts = TokenFacts.of(loaded)
    documents = [[*ids, facts.sep_id] for ids in encode_texts(loaded, TEXTS)]
    split = SimpleNamespace(
        tokens=np.concatenate(documents).astype(np.uint16),
        offsets=np.cumsum([0, *map(len, documents)]),
    )
    batches = evaluation_batches(split, facts, max_seq_length=32, batch_size=2, line_by_line=True)
    assert batches.num_sequences == len(TEXTS)
    inputs, labels, weights = batches[0]
    assert weights.sum() > 0
    assert not np.isin(labels[weights > 0], facts.special_ids).any()
    assert inputs["input_ids"][:, 0].tolist() == [101, 101]


# The kinds of all families


NAMES_OF = {  # cls, sep, pad, mask of each family
    "bert": ("[CLS]", "[SEP]", "[PAD]", "[MASK]"),
    "distilbert": ("[CLS]", "[SEP]", "[PAD]", "[MASK]"),
    "electra": ("[CLS]", "[SEP]", "[PAD]", "[MASK]"),
    "modernbert": ("[CLS]", "[SEP]", "[PAD]", "[MASK]"),
    "mpnet": ("<s>", "</s>", "<pad>", "<mask>"),
    "roberta": ("<s>", "</s>", "<pad>", "<mask>"),
    "xlm-roberta": ("<s>", "</s>", "<pad>", "<mask>"),
    "camembert": ("<s>", "</s>", "<pad>", "<mask>"),
    "albert": ("[CLS]", "[SEP]", "<pad>", "[MASK]"),
}


@pytest.fixture(scope="module", params=KINDS)
def published_tokenizer(request, tmp_path_factory):
    """A family's name, its tokenizer loaded from files as on the Hub, and their folder."""
    folder = tmp_path_factory.mktemp(request.param)
    size = save_as_on_the_hub(request.param, folder)
    return request.param, load_tokenizer(folder, size), folder


def test_the_facts_of_every_kind(published_tokenizer):
    kind, loaded, _ = published_tokenizer
    facts, vocabulary = TokenFacts.of(loaded), loaded.get_vocab()
    ids = (facts.cls_id, facts.sep_id, facts.pad_id, facts.mask_id)
    assert ids == tuple(vocabulary[name] for name in NAMES_OF[kind])
    special = {token for token in vocabulary if token[0] in "[<" and len(token) > 1}
    assert facts.special_ids.tolist() == sorted(vocabulary[token] for token in special)
    drawn = set(facts.random_word_ids.tolist())
    assert drawn == set(vocabulary.values()) - {vocabulary[token] for token in special}
    assert all(facts.words.marked[vocabulary[token]] for token in special)
    assert loaded("film").input_ids[0] == facts.cls_id
    assert loaded("film").input_ids[-1] == facts.sep_id


def test_every_kind_gives_the_ids_of_auto_tokenizer_and_after_saving(published_tokenizer, tmp_path):
    from transformers import AutoTokenizer

    _, loaded, folder = published_tokenizer
    text = f"The lazy film{loaded.mask_token} (quick), {loaded.mask_token} café 1!"
    expected = AutoTokenizer.from_pretrained(folder)(text).input_ids
    assert loaded(text).input_ids == expected
    assert expected.count(loaded.mask_token_id) == 2
    save_tokenizer(loaded, tmp_path, model_max_length=64)
    shutil.copyfile(folder / "config.json", tmp_path / "config.json")
    assert load_tokenizer(tmp_path)(text).input_ids == expected


def test_the_mask_of_every_kind_takes_the_space_before_it(published_tokenizer):
    _, loaded, _ = published_tokenizer
    with_space, without = (loaded(f"The film{space}{loaded.mask_token}") for space in (" ", ""))
    assert with_space.input_ids == without.input_ids


def test_whole_words_of_every_kind(published_tokenizer):
    kind, loaded, _ = published_tokenizer
    assert len(loaded.tokenize(" waltzing")) > 1
    words = whole_words(loaded, "The waltzing dog, lazy!")
    lower = kind in {"bert", "distilbert", "electra", "mpnet", "albert"}
    assert words == {"the" if lower else "The", "waltzing", "dog", ",", "lazy", "!"}


def test_camemberts_unused_entries_are_no_words_even_if_not_special():
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    names = ["<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED", "<s>", "NOTUSED"]
    backend = Tokenizer(models.Unigram([(name, 0.0) for name in names], 3))
    loaded = PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", cls_token="<s>")
    assert random_word_ids(loaded).tolist() == [3, 6]


@pytest.mark.parametrize("said", [None, {"mask_token": "<mask>"}])
def test_robertas_mask_takes_the_space_without_tokenizer_json(tmp_path, said):
    vocabulary, merges = real("roberta-base-vocab.json", "roberta-base-merges.txt")
    for name, source in (("vocab.json", vocabulary), ("merges.txt", merges)):
        shutil.copyfile(source, tmp_path / name)
    if said:
        write_json(tmp_path / "tokenizer_config.json", said)
    loaded = load_tokenizer(tmp_path, 50_265)
    assert loaded("Hello I'm a <mask> model.").input_ids == [
        *(0, 31414, 38, 437, 10, 50264, 1421, 4, 2)
    ]


def test_real_roberta_json_equals_vocab_and_merges(tmp_path):
    names = ("roberta-base-vocab.json", "roberta-base-merges.txt", "roberta-base-tokenizer.json")
    vocabulary, merges, content = real(*names)
    (cases,) = real("bert-cases.inp")
    texts = cases.read_bytes().decode().split("\n__ggml_vocab_test__\n")
    from_files = load_renamed(tmp_path / "files", vocab_json=vocabulary, merges=merges)
    write_json(tmp_path / "config.json", {"model_type": "roberta"})
    shutil.copyfile(content, tmp_path / "tokenizer.json")
    assert encode_texts(load_tokenizer(tmp_path), texts) == encode_texts(from_files, texts)


def test_real_bert_json_gives_the_same_ids(tmp_path):
    content, cases, expected = real(
        "bert-base-uncased-tokenizer.json", "bert-cases.inp", "bert-cases.out"
    )
    write_json(tmp_path / "config.json", {"model_type": "bert"})
    shutil.copyfile(content, tmp_path / "tokenizer.json")
    texts = cases.read_bytes().decode().split("\n__ggml_vocab_test__\n")
    ids = [[int(word) for word in line.split()] for line in expected.read_text().split("\n")]
    assert len(texts) == len(ids) > 45
    assert encode_texts(load_tokenizer(tmp_path, 30_522), texts) == ids
