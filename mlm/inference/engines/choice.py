"""The choice of an engine for a checkpoint: LiteRT if it can run it, Keras otherwise."""

import logging
from pathlib import Path

from mlm.backend.startup import without_scikit_learn
from mlm.checkpoint.families import family_of
from mlm.checkpoint.folder import OpenCheckpoint, open_checkpoint, with_weights
from mlm.checkpoint.task_checkpoint import (
    OpenTaskCheckpoint,
    open_task_checkpoint,
    with_task_weights,
)
from mlm.errors import CheckpointError, ConfigError, UnsupportedError
from mlm.inference.engines import litert
from mlm.inference.engines.engine import Engine
from mlm.inference.engines.keras_engine import KerasEngine

logger = logging.getLogger(__name__)

ENGINES = ("auto", "litert", "keras")


def open_with_engine(
    folder: str | Path,
    engine: str = "auto",
    dtype: litert.DType = "float32",
    cache: Path | None = None,
) -> tuple[OpenCheckpoint, Engine]:
    """Open a checkpoint folder, verified, and an engine that runs it.

    Args:
        folder: the checkpoint folder.
        engine: `litert`; `keras`, the reference, in float32; or `auto`, LiteRT, but Keras if LiteRT
            is not installed, does not run, or does not support the encoder.
        dtype: of LiteRT's weights.
        cache: the folder that keeps the converted model for LiteRT; None keeps nothing.

    Raises:
        CheckpointError: the folder is not whole, or `litert` does not support it.
        ConfigError: an unknown engine or dtype.
    """
    _check(engine, dtype)
    opened = open_checkpoint(folder)
    if (fast := _fast_engine(opened, engine, dtype, cache)) is not None:
        return opened, fast
    with without_scikit_learn():
        loaded = with_weights(opened)
    return loaded, KerasEngine(loaded.model)


def open_task_with_engine(
    folder: str | Path,
    engine: str = "auto",
    dtype: litert.DType = "float32",
    cache: Path | None = None,
) -> tuple[OpenTaskCheckpoint, Engine]:
    """Open the folder of a classifier, and an engine that runs it; as `open_with_engine`."""
    _check(engine, dtype)
    opened = open_task_checkpoint(folder)
    if (fast := _fast_engine(opened, engine, dtype, cache)) is not None:
        return opened, fast
    with without_scikit_learn():
        loaded = with_task_weights(opened)
    return loaded, KerasEngine(loaded.model)


def _fast_engine(
    opened: OpenCheckpoint, engine: str, dtype: litert.DType, cache: Path | None
) -> Engine | None:
    """Return LiteRT's engine, or None for that of Keras; see `open_with_engine`."""
    if engine == "keras":
        return None
    try:
        return _open_litert(opened, dtype, cache)
    except UnsupportedError as error:
        if engine == "litert":
            raise CheckpointError(
                f"LiteRT cannot answer for {str(opened.folder)!r}: {error}; use the engine keras"
            ) from None
        logger.info("Keras answers for %s: LiteRT cannot, %s", opened.folder, error)
        return None


def _check(engine: str, dtype: str) -> None:
    """Raise ConfigError for an unknown engine or dtype."""
    check_engine(engine)
    if dtype not in litert.DTYPES:
        raise ConfigError(f"dtype is {dtype!r}; expected one of {', '.join(litert.DTYPES)}")


def check_engine(name: str) -> None:
    """Raise ConfigError for an unknown engine."""
    if name not in ENGINES:
        raise ConfigError(f"engine is {name[:40]!r}; expected one of {', '.join(ENGINES)}")


def _open_litert(opened: OpenCheckpoint, dtype: litert.DType, cache: Path | None) -> Engine:
    if not litert.is_installed():
        raise UnsupportedError("ai-edge-litert is not installed")
    family, reason = family_of(opened.hf_config.model_type), ""
    for place in dict.fromkeys((cache, None)):  # the cache may be full, or not writable
        try:
            return litert.open_engine(opened.folder, family, opened.config, dtype, place)
        except ImportError as error:
            raise UnsupportedError(f"ai-edge-litert does not load: {error}") from error
        except OSError as error:
            reason = error.strerror or str(error)
    raise UnsupportedError(f"its files cannot be written: {reason}")
