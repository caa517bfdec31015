"""Broken and malicious repositories: refused by rule, before a weight byte, at no cost.

Each is made on a local Hub and pulled by the real huggingface_hub client.
"""

import json
import os
import shlex
import shutil
import struct
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from safetensors.numpy import load, save

from mlm.checkpoint.safetensors_header import MAX_HEADER_BYTES
from mlm.errors import CheckpointError, HubError, UserError
from mlm.hub import fetch_checkpoint
from mlm.hub.local import Fault, LocalHub
from mlm.hub.local.store import Change, FileEntry, RepoStore, large_file
from tests.support.served_hub import READ_TOKEN, REPO, TOKEN, Plan, served_hub

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
MEGABYTE = 2**20
MOST_DISK = 2 * MEGABYTE  # of the cache, after a refusal
MOST_MEMORY = 64 * MEGABYTE  # that all refusals together may add

Files = dict[str, bytes]


@pytest.fixture
def plan() -> Plan:
    return Plan()


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch, plan):
    monkeypatch.delenv("MLM_MAX_CHECKPOINT_GB", raising=False)
    with served_hub(tmp_path, monkeypatch, plan) as local:
        yield local


@pytest.fixture
def store(tmp_path) -> RepoStore:
    return RepoStore(tmp_path / "hub")


@pytest.fixture
def files(tiny_bert_folder) -> Files:
    """Those of a whole checkpoint, to be spoilt."""
    return {path.name: path.read_bytes() for path in tiny_bert_folder.iterdir()}


class Claim(NamedTuple):
    """A content of which the repository says that it has another size."""

    content: bytes
    size: int | None


def publish(store: RepoStore, files: Mapping[str, bytes | Claim], repo: str = REPO) -> str:
    """Make these all the files of the repository; the new commit's id."""
    store.create("models", repo, "me")
    old = store.commit_at("models", repo, "main").files
    entries = {name: entry_of(store, name, content) for name, content in files.items()}
    gone = old.keys() - files.keys()
    return store.commit("models", repo, "main", Change("files", "", "me", entries, gone)).id


def entry_of(store: RepoStore, name: str, given: bytes | Claim) -> FileEntry:
    content = given.content if isinstance(given, Claim) else given
    if name.endswith(".safetensors"):
        entry = large_file(store.put_blob([content]), len(content))
    else:
        entry = store.small_file(content)
    return replace(entry, size=given.size) if isinstance(given, Claim) else entry


# how a checkpoint is spoilt: each changes the files in place

Spoil = Callable[[dict], object]


def config_with(**settings) -> Spoil:
    def spoil(files: Files) -> None:
        config = json.loads(files["config.json"])
        files["config.json"] = json.dumps(config | settings).encode()

    return spoil


def replaced(name: str, content: bytes) -> Spoil:
    return lambda files: files.update({name: content})


def weights_as(*names: str) -> Spoil:
    """The weights under other names; there are none without any."""

    def spoil(files: Files) -> None:
        content = files.pop(WEIGHTS)
        files.update(dict.fromkeys(names, content))

    return spoil


def claimed(name: str, size: int | None) -> Spoil:
    return lambda files: files.update({name: Claim(files[name], size)})


def tensors_with(change: Callable[[dict], object], layout: str = "pt") -> Spoil:
    def spoil(files: Files) -> None:
        tensors = load(files[WEIGHTS])
        change(tensors)
        files[WEIGHTS] = save(tensors, {"format": layout})

    return spoil


def header_with(change: Callable[[dict, list[str]], object]) -> Spoil:
    """The same bytes of tensors behind a header that says something else of them."""

    def spoil(files: Files) -> None:
        content = files[WEIGHTS]
        end = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8:end])
        change(header, sorted(header.keys() - {"__metadata__"}))
        said = json.dumps(header).encode()
        files[WEIGHTS] = struct.pack("<Q", len(said)) + said + content[end:]

    return spoil


def overlap(header: dict, names: list[str]) -> None:
    alike = next(name for name in names if name.endswith("layer.0.output.dense.bias"))
    other = alike.replace("layer.0", "layer.1")
    header[other]["data_offsets"] = header[alike]["data_offsets"]


def transpose_one(tensors: dict) -> None:
    name = "bert.encoder.layer.0.intermediate.dense.weight"
    tensors[name] = np.ascontiguousarray(tensors[name].T)


def id_beyond_the_embedding(files: Files) -> None:
    content = json.loads(files["tokenizer.json"])
    content["post_processor"]["special_tokens"]["[CLS]"]["ids"] = [10**6]
    files["tokenizer.json"] = json.dumps(content).encode()


def in_shards(files: Files) -> None:
    tensors = load(files.pop(WEIGHTS))
    names = sorted(tensors)
    weight_map = {}
    for file, part in zip(SHARDS, (names[::2], names[1::2]), strict=True):
        files[file] = save({name: tensors[name] for name in part}, {"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    files[INDEX] = json.dumps({"metadata": {}, "weight_map": weight_map}).encode()


def exchange_shards(files: Files) -> None:
    files[SHARDS[0]], files[SHARDS[1]] = files[SHARDS[1]], files[SHARDS[0]]


def shards_and(spoil: Spoil) -> Spoil:
    return lambda files: (in_shards(files), spoil(files))


def index_to(file: str) -> Spoil:
    return shards_and(replaced(INDEX, json.dumps({"weight_map": {"a": file}}).encode()))


# What may have been served of a repository when it is refused; of weights, headers alone.
LIST: set[str] = set()
CONFIG = LIST | {"config.json"}
HEADER = CONFIG | {WEIGHTS}
TOKENIZER = HEADER | {"tokenizer.json", "tokenizer_config.json", "vocab.txt", "README.md"}
OF_SHARDS = LIST | {INDEX}


class Case(NamedTuple):
    spoil: Spoil
    rule: str  # what the message says
    served: set[str]


NO_SAFETENSORS_FILE = "model.safetensors of me/.* is not a valid safetensors file: "
HOSTILE = {
    "only .bin": Case(
        weights_as("pytorch_model.bin"),
        r"has only pytorch_model.bin; .* can run code.*M.from_pretrained\('me/[a-z.-]+'\)",
        LIST,
    ),
    "only .pkl": Case(weights_as("a.pkl"), "has only a.pkl; .* can run code.*convert it", LIST),
    "only .h5": Case(weights_as("tf_model.h5"), "transformers<5.*from_tf=True", LIST),
    "only .ckpt": Case(
        weights_as("model.ckpt.index", "model.ckpt.data-00000-of-00001"), "from_tf=True", LIST
    ),
    "only .msgpack": Case(weights_as("flax_model.msgpack"), "from_flax=True", LIST),
    "only .onnx below": Case(weights_as("onnx/model.onnx"), "only onnx/model.onnx.*ask its", LIST),
    "an adapter alone": Case(
        weights_as("adapter_model.safetensors"), "only adapter_model.safetensors", LIST
    ),
    "no weights": Case(weights_as(), "no weights at all", LIST),
    "no config": Case(lambda files: files.pop("config.json"), "no config.json", LIST),
    "weights too large": Case(
        claimed(WEIGHTS, 10**12), "model.safetensors in .* has 1,000,000,000,000 bytes", LIST
    ),
    "weights of no size": Case(claimed(WEIGHTS, None), "size of model.safetensors .* known", LIST),
    "tokenizer of no size": Case(claimed("tokenizer.json", None), "size of tokenizer.json", LIST),
    "tokenizer too large": Case(
        claimed("tokenizer.json", 65 * MEGABYTE), "tokenizer.json in .* 68,157,440 bytes", LIST
    ),
    "record too large": Case(
        lambda files: files.update({"training.json": Claim(b"{}", 5 * MEGABYTE)}),
        "training.json in .* has 5,242,880 bytes",
        LIST,
    ),
    "config too large": Case(
        replaced("config.json", b"{}" + b" " * 65_535), "config.json .* has 65,537 bytes", LIST
    ),
    "config torn": Case(replaced("config.json", b'{"model_type": '), "not valid JSON", CONFIG),
    "code of its own": Case(config_with(auto_map={"AutoModel": "x.Y"}), "auto_map", CONFIG),
    "attention of its own": Case(
        config_with(_attn_implementation="me/kernel"), "_attn_implementation", CONFIG
    ),
    "quantized": Case(
        config_with(quantization_config={"bits": 4}), "quantization_config", CONFIG
    ),
    "a million layers": Case(
        config_with(num_hidden_layers=10**6), "num_hidden_layers is 1000000", CONFIG
    ),
    "labels without end": Case(config_with(num_labels=2 * 10**9), "num_labels is", CONFIG),
    "a method replaced": Case(config_with(to_dict=1), "to_dict", CONFIG),
    "a family left out": Case(config_with(model_type="deberta"), "is 'deberta', which", CONFIG),
    "an unknown family": Case(config_with(model_type="gpt2"), "model_type is 'gpt2'", CONFIG),
    "a pickle in disguise": Case(
        replaced(WEIGHTS, b"\x80\x04\x95" + b"x" * 5000), NO_SAFETENSORS_FILE, HEADER
    ),
    "weights of 3 bytes": Case(replaced(WEIGHTS, b"abc"), NO_SAFETENSORS_FILE, CONFIG),
    "a header of 2 MB": Case(
        replaced(WEIGHTS, struct.pack("<Q", 2 * MEGABYTE) + b" " * (2 * MEGABYTE + 8)),
        "its header has 2,097,152 bytes, expected 1,048,576 at most",
        HEADER,
    ),
    "a header beyond the file": Case(
        replaced(WEIGHTS, struct.pack("<Q", 2**63) + b"{}"), "its header has", HEADER
    ),
    "a header that nests": Case(
        replaced(WEIGHTS, struct.pack("<Q", 90_000) + b"[" * 90_000), NO_SAFETENSORS_FILE, HEADER
    ),
    "tensors that overlap": Case(header_with(overlap), "overlap", HEADER),
    "a gap": Case(
        header_with(lambda header, names: header.pop(names[0])), NO_SAFETENSORS_FILE, HEADER
    ),
    "a tensor of 2^62 numbers": Case(
        header_with(lambda header, names: header[names[0]].update(shape=[2**31, 2**31])),
        "its shape and dtype make",
        HEADER,
    ),
    "TensorFlow's layout": Case(
        tensors_with(lambda tensors: None, layout="tf"), "layout 'tf'.*from_tf=True", HEADER
    ),
    "a wrong shape": Case(tensors_with(transpose_one), "config.json implies", HEADER),
    "wider than its weights": Case(config_with(hidden_size=16_384), "implies", HEADER),
    "a tensor too many": Case(
        tensors_with(lambda tensors: tensors.update({"back.door": np.zeros(4, "float32")})),
        "'back.door', which config.json does not imply",
        HEADER,
    ),
    "a tensor too few": Case(
        tensors_with(lambda tensors: tensors.pop("bert.encoder.layer.0.output.dense.weight")),
        "lacks the tensor",
        HEADER,
    ),
    "an id beyond the embedding": Case(id_beyond_the_embedding, "tokenizer.json", TOKENIZER),
    "a tokenizer with code": Case(
        replaced("tokenizer_config.json", b'{"auto_map": {"AutoTokenizer": ["x.Y", null]}}'),
        "tokenizer_config.json: .*auto_map",
        TOKENIZER,
    ),
    "no tokenizer": Case(
        lambda files: [files.pop(name) for name in files.keys() & {"tokenizer.json", "vocab.txt"}],
        "has no tokenizer",
        TOKENIZER,
    ),
    "a shard elsewhere": Case(index_to("../../model.safetensors"), "names the file", OF_SHARDS),
    "a shard that is absent": Case(
        shards_and(lambda files: files.pop(SHARDS[1])), f"lacks {SHARDS[1]}", OF_SHARDS
    ),
    "an index too large": Case(
        shards_and(claimed(INDEX, 2 * MEGABYTE)), f"{INDEX} in .* has 2,097,152 bytes", LIST
    ),
    "an index torn": Case(shards_and(replaced(INDEX, b"{")), "not a shard index", OF_SHARDS),
    "shards too large in sum": Case(
        shards_and(
            lambda files: files.update({name: Claim(b"x", 21 * 10**8) for name in SHARDS})
        ),
        "has 4,200,.* bytes in .* files, expected 4,000,000,000 at most",
        OF_SHARDS,
    ),
    "shards exchanged": Case(
        shards_and(exchange_shards),
        f"places in {SHARDS[1]}",
        OF_SHARDS | CONFIG | {SHARDS[0]},
    ),
}  # fmt: skip


def header_bytes(content: bytes | Claim) -> int:
    """How much of a weight file may be looked at: 8 bytes, and the header if it is no larger."""
    if isinstance(content, Claim):
        return 0
    length = int.from_bytes(content[:8], "little")
    return 8 + (length if length <= min(MAX_HEADER_BYTES, len(content) - 8) else 0)


def served_of(hub: LocalHub, repo: str = REPO) -> dict[str, int]:
    return {
        file.removeprefix(f"{repo}/"): count
        for file, count in hub.served.items()
        if file.startswith(f"{repo}/")
    }


def size_of(folder: Path) -> int:
    paths = folder.rglob("*") if folder.is_dir() else ()
    return sum(path.stat().st_size for path in paths if path.is_file() and not path.is_symlink())


@pytest.mark.parametrize("kind", HOSTILE)
def test_it_is_refused_by_its_rule_before_a_weight_byte(kind, hub, store, files, tmp_path):
    spoil, rule, allowed = HOSTILE[kind]
    spoil(files)
    publish(store, files)
    with pytest.raises(UserError, match=rule) as refusal:
        fetch_checkpoint(REPO)
    assert "\n" not in str(refusal.value)
    assert REPO in str(refusal.value)
    assert str(tmp_path) not in str(refusal.value)  # where the cache lies is nobody's business
    served = served_of(hub)
    assert served.keys() <= allowed
    weights = {name: count for name, count in served.items() if name.endswith(".safetensors")}
    assert {
        name: count for name, count in weights.items() if count > header_bytes(files[name])
    } == {}
    assert size_of(tmp_path / "cache") < MOST_DISK
    assert list((tmp_path / "cache").rglob("*.safetensors")) == []


PULL_ALL = """
import sys
from mlm.errors import UserError
from mlm.hub import fetch_checkpoint

def peak():
    status = open("/proc/self/status").read()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])

whole, *hostile = sys.argv[1:]
fetch_checkpoint(whole)
before = peak()
refused = 0
for repo in hostile:
    try:
        fetch_checkpoint(repo)
    except UserError:
        refused += 1
print(refused, peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs the peak that /proc has")
def test_memory_stays_flat_over_all_of_them(store, files, tmp_path):
    publish(store, files)
    repos = {kind: f"me/case-{number}" for number, kind in enumerate(HOSTILE)}
    for kind, repo in repos.items():
        spoilt = dict(files)
        HOSTILE[kind].spoil(spoilt)
        publish(store, spoilt, repo)
    done = subprocess.run(
        [sys.executable, "-c", PULL_ALL, REPO, *repos.values()],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    refused, grown = map(int, done.stdout.split())
    assert refused == len(HOSTILE)
    assert grown < MOST_MEMORY
    assert size_of(tmp_path / "cache") < MOST_DISK


# what is not hostile


@pytest.mark.parametrize("spoil", [lambda files: None, in_shards], ids=["one file", "shards"])
def test_a_whole_checkpoint_is_pulled(hub, store, files, spoil):
    spoil(files)
    commit = publish(store, files)
    fetched = fetch_checkpoint(REPO)
    assert fetched.commit == commit
    assert {path.name: path.read_bytes() for path in fetched.folder.iterdir()} == files
    expected = {name: len(content) for name, content in files.items()}
    for name in expected.keys() & {WEIGHTS, *SHARDS}:
        expected[name] += header_bytes(files[name])
    assert served_of(hub) == expected


def test_shards_beside_whole_weights_and_unnamed_shards_are_left_alone(hub, store, files):
    publish(store, {**files, SHARDS[0]: Claim(b"x", 10**13), INDEX: Claim(b"{", 10**9)})
    fetch_checkpoint(REPO)
    in_shards(files)
    publish(store, {**files, "model-00007-of-00009.safetensors": Claim(b"x", 10**13)})
    assert not (fetch_checkpoint(REPO).folder / "model-00007-of-00009.safetensors").exists()


@pytest.mark.parametrize("spoil", [lambda files: None, in_shards], ids=["one file", "shards"])
def test_the_limit_is_a_setting(hub, store, files, monkeypatch, spoil):
    spoil(files)
    publish(store, files)
    total = sum(map(len, files.values()))
    monkeypatch.setenv("MLM_MAX_CHECKPOINT_GB", str((total - 1) / 1e9))
    with pytest.raises(CheckpointError, match="MLM_MAX_CHECKPOINT_GB raises the limit"):
        fetch_checkpoint(REPO)
    assert served_of(hub).keys() <= OF_SHARDS
    monkeypatch.setenv("MLM_MAX_CHECKPOINT_GB", str((total + 1) / 1e9))
    fetch_checkpoint(REPO)


# one commit


@pytest.mark.parametrize("moment", ["config.json", "model.safetensors", "tokenizer.json"])
def test_the_commit_that_was_looked_up_is_the_one_that_comes(store, files, plan, moment):
    first = publish(store, files)
    spoilt = dict(files)
    config_with(auto_map={"AutoModel": "x.Y"})(spoilt)
    plan.add(("GET", f".*/resolve/.*/{moment}"), None, do=lambda: publish(store, spoilt))
    fetched = fetch_checkpoint(REPO)
    assert store.commit_at("models", REPO, "main").id != first == fetched.commit
    assert {path.name: path.read_bytes() for path in fetched.folder.iterdir()} == files
    with pytest.raises(CheckpointError, match="auto_map"):  # from now on the new one
        fetch_checkpoint(REPO)
    assert fetch_checkpoint(REPO, first).commit == first


def test_a_branch_that_is_called_like_a_commit(hub, store, files):
    publish(store, files)
    store.add_ref("models", REPO, "branches", "a" * 40, "main")
    with pytest.raises(HubError, match="branch or tag called like the commit a"):
        fetch_checkpoint(REPO, "a" * 40)
    assert served_of(hub) == {}


# ranges


def test_a_hub_that_knows_no_ranges(tmp_path, monkeypatch, store, files):
    publish(store, files)
    large = struct.pack("<Q", 2 * MEGABYTE) + bytes(64 * MEGABYTE)
    publish(store, files | {WEIGHTS: large}, "me/large")
    with LocalHub(tmp_path / "hub", token=TOKEN, ranges=False) as plain:
        monkeypatch.setenv("HF_ENDPOINT", plain.url)
        fetched = fetch_checkpoint(REPO)
        with pytest.raises(CheckpointError, match="its header has 2,097,152 bytes"):
            fetch_checkpoint("me/large")
    assert (fetched.folder / WEIGHTS).read_bytes() == files[WEIGHTS]
    assert served_of(plain, "me/large")[WEIGHTS] < 32 * MEGABYTE  # what fits between the sockets


def test_another_size_than_the_list_has(hub, store, files, monkeypatch):
    def larger(path: str, entry: FileEntry) -> dict:
        return {"rfilename": path, "size": entry.size + (path == WEIGHTS), "blobId": entry.oid}

    publish(store, files)
    monkeypatch.setattr("mlm.hub.local.routes._sibling", larger)
    with pytest.raises(HubError, match=f"serves {WEIGHTS} of .* were expected"):
        fetch_checkpoint(REPO)
    assert served_of(hub).get(WEIGHTS, 0) <= 8


def test_a_private_repository_with_a_token_that_may_read(hub, store, files, monkeypatch):
    publish(store, files)
    store.update_facts("models", REPO, private=True)
    monkeypatch.setenv("HF_TOKEN", READ_TOKEN)
    assert (fetch_checkpoint(REPO).folder / WEIGHTS).read_bytes() == files[WEIGHTS]


def test_the_token_does_not_follow_to_another_host(hub, store, files, plan, tmp_path):
    """The Hub sends who asks for a large file on to its storage, which is somebody else's."""
    commit = publish(store, files)
    shutil.copytree(tmp_path / "hub", tmp_path / "storage")
    store.update_facts("models", REPO, private=True)
    path = f"/{REPO}/resolve/{commit}/{WEIGHTS}"
    with LocalHub(tmp_path / "storage", token="hf_of_the_storage") as storage:
        asked = urllib.request.Request(storage.url + path, headers={"Authorization": TOKEN})
        with pytest.raises(urllib.error.HTTPError, match="401"):  # it would tell
            urllib.request.urlopen(asked)
        plan.add(("GET", path), Fault(302, {"Location": storage.url + path}), times=3)
        fetched = fetch_checkpoint(REPO)
    assert (fetched.folder / WEIGHTS).read_bytes() == files[WEIGHTS]
    assert served_of(storage)[WEIGHTS] == len(files[WEIGHTS]) + header_bytes(files[WEIGHTS])
    assert WEIGHTS not in served_of(hub)


# the cache


@pytest.mark.parametrize("name", [WEIGHTS, "config.json", "tokenizer.json"])
def test_a_damaged_copy_is_fetched_again(hub, store, files, name, caplog):
    publish(store, files)
    folder = fetch_checkpoint(REPO).folder
    (folder / name).resolve().write_bytes(files[name][:-10])
    assert (fetch_checkpoint(REPO).folder / name).read_bytes() == files[name]
    assert f"{name} of {REPO}@{folder.name[:8]} is damaged in the cache" in caplog.text


def test_a_damaged_copy_is_none_off_line(store, files, monkeypatch):
    publish(store, files)
    folder = fetch_checkpoint(REPO).folder
    (folder / WEIGHTS).resolve().write_bytes(files[WEIGHTS][:-10])
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(HubError, match="nor the cache has a whole me/reviews"):
        fetch_checkpoint(REPO)


def test_a_file_that_comes_damaged_twice(hub, store, files):
    publish(store, files)
    entry = store.commit_at("models", REPO, "main").files[WEIGHTS]
    content = files[WEIGHTS]
    store.blob_path(entry.sha256).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(HubError, match="came twice with other bytes than the Hub lists"):
        fetch_checkpoint(REPO)
    assert served_of(hub)[WEIGHTS] == 2 * len(content) + header_bytes(content)


def test_a_whole_copy_of_the_newest_commit_is_not_asked_for_again(store, files, plan):
    publish(store, files)
    fetch_checkpoint(REPO)
    plan.asked.clear()
    fetch_checkpoint(REPO)
    assert plan.asked == [("GET", f"/api/models/{REPO}/revision/main")]


# the way out


def test_the_command_of_a_refusal_converts(store, files, tmp_path):
    import torch

    tensors = {name: torch.tensor(value) for name, value in load(files.pop(WEIGHTS)).items()}
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    publish(store, {**files, "pytorch_model.bin": (tmp_path / "pytorch_model.bin").read_bytes()})
    with pytest.raises(HubError) as refusal:
        fetch_checkpoint(REPO)
    _, _, command = str(refusal.value).partition("; python ")
    subprocess.run(
        [sys.executable, *shlex.split(command)],
        cwd=tmp_path, check=True, capture_output=True, env=os.environ | {"PYTHONWARNINGS": ""},
    )  # fmt: skip
    assert fetch_checkpoint(tmp_path / "converted").folder == tmp_path / "converted"
