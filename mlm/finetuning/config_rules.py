"""The rules between the settings of a FinetuningConfig."""

from typing import TYPE_CHECKING

from mlm.checkpoint.task import Task
from mlm.errors import ConfigError
from mlm.evaluation.task.metric_names import resolve_metric

if TYPE_CHECKING:
    from mlm.finetuning.config import FinetuningConfig

SYSTEMS = ("base", "random", "tfidf")
MOST_COLUMNS = 2
# A linear probe has no steps, so it would ignore these.
OF_STEPS = (
    *("freeze_layers", "layerwise_lr_decay", "label_smoothing", "classifier_init"),
    *("logging_steps", "eval_steps", "save_steps", "save_minutes", "save_total_limit"),
    *("per_device_train_batch_size", "gradient_accumulation_steps"),
    *("max_steps", "num_train_epochs", "learning_rate"),
    *("lr_scheduler_type", "warmup_steps", "warmup_ratio", "optim", "weight_decay"),
    *("adam_beta1", "adam_beta2", "adam_epsilon", "max_grad_norm", "skip_bad_steps"),
    *("early_stopping_patience", "load_best_model_at_end", "max_train_minutes", "distributed"),
    *("resume_from_hub", "report_to", "dry_run"),
)
# Of their labels, several may hold at once, or there are none.
WITHOUT_CLASSES = ("regression", "multi_label_classification")


def check_rules(config: "FinetuningConfig") -> None:
    """Raise ConfigError if settings together cannot work, or one would be ignored."""
    for check in (_check_columns, _check_samples, _check_head, _check_curve, _check_zero_shot):
        check(config)


def _check_columns(config: "FinetuningConfig") -> None:
    if len(config.text_columns) > MOST_COLUMNS:
        raise ConfigError(
            f"--text_column_names has {len(config.text_columns)} columns; give one, or two for "
            "pairs of texts"
        )


def _check_samples(config: "FinetuningConfig") -> None:
    if config.max_predict_samples is not None and not config.test_file:
        raise ConfigError(
            f"--max_predict_samples is {config.max_predict_samples}, but there is no --test_file; "
            "give one, or --max_eval_samples for the texts that are held out"
        )


def _check_head(config: "FinetuningConfig") -> None:
    """Reject settings that a linear probe would ignore."""
    if not config.freeze_encoder:
        return
    for name in OF_STEPS:
        if getattr(config, name) != getattr(type(config), name):
            raise ConfigError(
                f"--{name} is {getattr(config, name)}, but --freeze_encoder fits a classifier "
                "without training steps; leave one of them out"
            )


def check_task(config: "FinetuningConfig", task: Task) -> None:
    """Raise ConfigError if a setting has no meaning for the task that was found."""
    if config.metric_name is not None:
        resolve_metric(config.metric_name, task.problem_type, len(task.labels))
    for name, default in (("class_weights", "none"), ("label_smoothing", 0.0)):
        if getattr(config, name) != default and task.problem_type in WITHOUT_CLASSES:
            raise ConfigError(
                f"--{name} is {getattr(config, name)}, but a {task.problem_type} has no classes "
                "that exclude each other; leave it out"
            )
    if task.is_of_tokens:
        _check_of_tokens(config)


def _check_of_tokens(config: "FinetuningConfig") -> None:
    """Reject settings of whole texts for a task that labels words."""
    for name, fitting in (("truncation", ("head", "head_tail")), ("classifier_pooling", ("auto",))):
        if getattr(config, name) not in fitting:  # the default of whole texts is not refused
            raise ConfigError(
                f"--{name} is {getattr(config, name)}, but words are labelled: each has a label of "
                "its own, and long texts are cut at the end; leave it out"
            )


def _check_curve(config: "FinetuningConfig") -> None:
    for size in config.labels_per_class:
        if size != "all" and not (size.isascii() and size.isdigit() and int(size) > 0):
            raise ConfigError(
                f"--labels_per_class has {size!r}; expected numbers from 1 on, or `all`"
            )
    for system in config.compare:
        if system not in SYSTEMS:
            raise ConfigError(f"--compare has {system!r}; expected some of {', '.join(SYSTEMS)}")
    if config.labels_per_class and config.distributed:
        raise ConfigError(
            "--labels_per_class draws a learning curve, which one process does by itself; draw it "
            "in a run without --distributed"
        )
    if config.base_model_name_or_path and "base" not in config.compare:
        raise ConfigError(
            f"--base_model_name_or_path is {config.base_model_name_or_path}, but it is not "
            "compared; add base to --compare, or leave it out"
        )
    if not config.labels_per_class:
        for name, default in (("seeds", 1), ("compare", [])):
            if getattr(config, name) != default:
                raise ConfigError(
                    f"--{name} is of a learning curve; give its sizes too, as --labels_per_class "
                    "8 32 128 all"
                )


def _check_zero_shot(config: "FinetuningConfig") -> None:
    for name, other in (("zero_shot", "label_words"), ("label_words", "zero_shot")):
        if getattr(config, name) not in (None, []) and not getattr(config, other):
            raise ConfigError(
                f"--{name} needs --{other}, e.g. --zero_shot 'It was [MASK].' --label_words "
                "bad,awful good,great"
            )
    if config.calibration != "texts" and config.zero_shot is None:
        raise ConfigError(
            f"--calibration is {config.calibration}, but there is nothing to calibrate without "
            "--zero_shot; leave it out"
        )
    if config.measures_only and config.push_to_hub:
        raise ConfigError(
            "--push_to_hub publishes a trained model, but --zero_shot without --labels_per_class "
            "trains none; leave one of them out, or add --labels_per_class"
        )
