"""The figures of a card as metadata: `model-index`, which the Hub shows beside the card.

Form: https://github.com/huggingface/hub-docs/blob/main/modelcard.md
"""

from collections.abc import Iterable, Mapping
from typing import Any

from mlm.checkpoint.record.reading import evaluations_of, source_names

TASK = {"type": "fill-mask", "name": "Masked language modelling"}
UNNAMED = "text"  # stands for a data set that has no id on the Hub
METRICS = (  # key of a figure, the Hub's metric, what it is called
    ("loss", "loss", "loss, nats per masked token"),
    ("perplexity", "perplexity", "masked-token perplexity"),
    ("top1", "accuracy", "right {unit} ranked first"),
    ("top5", "accuracy", "right {unit} among the first five"),
)


def model_index(
    name: str, training: Mapping[str, Any], datasets: Iterable[str]
) -> list[dict[str, Any]]:
    """Of the model `name` what was measured after its training, and later; [] if nothing was.

    datasets: ids on the Hub that the texts are of; the first stands for the held-out ones too.
    """
    kind = next(iter(datasets), UNNAMED)
    results = [_held_out(kind, training), *map(_evaluated, evaluations_of(training))]
    known = [result for result in results if result["metrics"]]
    return [{"name": name, "results": known}] if known else []


def metrics_in(index: Iterable[Mapping[str, Any]]) -> list[str]:
    """The Hub's names of the metrics in an index, each once; it knows none for the loss."""
    found = (
        metric for model in index for result in model["results"] for metric in result["metrics"]
    )
    return list(dict.fromkeys(each["type"] for each in found if each["type"] != "loss"))


def _held_out(kind: str, training: Mapping[str, Any]) -> dict[str, Any]:
    own = source_names(training, "validation")
    names = ", ".join(own or source_names(training, "train")) or "texts"
    dataset = {
        "name": names if own else f"held-out documents of {names}",
        "type": kind,
        "split": "validation",
    }
    after = training.get("metrics", {}).get("after", {})
    return {"task": dict(TASK), "dataset": dataset, "metrics": _metrics(after, "token")}


def _evaluated(measured: Mapping[str, Any]) -> dict[str, Any]:
    files = ", ".join(measured["files"]) or "other texts"
    dataset = {"name": files, "type": UNNAMED, "config": f"{files}; {measured['max_seq_length']}"}
    metrics = _metrics(measured.get("tokens", {}), "token")
    return {
        "task": dict(TASK),
        "dataset": dataset,
        "metrics": metrics + _metrics(measured.get("words", {}), "whole word"),
    }


def _metrics(figures: Mapping[str, Any], unit: str) -> list[dict[str, Any]]:
    return [
        {"type": metric, "value": round(figures[key], 4), "name": name.format(unit=unit)}
        for key, metric, name in METRICS
        if key in figures
    ]
