"""BERT (Devlin et al. 2019): learned positions, norm after each sub-layer, exact GELU."""

from dataclasses import replace
from typing import TYPE_CHECKING

from mlm.checkpoint.families.family import Family
from mlm.checkpoint.families.naming import Names, dense, embeddings, norm
from mlm.checkpoint.families.task_heads import Kind, TaskHeads, dense_tanh_head
from mlm.errors import CheckpointError
from mlm.model.encoder_config import EncoderConfig, TaskHeadConfig

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

DECODER_BIAS, HEAD_BIAS = "cls.predictions.decoder.bias", "cls.predictions.bias"


def encoder_config(hf_config: "PreTrainedConfig") -> EncoderConfig:
    """Return the EncoderConfig of a BertConfig; refuse decoders and relative positions."""
    if getattr(hf_config, "is_decoder", False):
        raise CheckpointError("is_decoder is true; a masked language model looks both ways")
    if getattr(hf_config, "add_cross_attention", False):
        raise CheckpointError("add_cross_attention is true; a masked language model has none")
    if getattr(hf_config, "position_embedding_type", "absolute") not in (None, "absolute"):
        raise CheckpointError(
            f"position_embedding_type is {hf_config.position_embedding_type!r}; "
            "only `absolute` is supported"
        )
    return EncoderConfig(
        vocab_size=hf_config.vocab_size,
        hidden_size=hf_config.hidden_size,
        num_hidden_layers=hf_config.num_hidden_layers,
        num_attention_heads=hf_config.num_attention_heads,
        intermediate_size=hf_config.intermediate_size,
        max_position_embeddings=hf_config.max_position_embeddings,
        type_vocab_size=getattr(hf_config, "type_vocab_size", 0),
        hidden_act=hf_config.hidden_act,
        head_act=hf_config.hidden_act,
        layer_norm_eps=hf_config.layer_norm_eps,
        norm="post",
        positions="learned",
        attention_windows=(None,) * hf_config.num_hidden_layers,
        # CamembertConfig has no such field in transformers 5.0.
        tie_word_embeddings=getattr(hf_config, "tie_word_embeddings", True),
        embedding_dropout=hf_config.hidden_dropout_prob,
        attention_dropout=hf_config.attention_probs_dropout_prob,
        attention_output_dropout=hf_config.hidden_dropout_prob,
        mlp_dropout=hf_config.hidden_dropout_prob,
        initializer_range=hf_config.initializer_range,
        residual_initializer_range=hf_config.initializer_range,
        pad_token_id=hf_config.pad_token_id,
    )


def head_names(config: EncoderConfig) -> Names:
    """Return our variables -> the tensor names of the masked-LM head."""
    names = dense("head/dense", "cls.predictions.transform.dense")
    names |= norm("head/norm", "cls.predictions.transform.LayerNorm")
    names["head/bias"] = (HEAD_BIAS if config.tie_word_embeddings else DECODER_BIAS,)
    if not config.tie_word_embeddings:
        names["head/decoder"] = ("cls.predictions.decoder.weight",)
    return names


def encoder_names(config: EncoderConfig, prefix: str = "bert") -> Names:
    """Return the names of embeddings and layers; in RoBERTa and ELECTRA the prefix differs."""
    names = embeddings(f"{prefix}.embeddings", "word", "position", "token_type")
    for index in range(config.num_hidden_layers):
        ours, theirs = f"layer_{index}", f"{prefix}.encoder.layer.{index}"
        names |= dense(
            f"{ours}/attention/qkv",
            *(f"{theirs}.attention.self.{which}" for which in ("query", "key", "value")),
        )
        names |= dense(f"{ours}/attention/output", f"{theirs}.attention.output.dense")
        names |= dense(f"{ours}/mlp/input", f"{theirs}.intermediate.dense")
        names |= dense(f"{ours}/mlp/output", f"{theirs}.output.dense")
        names |= norm(f"{ours}/attention_norm", f"{theirs}.attention.output.LayerNorm")
        names |= norm(f"{ours}/mlp_norm", f"{theirs}.output.LayerNorm")
    return names


def task_head(hf_config: "PreTrainedConfig", kind: Kind, num_labels: int) -> TaskHeadConfig:
    """Return the head of a task: BERT's pooler without a dropout before it, then the classifier."""
    head = dense_tanh_head(hf_config, kind, num_labels)
    return replace(head, dense_dropout=0.0)


FAMILY = Family(
    model_type="bert",
    architecture="BertForMaskedLM",
    prefix="bert.",
    encoder_config=encoder_config,
    encoder_names=encoder_names,
    head_names=head_names,
    task_heads=TaskHeads(task_head, dense="bert.pooler.dense"),
    ignored=(
        r"bert\.embeddings\.(position_ids|token_type_ids)",
        r"bert\.pooler\..*",
        r"cls\.seq_relationship\..*",
    ),
    head_biases=(HEAD_BIAS, DECODER_BIAS),
)
