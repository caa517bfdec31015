"""Untrusted tokenizer files: those of every family pass, each rule refuses a bad example."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from mlm.checkpoint.tokenizer import load_tokenizer
from mlm.checkpoint.tokenizer_files import check_tokenizer_files
from mlm.errors import CheckpointError
from tests.support.family_tokenizers import KINDS, encoded_charsmap, save_as_on_the_hub
from tests.support.places import SUPPORT
from tests.support.sweeps import slow

HOSTILE_PATTERN = {"Regex": "(a+)+$"}


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """Map the model_type of each kind of tokenizer to its folder and vocabulary size."""
    root = tmp_path_factory.mktemp("kinds")
    return {kind: (root / kind, save_as_on_the_hub(kind, root / kind)) for kind in KINDS}


@pytest.fixture
def change_file(originals, tmp_path):
    """change_file(kind, name, edit) -> (copy of the kind's folder with one file edited, size)."""

    def change(kind, name, edit):
        source, size = originals[kind]
        for path in source.iterdir():
            (tmp_path / path.name).write_bytes(path.read_bytes())
        path = tmp_path / name
        content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        path.write_text(json.dumps(edit(content) or content), encoding="utf-8")
        return tmp_path, size

    return change


def assert_refused(folder, size, match):
    """Assert that the check refuses the folder in one line, and that loading does too."""
    with pytest.raises(CheckpointError, match=match) as error:
        check_tokenizer_files(folder, size)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600
    with pytest.raises(CheckpointError):
        load_tokenizer(folder, size)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_passes(originals, kind):
    folder, size = originals[kind]
    check_tokenizer_files(folder, size)
    with pytest.raises(CheckpointError, match=r"the model has ids from 0 to|not a list of 1 to"):
        check_tokenizer_files(folder, size - 1)


@pytest.mark.parametrize(
    ("name", "count"), [("bert-base-uncased", 30_522), ("roberta-base", 50_265)]
)
def test_published_files_pass(shared_data, tmp_path, name, count):
    source = shared_data / "tokenizers" / f"{name}-tokenizer.json"
    (tmp_path / "tokenizer.json").write_bytes(source.read_bytes())
    check_tokenizer_files(tmp_path, count)
    with pytest.raises(CheckpointError, match=r"the model has ids from 0 to"):
        check_tokenizer_files(tmp_path, count - 1)


# tokenizer.json: each rule, with a file that breaks it


def at(*path, value):
    """Return a function that sets the value at a path in a JSON value."""

    def edit(content):
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = value

    return edit


def first_id_again(content):
    vocabulary = content["model"]["vocab"]
    vocabulary[list(vocabulary)[-1]] = 0


def sequence(component, plural, *inner):
    return at(component, value={"type": "Sequence", plural: list(inner)})


def deep(content):
    inner = {"type": "NFC"}
    for _ in range(9):
        inner = {"type": "Sequence", "normalizers": [inner]}
    content["normalizer"] = inner


def replace(pattern, content):
    return at("normalizer", value={"type": "Replace", "pattern": pattern, "content": content})


def precompiled_normalizer(strings):
    table = encoded_charsmap(strings)
    return at("normalizer", value={"type": "Precompiled", "precompiled_charsmap": table})


def padding(**settings):
    usual = {
        "strategy": {"Fixed": 8},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    }
    return at("padding", value=usual | settings)


A = {"Sequence": {"id": "A", "type_id": 0}}
TEMPLATE = ("post_processor",)
RULES = [  # kind, edit of tokenizer.json, part of the message
    ("bert", at("model", "type", value="Nonsense"), "model.type is 'Nonsense'"),
    ("bert", at("model", value=[]), "model is"),
    ("bert", at("model", "vocab", value=[]), "not an object of tokens and ids"),
    ("bert", at("model", "vocab", "evil", value=130), r"'evil'. is 130; the model has ids"),
    ("bert", at("model", "vocab", "evil", value=-1), r"is -1"),
    ("bert", at("model", "vocab", "evil", value=1.5), r"is 1.5"),
    ("bert", at("model", "vocab", "evil", value=True), r"is True"),
    ("bert", at("model", "vocab", "evil", value="7"), r"is '7'"),
    ("bert", first_id_again, "gives one id to two tokens"),
    ("bert", at("model", "vocab", "x" * 2000, value=129), "1 to 1,024 characters"),
    ("bert", at("model", "max_input_chars_per_word", value=10**9), "an integer from 1 to 512"),
    ("bert", at("model", "surprise", value=1), "'surprise', which is not known"),
    ("bert", at("surprise", value=1), "'surprise', which is not known"),
    ("bert", at("added_tokens", 0, "id", value=999), r"added_tokens.0..id is 999"),
    ("bert", at("added_tokens", 0, "id", value=1), "which '.UNK.' has"),
    ("bert", at("added_tokens", 0, "content", value="new"), "which '.PAD.' has"),
    ("bert", at("added_tokens", 0, "lstrip", value="yes"), "expected true or false"),
    ("bert", at("added_tokens", value={}), "not a list"),
    ("roberta", at("model", "dropout", value=0.5), "ids are not sampled"),
    ("roberta", at("model", "merges", value=[["a", "b", "c"]]), "expected two tokens"),
    ("roberta", at("model", "merges", value=["a b"] * 5000), "pairs at most"),
    ("roberta", at("model", "continuing_subword_prefix", value="#" * 99), "0 to 8 characters"),
    ("roberta", at("post_processor", "sep", value=["</s>", 341]), "post_processor.sep is 341"),
    ("roberta", at("post_processor", "cls", value=7), "expected a token and id"),
    ("xlm-roberta", at("model", "vocab", 9, value=["a", 1e300]), "expected a piece and a score"),
    ("xlm-roberta", at("model", "vocab", 9, value=["a"]), "expected a piece and a score"),
    ("xlm-roberta", at("model", "vocab", value=[["a", 0.0]] * 99), "not a list of 1 to 74"),
    ("xlm-roberta", at("model", "unk_id", value=74), "model.unk_id is 74"),
    ("xlm-roberta", at("model", "alpha", value=0.3), "ids are not sampled"),
    ("xlm-roberta", precompiled_normalizer(b"x" * 65 + b"\0"), "at most 64 bytes"),
    ("xlm-roberta", precompiled_normalizer(b"x" * 65), "at most 64 bytes"),
    (
        "xlm-roberta",
        at("normalizer", value={"type": "Precompiled", "precompiled_charsmap": "!"}),
        "a table",
    ),
    (
        "xlm-roberta",
        at("normalizer", value={"type": "Precompiled", "precompiled_charsmap": "AwAAAA=="}),
        "a table",
    ),
    (
        "xlm-roberta",
        sequence(
            "normalizer",
            "normalizers",
            *[{"type": "Precompiled", "precompiled_charsmap": encoded_charsmap(b"A\0")}] * 2,
        ),
        "several Precompiled",
    ),
    ("bert", replace(HOSTILE_PATTERN, " "), "a pattern that transformers writes"),
    ("bert", replace({"String": ""}, " "), "a pattern that transformers writes"),
    ("bert", replace({"String": "a"}, "aa"), "0 to 1 characters"),
    ("bert", at("normalizer", value={"type": "Prepend", "prepend": "a" * 9}), "0 to 1 characters"),
    ("bert", at("normalizer", value={"type": "Unheard"}), "normalizer is of type 'Unheard'"),
    ("bert", at("normalizer", value="NFC"), "normalizer is of type None"),
    ("bert", deep, "normalizer is of type 'Sequence'"),
    ("bert", sequence("normalizer", "normalizers", *[{"type": "NFC"}] * 31), "34 components"),
    (
        "bert",
        sequence("normalizer", "normalizers", *[{"type": "NFC"}] * 99),
        "32 components at most",
    ),
    (
        "roberta",
        at(
            "pre_tokenizer",
            value={
                "type": "Split",
                "pattern": HOSTILE_PATTERN,
                "behavior": "Isolated",
                "invert": False,
            },
        ),
        "a pattern that transformers writes",
    ),
    ("bert", at("decoder", "prefix", value="#" * 10_000), "0 to 8 characters"),
    ("bert", at(*TEMPLATE, "single", value=[A, A]), "repeats the text"),
    ("bert", at(*TEMPLATE, "pair", value=[A] * 17), "16 pieces at most"),
    ("bert", at(*TEMPLATE, "single", value=[{"Call": {}}]), "SpecialToken or Sequence"),
    (
        "bert",
        at(
            *TEMPLATE,
            "special_tokens",
            "[CLS]",
            value={"id": "[CLS]", "ids": [130], "tokens": ["[CLS]"]},
        ),
        "is 130; the model has ids",
    ),
    ("bert", at(*TEMPLATE, "special_tokens", value=[]), "not an object of 16 tokens"),
    ("bert", padding(strategy={"Fixed": 10**12}), "padding.strategy.Fixed"),
    ("bert", padding(pad_to_multiple_of=10**12), "pad_to_multiple_of"),
    ("bert", padding(pad_id=4_000_000_000), "pad_id"),
    ("bert", at("truncation", value={"max_length": 10**15}), "truncation.max_length"),
]


@pytest.mark.parametrize(("kind", "edit", "match"), RULES)
def test_each_rule_refuses(change_file, kind, edit, match):
    assert_refused(*change_file(kind, "tokenizer.json", edit), match)


# The other files


def settings(**values):
    return lambda content: content | values


SETTINGS = [
    (settings(auto_map={"AutoTokenizer": ["evil.Evil", None]}), "custom code .auto_map."),
    (settings(tokenizer_class="AutoModel"), "tokenizer_class is 'AutoModel'"),
    (settings(tokenizer_class="BertJapaneseTokenizer"), "a class of these families"),
    (settings(tokenizer_class=["BertTokenizer"]), "a class of these families"),
    (settings(gguf_file="/etc/passwd"), "'gguf_file', which is not a setting"),
    (settings(fast_tokenizer_files=["tokenizer.4.0.json"]), "'fast_tokenizer_files'"),
    (settings(vocab="/etc/passwd"), "'vocab', which is not a setting"),
    (settings(trust_remote_code=True), "'trust_remote_code'"),
    (settings(split_special_tokens=True), "'split_special_tokens'"),
    (settings(_spm_precompiled_charsmap="x"), "'_spm_precompiled_charsmap'"),
    (settings(init_inputs=[1]), "'init_inputs'"),
    (settings(model_max_length=0), "a whole number from 1"),
    (settings(model_max_length="long"), "a whole number from 1"),
    (settings(model_max_length=10**40), "beyond 64 bits"),
    (settings(do_lower_case="no"), "true or false or null"),
    (settings(mask_token={"content": "[MASK]", "call": 1}), "'call', which is not known"),
    (settings(mask_token=""), "1 to 1,024 characters"),
    (settings(additional_special_tokens="abc"), "tokens at most"),
    (settings(extra_special_tokens=["x"] * 10_001), "10,000 tokens at most"),
    (settings(added_tokens_decoder={"999": {"content": "x"}}), "is 999; the model has ids"),
    (settings(added_tokens_decoder={"-1": {"content": "x"}}), "is '-1'"),
    (settings(added_tokens_decoder={"5": {"content": "x"}, "6": {"content": "x"}}), "two ids"),
    (settings(added_tokens_decoder=[]), "expected ids and tokens"),
    (settings(surprise={"a": 1}), "expected a plain value"),
    (settings(surprise="x" * 70_000), "65,536 characters"),
    (lambda content: [1], "holds no JSON object"),
]


@pytest.mark.parametrize("name", ["tokenizer_config.json", "special_tokens_map.json"])
@pytest.mark.parametrize(("edit", "match"), SETTINGS)
def test_settings_that_reach_out_are_refused(change_file, name, edit, match):
    assert_refused(*change_file("bert", name, edit), match)


@pytest.mark.parametrize("setting", [{"auto_map": {}}, {"tokenizer_class": "AutoModel"}])
def test_config_json_may_not_choose_code_either(change_file, setting):
    assert_refused(*change_file("bert", "config.json", settings(**setting)), next(iter(setting)))


def test_added_tokens_json_holds_ids_too(change_file):
    assert_refused(
        *change_file("bert", "added_tokens.json", lambda _: {"a": 130}), "is 130; the model has"
    )


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('{"a": 1, "a": 2}', "the key 'a' twice"),
        ("[" * 100_000, "nested too deeply|not valid JSON"),
        ('{"a": NaN}', "holds NaN"),
        ("{", "not valid JSON at character"),
        ("\udcff", "not UTF-8"),
        ("[" + "0," * 110_000 + "0]", "too many for 130 ids"),
        ("[" + "{}" * 110_000 + "]", "too many for 130 ids"),
    ],
)
def test_json_that_is_none_or_too_much_is_refused(change_file, text, match):
    folder, size = change_file("bert", "tokenizer.json", lambda content: content)
    (folder / "tokenizer.json").write_bytes(text.encode(errors="surrogateescape"))
    assert_refused(folder, size, match)


@pytest.mark.parametrize(
    ("name", "size"),
    [("tokenizer.json", 64), ("tokenizer_config.json", 1), ("special_tokens_map.json", 1)],
)
def test_a_file_too_large_is_refused_unread(change_file, name, size):
    folder, ids = change_file("bert", name, lambda content: content)
    with (folder / name).open("wb") as file:
        file.truncate(size * 2**20 + 1)  # sparse: takes no disk
    with pytest.raises(CheckpointError, match=f"bytes; such a file has {size * 2**20:,} at most"):
        check_tokenizer_files(folder, ids)


@pytest.mark.parametrize(
    "name",
    [
        "tokenizer.py",
        "tokenization_evil.py",
        "tokenizer.pkl",
        "vocab.pickle",
        "tekken.json",
        "tiktoken.model",
        "evil.model",
        "tokenizer.4.0.json",
        "tokenizer.gguf",
    ],
)
def test_a_file_in_the_guise_of_a_tokenizer_is_refused(change_file, name):
    folder, size = change_file("bert", "tokenizer.json", lambda content: content)
    (folder / name).write_bytes(b"cos\nsystem\n")
    assert_refused(folder, size, f"holds '{name}'")


def test_a_pipe_is_no_file(change_file):
    folder, size = change_file("bert", "tokenizer.json", lambda content: content)
    (folder / "tokenizer.json").unlink()
    os.mkfifo(folder / "tokenizer.json")  # opening it would wait for ever
    assert_refused(folder, size, "is not a file")


@pytest.mark.parametrize("name", ["spiece.model", "sentencepiece.bpe.model"])
def test_sentencepiece_alone_says_the_way_out(change_file, name):
    folder, size = change_file("xlm-roberta", "config.json", lambda content: content)
    (folder / name).write_bytes(b"\n\x0e\n\x05<unk>")
    check_tokenizer_files(folder, size)  # with a tokenizer.json it is not opened
    (folder / "tokenizer.json").unlink()
    assert_refused(folder, size, "writes a tokenizer.json from it")


def without_whole_file(folder):
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    (folder / "tokenizer.json").unlink()
    return tokenizer["model"]


def test_vocab_txt_is_held_against_the_embedding(change_file):
    folder, size = change_file("bert", "config.json", lambda content: content)
    vocabulary = without_whole_file(folder)["vocab"]
    words = "\n".join(sorted(vocabulary, key=vocabulary.get))
    (folder / "vocab.txt").write_text(words, encoding="utf-8")
    assert len(load_tokenizer(folder, size)) == size
    assert_refused(folder, size - 1, "130 lines; the model has room for 129")
    (folder / "vocab.txt").write_text(words + "\n" + "x" * 2000, encoding="utf-8")
    assert_refused(folder, size + 1, "line 131 is")
    (folder / "vocab.txt").write_bytes(b"\xff\xfe")
    assert_refused(folder, size, "not UTF-8")


def test_vocab_json_and_merges_are_held_against_the_embedding(change_file):
    folder, size = change_file("roberta", "config.json", lambda content: content)
    model = without_whole_file(folder)
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]), encoding="utf-8")
    merges = "\n".join(["#version: 0.2", *(" ".join(pair) for pair in model["merges"])])
    (folder / "merges.txt").write_text(merges, encoding="utf-8")
    assert len(load_tokenizer(folder, size)) == size
    assert_refused(folder, size - 1, "the model has ids from 0 to 339")
    (folder / "merges.txt").write_text(merges + "\na b c", encoding="utf-8")
    assert_refused(folder, size, r"expected 2 token")
    (folder / "merges.txt").write_text(merges, encoding="utf-8")
    paths = {"vocab_file": "/etc/passwd"}
    (folder / "tokenizer_config.json").write_text(json.dumps(paths), encoding="utf-8")
    assert_refused(folder, size, "vocab_file, a path that may lead anywhere")


# Checks of the opened tokenizer


def test_special_tokens_added_beyond_the_embedding_are_refused(change_file):
    extra = {"extra_special_tokens": ["<one more>"]}
    folder, size = change_file("bert", "tokenizer_config.json", settings(**extra))
    assert len(load_tokenizer(folder, size + 1)) == size + 1
    with pytest.raises(CheckpointError, match="do not belong together"):
        load_tokenizer(folder, size)


def test_a_vocabulary_far_smaller_than_the_embedding_is_refused(originals):
    folder, size = originals["bert"]
    load_tokenizer(folder, 2 * size)
    with pytest.raises(CheckpointError, match=r"130 entries.*a model of 261; they do not belong"):
        load_tokenizer(folder, 2 * size + 1)


def test_a_panic_of_the_library_is_one_line(change_file):
    """A trie points outside its table: Rust panics at the first letter that is looked up."""
    import base64

    table = (4).to_bytes(4, "little") + b"\xff\xff\xff\x7f" + b"A\0"
    normalizer = {
        "type": "Precompiled",
        "precompiled_charsmap": base64.b64encode(table).decode(),
    }
    folder, size = change_file("xlm-roberta", "tokenizer.json", at("normalizer", value=normalizer))
    check_tokenizer_files(folder, size)
    with pytest.raises(CheckpointError, match=r"cannot be used \(index out of bounds") as error:
        load_tokenizer(folder, size)
    assert "\n" not in str(error.value)


# Mutations of good files


@pytest.mark.parametrize("mutations", [100, slow(800)])
def test_mutations_are_accepted_or_refused_and_never_anything_else(originals, tmp_path, mutations):
    """WordPiece, byte-level BPE and Unigram, in a process with 6 GiB of address space."""
    folders = []
    for kind in ("bert", "roberta", "xlm-roberta"):
        folders.append(str(tmp_path / kind))
        shutil.copytree(originals[kind][0], folders[-1])
    script = SUPPORT / "fuzz_tokenizers.py"
    done = subprocess.run(
        [sys.executable, str(script), *folders, str(mutations)],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    counts = json.loads(done.stdout.splitlines()[-1])
    assert counts["accepted"] + counts["refused"] == 3 * mutations
    assert counts["opened"] > mutations / 8
    assert counts["refused"] > mutations
    assert counts["megabytes"] < 2000


def test_a_token_may_be_a_line_separator_of_unicode():
    from mlm.checkpoint.tokenizer_files.checks import split_lines

    assert split_lines("[PAD]\n\u2028\n\x85\r\nfilm\n") == ["[PAD]", "\u2028", "\x85", "film"]
    assert split_lines("a\nb") == ["a", "b"] and split_lines("") == []
