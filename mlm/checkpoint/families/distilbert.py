"""DistilBERT (Sanh et al. 2019): BERT at half the depth, without segments."""

from typing import TYPE_CHECKING

from mlm.checkpoint.families.family import Family
from mlm.checkpoint.families.naming import Names, dense, embeddings, norm
from mlm.checkpoint.families.task_heads import Kind, TaskHeads
from mlm.model.encoder_config import EncoderConfig, TaskHeadConfig

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

NORM_EPS = 1e-12  # a constant of its code; its config has no such field


def encoder_config(hf_config: "PreTrainedConfig") -> EncoderConfig:
    """Return the EncoderConfig of a DistilBertConfig."""
    return EncoderConfig(
        vocab_size=hf_config.vocab_size,
        hidden_size=hf_config.dim,
        num_hidden_layers=hf_config.n_layers,
        num_attention_heads=hf_config.n_heads,
        intermediate_size=hf_config.hidden_dim,
        max_position_embeddings=hf_config.max_position_embeddings,
        hidden_act=hf_config.activation,
        head_act=hf_config.activation,
        layer_norm_eps=NORM_EPS,
        norm="post",
        positions="learned",
        attention_windows=(None,) * hf_config.n_layers,
        tie_word_embeddings=hf_config.tie_word_embeddings,
        embedding_dropout=hf_config.dropout,
        attention_dropout=hf_config.attention_dropout,
        mlp_dropout=hf_config.dropout,
        initializer_range=hf_config.initializer_range,
        residual_initializer_range=hf_config.initializer_range,
        pad_token_id=hf_config.pad_token_id,
    )


def encoder_names(config: EncoderConfig) -> Names:
    """Return our variables -> the tensor names of DistilBertModel."""
    names = embeddings("distilbert.embeddings", "word", "position")
    for index in range(config.num_hidden_layers):
        ours, theirs = f"layer_{index}", f"distilbert.transformer.layer.{index}"
        names |= dense(
            f"{ours}/attention/qkv", *(f"{theirs}.attention.{which}_lin" for which in "qkv")
        )
        names |= dense(f"{ours}/attention/output", f"{theirs}.attention.out_lin")
        names |= dense(f"{ours}/mlp/input", f"{theirs}.ffn.lin1")
        names |= dense(f"{ours}/mlp/output", f"{theirs}.ffn.lin2")
        names |= norm(f"{ours}/attention_norm", f"{theirs}.sa_layer_norm")
        names |= norm(f"{ours}/mlp_norm", f"{theirs}.output_layer_norm")
    return names


def head_names(config: EncoderConfig) -> Names:
    """Return our variables -> the tensor names of the masked-LM head."""
    names = dense("head/dense", "vocab_transform") | norm("head/norm", "vocab_layer_norm")
    names["head/bias"] = ("vocab_projector.bias",)
    if not config.tie_word_embeddings:
        names["head/decoder"] = ("vocab_projector.weight",)
    return names


def task_head(hf_config: "PreTrainedConfig", kind: Kind, num_labels: int) -> TaskHeadConfig:
    """Return the head of a task: of a text, a dense layer with ReLU before the classifier."""
    if kind == "token":
        return TaskHeadConfig(kind, num_labels, dropout=hf_config.dropout)
    return TaskHeadConfig(
        kind,
        num_labels,
        dense_size=hf_config.dim,
        dense_act="relu",
        dropout=hf_config.seq_classif_dropout,
    )


FAMILY = Family(
    model_type="distilbert",
    architecture="DistilBertForMaskedLM",
    prefix="distilbert.",
    encoder_config=encoder_config,
    encoder_names=encoder_names,
    head_names=head_names,
    task_heads=TaskHeads(task_head, dense="pre_classifier"),
    ignored=(r"distilbert\.embeddings\.position_ids",),
    extra_settings=frozenset({"hidden_size", "num_hidden_layers", "num_attention_heads"}),
)
