"""The metadata of a classifier's card, with its figures and their intervals (`model-index`)."""

from collections.abc import Mapping

from mlm.evaluation.task.metric_names import SHARES, TITLES
from mlm.evaluation.task.tables import metric_title
from mlm.evaluation.task.task_figures import TaskFigures, format_range
from mlm.hub.card_metadata import EvaluationResult, card_metadata
from mlm.training.card.front_matter import as_front_matter, base_model_in
from mlm.training.card.model_index import UNNAMED, dataset_of_side
from mlm.training.card.stated import licence_fields, stated_facts
from mlm.training.card.task.task_record import TaskRecord

HUB_NAMES = {  # of the metrics that the Hub has under another name than ours
    "f1_macro": "f1",
    "f1_micro": "f1",
    "subset_accuracy": "accuracy",
    "mcc": "matthews_correlation",
    "auroc": "roc_auc",
    "r2": "r_squared",
    "pearson": "pearsonr",
}
UNKNOWN_TO_HUB = ("ece", "rmse", "loss")
TASK_NAMES = {"text-classification": "Text classification"}
TASK_NAMES |= {"token-classification": "Token classification"}


def pipeline_tag(record: TaskRecord) -> str:
    """Return the Hub's and transformers' name of the task."""
    return "token-classification" if record.task.is_of_tokens else "text-classification"


def task_front_matter(name: str, record: TaskRecord, config: Mapping[str, object]) -> str:
    """Return the metadata as YAML between two rules, without the fields that are not known.

    Args:
        name: The model's name, without its owner.
        record: The fine-tuning.
        config: The content of config.json.
    """
    stated, model_type = stated_facts(record.training), config.get("model_type")
    results = task_results(record, next(iter(stated.datasets), UNNAMED))
    types = dict.fromkeys(result["metric_type"] for result in results)
    base_model, tag = base_model_in(record.training), pipeline_tag(record)
    kind = record.task.problem_type.replace("_", "-")
    metadata = card_metadata(
        name,
        results,
        language=list(stated.languages) or None,
        **licence_fields(stated.licence),
        library_name="transformers",
        pipeline_tag=tag,
        base_model=base_model,
        base_model_relation="finetune" if base_model else None,
        datasets=list(stated.datasets) or None,
        metrics=[name for name in types if name not in UNKNOWN_TO_HUB] or None,
        tags=list(dict.fromkeys([tag, kind, *([str(model_type)] if model_type else [])])),
    )
    return as_front_matter(metadata)


def task_results(record: TaskRecord, dataset_type: str) -> list[EvaluationResult]:
    """Return the figures at the end of the training; their names carry the 95 % interval."""
    if record.figures is None:
        return []
    tag = pipeline_tag(record)
    dataset = dataset_of_side(record.training, record.measured_on, dataset_type, "texts")
    return [
        {
            **dataset,
            "task_type": tag,
            "task_name": TASK_NAMES[tag],
            "metric_type": HUB_NAMES.get(name, name),
            "metric_name": _metric_name(record.figures, name),
            "metric_value": round(value, 4),
        }
        for name, value in record.figures.metrics.items()
        if value is not None and name in TITLES
    ]


def _metric_name(figures: TaskFigures, name: str) -> str:
    """Return the title of a metric with its interval: "accuracy (95 % interval 90.3 to 92.1)"."""
    title = metric_title(figures, name)
    if name not in figures.intervals:
        return title
    unit = " %" if name in SHARES else ""
    return f"{title} (95 % interval {format_range(name, *figures.intervals[name])}{unit})"
