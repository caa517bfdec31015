"""Load, verify and save the checkpoint folder that `transformers` reads.

    config.json  model.safetensors  tokenizer files  training.json  README.md

Weights have PyTorch's names and layouts, and the metadata {"format": "pt"}. They are read from
safetensors only; no file that could run code is opened.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlm.backend.atomic_files import rename, staging_folder
from mlm.checkpoint.config_json import read_config
from mlm.checkpoint.config_task import architecture_of, stated_task
from mlm.checkpoint.families import encoder_config_of, family_of
from mlm.checkpoint.file_limits import CHECKPOINT_FILES, LARGEST_SMALL_FILE, check_sizes, matches
from mlm.checkpoint.strict_json import JsonObject
from mlm.checkpoint.tensor_locations import check_tensors
from mlm.checkpoint.tokenizer import load_tokenizer, save_tokenizer
from mlm.checkpoint.tokenizer_files import check_tokenizer_files
from mlm.checkpoint.weight_files import SHARD_NAME, WEIGHTS, read_headers
from mlm.checkpoint.weights import StoredWeights, has_other_decoder, load_weights, save_weights
from mlm.errors import CheckpointError
from mlm.model.encoder_config import EncoderConfig

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerFast

    from mlm.model.encoder import Encoder, MaskedLM

logger = logging.getLogger(__name__)

STAGING = ".saving-"


@dataclass(frozen=True)
class OpenCheckpoint:
    """A verified checkpoint folder whose weights are not read.

    Attributes:
        tokenizer: a fast tokenizer.
        hf_config: the transformers config.
        config: the encoder's shape, as the transformers config has it.
        training: the content of training.json, or None.
        folder: the checkpoint folder.
    """

    tokenizer: "PreTrainedTokenizerFast"
    hf_config: "PreTrainedConfig"
    config: EncoderConfig
    training: JsonObject | None
    folder: Path


@dataclass(frozen=True)
class Checkpoint(OpenCheckpoint):
    """A loaded checkpoint folder.

    Attributes:
        model: the encoder with its masked-LM head.
        fresh_head: True if the folder held an encoder without a head, so that the head is new.
    """

    model: "MaskedLM"
    fresh_head: bool = False


def read_checkpoint(folder: str | Path, *, dtype: str = "float32", seed: int = 0) -> Checkpoint:
    """Load a checkpoint folder.

    Nothing large is allocated before the sizes of the files, config.json, the headers of the
    weights and the tokenizer files agree. The model is float32: its weights take at most the size
    of their files, or twice that if the files hold 16-bit numbers, and a head if it is missing.

    Args:
        folder: the checkpoint folder.
        dtype: a Keras dtype policy (`float32`, `mixed_bfloat16`, `mixed_float16`).
        seed: of the dropout, and of a head that is missing.

    Raises:
        CheckpointError: names the file and what is wrong with it.
    """
    return with_weights(open_checkpoint(folder), dtype=dtype, seed=seed)


def open_checkpoint(folder: str | Path) -> OpenCheckpoint:
    """Verify a checkpoint folder and read all but its weights; errors as in read_checkpoint."""
    folder = Path(folder)
    hf_config = verified_config(folder)
    config = encoder_config_of(hf_config)
    verify_tensors(folder, hf_config, config)
    if has_other_decoder(folder, family_of(hf_config.model_type), config):
        config = _untie(hf_config, config, folder)
    tokenizer = load_tokenizer(folder, config.vocab_size)
    return OpenCheckpoint(tokenizer, hf_config, config, read_training(folder), folder)


def _untie(hf_config: "PreTrainedConfig", config: EncoderConfig, folder: Path) -> EncoderConfig:
    """Return the config with a decoder of its own, as transformers 5 builds it; log that."""
    logger.warning(
        "config.json of %r ties the decoder to the word embeddings, but the weights hold another "
        "decoder (%s): that one is used, and stays untied",
        str(folder),
        family_of(hf_config.model_type).decoder_weight(config),
    )
    hf_config.tie_word_embeddings = False  # what is saved says so
    return replace(config, tie_word_embeddings=False)


def with_weights(opened: OpenCheckpoint, *, dtype: str = "float32", seed: int = 0) -> Checkpoint:
    """Return an open checkpoint with its model; imports Keras. See read_checkpoint."""
    from mlm.model.encoder import MaskedLM

    family, config = family_of(opened.hf_config.model_type), opened.config
    if not StoredWeights(opened.folder, family, config).missing:  # all is assigned, so draw nothing
        config = replace(config, initializer_range=0.0, residual_initializer_range=0.0)
    model = MaskedLM(config, dtype=dtype, seed=seed)
    model.build()
    model.config = opened.config
    fresh = load_weights(model, family, opened.folder)
    return Checkpoint(**vars(opened), model=model, fresh_head=fresh)


def save_checkpoint(
    model: "Encoder",
    tokenizer: "PreTrainedTokenizerFast",
    folder: str | Path,
    *,
    hf_config: "PreTrainedConfig",
    training: JsonObject | None = None,
    dtype: str = "float32",
) -> None:
    """Write the files of a checkpoint into `folder`.

    Existing files are replaced only after all files are written, so that a full disk costs nothing.

    Args:
        model: a MaskedLM, or a TaskModel whose labels are in `hf_config` (see config_task).
        tokenizer: a fast tokenizer.
        folder: made if need be; its other files stay.
        hf_config: the transformers config. Its dtype, architecture and output settings are set.
        training: the content of training.json; None writes no such file.
        dtype: of the weights in the file: "float32", "float16" or "bfloat16".

    Raises:
        CheckpointError: the folder or a file in it cannot be written.
    """
    folder = Path(folder)
    with _staging_for(folder) as staging:
        save_weights(model, family_of(hf_config.model_type), staging / WEIGHTS, dtype=dtype)
        hf_config.dtype = dtype
        # Not for a checkpoint to set: pipelines of transformers count on these values.
        hf_config.return_dict, hf_config.chunk_size_feed_forward = True, 0
        hf_config.output_attentions = hf_config.output_hidden_states = False
        hf_config.architectures = [architecture_of(hf_config, model.config)]
        hf_config.to_json_file(staging / "config.json", use_diff=False)
        length = model.config.max_position_embeddings
        save_tokenizer(tokenizer, staging, model_max_length=length)
        if training is not None:
            _write_json(staging / "training.json", training)


@contextmanager
def _staging_for(folder: Path) -> Iterator[Path]:
    """Yield a staging folder; its files move into `folder` if the block succeeds."""
    with ExitStack() as stack:
        try:
            staging = stack.enter_context(staging_folder(folder, STAGING))
        except OSError as error:
            raise CheckpointError(
                f"cannot write to {str(folder)!r}: {error.strerror}; choose another --output_dir"
            ) from None
        try:
            yield staging
            for path in sorted(staging.iterdir()):
                rename(path, folder / path.name)
        except OSError as error:
            raise CheckpointError(
                f"cannot write the checkpoint to {str(folder)!r}: {error.strerror or error}; "
                "what was there is untouched; make room and run the same command again"
            ) from None


def _write_json(path: Path, content: JsonObject) -> None:
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)  # JSON has no NaN
    path.write_text(text + "\n", encoding="utf-8")


# Verification


def verify_folder(folder: str | Path) -> None:
    """Raise CheckpointError if a file is missing, cut short, unreadable or does not fit the others.

    This is all that can be checked before the tokenizer is opened and a weight is read. The head
    of a task is checked if the config names one.
    """
    folder = Path(folder)
    hf_config = verified_config(folder)
    config = encoder_config_of(hf_config, stated_task(hf_config))
    verify_tensors(folder, hf_config, config)
    check_tokenizer_files(folder, config.vocab_size)


def verified_config(folder: Path) -> "PreTrainedConfig":
    """Return the checked transformers config of a folder, after checking the sizes of its files."""
    if not folder.is_dir():
        raise CheckpointError(f"no checkpoint folder at {str(folder)!r}")
    _check_file_sizes(folder)
    return read_config(folder)


def verify_tensors(folder: Path, hf_config: "PreTrainedConfig", config: EncoderConfig) -> None:
    """Raise CheckpointError unless the headers of a folder's weights fit its config."""
    family = family_of(hf_config.model_type)
    check_tensors(read_headers(folder), family, config, repr(str(folder)))


def _check_file_sizes(folder: Path) -> None:
    """Check the sizes of the checkpoint's own files; training state in the folder is not read."""
    sizes: dict[str, int | None] = {
        path.name: path.stat().st_size
        for path in folder.iterdir()
        if path.is_file() and matches(path.name, CHECKPOINT_FILES)
    }
    if WEIGHTS in sizes:  # then shards are not read
        sizes = {name: size for name, size in sizes.items() if not SHARD_NAME.fullmatch(name)}
    check_sizes(sizes, repr(str(folder)))


def read_training(folder: Path) -> JsonObject | None:
    """Return the content of training.json; None if there is none or it is not a JSON object."""
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
    logger.warning("%s is not a JSON object; the training record is left out", path)
    return None
