"""Several token stores opened as one, local and on a Hub, and training on them."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import fsspec
import numpy as np
import pytest
from huggingface_hub import HfApi, HfFileSystem
from huggingface_hub.hf_file_system import HfFileSystemFile
from huggingface_hub.utils import close_session

from mlm.data.batches.data_order import DataOrder
from mlm.data.tokens import sharded_tokens
from mlm.data.tokens.corpus import build_token_store
from mlm.data.tokens.read_window import BLOCK_TOKENS, BLOCKS_PER_WINDOW
from mlm.data.tokens.sharded_tokens import open_token_stores
from mlm.errors import ConfigError, CorpusError
from mlm.hub.local import LocalHub
from mlm.terminal.tables import PLAIN_WIDTH
from mlm.training.config import TrainingConfig
from mlm.training.trainer import train
from tests.support.places import ROOT
from tests.support.small_models import small_texts


@pytest.fixture(scope="module")
def shards(tmp_path_factory, small_tokenizer):
    """Build three stores of the small texts, part-0 to part-2, and one of all of them, `all`."""
    folder = tmp_path_factory.mktemp("shards")
    texts = small_texts()
    parts = {"part-0": texts[:100], "part-1": texts[100:250], "part-2": texts[250:], "all": texts}
    for name, own in parts.items():
        (folder / f"{name}.txt").write_text("\n".join(own), encoding="utf-8")
        build_token_store(folder / name, small_tokenizer, train_files=[str(folder / f"{name}.txt")])
    return folder


@pytest.fixture(scope="module")
def bucket(shards, tmp_path_factory):
    """Yield the address of the shards as a data set of a local Hub, for the real HfFileSystem."""
    with LocalHub(tmp_path_factory.mktemp("hub"), token="hf_local") as hub:
        api = HfApi(endpoint=hub.url, token="hf_local")
        api.create_repo("me/tokens", repo_type="dataset")
        for path in sorted(shards.glob("*/*")):
            api.upload_file(
                path_or_fileobj=path.read_bytes(),
                path_in_repo=f"{path.parent.name}/{path.name}",
                repo_id="me/tokens",
                repo_type="dataset",
            )
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(fsspec.config.conf, "hf", {"endpoint": hub.url, "token": "hf_local"})
            patch.delenv("HF_HUB_OFFLINE", raising=False)
            yield "hf://datasets/me/tokens"
        HfFileSystem.clear_instance_cache()
        close_session()


@pytest.fixture
def fetches(monkeypatch):
    """Return the list that (file, bytes) of each fetched range is appended to."""
    ranges = []
    fetch = HfFileSystemFile._fetch_range

    def record(file, first, end):
        ranges.append((Path(file.path).name, end - first))
        return fetch(file, first, end)

    monkeypatch.setattr(HfFileSystemFile, "_fetch_range", record)
    return ranges


def test_shards_are_one_store(shards, small_tokenizer):
    joined = open_token_stores([str(shards / "part-*")], small_tokenizer)
    whole = open_token_stores([str(shards / "all")], small_tokenizer)
    assert joined.manifest["counts"] == whole.manifest["counts"]
    for side in ("train", "validation"):
        ours, theirs = getattr(joined, side), getattr(whole, side)
        assert len(ours.tokens) == len(theirs.tokens)
        positions = np.arange(len(ours.tokens))[None]  # all in one row, across the shards
        assert np.array_equal(ours.tokens[positions], theirs.tokens[positions])
        assert np.array_equal(ours.offsets, theirs.offsets)
    assert joined.fingerprint != whole.fingerprint
    assert joined.report_line.startswith("3 token stores: ")


def test_a_bucket_is_read_as_a_local_store(shards, bucket, small_tokenizer, fetches):
    local = open_token_stores([str(shards / "part-*")], small_tokenizer)
    remote = open_token_stores([f"{bucket}/part-*"], small_tokenizer)
    assert remote.fingerprint == local.fingerprint
    assert not [name for name, _ in fetches if name.endswith((".tokens", ".offsets"))]
    starts = np.sort(np.random.default_rng(0).integers(0, len(local.train.tokens) - 9, 40))
    rows = starts[:, None] + np.arange(9)
    assert np.array_equal(remote.train.tokens[rows], local.train.tokens[rows])
    assert np.array_equal(remote.train.offsets, local.train.offsets)


def test_only_the_blocks_that_are_needed_are_fetched(bucket, small_tokenizer, monkeypatch, fetches):
    monkeypatch.setattr(sharded_tokens, "REQUEST_BYTES", 64)
    tokens = open_token_stores([f"{bucket}/all"], small_tokenizer).train.tokens
    for _ in range(3):
        tokens[np.arange(1000, 1010)[None]]
    sizes = [size for name, size in fetches if name == "train.tokens"]
    assert 20 <= sum(sizes) <= 3 * 64


def test_the_cache_is_limited_over_all_files(bucket, small_tokenizer, monkeypatch, fetches):
    monkeypatch.setattr(sharded_tokens, "REQUEST_BYTES", 64)
    monkeypatch.setattr(sharded_tokens, "_blocks_per_window", lambda width: 3)
    monkeypatch.setattr(sharded_tokens, "SPARE_BLOCKS", 2)
    split = open_token_stores([f"{bucket}/part-*"], small_tokenizer).train
    whole = split.tokens.span(0, len(split.tokens))
    kept = split.tokens._shards[0]._cache
    assert len(kept._blocks) == 5 and max(map(len, kept._blocks.values())) == 64
    fetches.clear()
    assert np.array_equal(split.tokens.span(len(whole) - 30, len(whole)), whole[-30:])
    assert not fetches


@pytest.mark.parametrize(("width", "blocks"), [(2, 128), (4, 192)])
def test_the_cache_holds_a_window_of_sequences_of_any_length(width, blocks):
    """Otherwise each sequence would request a whole block."""
    assert sharded_tokens._blocks_per_window(width) == blocks
    for length in (16, 126, 510, 8190):
        order = DataOrder(10**8, 0, length)
        window = np.sort(order.at(0, BLOCKS_PER_WINDOW * (BLOCK_TOKENS // length)))
        firsts, ends = window * length * width, (window + 1) * length * width - 1
        touched = set((firsts // sharded_tokens.REQUEST_BYTES).tolist()) | set(
            (ends // sharded_tokens.REQUEST_BYTES).tolist()
        )
        assert len(touched) <= blocks


@pytest.mark.slow
@pytest.mark.parametrize("place", ["disk", "bucket"])
def test_training_on_shards_equals_training_on_one_store(
    shards, bucket, place, tmp_path, tiny_bert_folder
):
    def run(name: str, stores: list[str]) -> dict:
        config = TrainingConfig(
            token_store=stores,
            model_name_or_path=str(tiny_bert_folder),
            output_dir=str(tmp_path / name),
            max_seq_length=16,
            per_device_train_batch_size=4,
            max_steps=6,
            eval_steps=3,
            precision="fp32",
        )
        return train(config, report=lambda line: None).training

    root = str(shards) if place == "disk" else bucket
    parts = run("parts", [f"{root}/part-{i}" for i in range(3)])
    whole = run("whole", [str(shards / "all")])
    assert parts["loss_curve"] == whole["loss_curve"]
    assert parts["validation_curve"] == whole["validation_curve"]


def test_a_store_of_another_tokenizer(shards, small_tokenizer, tmp_path):
    from mlm.data.tokens.tokenizer_training import train_tokenizer

    other = train_tokenizer(["other words than those"], 40)
    with pytest.raises(CorpusError, match=r"part-0 was made with another tokenizer"):
        open_token_stores([str(shards / "part-*")], other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dtype": "float64"}, "not that of a token store, or was changed"),
        ({"counts": {}}, "not that of a token store, or was changed"),
        ({"report_line": "another"}, "not that of a token store, or was changed"),
    ],
)
def test_a_manifest_that_was_changed(shards, small_tokenizer, tmp_path, change, message):
    shutil.copytree(shards / "part-0", tmp_path / "part-0")
    path = tmp_path / "part-0" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CorpusError, match=message):
        open_token_stores([str(tmp_path / "part-0")], small_tokenizer)


def test_an_incomplete_store(shards, small_tokenizer, tmp_path):
    shutil.copytree(shards / "part-0", tmp_path / "part-0")
    with (tmp_path / "part-0" / "train.tokens").open("ab") as file:
        file.write(b"more")
    with pytest.raises(
        CorpusError, match="not a complete token store: upload all of its files again"
    ):
        open_token_stores([str(tmp_path / "part-0")], small_tokenizer)
    with pytest.raises(CorpusError, match="no such file"):
        open_token_stores([str(tmp_path / "part-9")], small_tokenizer)


def test_a_failing_bucket_is_retried_and_then_named(bucket, small_tokenizer, monkeypatch):
    tokens = open_token_stores([f"{bucket}/all"], small_tokenizer).train.tokens
    expected = tokens.span(0, 5)
    pauses: list[float] = []
    monkeypatch.setattr(sharded_tokens.time, "sleep", pauses.append)
    fetch, failing = HfFileSystemFile._fetch_range, [4]

    def fails(file, first, end):
        failing[0] -= 1
        if failing[0] >= 0:
            raise ConnectionResetError
        return fetch(file, first, end)

    monkeypatch.setattr(HfFileSystemFile, "_fetch_range", fails)
    tokens = open_token_stores([f"{bucket}/all"], small_tokenizer).train.tokens
    assert np.array_equal(tokens.span(0, 5), expected)
    assert pauses == [1, 2, 4, 8]
    failing[0] = 5
    tokens = open_token_stores([f"{bucket}/all"], small_tokenizer).train.tokens
    with pytest.raises(CorpusError, match=r"train.tokens cannot be"):
        tokens.span(0, 5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("train_file", ["b.csv"]),
        ("validation_file", ["b.csv"]),
        ("encoding_errors", "ignore"),
        ("clean_html", "no"),
    ],
)
def test_texts_and_tokens_at_once(name, value):
    with pytest.raises(ConfigError, match=f"leave out --{name}"):
        TrainingConfig(token_store=["a"], model_name_or_path="demo", **{name: value})
    assert TrainingConfig(token_store=["a"], model_name_or_path="demo").clean_html == "auto"
    with pytest.raises(ConfigError, match="name its checkpoint"):
        TrainingConfig(token_store=["a"])


def test_the_script_makes_a_store(tmp_path, small_corpus, tiny_bert_folder, small_tokenizer):
    program = [sys.executable, str(ROOT / "scripts" / "tokenize_texts.py"), str(tmp_path / "store")]
    command = [*program, "--model_name_or_path", str(tiny_bert_folder), "--train_file"]
    done = subprocess.run([*command, str(small_corpus)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "384 documents" in " ".join(done.stdout.split())
    assert max(map(len, done.stdout.splitlines())) <= max(
        PLAIN_WIDTH, len(f"token store: {tmp_path}/store")
    )
    store = open_token_stores([str(tmp_path / "store")], small_tokenizer)
    assert store.manifest["counts"]["train"]["documents"] > 300
    done = subprocess.run([*command, "nothing.csv"], capture_output=True, text=True)
    assert (done.returncode, done.stderr.splitlines()[-1][:19]) == (2, "error: nothing.csv:")
