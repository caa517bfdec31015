"""A checkpoint folder -> the files of this engine, made once and kept.

    <cache>/<key>/layers_000.tflite ... head.tflite
                  word_embeddings.npy  position_embeddings.npy  attention_biases.npy
                  sizes.json    of the others, in bytes

The key is that of the weight files (their paths, sizes and times), of the config, and of
the code that converts. Only what was made here is ever read: a model of this format from the Hub
would be input to native code that nobody checked.
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

from mlm.checkpoint.families.family import Family
from mlm.checkpoint.weight_files import read_headers
from mlm.checkpoint.weights import StoredWeights
from mlm.errors import UnsupportedError
from mlm.inference.engines.litert.inputs import write_tables
from mlm.model.encoder_config import EncoderConfig

DType = Literal["float32", "int8"]
DTYPES = get_args(DType)
PACKAGE = Path(__file__).resolve().parents[3]
CODE = (  # what decides bytes
    "inference/engines/litert/*.py",
    "checkpoint/families/*.py",
    "checkpoint/weights.py",
    "checkpoint/tensor_locations.py",
    "checkpoint/weight_files.py",
    "checkpoint/safetensors_header.py",
)
SIZES = "sizes.json"
UNUSED_DAYS = 30  # after which a kept conversion goes
MAKING, KILLED_HOURS = "making-", 1  # a conversion under way, and after which it is none


@contextmanager
def converted(
    folder: Path, family: Family, config: EncoderConfig, dtype: DType, cache: Path | None
) -> Iterator[Path]:
    """The folder of a checkpoint's files for this engine, for as long as the block runs.

    cache: where they are kept for the next time, None for nowhere. An engine that has opened them
    needs them no more. Raises UnsupportedError, CheckpointError, or OSError for a full disk.
    """
    if cache is None:
        with tempfile.TemporaryDirectory(
            prefix="mlm_litert_",
            ignore_cleanup_errors=True,  # Windows keeps what is open
        ) as made:
            _convert(folder, family, config, dtype, Path(made))
            yield Path(made)
        return
    kept = cache / _key(folder, config, dtype)
    if not _is_whole(kept):
        forget(kept)
        _drop_unused(cache)
        _convert_into(kept, folder, family, config, dtype)
    with suppress(OSError):  # whole, but not ours to write
        os.utime(kept)
    yield kept


def _convert_into(kept: Path, folder: Path, family: Family, config, dtype: DType) -> None:
    """At once: another process sees all of it or nothing."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=MAKING, dir=kept.parent) as beside:
        made = Path(beside) / "made"
        made.mkdir()
        _convert(folder, family, config, dtype, made)
        try:
            made.rename(kept)
        except OSError:
            if not _is_whole(kept):  # nobody else has made it in the meantime
                raise


def _convert(folder: Path, family: Family, config: EncoderConfig, dtype: DType, to: Path) -> None:
    weights = StoredWeights(folder, family, config)
    if weights.missing:
        raise UnsupportedError("a checkpoint without a masked-LM head")
    # Not above: it brings the format's schema, which reading what is kept does without.
    from mlm.inference.engines.litert.encoder_graph import write_encoder

    write_tables(to, config, weights)
    write_encoder(to, config, weights, in_8_bits=dtype == "int8")
    (to / SIZES).write_text(json.dumps(_sizes(to)))
    for path in to.iterdir():  # a cut of power must not leave zeros of the right size
        with path.open("rb+") as stream:
            os.fsync(stream.fileno())


def _sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.iterdir() if path.name != SIZES}


def _is_whole(kept: Path) -> bool:
    """Whether a conversion is there as it was made: native code reads it as it is."""
    try:
        return json.loads((kept / SIZES).read_text()) == _sizes(kept)
    except (OSError, ValueError):
        return False


def forget(kept: Path) -> None:
    """Have a conversion made anew the next time."""
    shutil.rmtree(kept, ignore_errors=True)


def _key(folder: Path, config: EncoderConfig, dtype: DType) -> str:
    files = [(folder / name).resolve() for name in read_headers(folder)]
    states = [(str(path), *_state(path)) for path in files]
    about = json.dumps([states, asdict(config), dtype])
    return hashlib.sha256(about.encode() + b"".join(_code())).hexdigest()[:32]


def _code() -> Iterator[bytes]:
    """The sources that decide what a conversion holds."""
    for pattern in CODE:
        paths = sorted(PACKAGE.glob(pattern))
        assert paths, f"{pattern} names no file of {PACKAGE}"
        yield from (path.read_bytes() for path in paths)


def _state(path: Path) -> tuple[int, int, int]:
    """Another for another content: a copy may keep the time of change, not that of its status."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _drop_unused(cache: Path) -> None:
    """What no process has opened for long; one that still has it open loses nothing."""
    for pattern, hours in (("*", UNUSED_DAYS * 24), (f"{MAKING}*", KILLED_HOURS)):
        oldest = time.time() - hours * 3600
        for kept in cache.glob(pattern):
            with suppress(OSError):  # another process has dropped it
                if kept.is_dir() and kept.stat().st_mtime < oldest:
                    forget(kept)
