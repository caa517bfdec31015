"""ALBERT (Lan et al. 2020): layers shared between depths, and narrow embeddings."""

from dataclasses import replace
from typing import TYPE_CHECKING

from mlm.checkpoint.families import bert
from mlm.checkpoint.families.family import ROBERTA_TOKENS, Family
from mlm.checkpoint.families.naming import Names, dense, embeddings, norm
from mlm.checkpoint.families.task_heads import Kind, TaskHeads, classifier_dropout
from mlm.errors import CheckpointError
from mlm.model.encoder_config import EncoderConfig, TaskHeadConfig

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

DECODER_BIAS, HEAD_BIAS = "predictions.decoder.bias", "predictions.bias"


def encoder_config(hf_config: "PreTrainedConfig") -> EncoderConfig:
    """Return the EncoderConfig of an AlbertConfig; refuse groups of several layers."""
    depth, groups, inner = (
        hf_config.num_hidden_layers,
        hf_config.num_hidden_groups,
        hf_config.inner_group_num,
    )
    if inner != 1:
        raise CheckpointError(f"inner_group_num is {inner}; only 1 is supported")
    if not 1 <= groups <= depth:
        raise CheckpointError(f"num_hidden_groups is {groups}; expected 1 to {depth}, the depth")
    return replace(
        bert.encoder_config(hf_config),
        embedding_size=hf_config.embedding_size,
        project_embeddings=True,
        num_hidden_layers=groups,
        layer_order=tuple(int(index / (depth / groups)) for index in range(depth)),
        attention_windows=(None,) * groups,
        mlp_dropout=0.0,
    )


def encoder_names(config: EncoderConfig) -> Names:
    """Return our variables -> the tensor names of AlbertModel."""
    names = embeddings("albert.embeddings", "word", "position", "token_type")
    names |= dense("embeddings/projection", "albert.encoder.embedding_hidden_mapping_in")
    for index in range(config.num_hidden_layers):
        ours = f"layer_{index}"
        theirs = f"albert.encoder.albert_layer_groups.{index}.albert_layers.0"
        names |= dense(
            f"{ours}/attention/qkv",
            *(f"{theirs}.attention.{which}" for which in ("query", "key", "value")),
        )
        names |= dense(f"{ours}/attention/output", f"{theirs}.attention.dense")
        names |= dense(f"{ours}/mlp/input", f"{theirs}.ffn")
        names |= dense(f"{ours}/mlp/output", f"{theirs}.ffn_output")
        names |= norm(f"{ours}/attention_norm", f"{theirs}.attention.LayerNorm")
        names |= norm(f"{ours}/mlp_norm", f"{theirs}.full_layer_layer_norm")
    return names


def head_names(config: EncoderConfig) -> Names:
    """Return our variables -> the tensor names of the masked-LM head."""
    names = dense("head/dense", "predictions.dense") | norm("head/norm", "predictions.LayerNorm")
    names["head/bias"] = (HEAD_BIAS if config.tie_word_embeddings else DECODER_BIAS,)
    if not config.tie_word_embeddings:
        names["head/decoder"] = ("predictions.decoder.weight",)
    return names


def task_head(hf_config: "PreTrainedConfig", kind: Kind, num_labels: int) -> TaskHeadConfig:
    """Return the head of a task: BERT's, with a dropout rate of its own."""
    rate = classifier_dropout(hf_config, "classifier_dropout_prob")
    return replace(bert.task_head(hf_config, kind, num_labels), dropout=rate)


FAMILY = Family(
    model_type="albert",
    architecture="AlbertForMaskedLM",
    prefix="albert.",
    encoder_config=encoder_config,
    encoder_names=encoder_names,
    head_names=head_names,
    task_heads=TaskHeads(task_head, dense="albert.pooler"),
    ignored=(
        r"albert\.embeddings\.(position_ids|token_type_ids)",
        r"albert\.pooler\..*",
        r"sop_classifier\..*",
    ),
    head_biases=(HEAD_BIAS, DECODER_BIAS),
    token_id_fields=ROBERTA_TOKENS,
)
