"""Pseudo-log-likelihoods by minicons."""

from typing import Any

from minicons import scorer
from timing import Measurement, time_calls
from transformers import PreTrainedTokenizerBase


def score(model: str, sentences: list[str]) -> Measurement:
    """Compute the pseudo-log-likelihood of each sentence."""
    # minicons uses the name that the method had until transformers 5.
    tokenizer_class: Any = PreTrainedTokenizerBase
    tokenizer_class.batch_encode_plus = tokenizer_class.__call__
    masked_lm = scorer.MaskedLMScorer(model, "cpu")
    seconds, scores = time_calls(
        lambda: [score_of(masked_lm, sentence) for sentence in sentences], 1, warm_up=0
    )
    return {"seconds": seconds, "result": scores}


def score_of(masked_lm: scorer.MaskedLMScorer, sentence: str) -> float:
    """Return the pseudo-log-likelihood of a sentence."""
    (value,) = masked_lm.sequence_score(
        [sentence], reduction=lambda x: x.sum(0).item(), PLL_metric="within_word_l2r"
    )
    return float(value)
