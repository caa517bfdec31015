# mypy: disallow-untyped-calls=False
"""The metadata of a model card, built with the client's own classes.

Form: https://github.com/huggingface/hub-docs/blob/main/modelcard.md
"""

from collections.abc import Sequence
from typing import NotRequired, TypedDict, Unpack


class EvaluatedDataset(TypedDict):
    """The data of an evaluation result, named as in huggingface_hub.EvalResult."""

    dataset_type: str
    dataset_name: str
    dataset_config: NotRequired[str]
    dataset_split: NotRequired[str]


class EvaluationResult(EvaluatedDataset):
    """One metric of an evaluation, named as in huggingface_hub.EvalResult."""

    task_type: str
    task_name: str
    metric_type: str
    metric_name: str
    metric_value: float


class WidgetExample(TypedDict):
    """A sentence of the Hub's widget; `output` is shown before a visitor runs the model."""

    text: str
    output: NotRequired[list[dict[str, str | float]]]


class CardFields(TypedDict, total=False):
    """Fields of a card's metadata; None counts as absent."""

    language: list[str] | None
    license: str | None
    license_name: str | None
    library_name: str | None
    pipeline_tag: str | None
    mask_token: str | None
    base_model: str | None
    base_model_relation: str | None
    datasets: list[str] | None
    metrics: list[str] | None
    tags: list[str] | None
    widget: list[WidgetExample] | None


def card_metadata(
    model_name: str, results: Sequence[EvaluationResult], **fields: Unpack[CardFields]
) -> dict[str, object]:
    """Return the metadata of a model card as the Hub reads it; absent fields are left out.

    Args:
        model_name: Name of the model in `model-index`.
        results: Evaluation results, from which `model-index` is made: one entry for all metrics
            of the same task, dataset, config and split.
        **fields: Other fields of the metadata.
    """
    from huggingface_hub import EvalResult, ModelCardData

    evaluations = [EvalResult(**result) for result in results]
    metadata: dict[str, object] = ModelCardData(
        model_name=model_name if evaluations else None,
        eval_results=evaluations or None,
        **fields,
    ).to_dict()
    return metadata
