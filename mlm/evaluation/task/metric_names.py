"""Names of the metrics: those that a task has, their other names, and their titles in texts."""

from mlm.checkpoint.task import ProblemType
from mlm.errors import ConfigError

METRICS: dict[ProblemType, tuple[str, ...]] = {
    "single_label_classification": ("accuracy", "f1_macro", "f1", "auroc", "mcc", "ece"),
    "multi_label_classification": ("f1_micro", "f1_macro", "subset_accuracy", "auroc"),
    "regression": ("r2", "pearson", "spearmanr", "mae", "rmse", "mse"),
    "token_classification": ("f1", "precision", "recall", "accuracy"),
}
BINARY_ONLY = ("f1", "auroc")  # of single-label tasks
HEADLINES: dict[ProblemType, str] = {kind: names[0] for kind, names in METRICS.items()}
# The first are evaluate's and GLUE's names. Of several labels, `f1` and `accuracy` are what
# run_classification.py has: averaged over all decisions, and the share of texts without an error.
ALIASES = {
    "matthews_correlation": "mcc",
    "roc_auc": "auroc",
    "pearsonr": "pearson",
    "spearman": "spearmanr",
    "r_squared": "r2",
}
MULTI_LABEL_ALIASES = {"f1": "f1_micro", "accuracy": "subset_accuracy"}
LOWER_IS_BETTER = ("loss", "ece", "mae", "rmse", "mse")
TITLES = {
    "accuracy": "accuracy",
    "f1_macro": "macro-F1",
    "f1_micro": "micro-F1",
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "subset_accuracy": "all labels right",
    "mcc": "MCC",
    "auroc": "AUROC",
    "ece": "calibration error",
    "r2": "R²",
    "pearson": "Pearson's r",
    "spearmanr": "Spearman's rho",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "mse": "mean squared error",
    "loss": "loss",
}
SHARES = ("accuracy", "f1_macro", "f1_micro", "f1", "precision", "recall", "subset_accuracy", "ece")


def metric_names(problem_type: ProblemType, num_labels: int) -> tuple[str, ...]:
    """Return the names that `--metric_name` takes for a task, the headline first, loss last."""
    names = METRICS[problem_type]
    if problem_type == "single_label_classification" and num_labels != 2:
        names = tuple(name for name in names if name not in BINARY_ONLY)
    return (*names, "loss")


def resolve_metric(name: str, problem_type: ProblemType, num_labels: int) -> str:
    """Return a metric's name in TaskFigures; `eval_accuracy` and `matthews_correlation` work too.

    Raises:
        ConfigError: The task does not have the metric.
    """
    known = metric_names(problem_type, num_labels)
    plain = name.removeprefix("eval_")
    plain = ALIASES.get(plain, plain)
    if problem_type == "multi_label_classification":
        plain = MULTI_LABEL_ALIASES.get(plain, plain)
    if plain not in known:
        raise ConfigError(
            f"--metric_name {name!r} does not exist for {problem_type} with {num_labels} label"
            f"{'s' * (num_labels != 1)}; choose one of {', '.join(known)}"
        )
    return plain


def greater_is_better(name: str) -> bool:
    """Return whether a higher value of a metric is better; not of losses and errors."""
    plain = name.removeprefix("eval_")
    return ALIASES.get(plain, plain) not in LOWER_IS_BETTER


def format_metric(name: str, value: float | None) -> str:
    """Return a metric's value for people: shares in percent, "undefined" for None."""
    if value is None:
        return "undefined"
    if name in SHARES:
        return f"{value:.1%}".replace("%", " %")
    return f"{value:.4g}" if name in LOWER_IS_BETTER else f"{value:.3f}"
