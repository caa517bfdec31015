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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlm.errors import CheckpointError
from mlm.families import encoder_config_of, family_of
from mlm.tokenizer import load_tokenizer, save_tokenizer
from mlm.weights import WEIGHTS, load_weights, read_header, save_weights, weight_files

logger = logging.getLogger(__name__)

TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "spm.model")
MAX_CONFIG_BYTES = 64 * 1024


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint folder.

    model: mlm.encoder.MaskedLM; tokenizer: a fast tokenizer; hf_config: a transformers config;
    training: what training.json says, or None; fresh_head: True if the folder held an encoder
    alone, so that the masked-LM head is new.
    """

    model: Any
    tokenizer: Any
    hf_config: Any
    training: dict | None
    folder: Path
    fresh_head: bool = False


def read_checkpoint(folder: str | Path, *, dtype: str = "float32", seed: int = 0) -> Checkpoint:
    """Load a checkpoint folder; CheckpointError names the file and what is wrong with it.

    dtype: a Keras dtype policy (`float32`, `mixed_bfloat16`, `mixed_float16`).
    """
    from mlm.encoder import MaskedLM

    folder = Path(folder)
    verify_folder(folder)
    hf_config = read_config(folder)
    config = encoder_config_of(hf_config)
    tokenizer = load_tokenizer(folder)
    _check_vocabulary(tokenizer, config.vocab_size, folder)
    model = MaskedLM(config, dtype=dtype, seed=seed)
    model.build()
    fresh = load_weights(model, family_of(hf_config.model_type), folder)
    training = read_training(folder)
    return Checkpoint(model, tokenizer, hf_config, training, folder, fresh_head=fresh)


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
        hf_config.architectures = [family_of(hf_config.model_type).ARCHITECTURE]
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
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


# What a folder says of itself


def verify_folder(folder: str | Path) -> None:
    """CheckpointError if a file that a checkpoint needs is missing, cut short or unreadable."""
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(f"no checkpoint folder at {str(folder)!r}")
    model_type = read_raw_config(folder).get("model_type")
    family_of(model_type)
    for path in weight_files(folder):
        read_header(path)
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise CheckpointError(
            f"{str(folder)!r} has no tokenizer; one of {', '.join(TOKENIZER_FILES)} was expected"
        )


def read_raw_config(folder: Path) -> dict[str, Any]:
    """config.json as a dict; CheckpointError if absent, too large, torn or with remote code."""
    path = folder / "config.json"
    if not path.is_file():
        raise CheckpointError(
            f"{str(folder)!r} has no config.json; is it the folder of a checkpoint?"
        )
    if path.stat().st_size > MAX_CONFIG_BYTES:
        raise CheckpointError(
            f"{str(path)!r} has {path.stat().st_size:,} bytes; a config has {MAX_CONFIG_BYTES:,} "
            "at most"
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise CheckpointError(f"{str(path)!r} is no JSON; fetch the checkpoint again") from None
    if not isinstance(config, dict):
        raise CheckpointError(f"{str(path)!r} holds no settings; fetch the checkpoint again")
    if "auto_map" in config:
        raise CheckpointError(f"{str(path)!r} asks for code of its own (auto_map); that is not run")
    return config


def read_config(folder: Path):
    """The folder's transformers config."""
    from transformers import CONFIG_MAPPING

    raw = read_raw_config(folder)
    family_of(raw.get("model_type"))
    try:
        return CONFIG_MAPPING[raw["model_type"]].from_dict(raw)
    except Exception as error:  # transformers raises its own validation classes
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(f"{str(folder / 'config.json')!r} cannot be used: {reason}") from None


def read_training(folder: Path) -> dict | None:
    """training.json as a dict, None if there is none or it is torn."""
    try:
        return json.loads((Path(folder) / "training.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        logger.warning("%s is no JSON; the training record is left out", folder / "training.json")
        return None


def _check_vocabulary(tokenizer, vocab_size: int, folder: Path) -> None:
    if len(tokenizer) > vocab_size:
        raise CheckpointError(
            f"{str(folder)!r} has a tokenizer of {len(tokenizer):,} entries and a model of "
            f"{vocab_size:,}; they do not belong together"
        )
