"""ModernBERT (Warner et al. 2024): rotary positions, pre-norm, gated MLP, local attention."""

import math
from typing import TYPE_CHECKING

from mlm.checkpoint.families.family import Family
from mlm.checkpoint.families.naming import Names, dense, norm
from mlm.checkpoint.families.task_heads import Kind, TaskHeads
from mlm.errors import CheckpointError
from mlm.model.encoder_config import EncoderConfig, TaskHeadConfig

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


def encoder_config(hf_config: "PreTrainedConfig") -> EncoderConfig:
    """Return the EncoderConfig of a ModernBertConfig; refuse scaled rotary positions."""
    ropes = [hf_config.rope_parameters[kind] for kind in hf_config.layer_types]
    scaled = [rope for rope in ropes if rope.get("rope_type", "default") != "default"]
    if scaled:
        raise CheckpointError(
            f"rope_type is {scaled[0]['rope_type']!r}; only `default` is supported"
        )
    half_window = hf_config.local_attention // 2
    range_ = hf_config.initializer_range
    return EncoderConfig(
        vocab_size=hf_config.vocab_size,
        hidden_size=hf_config.hidden_size,
        num_hidden_layers=hf_config.num_hidden_layers,
        num_attention_heads=hf_config.num_attention_heads,
        intermediate_size=hf_config.intermediate_size,
        max_position_embeddings=hf_config.max_position_embeddings,
        hidden_act=hf_config.hidden_activation,
        head_act=hf_config.classifier_activation,
        layer_norm_eps=hf_config.norm_eps,
        norm="pre",
        positions="rotary",
        attention_windows=tuple(
            None if kind == "full_attention" else half_window for kind in hf_config.layer_types
        ),
        rotary_thetas=tuple(float(rope["rope_theta"]) for rope in ropes),
        gated_mlp=True,
        attention_bias=hf_config.attention_bias,
        mlp_bias=hf_config.mlp_bias,
        norm_bias=hf_config.norm_bias,
        head_bias=hf_config.classifier_bias,
        decoder_bias=hf_config.decoder_bias,
        tie_word_embeddings=hf_config.tie_word_embeddings,
        embedding_dropout=hf_config.embedding_dropout,
        attention_dropout=hf_config.attention_dropout,
        attention_output_dropout=hf_config.attention_dropout,
        mlp_dropout=hf_config.mlp_dropout,
        initializer_range=range_,
        residual_initializer_range=range_ / math.sqrt(2 * hf_config.num_hidden_layers),
        pad_token_id=hf_config.pad_token_id,
    )


def encoder_names(config: EncoderConfig) -> Names:
    """Return our variables -> the tensor names of ModernBertModel; biases are optional."""
    names: Names = {"embeddings/word_embeddings": ("model.embeddings.tok_embeddings.weight",)}
    names |= norm("embeddings/norm", "model.embeddings.norm", bias=config.norm_bias)
    for index in range(config.num_hidden_layers):
        ours, theirs = f"layer_{index}", f"model.layers.{index}"
        if index:
            names |= norm(f"{ours}/attention_norm", f"{theirs}.attn_norm", bias=config.norm_bias)
        names |= dense(f"{ours}/attention/qkv", f"{theirs}.attn.Wqkv", bias=config.attention_bias)
        names |= dense(f"{ours}/attention/output", f"{theirs}.attn.Wo", bias=config.attention_bias)
        names |= norm(f"{ours}/mlp_norm", f"{theirs}.mlp_norm", bias=config.norm_bias)
        names |= dense(f"{ours}/mlp/input", f"{theirs}.mlp.Wi", bias=config.mlp_bias)
        names |= dense(f"{ours}/mlp/output", f"{theirs}.mlp.Wo", bias=config.mlp_bias)
    return names | norm("final_norm", "model.final_norm", bias=config.norm_bias)


def head_names(config: EncoderConfig) -> Names:
    """Return our variables -> the tensor names of the masked-LM head; biases are optional."""
    names = dense("head/dense", "head.dense", bias=config.head_bias)
    names |= norm("head/norm", "head.norm", bias=config.norm_bias)
    if not config.tie_word_embeddings:
        names["head/decoder"] = ("decoder.weight",)
    if config.decoder_bias:
        names["head/bias"] = ("decoder.bias",)
    return names


def task_head(hf_config: "PreTrainedConfig", kind: Kind, num_labels: int) -> TaskHeadConfig:
    """Return the head of a task: the masked-LM head's dense layer and norm, then the classifier."""
    return TaskHeadConfig(
        kind,
        num_labels,
        pooling="mean" if hf_config.classifier_pooling == "mean" else "first",
        dense_size=hf_config.hidden_size,
        dense_act=hf_config.classifier_activation,
        dense_bias=hf_config.classifier_bias,
        norm=True,
        dropout=hf_config.classifier_dropout,
        classifier_std=hf_config.hidden_size**-0.5,
        truncated_init=True,
    )


FAMILY = Family(
    model_type="modernbert",
    architecture="ModernBertForMaskedLM",
    prefix="model.",
    encoder_config=encoder_config,
    encoder_names=encoder_names,
    head_names=head_names,
    task_heads=TaskHeads(task_head, dense="head.dense", norm="head.norm"),
    ignored=(r"model\.rotary_emb\..*",),
    token_id_fields={
        "pad_token_id": "pad",
        "cls_token_id": "cls",
        "sep_token_id": "sep",
        "bos_token_id": "cls",
        "eos_token_id": "sep",
    },
    # Older fields, which transformers turns into `layer_types` and `rope_parameters`.
    extra_settings=frozenset(
        {"global_attn_every_n_layers", "global_rope_theta", "local_rope_theta"}
    ),
)
