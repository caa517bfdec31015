"""Building a token store: the split, reuse, and recovery from failures."""

import errno
import json
import os
import re
import time
from pathlib import Path

import numpy as np
import pytest

from mlm.data.tokens import token_store
from mlm.data.tokens.corpus import build_token_store, open_token_store, side_of
from mlm.data.tokens.tokenizer_training import train_tokenizer
from mlm.errors import CorpusError
from tests.support.places import SHARED

TOKENIZERS = SHARED / "data" / "tokenizers"
WORDS = [
    "the",
    "violin",
    "played",
    "a",
    "slow",
    "waltz",
    "while",
    "rain",
    "fell",
    "near",
    "harbour",
]
TEXTS = [
    " ".join(np.random.default_rng(seed).choice(WORDS, size=3 + seed % 9)) for seed in range(300)
]
UNIQUE = list(dict.fromkeys(TEXTS))


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS, 200)


@pytest.fixture
def texts(tmp_path) -> Path:
    return write_texts(tmp_path / "texts.txt", TEXTS)


def write_texts(path: Path, texts: list[str]) -> Path:
    path.write_text("\n".join(texts) + "\n")
    return path


def build(folder: Path, tokenizer, *train: Path, validation: tuple[Path, ...] = (), **settings):
    return build_token_store(
        folder,
        tokenizer,
        train_files=[str(path) for path in train],
        validation_files=[str(path) for path in validation],
        **settings,
    )


def documents(tokenizer, split) -> list[str]:
    """Return the decoded texts of a split; every document must end with its only separator."""
    ends = split.offsets[1:]
    assert split.offsets[0] == 0 and ends[-1] == len(split.tokens)
    assert (split.tokens[ends - 1] == tokenizer.sep_token_id).all()
    assert (split.tokens == tokenizer.sep_token_id).sum() == split.num_documents
    pairs = zip(split.offsets[:-1], ends, strict=True)
    return [tokenizer.decode(split.tokens[start : end - 1]) for start, end in pairs]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.parent.glob(f".{folder.name}.*")]


# The split ----------------------------------------------------------------------------------------


def test_every_document_is_on_one_side_in_the_order_of_the_file(tmp_path, tokenizer, texts):
    store = build(tmp_path / "store", tokenizer, texts, validation_split_percentage=20)
    train, validation = documents(tokenizer, store.train), documents(tokenizer, store.validation)
    assert train == [text for text in UNIQUE if side_of(text, 20) == "train"]
    assert validation == [text for text in UNIQUE if side_of(text, 20) == "validation"]
    assert len(validation) / len(UNIQUE) == pytest.approx(0.2, abs=0.08)


def test_arrays_are_memory_mapped_in_the_promised_types(tmp_path, tokenizer, texts):
    store = build(tmp_path / "store", tokenizer, texts)
    for split in (store.train, store.validation):
        assert isinstance(split.tokens, np.memmap)
        assert (split.tokens.dtype, split.offsets.dtype) == (np.uint16, np.int64)
        assert (split.tokens.ndim, split.offsets.shape) == (1, (split.num_documents + 1,))
        with pytest.raises(ValueError, match="read-only"):
            split.tokens[0] = 1


def test_a_large_vocabulary_takes_four_bytes(tmp_path, texts):
    tokenizer = train_tokenizer(TEXTS, 200)
    tokenizer.add_tokens([f"word{number}" for number in range(1 << 16)])
    store = build(tmp_path / "store", tokenizer, texts)
    assert store.train.tokens.dtype == np.int32


def test_the_side_depends_on_the_text_alone(tmp_path, tokenizer, texts):
    backwards = write_texts(tmp_path / "backwards.txt", TEXTS[::-1])
    one = build(tmp_path / "one", tokenizer, texts)
    other = build(tmp_path / "other", tokenizer, backwards)
    assert sorted(documents(tokenizer, one.validation)) == sorted(
        documents(tokenizer, other.validation)
    )
    assert one.fingerprint != other.fingerprint


def test_a_higher_percentage_only_moves_documents_to_validation():
    held_out = {text for text in UNIQUE if side_of(text, 5) == "validation"}
    assert held_out < {text for text in UNIQUE if side_of(text, 30) == "validation"}


def test_validation_files_are_the_validation_side_and_leave_the_training_side(
    tmp_path, tokenizer, texts
):
    held_out = write_texts(tmp_path / "held_out.txt", [*UNIQUE[:40], "a slow harbour"])
    store = build(tmp_path / "store", tokenizer, texts, validation=(held_out,))
    assert documents(tokenizer, store.validation) == [*UNIQUE[:40], "a slow harbour"]
    assert documents(tokenizer, store.train) == UNIQUE[40:]
    dropped = sum(text in UNIQUE[:40] for text in TEXTS)
    assert f"{dropped} also in the validation files dropped" in store.report_line


def test_max_train_samples_limits_training_only(tmp_path, tokenizer, texts):
    whole = build(tmp_path / "whole", tokenizer, texts)
    part = build(tmp_path / "part", tokenizer, texts, max_train_samples=10)
    assert documents(tokenizer, part.train) == documents(tokenizer, whole.train)[:10]
    assert documents(tokenizer, part.validation) == documents(tokenizer, whole.validation)
    left_out = whole.train.num_documents - 10
    assert f"{left_out} left out by --max_train_samples" in part.report_line


def test_batches_of_texts_do_not_change_the_store(tmp_path, tokenizer, texts, monkeypatch):
    whole = build(tmp_path / "whole", tokenizer, texts)
    monkeypatch.setattr(token_store, "_TEXTS_AT_ONCE", 7)
    monkeypatch.setattr(token_store, "_BYTES_AT_ONCE", 100)
    assert contents(tmp_path / "whole") == contents(
        build(tmp_path / "batched", tokenizer, texts) and tmp_path / "batched"
    )
    assert whole.train.num_documents > 7


def test_the_report_is_one_line_with_every_count(tmp_path, tokenizer, texts):
    store = build(tmp_path / "store", tokenizer, texts)
    train, validation = store.train.num_documents, store.validation.num_documents
    tokens = len(store.train.tokens) + len(store.validation.tokens)
    assert store.report_line == (
        f"300 rows read from 1 file: 0 empty and {300 - len(UNIQUE)} repeated dropped, 0 with HTML "
        f"cleaned; {len(UNIQUE)} documents ({train} train, {validation} validation), "
        f"{tokens:,} tokens"
    )


def test_texts_that_are_probably_not_meant_give_a_warning(tmp_path, tokenizer):
    short = write_texts(tmp_path / "short.txt", [f"no {'x' * (n % 9)} {n}" for n in range(60)])
    line = build(tmp_path / "a", tokenizer, short, validation_split_percentage=20).report_line
    assert "texts have fewer than 20 characters; if they are not the texts you mean" in line
    equal = write_texts(tmp_path / "equal.txt", [f"{'the violin ' * 3}{n:05}" for n in range(60)])
    line = build(tmp_path / "b", tokenizer, equal, validation_split_percentage=20).report_line
    assert "texts have 38 characters each: an export may have cut them off" in line
    foreign = [f"{'今天天气 ' * (n % 5)}the slow waltz {text}" for n, text in enumerate(UNIQUE)]
    path = write_texts(tmp_path / "foreign.txt", foreign)
    line = build(tmp_path / "c", tokenizer, path).report_line
    assert re.search(r"warning: \d+\.\d% of the tokens .* are unknown to the tokenizer", line)


def test_a_file_that_is_written_while_it_is_read_is_refused(tmp_path, tokenizer, monkeypatch):
    path = write_texts(tmp_path / "a.txt", TEXTS)
    add = token_store.StoreWriter.add

    def add_and_write(writer, side, text):
        path.write_text("cut", encoding="utf-8")
        return add(writer, side, text)

    monkeypatch.setattr(token_store.StoreWriter, "add", add_and_write)
    with pytest.raises(CorpusError, match=r"a\.txt was changed while it was read: run again"):
        build(tmp_path / "store", tokenizer, path)
    assert not (tmp_path / "store").exists()


def test_a_column_without_text_in_most_rows_gives_a_warning(tmp_path, tokenizer):
    rows = [f'{{"text": "{text}"}}\n' for text in UNIQUE] + ['{"body": "b"}\n'] * len(UNIQUE)
    path = tmp_path / "a.jsonl"
    for extra, expected in ((0, False), (1, True)):
        path.write_text("".join(rows) + "{}\n" * extra, encoding="utf-8")
        line = build(tmp_path / "store", tokenizer, path).report_line
        assert ("rows have no text in column text: name the column" in line) == expected


def test_many_control_characters_give_a_warning(tmp_path, tokenizer):
    path = write_texts(tmp_path / "a.txt", [f"{text} \x02" for text in UNIQUE])
    warning = build(tmp_path / "store", tokenizer, path).report_line.split("\n")[-1]
    assert f"{len(UNIQUE)} of {len(UNIQUE)} rows held control characters" in warning


def test_other_reading_settings_give_another_store(tmp_path, tokenizer):
    path = write_texts(tmp_path / "a.txt", [f"{text} <hr> ok" for text in TEXTS])
    stores = [
        build(tmp_path / "store", tokenizer, path, **settings)
        for settings in ({}, {"clean_html": "no"}, {"encoding_errors": "ignore"})
    ]
    assert len({store.fingerprint for store in stores}) == 3
    assert "<hr>" not in "".join(documents(tokenizer, stores[0].train))


def test_a_doubtful_encoding_is_reported_on_its_own_line(tmp_path, tokenizer):
    path = write_texts(tmp_path / "a.txt", [f"crème {text}" for text in TEXTS])
    store = build(tmp_path / "store", tokenizer, path, encoding="ISO-8859-1")
    _, note, warning, *_ = store.report_line.split("\n")
    assert note == "a.txt: ISO-8859-1 is read as Windows-1252, as browsers do"
    assert "look like UTF-8 read as ISO-8859-1" in warning
    assert open_token_store(tmp_path / "store").report_line == store.report_line


# Reuse --------------------------------------------------------------------------------------------


@pytest.fixture
def builds(monkeypatch) -> list[Path]:
    """Return the list that the folders built during the test are appended to."""
    built: list[Path] = []
    enter = token_store.StoreWriter.__init__

    def record(self, folder, tokenizer):
        built.append(folder)
        enter(self, folder, tokenizer)

    monkeypatch.setattr(token_store.StoreWriter, "__init__", record)
    return built


def test_a_matching_store_is_used_again_wherever_the_files_moved(
    tmp_path, tokenizer, texts, builds
):
    first = build(tmp_path / "store", tokenizer, texts)
    (tmp_path / "elsewhere").mkdir()
    moved = texts.rename(tmp_path / "elsewhere" / "texts.txt")
    again = build(tmp_path / "store", tokenizer, moved)
    assert len(builds) == 1
    assert again.fingerprint == first.fingerprint == again.manifest["fingerprint"]
    assert str(tmp_path) not in json.dumps(again.manifest)


@pytest.mark.parametrize(
    "changed",
    [
        {"validation_split_percentage": 6},
        {"max_train_samples": 50},
        {"encoding": "utf-8"},
        {"file": True},
        {"tokenizer": True},
    ],
    ids=str,
)
def test_any_change_that_matters_rebuilds_the_store(tmp_path, tokenizer, texts, builds, changed):
    first = build(tmp_path / "store", tokenizer, texts)
    settings = dict(changed)
    if settings.pop("file", False):
        write_texts(texts, [*TEXTS[:-1], "one more"])
    if settings.pop("tokenizer", False):
        tokenizer = train_tokenizer(TEXTS, 60)
    again = build(tmp_path / "store", tokenizer, texts, **settings)
    assert len(builds) == 2
    assert again.fingerprint != first.fingerprint


def test_building_twice_gives_the_same_bytes(tmp_path, tokenizer, texts):
    build(tmp_path / "one", tokenizer, texts)
    build(tmp_path / "two", tokenizer, texts)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@pytest.mark.parametrize("name", ["train.tokens", "validation.offsets", "manifest.json"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_store_is_refused_and_rebuilt(tmp_path, tokenizer, texts, name, damage):
    folder = tmp_path / "store"
    build(folder, tokenizer, texts)
    whole = contents(folder)
    if damage == "cut":
        os.truncate(folder / name, (folder / name).stat().st_size - 1)
    else:
        (folder / name).unlink()
    with pytest.raises(CorpusError, match="does not contain a complete token store"):
        open_token_store(folder)
    build(folder, tokenizer, texts)
    assert contents(folder) == whole


def test_a_manifest_that_was_changed_by_hand_is_refused(tmp_path, tokenizer, texts):
    folder = tmp_path / "store"
    build(folder, tokenizer, texts)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["counts"]["train"]["documents"] += 1
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CorpusError, match="build it again"):
        open_token_store(folder)


# Failures -----------------------------------------------------------------------------------------


@pytest.fixture
def full_disk(monkeypatch):
    """Return a function that sends new token files to a device that is always full."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    opened = Path.open

    def open_full(path, mode="r", **settings):
        is_tokens = path.suffix == ".tokens" and "w" in mode
        return opened(Path("/dev/full") if is_tokens else path, mode, **settings)

    return lambda: monkeypatch.setattr(Path, "open", open_full)


def test_a_full_disk_leaves_the_old_store_as_it_was(tmp_path, tokenizer, texts, full_disk):
    folder = tmp_path / "store"
    build(folder, tokenizer, texts)
    before = contents(folder)
    full_disk()
    with pytest.raises(CorpusError, match="is full: free space") as error:
        build(folder, tokenizer, texts, validation_split_percentage=30)
    assert str(folder) in str(error.value)
    assert contents(folder) == before
    assert leftovers(folder) == []


@pytest.mark.parametrize("accident", [KeyboardInterrupt(), OSError(errno.EROFS, "read-only")])
def test_an_interruption_leaves_the_old_store_and_no_leftovers(
    tmp_path, tokenizer, texts, monkeypatch, accident
):
    folder = tmp_path / "store"
    build(folder, tokenizer, texts)
    before = contents(folder)

    def interrupt(path):
        raise accident

    monkeypatch.setattr(token_store, "sync_to_disk", interrupt)
    with pytest.raises((KeyboardInterrupt, CorpusError)):
        build(folder, tokenizer, texts, validation_split_percentage=30)
    assert contents(folder) == before
    assert leftovers(folder) == []


def test_leftovers_of_a_killed_build_are_removed_when_old(tmp_path, tokenizer, texts):
    for name, age in ((".store.building-1", 7200), (".store.building-2", 60)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    build(tmp_path / "store", tokenizer, texts)
    assert leftovers(tmp_path / "store") == [".store.building-2"]


def test_a_folder_of_other_things_is_not_replaced(tmp_path, tokenizer, texts):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    with pytest.raises(CorpusError, match=r"contains chapter\.tex"):
        build(tmp_path / "thesis", tokenizer, texts)
    with pytest.raises(CorpusError, match="is a file"):
        build(texts, tokenizer, texts)
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "years of work"


@pytest.mark.parametrize(
    ("content", "settings", "message"),
    [
        ([""], {}, "no document is left to train on.*1 empty.*give a --train_file with texts"),
        (["one", "one"], {}, "for validation.*it is 1 document; put each paragraph on a line"),
        (["one", "two"], {}, "for validation.*raise --validation_split_percentage or give"),
        (["one", "two"], {"validation_split_percentage": 99.99}, "lower --validation_split"),
        (["one"], {"validation_split_percentage": 0}, "is 0, expected more than 0"),
        (["one"], {"validation_split_percentage": 100}, "is 100, expected"),
        (["one"], {"max_train_samples": 0}, "--max_train_samples is 0, expected 1 or more"),
    ],
)
def test_a_corpus_that_leaves_nothing(tmp_path, tokenizer, content, settings, message):
    path = write_texts(tmp_path / "a.txt", content)
    with pytest.raises(CorpusError, match=message):
        build(tmp_path / "store", tokenizer, path, **settings)
    assert not (tmp_path / "store").exists()


def test_training_texts_that_are_all_validation_texts(tmp_path, tokenizer, texts):
    with pytest.raises(CorpusError, match=r"also in the validation files.*give a --train_file"):
        build(tmp_path / "store", tokenizer, texts, validation=(texts,))


@pytest.mark.skipif(
    not TOKENIZERS.is_dir(), reason="the tokenizers of ../shared/data/tokenizers are absent"
)
def test_bert_ids_of_a_known_sentence(tmp_path):
    from transformers import PreTrainedTokenizerFast

    file = str(TOKENIZERS / "bert-base-uncased-tokenizer.json")
    bert = PreTrainedTokenizerFast(tokenizer_file=file, sep_token="[SEP]")
    train = write_texts(tmp_path / "a.txt", ["Hello,<br />world!"])
    validation = write_texts(tmp_path / "b.txt", ["movie"])
    store = build(tmp_path / "store", bert, train, validation=(validation,))
    assert store.train.tokens.tolist() == [7592, 1010, 2088, 999, 102]
    assert store.validation.tokens.tolist() == [3185, 102]
