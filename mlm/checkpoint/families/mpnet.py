"""MPNet (Song et al. 2020): RoBERTa's positions, and relative-position biases on the scores."""

from dataclasses import replace
from typing import TYPE_CHECKING

from mlm.checkpoint.families import bert
from mlm.checkpoint.families.family import ROBERTA_TOKENS, Family
from mlm.checkpoint.families.naming import Names, dense, embeddings, norm
from mlm.checkpoint.families.roberta import (
    DECODER_BIAS,
    HEAD_BIAS,
    head_names,
    with_position_offset,
)
from mlm.checkpoint.families.task_heads import Kind, TaskHeads, dense_tanh_head
from mlm.errors import CheckpointError
from mlm.model.encoder_config import EncoderConfig, TaskHeadConfig

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

POSITION_OFFSET = 2  # a constant of its code, whatever the padding id
BUCKETS_USED = 32  # likewise


def encoder_config(hf_config: "PreTrainedConfig") -> EncoderConfig:
    """Return the EncoderConfig of an MPNetConfig; refuse a table with too few buckets."""
    buckets = hf_config.relative_attention_num_buckets
    if buckets < BUCKETS_USED:
        raise CheckpointError(
            f"relative_attention_num_buckets is {buckets}; MPNet looks up {BUCKETS_USED}"
        )
    config = with_position_offset(bert.encoder_config(hf_config), POSITION_OFFSET)
    return replace(config, relative_attention_num_buckets=buckets, type_vocab_size=0)


def encoder_names(config: EncoderConfig) -> Names:
    """Return our variables -> the tensor names of MPNetModel."""
    names = embeddings("mpnet.embeddings", "word", "position")
    bias = "relative_attention_bias"
    names[f"relative_positions/{bias}"] = (f"mpnet.encoder.{bias}.weight",)
    for index in range(config.num_hidden_layers):
        ours, theirs = f"layer_{index}", f"mpnet.encoder.layer.{index}"
        names |= dense(
            f"{ours}/attention/qkv", *(f"{theirs}.attention.attn.{which}" for which in "qkv")
        )
        names |= dense(f"{ours}/attention/output", f"{theirs}.attention.attn.o")
        names |= dense(f"{ours}/mlp/input", f"{theirs}.intermediate.dense")
        names |= dense(f"{ours}/mlp/output", f"{theirs}.output.dense")
        names |= norm(f"{ours}/attention_norm", f"{theirs}.attention.LayerNorm")
        names |= norm(f"{ours}/mlp_norm", f"{theirs}.output.LayerNorm")
    return names


def task_head(hf_config: "PreTrainedConfig", kind: Kind, num_labels: int) -> TaskHeadConfig:
    """Return the head of a task: RoBERTa's, with the dropout rate of the layers."""
    rate = hf_config.hidden_dropout_prob
    head = dense_tanh_head(hf_config, kind, num_labels)
    return replace(head, dropout=rate, dense_dropout=rate)


FAMILY = Family(
    model_type="mpnet",
    architecture="MPNetForMaskedLM",
    prefix="mpnet.",
    encoder_config=encoder_config,
    encoder_names=encoder_names,
    head_names=head_names,
    task_heads=TaskHeads(task_head, "classifier.dense", "classifier.out_proj"),
    ignored=(
        r"mpnet\.embeddings\.position_ids",
        r"mpnet\.pooler\..*",
    ),
    head_biases=(HEAD_BIAS, DECODER_BIAS),
    token_id_fields=ROBERTA_TOKENS,
)
