"""DeBERTa-v2 and -v3 (He et al. 2021): disentangled attention, to content and relative position.

Supported are the v3 checkpoints and the v2 ones without a convolution: key projections shared
between content and relative positions, both cross terms, no positions in the embeddings.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from mlm.checkpoint.families import bert
from mlm.checkpoint.families.family import Family
from mlm.checkpoint.families.naming import Names, dense, embeddings, norm
from mlm.checkpoint.families.task_heads import Kind, TaskHeads, classifier_dropout
from mlm.errors import CheckpointError
from mlm.model.encoder_config import EncoderConfig, TaskHeadConfig

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


def encoder_config(hf_config: "PreTrainedConfig") -> EncoderConfig:
    """Return the EncoderConfig of a DebertaV2Config; refuse other variants of its attention."""
    span = getattr(hf_config, "max_relative_positions", -1)
    span = span if span >= 1 else hf_config.max_position_embeddings
    buckets = max(0, getattr(hf_config, "position_buckets", -1))
    if buckets and (buckets < 2 or span - 1 <= buckets // 2):
        raise CheckpointError(
            f"position_buckets is {buckets} for max_relative_positions of {span}; expected 2 or "
            "more, and fewer than 2 * (max_relative_positions - 1)"
        )
    _check_attention(hf_config)
    return replace(
        bert.encoder_config(hf_config),
        positions="disentangled",
        position_buckets=buckets,
        max_relative_positions=span,
    )


def _check_attention(hf_config: "PreTrainedConfig") -> None:
    expected = {
        "relative_attention": True,
        "position_biased_input": False,
        "share_att_key": True,
        "norm_rel_ebd": "layer_norm",
        "conv_kernel_size": 0,
        "embedding_size": hf_config.hidden_size,
        "legacy": True,
    }
    absent = {"share_att_key": False, "norm_rel_ebd": "none"}
    for name, value in expected.items():
        found = getattr(hf_config, name, absent.get(name, value))
        if found != value:
            raise CheckpointError(
                f"{name} is {found!r}; of DeBERTa-v2, only {value!r} is supported"
            )
    if set(hf_config.pos_att_type or ()) != {"c2p", "p2c"}:
        raise CheckpointError(f"pos_att_type is {hf_config.pos_att_type!r}; expected c2p|p2c")


def encoder_names(config: EncoderConfig) -> Names:
    """Return our variables -> the tensor names of DebertaV2Model."""
    segments = ("token_type",) if config.type_vocab_size else ()
    names = embeddings("deberta.embeddings", "word", *segments)
    names["relative_positions/embeddings"] = ("deberta.encoder.rel_embeddings.weight",)
    names |= norm("relative_positions/norm", "deberta.encoder.LayerNorm")
    for index in range(config.num_hidden_layers):
        ours, theirs = f"layer_{index}", f"deberta.encoder.layer.{index}"
        names |= dense(
            f"{ours}/attention/qkv",
            *(f"{theirs}.attention.self.{which}_proj" for which in ("query", "key", "value")),
        )
        names |= dense(f"{ours}/attention/output", f"{theirs}.attention.output.dense")
        names |= dense(f"{ours}/mlp/input", f"{theirs}.intermediate.dense")
        names |= dense(f"{ours}/mlp/output", f"{theirs}.output.dense")
        names |= norm(f"{ours}/attention_norm", f"{theirs}.attention.output.LayerNorm")
        names |= norm(f"{ours}/mlp_norm", f"{theirs}.output.LayerNorm")
    return names


def task_head(hf_config: "PreTrainedConfig", kind: Kind, num_labels: int) -> TaskHeadConfig:
    """Return the head of a task; refuse a pooler of another width than the layers."""
    if kind == "token":
        return TaskHeadConfig(kind, num_labels, dropout=hf_config.hidden_dropout_prob)
    hidden, width = hf_config.hidden_size, hf_config.pooler_hidden_size
    if width != hidden:
        raise CheckpointError(
            f"pooler_hidden_size is {width}; only that of hidden_size, {hidden}, can work"
        )
    return TaskHeadConfig(
        kind,
        num_labels,
        dense_size=hidden,
        dense_act=hf_config.pooler_hidden_act,
        dense_dropout=hf_config.pooler_dropout,
        dropout=classifier_dropout(hf_config, "cls_dropout"),
    )


FAMILY = Family(
    model_type="deberta-v2",
    architecture="DebertaV2ForMaskedLM",
    prefix="deberta.",
    encoder_config=encoder_config,
    encoder_names=encoder_names,
    head_names=bert.head_names,
    task_heads=TaskHeads(task_head, dense="pooler.dense"),
    ignored=(
        r"deberta\.embeddings\.(position_ids|position_embeddings\.weight)",
        r"(cls|lm_predictions)\..*",  # the head that is used if `legacy` is false
        r"mask_predictions\..*",  # the discriminator of v3
        r"pooler\..*",
        r"deberta\.pooler\..*",
    ),
    head_biases=bert.FAMILY.head_biases,
    extra_settings=frozenset(
        {"position_buckets", "share_att_key", "norm_rel_ebd", "conv_kernel_size", "embedding_size"}
    ),
)
