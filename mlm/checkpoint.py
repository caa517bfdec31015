"""The checkpoint folder that `transformers` reads: loaded and saved, verified.

    config.json  model.safetensors  tokenizer files  training.json  README.md

Weights stand under PyTorch's names and layouts, with the metadata {"format": "pt"}. Only
safetensors are read; nothing that could run code is.
"""

import json
import logging
import shutil
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from mlm.errors import CheckpointError
from mlm.families import encoder_config_of, family_of, is_ignored
from mlm.tokenizer import load_tokenizer, save_tokenizer

logger = logging.getLogger(__name__)

WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "spm.model")
MAX_CONFIG_BYTES = 64 * 1024
MAX_HEADER_BYTES = 1024 * 1024


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


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a checkpoint, one or the shards of an index."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not (folder / WEIGHTS_INDEX).is_file():
        others = sorted(p.name for p in folder.glob("*") if p.suffix in {".bin", ".h5", ".ckpt"})
        found = f"it has {', '.join(others)}, which is not read" if others else "it has none"
        raise CheckpointError(f"{str(folder)!r} has no {WEIGHTS}; {found}")
    try:
        index = json.loads((folder / WEIGHTS_INDEX).read_text(encoding="utf-8"))
        names = sorted(set(index["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError):
        raise CheckpointError(f"{str(folder / WEIGHTS_INDEX)!r} is no shard index") from None
    for name in names:
        if not isinstance(name, str) or Path(name).name != name:
            raise CheckpointError(f"{WEIGHTS_INDEX} names {name!r}, which is no file beside it")
        if not (folder / name).is_file():
            raise CheckpointError(f"{str(folder)!r} lacks {name}; fetch the checkpoint again")
    return [folder / name for name in names]


def read_header(path: Path) -> dict[str, Any]:
    """The header of a safetensors file, whose offsets have to match the file's size."""
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > min(MAX_HEADER_BYTES, size - 8):
                raise ValueError("header longer than the file or than 1 MiB")
            header = json.loads(file.read(length))
        layout = (header.pop("__metadata__", None) or {}).get("format")
        expected = 8 + length + max(entry["data_offsets"][1] for entry in header.values())
    except (struct.error, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise CheckpointError(f"{str(path)!r} is no safetensors file; fetch it again") from None
    if expected != size:
        raise CheckpointError(
            f"{str(path)!r} has {size:,} bytes where its header says {expected:,}; fetch it again"
        )
    if layout not in (None, "pt"):
        raise CheckpointError(
            f"{str(path)!r} is in the layout {layout!r}, not PyTorch's `pt`; save it from PyTorch"
        )
    return header


def _check_vocabulary(tokenizer, vocab_size: int, folder: Path) -> None:
    if len(tokenizer) > vocab_size:
        raise CheckpointError(
            f"{str(folder)!r} has a tokenizer of {len(tokenizer):,} entries and a model of "
            f"{vocab_size:,}; they do not belong together"
        )


# Weights


def load_weights(model, family: ModuleType, folder: Path) -> bool:
    """Fill the model from a folder's safetensors; True if it had no masked-LM head."""
    names = family.tensor_names(model.config)
    expected = {name for group in names.values() for name in group}
    stored = StoredTensors(folder, family, expected, family.same_tensors(model.config))
    variables = variables_by_name(model)
    missing = [key for key, group in names.items() if not all(name in stored for name in group)]
    head = {key for key in names if key.startswith("head/")}
    if missing and set(missing) != head:  # half a head is no encoder-only checkpoint
        lost = next(name for key in missing for name in names[key] if name not in stored)
        raise CheckpointError(f"{str(folder)!r} lacks the tensor {lost}; fetch it again")
    for key in names.keys() - set(missing):
        value = to_keras(key, [stored.read(name) for name in names[key]])
        variable = variables[key]
        if value.shape != tuple(variable.shape):
            raise CheckpointError(
                f"{names[key][0]} in {str(folder)!r} has shape {value.shape}; config.json implies "
                f"{tuple(variable.shape)}"
            )
        variable.assign(value)
    if missing:
        logger.warning("the checkpoint has no masked-LM head (%s); a new one starts", missing[0])
    return bool(missing)


class StoredTensors:
    """The tensors of a checkpoint folder under the names that its family uses today.

    Older spellings are understood: `gamma` and `beta`, a missing `bert.` prefix, a second name.
    A tensor that is neither expected nor known to be idle is an error.
    """

    def __init__(
        self, folder: Path, family: ModuleType, expected: set[str], second_names: dict[str, str]
    ):
        self._places: dict[str, tuple[Path, str]] = {}
        for path in weight_files(folder):
            for stored in read_header(path):
                name = _todays_name(stored, family, expected)
                if name in expected:
                    self._places[name] = (path, stored)
                elif name in second_names:
                    self._places.setdefault(second_names[name], (path, stored))
                elif not is_ignored(family, name):
                    raise CheckpointError(
                        f"{path.name} in {str(folder)!r} holds {stored!r}, which config.json does "
                        "not imply; the two do not belong together"
                    )

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def read(self, name: str) -> np.ndarray:
        """One tensor as float32."""
        from safetensors import SafetensorError, safe_open

        path, stored = self._places[name]
        try:
            with safe_open(path, framework="numpy") as file:
                return np.asarray(file.get_tensor(stored)).astype(np.float32)
        except (SafetensorError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(
                f"{str(path)!r} cannot be read: {error}; fetch it again"
            ) from None


def _todays_name(stored: str, family: ModuleType, expected: set[str]) -> str:
    name = stored
    for old, new in ((".gamma", ".weight"), (".beta", ".bias")):
        if name.endswith(old):
            name = name.removesuffix(old) + new
    prefixed = family.PREFIX + name
    if name not in expected and (prefixed in expected or is_ignored(family, prefixed)):
        return prefixed
    return name


def save_weights(model, family: ModuleType, path: Path, *, dtype: str) -> None:
    """Write the model's weights as one safetensors file under the family's names."""
    import ml_dtypes
    from safetensors.numpy import save

    number = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    variables = variables_by_name(model)
    tensors = {}
    for key, group in family.tensor_names(model.config).items():
        value = np.asarray(variables[key].numpy(), dtype=np.float32)
        for name, part in zip(group, from_keras(key, value, len(group)), strict=True):
            tensors[name] = np.ascontiguousarray(part.astype(number))
    if family.written_twice(model.config):
        for second, first in family.same_tensors(model.config).items():
            tensors[second] = tensors[first].copy()
    # Not save_file: it makes the file readable by its owner alone, and hides a full disk's OSError.
    path.write_bytes(save(tensors, metadata={"format": "pt"}))


def variables_by_name(model) -> dict[str, Any]:
    """The model's trainable variables under their path inside the model."""
    return {variable.path.split("/", 1)[1]: variable for variable in model.trainable_variables}


def to_keras(key: str, parts: list[np.ndarray]) -> np.ndarray:
    """PyTorch's tensors of one of our variables in our layout: kernels transposed, joined."""
    joined = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return joined.T if key.endswith("/kernel") else joined


def from_keras(key: str, value: np.ndarray, count: int) -> list[np.ndarray]:
    """The reverse of to_keras."""
    value = value.T if key.endswith("/kernel") else value
    return np.split(value, count) if count > 1 else [value]
