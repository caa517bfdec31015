"""Adapt a BERT-like model to your texts by masked language modelling; publish it; ask it.

The public names are imported on first use, so that `import mlm` itself costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlm.checkpoint import save_checkpoint
    from mlm.config import TrainingConfig
    from mlm.evaluation import evaluate
    from mlm.fill_mask import FillMask
    from mlm.hub import load_checkpoint
    from mlm.trainer import train

_HOMES = {
    "TrainingConfig": "mlm.config",
    "train": "mlm.trainer",
    "evaluate": "mlm.evaluation",
    "FillMask": "mlm.fill_mask",
    "load_checkpoint": "mlm.hub",
    "save_checkpoint": "mlm.checkpoint",
}
__all__ = [
    "FillMask",
    "TrainingConfig",
    "evaluate",
    "load_checkpoint",
    "save_checkpoint",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mlm' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
