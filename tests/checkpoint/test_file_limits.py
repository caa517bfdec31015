"""The names of a checkpoint's files, and the limits on their sizes."""

import pytest

from mlm.checkpoint.file_limits import (
    CHECKPOINT_FILES,
    LARGEST_SMALL_FILE,
    OTHER_WEIGHTS,
    check_sizes,
    matches,
    max_checkpoint_bytes,
)
from mlm.errors import CheckpointError, ConfigError

WHOLE = {"config.json": 600, "model.safetensors": 400_000_000, "tokenizer.json": 700_000}


@pytest.fixture(autouse=True)
def default_limit(monkeypatch):
    monkeypatch.delenv("MLM_MAX_CHECKPOINT_GB", raising=False)


@pytest.mark.parametrize(
    ("name", "is_ours"),
    [
        ("config.json", True),
        ("model.safetensors", True),
        ("model-00002-of-00010.safetensors", True),
        ("spiece.model", True),
        ("evil.model", False),
        ("sub/config.json", False),
        ("adapter_model.safetensors", False),
        ("pytorch_model.bin", False),
        ("modeling.py", False),
    ],
)
def test_whose_file_it_is(name, is_ours):
    assert matches(name, CHECKPOINT_FILES) == is_ours


@pytest.mark.parametrize(
    "name",
    ["pytorch_model.bin", "tf_model.h5", "model.ckpt.index", "a.pkl", "flax_model.msgpack",
     "rust_model.ot", "model.onnx"],
)  # fmt: skip
def test_weights_that_are_not_read(name):
    assert matches(name, OTHER_WEIGHTS)
    assert not matches(name, CHECKPOINT_FILES)


@pytest.mark.parametrize(
    ("given", "expected"), [(None, 4e9), ("", 4e9), ("0.5", 5e8), ("12", 12e9)]
)
def test_the_limit_is_a_setting(monkeypatch, given, expected):
    if given is not None:
        monkeypatch.setenv("MLM_MAX_CHECKPOINT_GB", given)
    assert max_checkpoint_bytes() == expected


@pytest.mark.parametrize("given", ["plenty", "0", "-1", "nan", "inf", "1e300"])
def test_a_limit_that_is_none(monkeypatch, given):
    monkeypatch.setenv("MLM_MAX_CHECKPOINT_GB", given)
    with pytest.raises(ConfigError, match=f"MLM_MAX_CHECKPOINT_GB is '{given}'; expected"):
        max_checkpoint_bytes()


def test_sizes_in_bounds():
    check_sizes(WHOLE | LARGEST_SMALL_FILE, "me/x")
    check_sizes({"state.bin": 10**15, "notes.txt": None}, "me/x")  # not files of a checkpoint


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"config.json": 65_537}, "config.json in me/x has 65,537 bytes, expected 65,536 at most"),
        ({"README.md": 2**20 + 1}, "README.md in me/x has 1,048,577 bytes"),
        ({"vocab.txt": None}, "the size of vocab.txt in me/x is not known"),
        ({"model.safetensors": -1}, "the size of model.safetensors in me/x is not known"),
        (
            {"model.safetensors": 4 * 10**9 + 1},
            "model.safetensors in me/x has 4,000,000,001 bytes, expected 4,000,000,000 at most; "
            "MLM_MAX_CHECKPOINT_GB raises the limit",
        ),
        (
            {f"model-0000{n}-of-00003.safetensors": 15 * 10**8 for n in (1, 2, 3)},
            "me/x has 4,501,100,600 bytes in 6 files, expected 4,000,000,000 at most; MLM_MAX",
        ),
    ],
)
def test_sizes_out_of_bounds(sizes, said):
    small = {"config.json": 600, "tokenizer.json": 1_000_000, "model.safetensors": 100_000}
    with pytest.raises(CheckpointError, match=said) as refusal:
        check_sizes(small | sizes, "me/x")
    assert "\n" not in str(refusal.value)


def test_the_limit_can_be_raised_and_lowered(monkeypatch):
    monkeypatch.setenv("MLM_MAX_CHECKPOINT_GB", "0.3")
    with pytest.raises(CheckpointError, match="expected 300,000,000 at most"):
        check_sizes(WHOLE, "me/x")
    monkeypatch.setenv("MLM_MAX_CHECKPOINT_GB", "0.5")
    check_sizes(WHOLE, "me/x")
