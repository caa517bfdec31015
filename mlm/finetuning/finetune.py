"""The story of a fine-tuning: a FinetuningConfig to a published classifier.

    check -> read texts -> draw the learning curve -> train the model, or a probe -> write, publish

The curve is drawn first, and kept in the record of the checkpoint that is trained on all labels.
"""

from collections.abc import Callable

from mlm.backend.startup import prepare_scipy
from mlm.errors import ConfigError
from mlm.finetuning.config import FinetuningConfig
from mlm.finetuning.job import Finetuning, FinetuningResult
from mlm.finetuning.probe import run_probe
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
        ConfigError: the settings train nothing; `measure_zero_shot` takes those.
        TrainingStopped: after a signal, or when `max_train_minutes` are over.
    """
    if config.measures_only:
        raise ConfigError(
            "zero_shot without labels_per_class trains nothing; call measure_zero_shot, or add "
            "labels_per_class"
        )
    prepare_scipy()
    run = run_probe if config.freeze_encoder else run_job
    return run(Finetuning(config), report, checked=checked)
