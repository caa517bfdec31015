"""The checkpoint folder that `transformers` reads: loaded and saved, verified.

    config.json  model.safetensors  tokenizer files  training.json  README.md

Weights stand under PyTorch's names and layouts, with the metadata {"format": "pt"}. Only
safetensors are read; nothing that could run code is.
"""

import json
import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlm.checkpoint.config_json import read_config
from mlm.checkpoint.families import encoder_config_of, family_of
from mlm.checkpoint.file_limits import CHECKPOINT_FILES, LARGEST_SMALL_FILE, check_sizes, matches
from mlm.checkpoint.tokenizer import load_tokenizer, save_tokenizer
from mlm.checkpoint.tokenizer_files import check_tokenizer_files
from mlm.checkpoint.weights import (
    SHARD_NAME,
    WEIGHTS,
    StoredWeights,
    check_tensors,
    load_weights,
    read_headers,
    save_weights,
)
from mlm.errors import CheckpointError
from mlm.model.encoder_config import EncoderConfig

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class OpenCheckpoint:
    """A checkpoint folder that is whole, its weights not read.

    tokenizer: a fast tokenizer; hf_config: a transformers config; config: what that says of the
    encoder; training: what training.json says, or None.
    """

    tokenizer: Any
    hf_config: Any
    config: EncoderConfig
    training: dict | None
    folder: Path


@dataclass(frozen=True)
class Checkpoint(OpenCheckpoint):
    """A loaded checkpoint folder.

    model: mlm.model.encoder.MaskedLM; fresh_head: True if the folder held an encoder alone, so that
    the masked-LM head is new.
    """

    model: Any
    fresh_head: bool = False


def read_checkpoint(folder: str | Path, *, dtype: str = "float32", seed: int = 0) -> Checkpoint:
    """Load a checkpoint folder; CheckpointError names the file and what is wrong with it.

    Nothing large is made before the sizes of the files, config.json, the weights' headers and the
    tokenizer's files agree. The model is float32, so what the weights take in memory is at most
    their files' size, twice that where these hold 16-bit numbers, and a head that is missing there.

    dtype: a Keras dtype policy (`float32`, `mixed_bfloat16`, `mixed_float16`).
    """
    return with_weights(open_checkpoint(folder), dtype=dtype, seed=seed)


def open_checkpoint(folder: str | Path) -> OpenCheckpoint:
    """All of a checkpoint folder but its weights, which are found to fit; see read_checkpoint."""
    folder = Path(folder)
    hf_config, config = _verified(folder)
    tokenizer = load_tokenizer(folder, config.vocab_size)
    return OpenCheckpoint(tokenizer, hf_config, config, read_training(folder), folder)


def with_weights(opened: OpenCheckpoint, *, dtype: str = "float32", seed: int = 0) -> Checkpoint:
    """An open checkpoint with its model, which takes Keras; see read_checkpoint."""
    from mlm.model.encoder import MaskedLM

    family, config = family_of(opened.hf_config.model_type), opened.config
    if not StoredWeights(opened.folder, family, config).missing:  # nothing to draw
        config = replace(config, initializer_range=0.0, residual_initializer_range=0.0)
    model = MaskedLM(config, dtype=dtype, seed=seed)
    model.build()
    model.config = opened.config
    fresh = load_weights(model, family, opened.folder)
    return Checkpoint(**vars(opened), model=model, fresh_head=fresh)


def save_checkpoint(
    model,
    tokenizer,
    folder: str | Path,
    *,
    hf_config,
    training: dict | None = None,
    dtype: str = "float32",
) -> None:
    """Write the checkpoint files into `folder`; what stood there is replaced only when all is
    written, so that a full disk costs nothing. `dtype` is the weights' number format.
    """
    folder = Path(folder)
    with _replacing_files(folder) as staging:
        save_weights(model, family_of(hf_config.model_type), staging / WEIGHTS, dtype=dtype)
        hf_config.dtype = dtype
        # How transformers answers is not the checkpoint's to say: pipelines count on these.
        hf_config.return_dict, hf_config.chunk_size_feed_forward = True, 0
        hf_config.output_attentions = hf_config.output_hidden_states = False
        hf_config.architectures = [family_of(hf_config.model_type).architecture]
        hf_config.to_json_file(staging / "config.json", use_diff=False)
        length = model.config.max_position_embeddings
        save_tokenizer(tokenizer, staging, model_max_length=length)
        if training is not None:
            _write_json(staging / "training.json", training)


@contextmanager
def _replacing_files(folder: Path) -> Iterator[Path]:
    """A staging folder beside; its files move into `folder` if the block ends well."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".saving-", dir=folder))
    except OSError as error:
        raise CheckpointError(
            f"cannot write to {str(folder)!r}: {error.strerror}; choose another --output_dir"
        ) from None
    try:
        yield staging
        for path in sorted(staging.iterdir()):
            path.replace(folder / path.name)
    except OSError as error:
        raise CheckpointError(
            f"cannot write the checkpoint to {str(folder)!r}: {error.strerror or error}; "
            "what was there is untouched; make room and run the same command again"
        ) from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _write_json(path: Path, content: dict) -> None:
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)  # NaN is no JSON
    path.write_text(text + "\n", encoding="utf-8")


# What a folder says of itself


def verify_folder(folder: str | Path) -> None:
    """CheckpointError if a checkpoint's file is missing, cut short, unreadable or does not fit.

    All that can be told before the tokenizer is opened and a weight is read.
    """
    folder = Path(folder)
    _, config = _verified(folder)
    check_tokenizer_files(folder, config.vocab_size)


def _verified(folder: Path) -> tuple[Any, EncoderConfig]:
    """The folder's transformers config and our own, once its weights are found to fit them."""
    if not folder.is_dir():
        raise CheckpointError(f"no checkpoint folder at {str(folder)!r}")
    _check_file_sizes(folder)
    hf_config = read_config(folder)
    config = encoder_config_of(hf_config)
    family = family_of(hf_config.model_type)
    check_tensors(read_headers(folder), family, config, repr(str(folder)))
    return hf_config, config


def _check_file_sizes(folder: Path) -> None:
    """Those of the checkpoint's own files; training state beside them is not read."""
    sizes: dict[str, int | None] = {
        path.name: path.stat().st_size
        for path in folder.iterdir()
        if path.is_file() and matches(path.name, CHECKPOINT_FILES)
    }
    if WEIGHTS in sizes:  # then shards beside it are not read
        sizes = {name: size for name, size in sizes.items() if not SHARD_NAME.fullmatch(name)}
    check_sizes(sizes, repr(str(folder)))


def read_training(folder: Path) -> dict | None:
    """training.json as a dict, None if there is none or it cannot be read as one."""
    path, most = Path(folder) / "training.json", LARGEST_SMALL_FILE["training.json"]
    if not path.is_file():  # nor a folder, a pipe, a device
        return None
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
        training = json.loads(content.decode("utf-8")) if len(content) <= most else None
    except (OSError, ValueError, RecursionError):
        training = None
    if isinstance(training, dict):
        return training
    logger.warning("%s is no JSON; the training record is left out", path)
    return None
