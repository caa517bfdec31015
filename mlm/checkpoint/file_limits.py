"""Names of the files that belong to a checkpoint, and limits on their sizes."""

import os
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from mlm.errors import CheckpointError, ConfigError

KILOBYTE, MEGABYTE, GIGABYTE = 2**10, 2**20, 10**9  # decimal: checkpoint sizes are given in GB
SIZE_SETTING = "MLM_MAX_CHECKPOINT_GB"
DEFAULT_GIGABYTES = 4.0  # what a Space with 2 cores and 16 GB of memory can load

LARGEST_SMALL_FILE = {  # bytes
    "config.json": 64 * KILOBYTE,
    "model.safetensors.index.json": MEGABYTE,
    "tokenizer.json": 64 * MEGABYTE,
    "tokenizer_config.json": MEGABYTE,
    "special_tokens_map.json": MEGABYTE,
    "added_tokens.json": MEGABYTE,
    "vocab.txt": 64 * MEGABYTE,
    "vocab.json": 64 * MEGABYTE,
    "merges.txt": 64 * MEGABYTE,
    "spiece.model": 64 * MEGABYTE,  # this and the next three are SentencePiece models
    "spm.model": 64 * MEGABYTE,
    "sentencepiece.bpe.model": 64 * MEGABYTE,
    "tokenizer.model": 64 * MEGABYTE,
    "training.json": 4 * MEGABYTE,
    "README.md": MEGABYTE,
    "loss_curve.svg": 256 * KILOBYTE,  # this and the next are pictures of the card
    "learning_curve.svg": 256 * KILOBYTE,
}
WEIGHT_FILES = ("model.safetensors", "model-?????-of-?????.safetensors")
# The only files that are pulled or pushed; training state in the same folder stays local.
CHECKPOINT_FILES = (*LARGEST_SMALL_FILE, *WEIGHT_FILES)
OTHER_WEIGHTS = (  # never read: many of these formats can run code
    "*.bin", "*.h5", "*.ckpt", "*.ckpt.*", "*.pkl", "*.pickle", "*.pt", "*.pth", "*.msgpack",
    "*.ot", "*.onnx", "*.safetensors", "*.gguf", "*.tflite", "*.keras",
)  # fmt: skip


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Return whether a name has no folder and fits one of the patterns."""
    return "/" not in name and any(fnmatchcase(name, pattern) for pattern in patterns)


def max_checkpoint_bytes() -> int:
    """Return the limit for a weight file and for a whole checkpoint, in bytes.

    It is MLM_MAX_CHECKPOINT_GB, 4 GB by default. ConfigError if that is not such a number.
    """
    given = os.environ.get(SIZE_SETTING) or str(DEFAULT_GIGABYTES)
    try:
        gigabytes = float(given)
    except ValueError:
        gigabytes = 0.0
    if not 0 < gigabytes < 1e6:
        raise ConfigError(
            f"{SIZE_SETTING} is {given[:40]!r}; expected gigabytes above 0, such as "
            f"{DEFAULT_GIGABYTES:g}"
        )
    return int(gigabytes * GIGABYTE)


def check_sizes(sizes: Mapping[str, int | None], where: str) -> None:
    """Raise CheckpointError unless each file's size is known and within limits, and so is the sum.

    Args:
        sizes: file name -> bytes, None if the Hub does not give the size. Files that do not belong
            to a checkpoint are ignored, because they are never read.
        where: the checkpoint's name for the message.
    """
    known = {name: size for name, size in sizes.items() if matches(name, CHECKPOINT_FILES)}
    for name, size in sorted(known.items()):
        _check_size(name, size, where)
    total, most = sum(size or 0 for size in known.values()), max_checkpoint_bytes()
    if total > most:
        raise CheckpointError(
            f"{where} has {total:,} bytes in {len(known)} files, expected {most:,} at most; "
            f"{SIZE_SETTING} raises the limit"
        )


def _check_size(name: str, size: int | None, where: str) -> None:
    """Check the size of one file; the limit for weight files is a setting."""
    if type(size) is not int or size < 0:
        raise CheckpointError(
            f"the size of {name} in {where} is not known, so it is not read; upload it again"
        )
    fixed = LARGEST_SMALL_FILE.get(name)
    most = max_checkpoint_bytes() if fixed is None else fixed
    if size > most:
        remedy = (
            f"{SIZE_SETTING} raises the limit"
            if fixed is None
            else "it is not a genuine file of that name"
        )
        raise CheckpointError(
            f"{name} in {where} has {size:,} bytes, expected {most:,} at most; {remedy}"
        )
