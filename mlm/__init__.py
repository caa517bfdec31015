"""Adapt a BERT-like model to your texts by masked language modelling; publish it; ask it.

    commands     the command line: mlm train, fill, serve, ...
    finetuning   a FinetuningConfig to a published classifier, and what its adaptation was worth
    training     a TrainingConfig to a published checkpoint
    evaluation   figures of a checkpoint on held-out texts
    playground   the page
    inference    a sentence to its best words, labels, scores
    data         files of texts to batches
    hub          everything that talks to the Hugging Face Hub
    checkpoint   the folder that transformers reads, checked as a stranger's
    model        the encoder and its heads in Keras
    backend      the machine: devices, replicas, processes, start of a process

The public names are imported on first use, so that `import mlm` itself costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.4.0"

if TYPE_CHECKING:
    from mlm.checkpoint.folder import save_checkpoint
    from mlm.evaluation.checkpoint_evaluation import evaluate
    from mlm.finetuning.config import FinetuningConfig
    from mlm.finetuning.finetune import finetune
    from mlm.hub import load_checkpoint
    from mlm.inference.classifier import Classifier
    from mlm.inference.fill_mask import FillMask
    from mlm.training.config import TrainingConfig
    from mlm.training.trainer import train

_HOMES = {
    "TrainingConfig": "mlm.training.config",
    "train": "mlm.training.trainer",
    "FinetuningConfig": "mlm.finetuning.config",
    "finetune": "mlm.finetuning.finetune",
    "evaluate": "mlm.evaluation.checkpoint_evaluation",
    "FillMask": "mlm.inference.fill_mask",
    "Classifier": "mlm.inference.classifier",
    "load_checkpoint": "mlm.hub",
    "save_checkpoint": "mlm.checkpoint.folder",
}
__all__ = [
    "Classifier",
    "FillMask",
    "FinetuningConfig",
    "TrainingConfig",
    "evaluate",
    "finetune",
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
