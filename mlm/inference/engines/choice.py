"""The choice of an engine for a checkpoint: LiteRT if it can run it, Keras otherwise."""

import logging
from pathlib import Path

from mlm.checkpoint.families import family_of
from mlm.checkpoint.folder import OpenCheckpoint, open_checkpoint, with_weights
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
    check_engine(engine)
    if dtype not in litert.DTYPES:
        raise ConfigError(f"dtype is {dtype!r}; expected one of {', '.join(litert.DTYPES)}")
    opened = open_checkpoint(folder)
    if engine != "keras":
        try:
            return opened, _open_litert(opened, dtype, cache)
        except UnsupportedError as error:
            if engine == "litert":
                raise CheckpointError(
                    f"LiteRT cannot answer for {str(folder)!r}: {error}; use the engine keras"
                ) from None
            logger.info("Keras answers for %s: LiteRT cannot, %s", folder, error)
    loaded = with_weights(opened)
    return loaded, KerasEngine(loaded.model)


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
