"""Tiny random classifiers of every family, saved by transformers with a tokenizer of the family."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from mlm.checkpoint.config_task import config_for_task
from mlm.checkpoint.families import new_config, special_token_ids
from mlm.checkpoint.task import Task
from tests.support.family_tokenizers import KINDS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SENTIMENT = Task("single_label_classification", ("bad", "good", "neither nor"))
TAGS = Task("token_classification", ("O", "B-PER", "I-PER", "B-LOC", "I-LOC"))


def tokenizer_of(family: str) -> "PreTrainedTokenizerFast":
    return KINDS.get(family, KINDS["bert"])()


def save_classifier(
    folder: Path,
    family: str = "bert",
    task: Task = SENTIMENT,
    *,
    training: dict | None = None,
    **changes: object,
) -> Path:
    """Save a random model whose answers differ from text to text."""
    import torch
    from transformers import (
        AutoModelForSequenceClassification,
        AutoModelForTokenClassification,
    )

    auto = (
        AutoModelForTokenClassification if task.is_of_tokens else AutoModelForSequenceClassification
    )
    tokenizer = tokenizer_of(family)
    shape = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "max_position_embeddings": 64,
        "initializer_range": 0.3,
        **special_token_ids(family, tokenizer),
    }
    if family == "distilbert":
        shape["hidden_dim"] = shape.pop("intermediate_size")
    if family == "albert":
        shape |= {"embedding_size": 16}
    if family == "deberta-v2":
        shape |= {
            "relative_attention": True,
            "position_biased_input": False,
            "pos_att_type": ["p2c", "c2p"],
            "share_att_key": True,
            "norm_rel_ebd": "layer_norm",
            "position_buckets": 16,
        }
    torch.manual_seed(3)
    model = auto.from_config(config_for_task(new_config(family, **(shape | changes)), task)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    tokenizer.model_max_length = 32
    tokenizer.save_pretrained(folder)
    if training is not None:
        (folder / "training.json").write_text(json.dumps(training))
    return folder
