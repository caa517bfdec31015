"""ELECTRA (Clark et al. 2020), the generator: BERT with embeddings narrower than its layers.

The checkpoint of a discriminator loads as an encoder without a head: it was not trained to predict
tokens.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from mlm.checkpoint.families import bert
from mlm.checkpoint.families.family import Family
from mlm.checkpoint.families.naming import Names, dense, norm
from mlm.checkpoint.families.task_heads import Kind, TaskHeads, dense_tanh_head
from mlm.model.encoder_config import EncoderConfig, TaskHeadConfig

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


def encoder_config(hf_config: "PreTrainedConfig") -> EncoderConfig:
    """Return the EncoderConfig of an ElectraConfig; the head's activation is fixed."""
    return replace(
        bert.encoder_config(hf_config),
        embedding_size=hf_config.embedding_size,
        project_embeddings=hf_config.embedding_size != hf_config.hidden_size,
        head_act="gelu",
    )


def encoder_names(config: EncoderConfig) -> Names:
    """Return our variables -> the tensor names of ElectraModel."""
    names = bert.encoder_names(config, "electra")
    if config.project_embeddings:
        names |= dense("embeddings/projection", "electra.embeddings_project")
    return names


def head_names(config: EncoderConfig) -> Names:
    """Return our variables -> the tensor names of the masked-LM head."""
    names = dense("head/dense", "generator_predictions.dense")
    names |= norm("head/norm", "generator_predictions.LayerNorm")
    names["head/bias"] = ("generator_lm_head.bias",)
    if not config.tie_word_embeddings:
        names["head/decoder"] = ("generator_lm_head.weight",)
    return names


def task_head(hf_config: "PreTrainedConfig", kind: Kind, num_labels: int) -> TaskHeadConfig:
    """Return the head of a task: RoBERTa's with GELU."""
    return dense_tanh_head(hf_config, kind, num_labels, act="gelu")


FAMILY = Family(
    model_type="electra",
    architecture="ElectraForMaskedLM",
    prefix="electra.",
    encoder_config=encoder_config,
    encoder_names=encoder_names,
    head_names=head_names,
    task_heads=TaskHeads(task_head, "classifier.dense", "classifier.out_proj"),
    ignored=(
        r"electra\.embeddings\.(position_ids|token_type_ids)",
        r"discriminator_predictions\..*",
    ),
)
