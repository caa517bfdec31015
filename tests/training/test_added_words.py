"""Added words: one token wherever they stand, begun from their pieces, read by transformers."""

import copy

import numpy as np
import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from mlm.checkpoint.folder import read_checkpoint, save_checkpoint
from mlm.checkpoint.tokenizer import encode_texts
from mlm.checkpoint.weights import variables_by_name
from mlm.data.tokens.token_facts import TokenFacts
from mlm.errors import CheckpointError, ConfigError, CorpusError
from mlm.inference.fill_mask import FillMask
from mlm.training.added_words import add_words, read_words
from tests.support.script_tokenizers import KINDS as SCRIPT_KINDS
from tests.support.script_tokenizers import TEXTS as SCRIPT_TEXTS
from tests.support.small_models import save_random_checkpoint
from tests.support.tokenizer_kinds import FAMILY_OF, KINDS

WORDS = ["covid", "movie", "t-cell", "cinéma"]
OLD_TEXT = "I watched this great film"


@pytest.fixture(scope="module", params=KINDS)
def old(request, tmp_path_factory):
    """A random checkpoint of each tokenizer kind, in a family that goes with it."""
    folder = tmp_path_factory.mktemp(request.param)
    return read_checkpoint(
        save_random_checkpoint(folder, KINDS[request.param](), FAMILY_OF[request.param])
    )


@pytest.fixture(scope="module")
def grown(old):
    return add_words(old, WORDS, policy="float32", seed=0)


@pytest.fixture(scope="module")
def saved(grown, tmp_path_factory):
    folder = tmp_path_factory.mktemp("grown")
    save_checkpoint(grown.model, grown.tokenizer, folder, hf_config=grown.hf_config)
    return folder


def added_ids(old, grown):
    """Word -> id of what the tokenizer holds now and did not before."""
    before = old.tokenizer.get_vocab()
    return {word: i for word, i in grown.tokenizer.get_vocab().items() if word not in before}


def ids_of(tokenizer, text):
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def logits_of(model, tokenizer, text):
    """(T, V): the logits at every position of a text."""
    ids = np.array([tokenizer(text)["input_ids"]], np.int32)
    positions = np.arange(ids.shape[1], dtype=np.int32)[None]
    return np.asarray(model.predict_on_batch({"input_ids": ids, "masked_positions": positions}))[0]


# ---- the tokenizer


@pytest.mark.parametrize("reloaded", [False, True])
@pytest.mark.parametrize("word", ["covid", "t-cell"])
@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("I watched {0} again", 1),
        ("{0} is great", 1),
        ("{0}", 1),
        ('great {0}, great ({0})! "{0}" {0}\'s', 4),
        ("great  {0}  {0} {0}.", 3),
        ("x{0} {0}s {0}ish pre{0}able {0}9", 0),
    ],
)
def test_a_word_is_one_token_wherever_it_stands_alone(grown, saved, reloaded, word, text, times):
    tokenizer = AutoTokenizer.from_pretrained(str(saved)) if reloaded else grown.tokenizer
    index = grown.tokenizer.get_vocab()[word]
    ids = ids_of(tokenizer, text.format(word))
    assert ids.count(index) == times
    assert encode_texts(tokenizer, [text.format(word)]) == [ids]


def test_capitals_are_found_by_a_tokenizer_that_folds_them(old, grown):
    folds = ids_of(old.tokenizer, "FILM") == ids_of(old.tokenizer, "film")
    index = grown.tokenizer.get_vocab()["covid"]
    for text in ("Covid is great", "great COVID!"):
        assert (index in ids_of(grown.tokenizer, text)) == folds


def test_accents_are_as_the_tokenizer_reads_them(old, grown):
    word = "cinema" if "[MASK]" in old.tokenizer.get_vocab() else "cinéma"
    assert ids_of(grown.tokenizer, "great cinéma").count(added_ids(old, grown)[word]) == 1


def test_other_texts_are_read_as_before(old, grown):
    texts = [OLD_TEXT, "The film was awful!", "un film co-vid, mov ie t cell"]
    assert encode_texts(grown.tokenizer, texts) == encode_texts(old.tokenizer, texts)


def test_the_given_checkpoint_is_not_changed(old, grown):
    before = copy.deepcopy(old.tokenizer.get_vocab()), old.hf_config.vocab_size
    add_words(old, ["vaccine"], policy="float32", seed=0)
    assert (old.tokenizer.get_vocab(), old.hf_config.vocab_size) == before
    assert "covid" not in old.tokenizer.get_vocab()


def test_an_added_word_is_a_word_to_masking(old, grown):
    facts = TokenFacts.of(grown.tokenizer)
    new = list(added_ids(old, grown).values())
    assert facts.vocab_size == len(TokenFacts.of(old.tokenizer).words.marked) + len(new)
    assert facts.words.marked[new].all()
    assert set(new) <= set(facts.random_word_ids.tolist())
    assert not set(new) & set(facts.special_ids.tolist())


# ---- the model


def test_rows_begin_as_the_mean_of_their_pieces(old, grown):
    before, after = variables_by_name(old.model), variables_by_name(grown.model)
    new = added_ids(old, grown)
    assert len(new) == len(WORDS)
    for word, index in new.items():
        pieces = encode_texts(old.tokenizer, [f" {word}"])[0]
        assert len(pieces) > 1
        for key in ("embeddings/word_embeddings", "head/bias"):
            mean = before[key].numpy()[pieces].mean(axis=0)
            assert np.array_equal(after[key].numpy()[index], mean)


def test_all_else_is_as_it_was(old, grown):
    before, after = variables_by_name(old.model), variables_by_name(grown.model)
    assert before.keys() == after.keys()
    for key, variable in before.items():
        value = variable.numpy()
        assert np.array_equal(after[key].numpy()[: len(value)], value)


def test_old_tokens_keep_their_logits(old, grown):
    expected = logits_of(old.model, old.tokenizer, OLD_TEXT)
    found = logits_of(grown.model, grown.tokenizer, OLD_TEXT)
    assert np.abs(found[:, : expected.shape[1]] - expected).max() < 1e-5


def test_transformers_reads_it_and_agrees(grown, saved):
    model, report = AutoModelForMaskedLM.from_pretrained(str(saved), output_loading_info=True)
    wrong = {name: found for name, found in report.items() if found}
    assert wrong == {}
    tokenizer = AutoTokenizer.from_pretrained(str(saved))
    assert model.config.vocab_size == grown.hf_config.vocab_size == len(tokenizer)
    text = "I watched covid again, great t-cell"
    with torch.no_grad():
        theirs = model.eval()(**tokenizer(text, return_tensors="pt")).logits[0].numpy()
    assert np.abs(logits_of(grown.model, grown.tokenizer, text) - theirs).max() < 1e-4


def test_it_can_be_read_back_and_grown_again(old, saved):
    again = read_checkpoint(saved)
    assert add_words(again, WORDS, policy="float32", seed=0) is again
    more = add_words(again, ["covid", "vaccine"], policy="float32", seed=0)
    assert more.hf_config.vocab_size == old.hf_config.vocab_size + len(WORDS) + 1


@pytest.mark.parametrize("family", ["bert", "modernbert", "roberta"])
def test_an_untied_decoder_grows_too(tmp_path, family):
    folder = save_random_checkpoint(
        tmp_path / "old", KINDS["wordpiece"](), family, tie_word_embeddings=False
    )
    old = read_checkpoint(folder)
    grown = add_words(old, ["covid"], policy="float32", seed=0)
    save_checkpoint(grown.model, grown.tokenizer, tmp_path / "new", hf_config=grown.hf_config)
    decoders = [variables_by_name(c.model)["head/decoder"].numpy() for c in (old, grown)]
    pieces = encode_texts(old.tokenizer, ["covid"])[0]
    assert np.array_equal(decoders[1][-1], decoders[0][pieces].mean(axis=0))
    _, report = AutoModelForMaskedLM.from_pretrained(
        str(tmp_path / "new"), output_loading_info=True
    )
    assert {name: found for name, found in report.items() if found} == {}


def test_spare_rows_of_the_embedding_are_taken_first(tmp_path):
    tokenizer = KINDS["wordpiece"]()
    size = len(tokenizer) + 2
    old = read_checkpoint(save_random_checkpoint(tmp_path, tokenizer, "bert", vocab_size=size))
    one = add_words(old, ["covid"], policy="float32", seed=0)
    assert one.hf_config.vocab_size == size
    pieces = encode_texts(tokenizer, ["covid"])[0]
    rows = [variables_by_name(c.model)["embeddings/word_embeddings"].numpy() for c in (old, one)]
    assert np.array_equal(rows[1][len(tokenizer)], rows[0][pieces].mean(axis=0))
    three = add_words(old, ["covid", "vaccine", "t-cell"], policy="float32", seed=0)
    assert three.hf_config.vocab_size == size + 1


# ---- words of other scripts

RUNNING = {
    "Chinese": ("我喜欢在京东买书", "京东"),
    "Thai": ("ฉันฉีดวัคซีนแล้ว", "วัคซีน"),
    "Japanese": ("このワクチンを打った", "ワクチン"),
}


@pytest.mark.parametrize("kind", SCRIPT_KINDS)
@pytest.mark.parametrize("script", RUNNING)
def test_words_are_found_in_running_text(tmp_path, script, kind):
    text, word = RUNNING[script]
    tokenizer = SCRIPT_KINDS[kind]([t.replace(word, "") for t in SCRIPT_TEXTS[script]])
    old = read_checkpoint(save_random_checkpoint(tmp_path / "old", tokenizer, "bert"))
    new = add_words(old, [word], policy="float32", seed=0)
    save_checkpoint(new.model, new.tokenizer, tmp_path / "new", hf_config=new.hf_config)
    (index,) = added_ids(old, new).values()
    for grown in (new.tokenizer, AutoTokenizer.from_pretrained(str(tmp_path / "new"))):
        for sentence in (text, word, f"{word}。", f"a {word}", text.replace(word, f" {word} ")):
            assert ids_of(grown, sentence).count(index) == 1
        assert encode_texts(grown, [text]) == [ids_of(grown, text)]
        assert grown.decode([index]).strip() == word
    before, after = text.split(word)
    found = ids_of(new.tokenizer, text)
    # The text around is read as it is before and after a break.
    assert found[: found.index(index)] == ids_of(old.tokenizer, before)
    assert after and len(found) > found.index(index) + 1
    expected = text.replace(word, "[MASK]")
    filled = FillMask(new, "grown")(expected, targets=[word])[0]
    assert (filled["token"], filled["sequence"]) == (index, text)


@pytest.mark.parametrize("word", ["über", "naïve", "École", "łza", "стол", "京东", "covid-19"])
def test_letters_of_byte_level_words_are_letters(tmp_path, word):
    """The decoder of byte-level BPE takes "ü" for a byte, which is not one of UTF-8."""
    old = read_checkpoint(save_random_checkpoint(tmp_path / "a", KINDS["byte-level"](), "roberta"))
    new = add_words(old, [word], policy="float32", seed=0)
    save_checkpoint(new.model, new.tokenizer, tmp_path / "b", hf_config=new.hf_config)
    (index,) = added_ids(old, new).values()
    theirs, text = AutoTokenizer.from_pretrained(str(tmp_path / "b")), f"I watched {word} again"
    for tokenizer in (new.tokenizer, theirs, read_checkpoint(tmp_path / "b").tokenizer):
        assert tokenizer.decode([index]).strip() == word
        assert ids_of(tokenizer, text).count(index) == 1
        masked = f"I watched{tokenizer.mask_token} again"
        assert tokenizer(text.replace(f" {word}", tokenizer.mask_token)) == tokenizer(masked)
        others = [ids_of(t, "I watched this great film, àza") for t in (tokenizer, old.tokenizer)]
        assert others[0] == others[1]
    filled = FillMask(read_checkpoint(tmp_path / "b"), "grown")("I watched ___", targets=[word])
    assert filled[0]["sequence"] == f"I watched {word}"
    again = add_words(read_checkpoint(tmp_path / "b"), [word, "élan"], policy="float32", seed=0)
    assert again.hf_config.vocab_size == new.hf_config.vocab_size + 1
    assert again.tokenizer.decode([index]).strip() == word


# ---- which words


def test_single_tokens_are_left_out(old):
    ids = dict(zip(("this", "was"), encode_texts(old.tokenizer, [" this", " was"]), strict=True))
    known = next(word for word, found in ids.items() if len(found) == 1)
    special = old.tokenizer.mask_token
    assert add_words(old, [known, special, ""], policy="float32", seed=0) is old
    both = add_words(old, [known, "covid", "covid"], policy="float32", seed=0)
    assert list(added_ids(old, both)) == ["covid"]


def test_a_word_of_unknown_letters_begins_as_the_unknown_token(tmp_path):
    old = read_checkpoint(save_random_checkpoint(tmp_path, KINDS["wordpiece"](), "bert"))
    grown = add_words(old, ["слово"], policy="float32", seed=0)
    rows = variables_by_name(grown.model)["embeddings/word_embeddings"].numpy()
    assert np.array_equal(rows[-1], rows[old.tokenizer.unk_token_id])
    assert ids_of(grown.tokenizer, "Слово!")[0] == len(rows) - 1


def test_a_word_that_is_a_piece_already_needs_no_row(tmp_path):
    """Byte-level BPE knows `he` inside of words; behind a space it was two tokens until now."""
    old = read_checkpoint(save_random_checkpoint(tmp_path, KINDS["byte-level"](), "roberta"))
    index = old.tokenizer.get_vocab()["he"]
    assert len(encode_texts(old.tokenizer, [" he"])[0]) == 2
    grown = add_words(old, ["he"], policy="float32", seed=0)
    assert grown.hf_config.vocab_size == old.hf_config.vocab_size
    assert ids_of(grown.tokenizer, "he and he") == [index, *ids_of(old.tokenizer, " and"), index]
    assert ids_of(grown.tokenizer, " watched") == ids_of(old.tokenizer, " watched")


def test_ids_with_gaps_are_named(tmp_path):
    """The next id is the number of entries, which is taken where numbers were left out."""
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##a", "b", "##b"]
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {name: index for index, name in enumerate(names)} | {"ab": 10, "ba": 9, "aa": 12}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokens = zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), names)  # noqa: B905
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, **dict(tokens))
    old = read_checkpoint(save_random_checkpoint(tmp_path, tokenizer, "bert", vocab_size=13))
    with pytest.raises(CheckpointError, match="gaps, so that 12 "):
        add_words(old, ["abab"], policy="float32", seed=0)


# ---- on the page


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I watched {} again", "I watched covid again"),
        ("{} is great", "covid is great"),
        ("great ({})!", "great (covid)!"),
    ],
)
def test_an_added_word_is_a_candidate_with_its_spaces(grown, text, expected):
    fill = FillMask(grown, "grown")
    index = grown.tokenizer.get_vocab()["covid"]
    for targets in (None, "covid"):
        answer = fill(text.format("[MASK]"), top_k=fill.vocab_size, targets=targets)
        found = [candidate for candidate in answer if candidate["token"] == index]
        assert [(c["token_str"].strip(), c["sequence"]) for c in found] == [("covid", expected)]


# ---- the file


def test_words_are_read_one_a_line(tmp_path):
    path = tmp_path / "words.txt"
    path.write_bytes(
        "\ufeff# a list\ncovid\r\n\n  t-cell \ncovid\n# more\ncafe\u0301\nC++\n".encode()
    )
    assert read_words(path) == ["covid", "t-cell", "café", "C++"]
    assert read_words(str(path)) == read_words(path)


def test_joiners_are_part_of_a_word(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("می\u200cخواهم\nक्\u200dष\n", encoding="utf-8")
    assert read_words(path) == ["می\u200cخواهم", "क्\u200dष"]


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", ConfigError, "holds no word"),
        (b"# only\n\n", ConfigError, "holds no word"),
        (b"a\nnew york\n", ConfigError, "line 2 of .*'new york', which is not one word"),
        (b"a\x00b\n", ConfigError, "line 1 of .*not one word"),
        (b"x" * 101, ConfigError, "101 characters; a word has 100"),
        (b"caf\xe9\n", CorpusError, r"not UTF-8 \(byte 3\)"),
    ],
)
def test_a_wrong_file_is_named_in_one_line(tmp_path, content, error, message):
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    with pytest.raises(error, match=message) as raised:
        read_words(path)
    assert "\n" not in str(raised.value)


def test_the_longest_list_is_read_and_a_longer_one_is_named(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("\n".join(f"w{n}" for n in range(10_000)), encoding="utf-8")
    assert len(read_words(path)) == 10_000
    with path.open("a", encoding="utf-8") as stream:
        stream.write("\nmore\n")
    with pytest.raises(ConfigError, match="10,001 words; at most 10,000"):
        read_words(path)


def test_no_file_a_folder_and_a_huge_file_are_named(tmp_path):
    with pytest.raises(CorpusError, match="cannot be read: No such file"):
        read_words(tmp_path / "none.txt")
    with pytest.raises(CorpusError, match="cannot be read: Is a directory"):
        read_words(tmp_path)
    huge = tmp_path / "huge.txt"
    with huge.open("wb") as stream:
        stream.truncate(17 << 20)
    with pytest.raises(CorpusError, match="17,825,792 bytes"):
        read_words(huge)
