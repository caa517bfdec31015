"""The conversion of a checkpoint folder to the files of this engine, done once and cached.

    <cache>/<key>/layers_000.tflite ... head.tflite
                  word_embeddings.npy  position_embeddings.npy  token_type_embeddings.npy
                  attention_biases.npy
                  sizes.json    of the other files, in bytes

The key is a hash of the weight files' paths, sizes and times, of the config, and of the code that
converts. Only files that were written here are read: native code would run a model file from the
Hub unchecked.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Literal, get_args

from mlm.backend.atomic_files import rename, staging_folder, sync_to_disk
from mlm.checkpoint.families.family import Family
from mlm.checkpoint.weight_files import read_headers
from mlm.checkpoint.weights import StoredWeights
from mlm.errors import UnsupportedError
from mlm.inference.engines.litert.inputs import write_tables
from mlm.model.encoder_config import EncoderConfig

DType = Literal["float32", "int8"]
DTYPES = get_args(DType)
PACKAGE = Path(__file__).resolve().parents[3]
CODE = (  # the sources that decide the bytes of a conversion
    "inference/engines/litert/*.py",
    "model/encoder_config.py",
    "checkpoint/families/*.py",
    "checkpoint/weights.py",
    "checkpoint/tensor_locations.py",
    "checkpoint/weight_files.py",
    "checkpoint/safetensors_header.py",
)
SIZES = "sizes.json"
UNUSED_DAYS = 30  # after which a conversion is deleted
STAGING_PREFIX, STAGING_HOURS = "making-", 1  # older staging folders are of killed processes


@contextmanager
def converted_checkpoint(
    folder: Path, family: Family, config: EncoderConfig, dtype: DType, cache: Path | None
) -> Iterator[Path]:
    """Yield the folder of a checkpoint's converted files, complete while the block runs.

    An engine that has opened the files does not need them any longer.

    Args:
        folder: the checkpoint folder, verified.
        family: of the checkpoint.
        config: the shape of its encoder.
        dtype: of the weights.
        cache: the folder that keeps conversions; None keeps nothing.

    Raises:
        UnsupportedError: an encoder that has no graph here, or weights that are not finite.
        CheckpointError: the weights cannot be read.
        OSError: the files cannot be written.
    """
    if cache is None:
        with tempfile.TemporaryDirectory(
            prefix="mlm_litert_",
            ignore_cleanup_errors=True,  # Windows keeps open files
        ) as temporary:
            _convert(folder, family, config, dtype, Path(temporary))
            yield Path(temporary)
        return
    conversion = cache / _key(folder, config, dtype)
    if not _is_whole(conversion):
        delete_conversion(conversion)
        _delete_unused(cache)
        _convert_atomically(folder, family, config, dtype, conversion)
    with suppress(OSError):  # whole, but not writable
        os.utime(conversion)
    yield conversion


def delete_conversion(conversion: Path) -> None:
    """Delete a conversion, so that the next use converts again."""
    shutil.rmtree(conversion, ignore_errors=True)


def _convert_atomically(
    folder: Path, family: Family, config: EncoderConfig, dtype: DType, conversion: Path
) -> None:
    """Convert into a staging folder, then rename it: other processes see all files or none."""
    with staging_folder(conversion.parent, STAGING_PREFIX) as staging:
        files = staging / "files"
        files.mkdir()
        _convert(folder, family, config, dtype, files)
        try:
            rename(files, conversion)
        except OSError:
            if not _is_whole(conversion):  # no other process has converted it in the meantime
                raise


def _convert(folder: Path, family: Family, config: EncoderConfig, dtype: DType, to: Path) -> None:
    weights = StoredWeights(folder, family, config)
    if weights.missing:
        raise UnsupportedError("a checkpoint without a masked-LM head")
    # Imported here because it loads the format's schema, which a cached conversion does not need.
    from mlm.inference.engines.litert.encoder_graph import write_encoder

    write_tables(to, config, weights)
    write_encoder(to, config, weights, int8=dtype == "int8")
    (to / SIZES).write_text(json.dumps(_file_sizes(to)), encoding="utf-8")
    for path in to.iterdir():  # a power cut must not leave zeros of the right size
        sync_to_disk(path)


def _file_sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.iterdir() if path.name != SIZES}


def _is_whole(conversion: Path) -> bool:
    """Return True if all files have the sizes that were written; native code trusts them."""
    try:
        return bool(json.loads((conversion / SIZES).read_text("utf-8")) == _file_sizes(conversion))
    except (OSError, ValueError):
        return False


def _key(folder: Path, config: EncoderConfig, dtype: DType) -> str:
    files = [(folder / name).resolve() for name in read_headers(folder)]
    versions = [(str(path), *_file_version(path)) for path in files]
    inputs = json.dumps([versions, asdict(config), dtype])
    return hashlib.sha256(inputs.encode() + b"".join(_code())).hexdigest()[:32]


def _code() -> Iterator[bytes]:
    """Yield the sources that decide the bytes of a conversion."""
    for pattern in CODE:
        paths = sorted(PACKAGE.glob(pattern))
        assert paths, f"{pattern} names no file of {PACKAGE}"
        yield from (path.read_bytes() for path in paths)


def _file_version(path: Path) -> tuple[int, int, int]:
    """Changes whenever the content may have; includes ctime, because a copy can preserve mtime."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _delete_unused(cache: Path) -> None:
    """Delete conversions that were not opened for long; a process that has one open keeps it."""
    for pattern, hours in (("*", UNUSED_DAYS * 24), (f"{STAGING_PREFIX}*", STAGING_HOURS)):
        oldest = time.time() - hours * 3600
        for conversion in cache.glob(pattern):
            with suppress(OSError):  # another process has deleted it
                if conversion.is_dir() and conversion.stat().st_mtime < oldest:
                    delete_conversion(conversion)
