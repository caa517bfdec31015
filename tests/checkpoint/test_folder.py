"""The checkpoint folder: loading, refusing, and saving, also if a save fails."""

import errno
import json
import logging
import os
import resource
import shutil
import struct
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from mlm.checkpoint import folder as checkpoint
from mlm.checkpoint.folder import read_checkpoint, read_training, save_checkpoint, verify_folder
from mlm.checkpoint.weights import variables_by_name
from mlm.errors import CheckpointError

Tensors = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def plain(tiny_bert_folder):
    """The checkpoint that every folder here is a copy of."""
    return read_checkpoint(tiny_bert_folder)


@pytest.fixture
def folder(tiny_bert_folder, tmp_path) -> Path:
    """A copy of the checkpoint folder, to be changed by a test."""
    return Path(shutil.copytree(tiny_bert_folder, tmp_path / "checkpoint"))


def weights_of(read) -> Tensors:
    return {name: v.numpy() for name, v in variables_by_name(read.model).items()}


def rewrite(folder: Path, change: Callable[[Tensors], Tensors], **metadata: str) -> None:
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"} | metadata)


def change_config(folder: Path, **changes) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def assert_same_weights(read, plain, but: tuple[str, ...] = ()) -> None:
    expected = weights_of(plain)
    for name, value in weights_of(read).items():
        if not name.startswith(but or ("none",)):
            np.testing.assert_array_equal(value, expected[name], err_msg=name)


# Refused folders


def header(length: int, content: bytes) -> bytes:
    return struct.pack("<Q", length) + content


def tensor_header(**entry) -> bytes:
    content = json.dumps({"a": entry}).encode()
    return header(len(content), content)


def keep(count: int) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(path.read_bytes()[:count])


BROKEN_FILES = {
    "no config": ("config.json", Path.unlink, "no config.json"),
    "torn config": ("config.json", keep(100), "not valid JSON"),
    "config of bytes": ("config.json", lambda p: p.write_bytes(b"\xff\xfe\x00"), "not UTF-8"),
    "config too large": ("config.json", lambda p: p.write_text(" " * 70_000), "70,000 bytes"),
    "config too deep": ("config.json", lambda p: p.write_text("[" * 60_000), "nested too deeply"),
    "config a list": ("config.json", lambda p: p.write_text("[]"), "holds no settings"),
    "no weights": ("model.safetensors", Path.unlink, "no model.safetensors"),
    "empty weights": ("model.safetensors", keep(0), "not a valid safetensors"),
    "weights cut short": ("model.safetensors", keep(-1000), "bytes of data where"),
    "header cut short": ("model.safetensors", keep(200), "not a valid safetensors"),
    "header of noise": (
        "model.safetensors",
        lambda p: p.write_bytes(header(64, b"\x93" * 64)),
        "not a valid safetensors",
    ),
    "header of 2**63 bytes": (
        "model.safetensors",
        lambda p: p.write_bytes(header(2**63, b"{}")),
        "not a valid safetensors",
    ),
    "header without tensors": (
        "model.safetensors",
        lambda p: p.write_bytes(header(2, b"{}")),
        "not a valid safetensors",
    ),
    "header without offsets": (
        "model.safetensors",
        lambda p: p.write_bytes(tensor_header(dtype="F32", shape=[1], data_offsets=[])),
        "not a valid safetensors",
    ),
    "metadata no dict": (
        "model.safetensors",
        lambda p: p.write_bytes(header(20, b'{"__metadata__":"a"}')),
        "not a valid safetensors",
    ),
    "no tokenizer": ("tokenizer.json", Path.unlink, "no tokenizer"),
    "torn tokenizer": ("tokenizer.json", keep(500), "tokenizer"),
}


@pytest.mark.parametrize("case", BROKEN_FILES)
def test_a_broken_file_is_refused_in_one_line(case, folder):
    name, break_it, said = BROKEN_FILES[case]
    break_it(folder / name)
    assert_refused(folder, said)


def assert_refused(folder: Path, said: str) -> None:
    with pytest.raises(CheckpointError) as refusal:
        read_checkpoint(folder)
    message = str(refusal.value)
    assert said in message
    assert "\n" not in message
    assert len(message) < 700


def test_no_folder_at_all_is_refused(tmp_path):
    assert_refused(tmp_path / "absent", "no checkpoint folder")


def test_pickled_weights_are_named_and_not_read(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert_refused(folder, "it has pytorch_model.bin, which is not read")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"auto_map": {"AutoModel": "evil.py"}}, "auto_map"),
        ({"model_type": "gpt2"}, "'gpt2'; the known families are albert, bert, "),
        ({"model_type": ["bert"]}, "['bert']"),
        ({"model_type": None}, "None"),
        ({"hidden_size": "large"}, "hidden_size"),
        ({"hidden_size": 33}, "33 does not divide"),
        ({"num_hidden_layers": 0}, "num_hidden_layers is 0"),
        ({"hidden_act": "laugh"}, "'laugh' is not among"),
        ({"is_decoder": True}, "is_decoder"),
        ({"intermediate_size": 50}, "(48,); config.json implies (50,)"),
        ({"vocab_size": 63}, "(64, 32); config.json implies (63, 32)"),
        ({"num_hidden_layers": 3}, "lacks the tensor bert.encoder.layer.2."),
        ({"num_hidden_layers": 1}, "'bert.encoder.layer.1."),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_a_config_that_cannot_be_is_refused(changes, said, folder):
    change_config(folder, **changes)
    assert_refused(folder, said)


def without(*parts: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {
        name: value for name, value in tensors.items() if not any(part in name for part in parts)
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tensors: tensors | {"lora.weight": np.zeros(3)}, "holds 'lora.weight'"),
        (without("layer.1.output.dense.bias"), "lacks the tensor bert.encoder.layer.1.output"),
        (without("word_embeddings"), "lacks the tensor bert.embeddings.word_embeddings"),
        (without("transform.dense.bias"), "lacks the tensor cls.predictions.transform"),
    ],
    ids=["extra", "missing", "no embeddings", "half a head"],
)
def test_tensors_that_do_not_fit_the_config_are_refused(change, said, folder):
    rewrite(folder, change)
    assert_refused(folder, said)


def test_tensorflows_layout_is_refused(folder):
    rewrite(folder, lambda tensors: tensors, format="tf")
    assert_refused(folder, "the layout 'tf'")


def assert_no_model_is_built(folder: Path, said: str, monkeypatch) -> None:
    """The folder is refused before anything large is allocated."""
    monkeypatch.setattr("mlm.model.encoder.MaskedLM.__init__", fail_to_build)
    assert_refused(folder, said)


def fail_to_build(*args, **options):
    raise AssertionError("a model is built")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hidden_size": 16_384, "intermediate_size": 65_536}, "config.json implies (16384,)"),
        ({"num_hidden_layers": 128}, "lacks the tensor bert.encoder.layer.2."),
        ({"vocab_size": 2**21}, "config.json implies (2097152, 32)"),
        ({"hidden_size": 2**20}, "hidden_size is 1048576; expected an integer from 1 to 16,384"),
    ],
    ids=["width", "depth", "vocabulary", "beyond bounds"],
)
def test_a_config_larger_than_the_weights_makes_no_model(changes, said, folder, monkeypatch):
    change_config(folder, **changes)
    assert_no_model_is_built(folder, said, monkeypatch)


def test_a_header_that_the_file_does_not_fill_makes_no_model(folder, monkeypatch):
    path = folder / "model.safetensors"
    with path.open("r+b") as file:
        file.truncate(2**31)
    assert_no_model_is_built(folder, "bytes of data where its header says", monkeypatch)


def test_a_tokenizer_of_more_words_makes_no_model(folder, monkeypatch):
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    content["model"]["vocab"]["one more"] = 64
    path.write_text(json.dumps(content))
    assert_no_model_is_built(folder, "is 64; the model has ids from 0 to 63", monkeypatch)


def test_a_tokenizer_whose_ids_have_a_hole_makes_no_model(folder, monkeypatch):
    """The tokenizer has 64 entries, but the last id has no row in the embedding."""
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    vocab = content["model"]["vocab"]
    vocab[max(vocab, key=vocab.get)] = 1000
    path.write_text(json.dumps(content))
    assert_no_model_is_built(folder, "is 1000; the model has ids from 0 to 63", monkeypatch)


def test_weights_that_change_after_the_check_are_refused(folder, monkeypatch):
    read = checkpoint.read_headers
    monkeypatch.setattr(checkpoint, "read_headers", lambda path: (read(path), swap(path))[0])

    def swap(path: Path) -> None:
        rewrite(path, lambda tensors: tensors | {"cls.predictions.bias": np.zeros(9, "float32")})

    assert_refused(folder, "has shape (9,); config.json implies (64,)")


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ("{", "not a shard index"),
        ('{"weight_map": []}', "not a shard index"),
        ('{"weight_map": {"a": "../../secret.safetensors"}}', "in the same folder"),
        ('{"weight_map": {"a": 3}}', "in the same folder"),
        (
            '{"weight_map": {"a": "model-00001-of-00002.safetensors"}}',
            "lacks model-00001-of-00002.safetensors",
        ),
    ],
)
def test_a_broken_index_is_refused(index, said, folder):
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(index)
    assert_refused(folder, said)


# Folders that load


def old_names(tensors: Tensors) -> Tensors:
    renamed = {}
    for name, value in tensors.items():
        for new, old in (("LayerNorm.weight", "LayerNorm.gamma"), ("Norm.bias", "Norm.beta")):
            name = name.replace(new, old)
        renamed[name] = value
    assert renamed.keys() != tensors.keys()
    return renamed


def with_idle_tensors(tensors: Tensors) -> Tensors:
    return tensors | {
        "bert.embeddings.position_ids": np.arange(64)[None],
        "bert.pooler.dense.weight": np.ones((32, 32), "float32"),
        "bert.pooler.dense.bias": np.ones(32, "float32"),
        "cls.seq_relationship.weight": np.ones((2, 32), "float32"),
        "cls.seq_relationship.bias": np.ones(2, "float32"),
        "cls.predictions.decoder.weight": tensors["bert.embeddings.word_embeddings.weight"].copy(),
        "cls.predictions.decoder.bias": tensors["cls.predictions.bias"].copy(),
    }


SPELLINGS = {
    "gamma and beta": old_names,
    "no prefix": lambda tensors: {n.removeprefix("bert."): v for n, v in tensors.items()},
    "idle tensors, tied decoder": with_idle_tensors,
    "all of it": lambda tensors: {
        name.removeprefix("bert."): value
        for name, value in with_idle_tensors(old_names(tensors)).items()
    },
    "the bias by its second name": lambda tensors: {
        name.replace("predictions.bias", "predictions.decoder.bias"): value
        for name, value in tensors.items()
    },
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_other_spellings_hold_the_same_weights(name, folder, plain):
    rewrite(folder, SPELLINGS[name])
    read = read_checkpoint(folder)
    assert not read.fresh_head
    assert_same_weights(read, plain)


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16])
def test_narrow_weights_are_widened_exactly(dtype, folder, plain):
    rewrite(folder, lambda tensors: {n: v.astype(dtype) for n, v in tensors.items()})
    for name, value in weights_of(read_checkpoint(folder)).items():
        expected = weights_of(plain)[name].astype(dtype).astype("float32")
        assert value.dtype == np.float32
        np.testing.assert_array_equal(value, expected, err_msg=name)


def test_shards_of_an_index_are_joined(folder, plain):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    path.unlink()
    shard_of = {
        name: f"model-0000{index % 2 + 1}-of-00002.safetensors"
        for index, name in enumerate(tensors)
    }
    for shard in set(shard_of.values()):
        shard_tensors = {name: tensors[name] for name, file in shard_of.items() if file == shard}
        save_file(shard_tensors, folder / shard, metadata={"format": "pt"})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shard_of}))
    assert_same_weights(read_checkpoint(folder), plain)


def test_an_encoder_alone_gets_a_new_head_and_says_so(folder, plain, caplog):
    rewrite(folder, without("cls."))
    with caplog.at_level(logging.WARNING, logger="mlm.checkpoint.folder"):
        read = read_checkpoint(folder)
    assert read.fresh_head
    assert "no masked-LM head" in caplog.text
    assert_same_weights(read, plain, but=("head/",))
    assert np.abs(weights_of(read)["head/dense/kernel"]).max() > 0


@pytest.mark.parametrize("kind", ["folder", "pipe", "loop", "device", "huge"])
def test_a_training_record_that_is_no_plain_file_is_none(kind, folder, monkeypatch):
    path = folder / "training.json"
    path.unlink(missing_ok=True)
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "huge":
        path.write_bytes(b'{"a": "' + b"x" * (5 * 2**20) + b'"}')
    else:
        path.symlink_to({"loop": path.name, "device": "/dev/zero"}[kind])
    assert read_training(folder) is None


@pytest.mark.parametrize("content", ['{"steps": 3', "[]", "[" * 100_000, b"\xff\xfe"])
def test_a_torn_training_record_is_left_out_with_a_warning(content, folder, caplog):
    content = content if isinstance(content, bytes) else content.encode()
    (folder / "training.json").write_bytes(content)
    assert read_checkpoint(folder).training is None
    assert "training.json" in caplog.text


# Saving


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def save(read, folder: Path, **options) -> None:
    save_checkpoint(read.model, read.tokenizer, folder, hf_config=read.hf_config, **options)


def full_disk(*args, **options):
    raise OSError(errno.ENOSPC, "No space left on device")


@contextmanager
def files_of_at_most(size: int):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def assert_save_fails(read, folder: Path, said: str) -> None:
    before = contents(folder)
    with pytest.raises(CheckpointError, match=said) as refusal:
        save(read, folder, training={"steps": 9})
    assert "\n" not in str(refusal.value)
    assert contents(folder) == before


def test_a_full_disk_leaves_the_old_checkpoint(folder, plain, monkeypatch):
    monkeypatch.setattr(checkpoint, "save_weights", full_disk)
    assert_save_fails(plain, folder, "No space left on device; what was there is untouched")


def test_weights_that_do_not_fit_leave_the_old_checkpoint(folder, plain):
    with files_of_at_most(20_000):
        assert_save_fails(plain, folder, "File too large")


def test_a_tokenizer_that_does_not_fit_leaves_the_old_checkpoint(folder, plain, monkeypatch):
    monkeypatch.setattr(checkpoint, "save_weights", lambda *args, **options: None)
    with files_of_at_most(3_000):  # more than config.json, less than tokenizer.json
        assert_save_fails(plain, folder, "too large")


def test_a_folder_that_cannot_be_made_is_refused(plain, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="choose another --output_dir"):
        save(plain, tmp_path / "file" / "run")


def test_saving_replaces_what_stands_there_and_keeps_the_rest(folder, plain):
    (folder / "README.md").write_text("a card")
    save(plain, folder, training={"steps": 9})
    verify_folder(folder)
    assert (folder / "README.md").read_text() == "a card"
    assert read_checkpoint(folder).training == {"steps": 9}
    assert not list(folder.glob(".saving-*"))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_weights_are_saved_in_the_format_asked_for(dtype, plain, tmp_path):
    save(plain, tmp_path, dtype=dtype)
    number = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    assert {v.dtype for v in load_file(tmp_path / "model.safetensors").values()} == {number}
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == dtype
    again = weights_of(read_checkpoint(tmp_path))
    for name, value in weights_of(plain).items():
        np.testing.assert_array_equal(again[name], value.astype(number).astype("float32"))


def test_a_saved_file_is_as_readable_as_its_neighbours(plain, tmp_path):
    save(plain, tmp_path)
    assert len({path.stat().st_mode for path in tmp_path.iterdir()}) == 1
