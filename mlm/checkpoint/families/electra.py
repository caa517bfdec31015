"""ELECTRA (Clark et al. 2020), the generator: BERT with embeddings narrower than its layers.

The checkpoint of a discriminator loads as an encoder without a head: it was not trained to predict
tokens.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from mlm.checkpoint.families import bert
from mlm.checkpoint.families.family import Family
from mlm.checkpoint.families.naming import Names, dense, norm
from mlm.model.encoder_config import EncoderConfig

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


def tensor_names(config: EncoderConfig) -> Names:
    """Return our variables -> the tensor names of ElectraForMaskedLM."""
    names = bert.encoder_names(config, "electra")
    if config.project_embeddings:
        names |= dense("embeddings/projection", "electra.embeddings_project")
    names |= dense("head/dense", "generator_predictions.dense")
    names |= norm("head/norm", "generator_predictions.LayerNorm")
    names["head/bias"] = ("generator_lm_head.bias",)
    if not config.tie_word_embeddings:
        names["head/decoder"] = ("generator_lm_head.weight",)
    return names


FAMILY = Family(
    model_type="electra",
    architecture="ElectraForMaskedLM",
    prefix="electra.",
    encoder_config=encoder_config,
    tensor_names=tensor_names,
    ignored=(
        r"electra\.embeddings\.(position_ids|token_type_ids)",
        r"discriminator_predictions\..*",
    ),
)
