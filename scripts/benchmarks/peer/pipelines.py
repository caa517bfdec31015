"""Answers of transformers' pipelines."""

from collections.abc import Callable
from typing import Any

from timing import (
    Measurement,
    peak_megabytes,
    seconds_since_process_start,
    time_calls,
    token_scores,
)
from transformers import AutoConfig, pipeline


def fill(model: str, sentences: list[str], times: int) -> Measurement:
    """Fill the masks of one sentence, or of many in one call, by a fill-mask pipeline."""
    fill_mask: Callable[..., Any] = pipeline("fill-mask", model=model)
    many = len(sentences) > 1
    text = sentences if many else sentences[0]
    options = {"batch_size": 16} if many else {}
    fill_mask(text, top_k=5, **options)
    first = seconds_since_process_start()
    seconds, answer = time_calls(lambda: fill_mask(text, top_k=5, **options), times)
    answers = answer if many else [answer]
    return {
        "seconds": seconds,
        "first": first,
        "result": [token_scores(answer) for answer in answers],
        "megabytes": peak_megabytes(),
    }


def classify(model: str, texts: list[str], times: int) -> Measurement:
    """Label many texts in one call; the result is the score of the last label of each."""
    label: Callable[..., Any] = pipeline("text-classification", model=model)
    last = list(AutoConfig.from_pretrained(model).id2label.values())[-1]
    options = {"batch_size": 16, "top_k": None, "truncation": True, "max_length": 256}
    seconds, answers = time_calls(lambda: label(texts, **options), times)
    scores = [next(each["score"] for each in answer if each["label"] == last) for answer in answers]
    return {"seconds": seconds, "result": scores, "megabytes": peak_megabytes()}
