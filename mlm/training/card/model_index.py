"""The evaluation results of a card's metadata (`model-index`), which the Hub shows beside it."""

from collections.abc import Iterable, Mapping

from mlm.checkpoint.record.reading import source_names
from mlm.hub.card_metadata import EvaluatedDataset, EvaluationResult
from mlm.training.card.training_json import EvaluationRecord, TrainingJson, evaluations_in

UNNAMED = "text"  # dataset type of texts without an id on the Hub
METRICS = (  # key of a figure, the Hub's metric, its title
    ("loss", "loss", "loss, nats per masked token"),
    ("perplexity", "perplexity", "masked-token perplexity"),
    ("top1", "accuracy", "right {unit} ranked first"),
    ("top5", "accuracy", "right {unit} among the first five"),
)


def evaluation_results(training: TrainingJson, datasets: Iterable[str]) -> list[EvaluationResult]:
    """Return the figures measured at the end of the training, then those measured later.

    Args:
        training: The content of training.json.
        datasets: Ids on the Hub of the training texts; the first is named for the held-out texts.
    """
    later = (result for record in evaluations_in(training) for result in _results_on_files(record))
    return [*_results_on_held_out(training, next(iter(datasets), UNNAMED)), *later]


def metric_types(results: Iterable[EvaluationResult]) -> list[str]:
    """Return the Hub's names of the metrics, each once; the Hub has no name for the loss."""
    types = dict.fromkeys(result["metric_type"] for result in results)
    return [name for name in types if name != "loss"]


def _results_on_held_out(training: TrainingJson, dataset_type: str) -> list[EvaluationResult]:
    dataset = dataset_of_side(training, "validation", dataset_type, "documents")
    return _results(dataset, training.get("metrics", {}).get("after", {}), "token")


def dataset_of_side(
    training: TrainingJson, side: str, dataset_type: str, documents: str
) -> EvaluatedDataset:
    """Return how the metadata name the texts of a side: by their files, or as held out of others.

    documents: The word for the texts.
    """
    own = source_names(training, side)
    names = ", ".join(own or source_names(training, "train")) or "texts"
    return {
        "dataset_type": dataset_type,
        "dataset_name": names if own else f"held-out {documents} of {names}",
        "dataset_split": side,
    }


def _results_on_files(record: EvaluationRecord) -> list[EvaluationResult]:
    files = ", ".join(record["files"]) or "other texts"
    dataset: EvaluatedDataset = {
        "dataset_type": UNNAMED,
        "dataset_name": files,
        # Distinct for each evaluation: results of the same dataset and config are merged.
        "dataset_config": f"{files}; {record['max_seq_length']}",
    }
    tokens = _results(dataset, record.get("tokens", {}), "token")
    return tokens + _results(dataset, record.get("words", {}), "whole word")


def _results(
    dataset: EvaluatedDataset, figures: Mapping[str, float], unit: str
) -> list[EvaluationResult]:
    return [
        {
            **dataset,
            "task_type": "fill-mask",
            "task_name": "Masked language modelling",
            "metric_type": metric,
            "metric_name": title.format(unit=unit),
            "metric_value": round(figures[key], 4),
        }
        for key, metric, title in METRICS
        if key in figures
    ]
