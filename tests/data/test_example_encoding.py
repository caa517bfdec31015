"""mlm.data.examples: ids, special tokens and truncation are those of transformers."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mlm.checkpoint.task import Task
from mlm.checkpoint.tokenizer import load_tokenizer
from mlm.data.examples.encoded_examples import NO_LABEL, encode_examples
from mlm.data.examples.example_encoding import ExampleEncoder
from mlm.data.examples.special_tokens import SpecialTokens
from mlm.data.examples.truncation import share_room, truncate
from mlm.data.labelled.labelled_texts import LabelledTexts
from mlm.errors import CheckpointError, ConfigError
from tests.support.family_tokenizers import KINDS
from tests.support.places import ROOT
from tests.support.sweeps import sweep

TEXTS = [
    "The film was great.",
    "A boring story, jumping dogs and lazy movie 1 2 3 quick quick quick of my vow",
    "x",
    "",
]
OTHERS = ["Nymph jumps over the lazy film.", "great", "a quick story of the dogs. " * 3, "b"]
WORDS = [["Quick", "films", "over", ",", "lazydogs"], ["the", "film", "x"]]
SIDES = {"head": "right", "tail": "left"}
QUICK = ("bert", "roberta", "albert")


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(Path(ROOT) / "mlm" / "bundled" / "imdb_modernbert")


def ids_of(examples):
    return [example.ids for example in examples]


def test_a_tokenizer_that_drops_or_exchanges_texts_is_refused():
    from tokenizers import normalizers, processors

    tokenizer = KINDS["bert"]()
    backend = tokenizer.backend_tokenizer
    ids = {"special_tokens": [("[CLS]", 2), ("[SEP]", 3)]}
    backend.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "$B [SEP] $A", **ids)
    with pytest.raises(CheckpointError, match=r"makes of 2 short texts the texts \[1, 0\]"):
        SpecialTokens.of(tokenizer)
    backend.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "$A $B:1", **ids)
    assert SpecialTokens.of(tokenizer).around([7], [8]) == [7, 8]
    backend.normalizer = normalizers.Replace("a", "")
    with pytest.raises(CheckpointError, match=r"makes of 1 short text the texts \[\], expected"):
        SpecialTokens.of(tokenizer)


@pytest.mark.parametrize("max_seq_length", [9, 12, 15, 16, 40])
@pytest.mark.parametrize("truncation", SIDES)
@pytest.mark.parametrize("kind", sweep(KINDS, quick=QUICK))
def test_ids_are_those_of_transformers(kind, truncation, max_seq_length):
    tokenizer = KINDS[kind]()
    tokenizer.truncation_side = SIDES[truncation]
    encoder = ExampleEncoder(tokenizer, max_seq_length, truncation)
    limit = {"truncation": True, "max_length": max_seq_length}
    assert ids_of(encoder.encode(TEXTS)) == tokenizer(TEXTS, **limit)["input_ids"]
    for first, second in ((TEXTS, OTHERS), (OTHERS, TEXTS)):
        expected = tokenizer(first, second, **limit)
        found = encoder.encode(first, second)
        assert ids_of(found) == expected["input_ids"]
        has_types = any(map(any, expected.get("token_type_ids", [])))
        assert encoder.special.has_segments == has_types
        if has_types:
            types = [[int(at >= e.second_start) for at in range(len(e.ids))] for e in found]
            assert types == expected["token_type_ids"]


@pytest.mark.parametrize("kind", sweep(KINDS, quick=QUICK))
def test_words_are_encoded_as_by_run_ner(kind):
    tokenizer = KINDS[kind]()
    if kind == "modernbert":  # its class cannot be asked for a space before the first word
        pytest.skip("transformers gives its words no spaces")
    found = ExampleEncoder(tokenizer, 40).encode_words(WORDS)
    if kind == "roberta":
        from tokenizers.pre_tokenizers import ByteLevel

        tokenizer.backend_tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=True)
        tokenizer.add_prefix_space = True
    expected = tokenizer(WORDS, is_split_into_words=True)
    assert ids_of(found) == expected["input_ids"]
    for row, example in enumerate(found):
        words = expected.word_ids(row)
        assert example.word_starts == {word: words.index(word) for word in range(len(WORDS[row]))}


def test_words_of_byte_level_tokenizers_keep_their_spaces():
    tokenizer = KINDS["modernbert"]()
    (example,) = ExampleEncoder(tokenizer, 40).encode_words([["A", "fine", "film"]])
    assert tokenizer.decode(example.ids[1:-1]) == " A fine film"


@pytest.mark.parametrize(
    ("truncation", "room", "expected"),
    [
        ("head", 4, [0, 1, 2, 3]),
        ("tail", 4, [6, 7, 8, 9]),
        ("head_tail", 4, [0, 7, 8, 9]),
        ("head_tail", 5, [0, 1, 7, 8, 9]),
        ("head_tail", 9, [0, 1, 2, 4, 5, 6, 7, 8, 9]),
        ("head_tail", 10, list(range(10))),
        ("tail", 1, [9]),
        ("head_tail", 1, [0]),
    ],
)
def test_truncation_keeps_head_or_tail(truncation, room, expected):
    assert truncate(list(range(10)), room, truncation) == expected


def test_head_and_tail_have_the_lengths_of_the_paper():
    kept = truncate(list(range(1000)), 510, "head_tail")
    assert kept == [*range(128), *range(1000 - 382, 1000)]


def test_each_text_of_a_pair_is_cut_between_its_ends(tokenizer):
    encoder = ExampleEncoder(tokenizer, 11, "head_tail")
    whole = ExampleEncoder(tokenizer, 64)
    first, second = (ids[1:-1] for ids in ids_of(whole.encode(["a b c d e f g", "h i j k l m n"])))
    (example,) = encoder.encode(["a b c d e f g"], ["h i j k l m n"])
    assert example.lost == len(first) + len(second) - 8
    kept = first[:1] + first[-3:], second[:1] + second[-3:]
    assert example.ids == encoder.special.around(*kept)
    assert share_room(7, 7, 8) == (4, 4)


def test_a_special_token_in_a_text_is_its_letters(tokenizer):
    encoder = ExampleEncoder(tokenizer, 40)
    (example,) = encoder.encode([f"a {tokenizer.sep_token} b"])
    assert example.ids.count(tokenizer.sep_token_id) == 1


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ((40, "middle"), "--truncation is 'middle'; expected one of head, tail, head_tail"),
        (
            (4, "head"),
            "max_seq_length is 4, but two texts and their special tokens need 5: raise it.",
        ),
    ],
)
def test_settings_that_cannot_work_are_refused(tokenizer, settings, line):
    with pytest.raises(ConfigError) as caught:
        ExampleEncoder(tokenizer, *settings)
    assert str(caught.value) == line


def test_answering_needs_neither_pandas_nor_keras():
    code = (
        "import sys, mlm.data.examples.example_encoding\n"
        "print({'pandas', 'keras', 'pyarrow', 'fsspec'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


# Many texts ---------------------------------------------------------------------------------------


def labelled(texts, labels, problem_type="single_label_classification", **columns):
    names = ("B-X", "O") if problem_type == "token_classification" else ("a", "b")
    return LabelledTexts(texts, labels, Task(problem_type, names), None, **columns)


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_encoded_examples_are_those_of_the_encoder(kind):
    tokenizer = KINDS[kind]()
    texts = labelled(TEXTS[:3], ["a", "b", "a"], second_texts=OTHERS[:3])
    found = encode_examples(texts, tokenizer, 12, "head_tail")
    encoder = ExampleEncoder(tokenizer, 12, "head_tail")
    expected = encoder.encode(TEXTS[:3], OTHERS[:3])
    rows = [found.ids[a:b].tolist() for a, b in zip(found.offsets, found.offsets[1:], strict=False)]
    assert rows == ids_of(expected)
    assert (found.ids.dtype, found.labels.tolist(), found.pad_id) == (
        np.uint16,
        [0, 1, 0],
        tokenizer.pad_token_id,
    )
    starts = [example.second_start for example in expected]
    assert kind == "roberta" or found.second_starts.tolist() == starts
    assert kind == "bert" or found.second_starts is None
    special = encoder.special.count(pairs=True)
    lost = [e.lost / (e.lost + len(e.ids) - special) for e in expected]
    assert found.cut.tolist() == pytest.approx(lost)


def test_cut_texts_are_said(tokenizer):
    texts = labelled(["word " * 10, "word " * 30, "word " * 90], ["a", "b", "a"])
    assert encode_examples(texts, tokenizer, 22, "head").report_line == (
        "2 of 3 texts (67%) are longer than 22 tokens and were cut; half of these lost 56% of "
        "their tokens or more"
    )
    whole = encode_examples(texts, tokenizer, 128, "head")
    assert whole.report_line == "no text is longer than 128 tokens"


def test_labels_of_words_are_at_their_first_tokens(tokenizer):
    words = [["unbelievably", "fine"], ["a", "b", "c", "d", "e", "f"]]
    tags = [["B-X", "O"], ["O"] * 6]
    texts = labelled(["", ""], tags, "token_classification", words=words)
    found = encode_examples(texts, tokenizer, 7)
    rows = [found.labels[a:b] for a, b in zip(found.offsets, found.offsets[1:], strict=False)]
    assert rows[0][rows[0] != NO_LABEL].tolist() == [0, 1]
    assert rows[0][0] == rows[0][-1] == NO_LABEL
    assert rows[1].tolist() == [NO_LABEL, 1, 1, 1, 1, 1, NO_LABEL]
    assert found.lost_labels == 1
    assert found.report_line.endswith("their tokens or more, 1 labelled words among them")
