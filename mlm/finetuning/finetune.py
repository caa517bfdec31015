"""The story of a fine-tuning: a FinetuningConfig to a published classifier."""

from collections.abc import Callable

from mlm.finetuning.config import FinetuningConfig
from mlm.finetuning.job import Finetuning, FinetuningResult
from mlm.training.trainer import run_job


def finetune(
    config: FinetuningConfig, *, report: Callable[[str], None] = print, checked: bool = False
) -> FinetuningResult:
    """Fine-tune a checkpoint on labelled texts, or resume a run that was stopped.

    Args:
        config: the settings.
        report: gets the lines meant for people.
        checked: whether `check_first` was called, as the command does before Keras is loaded.

    Raises:
        UserError: an error that the user can correct; before the first step if it is known then.
        TrainingStopped: after a signal, or when `max_train_minutes` are over.
    """
    return run_job(Finetuning(config), report, checked=checked)
