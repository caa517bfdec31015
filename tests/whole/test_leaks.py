"""No validation text is trained on: duplicates are planted, and then searched for.

Every document has a marker, a word of its own, that identifies it wherever its tokens appear.
"""

import csv
import gzip
import html
import json
import unicodedata
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest

from mlm.data.batches.evaluation_batches import evaluation_batches
from mlm.data.batches.masked_batches import MaskedBatches
from mlm.data.tokens.corpus import build_token_store, side_of, texts_of_side
from mlm.data.tokens.token_facts import TokenFacts
from mlm.data.tokens.token_store import TokenStore
from mlm.data.tokens.tokenizer_training import train_tokenizer
from mlm.training.config import TrainingConfig
from mlm.training.initial_checkpoint import load_initial_checkpoint
from mlm.training.record import published_corpus

NUM_TEXTS, LENGTH = 120, 32
TEXTS = [
    f"Café n{number:03d}: a naïve film, & a long one, by Ångström." for number in range(NUM_TEXTS)
]
TEXT_OF = {f"n{number:03d}": text for number, text in enumerate(TEXTS)}

# Ways to write a text that a reader, and the cleaning, takes for the same text.
DISGUISES: dict[str, Callable[[str], str]] = {
    "copied": str,
    "wide spaces": lambda text: f" \u00a0{text.replace(' ', '  ')}\t",
    "other lines": lambda text: text.replace(", ", ",\r\n"),
    "line breaks": lambda text: text.replace(", ", ",<br />"),
    "paragraph": lambda text: f"<p>{text}</p>",
    "italics": lambda text: text.replace("film", "<i>film</i>"),
    "entities": lambda text: html.escape(text).replace("é", "&eacute;"),
    "form D": lambda text: unicodedata.normalize("NFD", text),
    "form D in entities": lambda text: text.replace("é", "e&#769;"),
    "the sign of the unit": lambda text: text.replace("Å", "\u212b"),
    "control characters": lambda text: text.replace("film", "fi\x00lm") + "\ufeff",
}


@pytest.fixture(scope="module")
def tokenizer():
    trained = train_tokenizer(TEXTS, 200)
    trained.add_tokens(list(TEXT_OF))  # each marker is one token
    return trained


def write_csv(path: Path, texts: list[str]) -> str:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text"], *([text] for text in texts)])
    return str(path)


def write_jsonl(path: Path, texts: list[str]) -> str:
    path.write_text("".join(f"{json.dumps({'text': text})}\n" for text in texts), encoding="utf-8")
    return str(path)


def markers(tokenizer, ids) -> set[str]:
    """Return the markers among the ids."""
    tokens = tokenizer.convert_ids_to_tokens(np.unique(ids).tolist())
    return {token for token in tokens if token in TEXT_OF}


def sides(tokenizer, store: TokenStore) -> tuple[set[str], set[str]]:
    """Return the markers of the training and the validation side; each appears once."""
    found = []
    for split in (store.train, store.validation):
        found.append(markers(tokenizer, split.tokens))
        assert len(found[-1]) == split.num_documents
    return found[0], found[1]


@pytest.fixture
def corpus(tmp_path) -> list[str]:
    """Two files: each text with one disguise of it, and half the texts in every disguise."""
    disguises = list(DISGUISES.values())
    first = [
        row for text, disguise in zip(TEXTS, cycle(disguises)) for row in (text, disguise(text))
    ]
    second = [disguise(text) for disguise in disguises for text in TEXTS[::2]]
    return [
        write_csv(tmp_path / "first.csv", first),
        write_csv(tmp_path / "second.csv.gz", second),
    ]


def test_no_disguise_puts_a_text_on_both_sides(tmp_path, tokenizer, corpus):
    store = build_token_store(
        tmp_path / "store", tokenizer, train_files=corpus, validation_split_percentage=40
    )
    train, validation = sides(tokenizer, store)
    assert min(len(train), len(validation)) > 30
    assert train | validation == set(TEXT_OF)
    assert train & validation == set()
    repeated = NUM_TEXTS + len(DISGUISES) * NUM_TEXTS // 2
    assert f"{repeated} repeated dropped" in store.report_line


@pytest.mark.parametrize("name", DISGUISES)
def test_a_disguised_validation_text_is_dropped_from_training_and_counted(
    tmp_path, tokenizer, name
):
    held_out = write_csv(tmp_path / "held_out.csv", [DISGUISES[name](text) for text in TEXTS[:50]])
    texts = write_csv(tmp_path / "texts.csv", TEXTS)
    store = build_token_store(
        tmp_path / "store", tokenizer, train_files=[texts], validation_files=[held_out]
    )
    train, validation = sides(tokenizer, store)
    assert validation == set(list(TEXT_OF)[:50])
    assert train == set(list(TEXT_OF)[50:])
    assert ", 50 also in the validation files dropped" in store.report_line


def test_a_disguised_training_text_is_dropped_as_well(tmp_path, tokenizer, corpus):
    held_out = write_csv(tmp_path / "held_out.csv", TEXTS[:50] * 2)
    store = build_token_store(
        tmp_path / "store", tokenizer, train_files=corpus, validation_files=[held_out]
    )
    train, validation = sides(tokenizer, store)
    assert (len(validation), len(train)) == (50, NUM_TEXTS - 50)
    assert train & validation == set()


def original_ids(batches: MaskedBatches) -> Iterator[np.ndarray]:
    """Yield the (B, T) ids of an epoch's batches without their masking."""
    for step in range(-(-batches.num_sequences // batches.global_batch_size)):
        yield undo_masking(*batches.batch_at(step))


def undo_masking(inputs, labels, weights) -> np.ndarray:
    """Return the (B, T) ids of a batch with its labels put back."""
    ids = inputs["input_ids"].copy()
    rows, slots = np.nonzero(weights)
    ids[rows, inputs["masked_positions"][rows, slots]] = labels[rows, slots]
    return ids


@pytest.mark.parametrize("line_by_line", [False, True])
def test_no_sequence_of_either_side_holds_a_token_of_the_other(
    tmp_path, tokenizer, corpus, line_by_line
):
    store = build_token_store(
        tmp_path / "store", tokenizer, train_files=corpus, validation_split_percentage=40
    )
    train, validation = sides(tokenizer, store)
    facts = TokenFacts.of(tokenizer)
    shape = {"max_seq_length": LENGTH, "line_by_line": line_by_line}
    learned = MaskedBatches(
        store.train, facts, global_batch_size=4, seed=1, random_replace_prob=0, **shape
    )
    held_out = evaluation_batches(store.validation, facts, batch_size=4, **shape)
    seen = set().union(*(markers(tokenizer, ids) for ids in original_ids(learned)))
    evaluated = set().union(*(markers(tokenizer, undo_masking(*batch)) for batch in held_out))
    assert seen <= train and len(seen) > 0.9 * len(train)  # the shorter last sequence is left out
    assert evaluated == validation


def test_the_split_does_not_depend_on_order_files_or_formats(tmp_path, tokenizer):
    shuffled = np.random.default_rng(0).permutation(TEXTS).tolist()
    arrangements = {
        "as they are": [write_csv(tmp_path / "a.csv", TEXTS)],
        "shuffled": [write_csv(tmp_path / "b.csv", shuffled)],
        "in files": [
            write_csv(tmp_path / "c.csv.gz", shuffled[:20]),
            write_jsonl(tmp_path / "d.jsonl", shuffled[20:70]),
            write_csv(tmp_path / "e.csv", shuffled[70:]),
        ],
        "repeated": [write_csv(tmp_path / "f.csv", shuffled + TEXTS[::-1])],
    }
    found = [
        sides(
            tokenizer,
            build_token_store(
                tmp_path / name, tokenizer, train_files=files, validation_split_percentage=40
            ),
        )
        for name, files in arrangements.items()
    ]
    assert all(each == found[0] for each in found)
    assert min(map(len, found[0])) > 30


@pytest.mark.parametrize("by_file", [True, False], ids=["validation file", "percentage"])
def test_texts_of_a_side_are_those_of_the_store(tmp_path, tokenizer, corpus, by_file):
    """A vocabulary is trained on the texts of one side, and `evaluate` uses those of the other."""
    held_out = [write_csv(tmp_path / "held_out.csv", TEXTS[:50])] if by_file else []
    of = {"train_files": corpus, "validation_files": held_out, "validation_split_percentage": 40}
    store = build_token_store(tmp_path / "store", tokenizer, **of)
    for side, expected in zip(("train", "validation"), sides(tokenizer, store), strict=True):
        texts = list(texts_of_side(side, **of))
        assert sorted(texts) == sorted(TEXT_OF[marker] for marker in expected)


@pytest.mark.parametrize("by_file", [True, False], ids=["validation file", "percentage"])
def test_a_vocabulary_is_trained_on_the_training_side_only(tmp_path, by_file):
    texts = [f"{text} " + chr(0x4E00 + number) * 3 for number, text in enumerate(TEXTS)]
    held_out = {t for t in texts if side_of(t, 40) == "validation"}
    files = [write_csv(tmp_path / "held_out.csv", sorted(held_out))] if by_file else []
    config = TrainingConfig(
        train_file=[write_csv(tmp_path / "texts.csv", texts)],
        validation_file=files,
        validation_split_percentage=40,
        vocab_size=400,
        config_overrides="hidden_size=8,num_hidden_layers=1,num_attention_heads=1,"
        "intermediate_size=8",
    )
    vocabulary = load_initial_checkpoint(config, "float32", print)[0].tokenizer.get_vocab()
    known = {text for text in texts if text[-1] in vocabulary}
    assert known == set(texts) - held_out


def test_a_text_that_a_note_quotes_is_not_published(tmp_path, tokenizer):
    texts = [f"the violin played a waltz number {number}" for number in range(200)]
    path = tmp_path / "private.txt"
    path.write_bytes("\n".join(texts).encode() + b"\na secret caf\xe9 in the old town\n")
    store = build_token_store(
        tmp_path / "store", tokenizer, train_files=[str(path)], encoding_errors="replace"
    )
    assert "secret" in store.report_line  # for the user
    published = json.dumps(published_corpus(store))
    assert "secret" not in published and "201 rows" in published
