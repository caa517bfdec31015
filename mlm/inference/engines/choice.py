"""Which engine answers for a checkpoint: the fast one where it can, Keras where it cannot."""

import logging
from pathlib import Path

from mlm.checkpoint.families import family_of
from mlm.checkpoint.folder import OpenCheckpoint, open_checkpoint, with_weights
from mlm.errors import CheckpointError, ConfigError, UnsupportedError
from mlm.inference.engines import litert
from mlm.inference.engines.keras_engine import Engine, KerasEngine

logger = logging.getLogger(__name__)

ENGINES = ("auto", "litert", "keras")


def open_with_engine(
    folder: str | Path,
    engine: str = "auto",
    dtype: litert.DType = "float32",
    cache: Path | None = None,
) -> tuple[OpenCheckpoint, Engine]:
    """A verified checkpoint folder and what answers for it.

    Args:
        engine: `litert`; `keras`, the reference, in float32; `auto`, Keras where LiteRT is not
            installed, does not run, or has no graph for the encoder, and LiteRT elsewhere.
        dtype: of LiteRT's weights.
        cache: where what LiteRT reads is kept for the next time; None for nowhere.

    Raises:
        CheckpointError: the folder is not whole, or `litert` cannot answer for it.
        ConfigError: no such engine, or no such dtype.
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
    """ConfigError if there is no such engine."""
    if name not in ENGINES:
        raise ConfigError(f"engine is {name[:40]!r}; expected one of {', '.join(ENGINES)}")


def _open_litert(opened: OpenCheckpoint, dtype: litert.DType, cache: Path | None) -> Engine:
    if not litert.is_installed():
        raise UnsupportedError("ai-edge-litert is not installed")
    family, reason = family_of(opened.hf_config.model_type), ""
    for place in dict.fromkeys((cache, None)):  # a cache that is full, or not ours to write
        try:
            return litert.open_engine(opened.folder, family, opened.config, dtype, place)
        except ImportError as error:
            raise UnsupportedError(f"ai-edge-litert does not load: {error}") from error
        except OSError as error:
            reason = error.strerror or str(error)
    raise UnsupportedError(f"its files cannot be made: {reason}")
