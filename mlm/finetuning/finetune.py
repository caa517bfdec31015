"""The story of a fine-tuning: a FinetuningConfig to a published classifier.

    check -> read texts -> draw the learning curve -> train the model, or a probe -> write, publish

The curve is drawn first, and kept in the record of the checkpoint that is trained on all labels.
"""

from collections.abc import Callable

from mlm.backend.devices import check_required_device
from mlm.backend.startup import prepare_scipy
from mlm.errors import ConfigError
from mlm.finetuning.config import FinetuningConfig
from mlm.finetuning.first_checks import check_first
from mlm.finetuning.job import Finetuning, FinetuningResult
from mlm.finetuning.preparation import prepare
from mlm.finetuning.probe import run_probe
from mlm.finetuning.summary import settings_table
from mlm.training.dry_run import dry_run
from mlm.training.trainer import run_job


def finetune(
    config: FinetuningConfig, *, report: Callable[[str], None] = print, checked: bool = False
) -> FinetuningResult:
    """Fine-tune a checkpoint on labelled texts, or resume a run that was stopped.

    Args:
        config: if `dry_run` is set, call `rehearse` instead.
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
    if config.dry_run:
        raise ConfigError("dry_run is set; call rehearse, which trains nothing")
    prepare_scipy()
    run = run_probe if config.freeze_encoder else run_job
    return run(Finetuning(config), report, checked=checked)


def rehearse(
    config: FinetuningConfig, *, report: Callable[[str], None] = print, checked: bool = False
) -> None:
    """Read everything that `finetune` would, time a few steps, report what a run would take.

    Writes nothing. Raises UserError for what would stop the run before its first step.
    """
    if not checked:
        check_first(config, report)
    check_required_device(config.require_device)
    prepared = prepare(config, report)
    report(settings_table(prepared))
    if config.labels_per_class:
        report("the learning curve is not timed; it is drawn before the first step")
    dry_run(prepared, report)
