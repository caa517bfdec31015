"""RoBERTa (Liu et al. 2019): BERT whose positions start after the padding id."""

from dataclasses import replace
from typing import TYPE_CHECKING

from mlm.checkpoint.families import bert
from mlm.checkpoint.families.family import ROBERTA_TOKENS, Family
from mlm.checkpoint.families.naming import Names, dense, norm
from mlm.checkpoint.families.task_heads import TaskHeads, dense_tanh_head
from mlm.errors import CheckpointError
from mlm.model.encoder_config import EncoderConfig

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

DECODER_BIAS, HEAD_BIAS = "lm_head.decoder.bias", "lm_head.bias"


def encoder_config(hf_config: "PreTrainedConfig") -> EncoderConfig:
    """Return the EncoderConfig of a RobertaConfig; refuse one without a padding id."""
    if hf_config.pad_token_id is None:
        raise CheckpointError("pad_token_id is null; RoBERTa's positions are counted from it")
    return with_position_offset(bert.encoder_config(hf_config), hf_config.pad_token_id + 1)


def with_position_offset(config: EncoderConfig, offset: int) -> EncoderConfig:
    """Return the config for a position table whose first `offset` rows are not used.

    The head's activation is fixed in these families.
    """
    if config.max_position_embeddings <= offset:
        raise CheckpointError(
            f"max_position_embeddings is {config.max_position_embeddings}, of which {offset} "
            "are not used; nothing is left for a text"
        )
    longest = config.max_position_embeddings - offset
    return replace(config, max_position_embeddings=longest, position_offset=offset, head_act="gelu")


def encoder_names(config: EncoderConfig) -> Names:
    """Return our variables -> the tensor names of RobertaModel."""
    return bert.encoder_names(config, "roberta")


def head_names(config: EncoderConfig) -> Names:
    """Return the names of the masked-LM head, which MPNet shares."""
    names = dense("head/dense", "lm_head.dense") | norm("head/norm", "lm_head.layer_norm")
    names["head/bias"] = (HEAD_BIAS if config.tie_word_embeddings else DECODER_BIAS,)
    if not config.tie_word_embeddings:
        names["head/decoder"] = ("lm_head.decoder.weight",)
    return names


FAMILY = Family(
    model_type="roberta",
    architecture="RobertaForMaskedLM",
    prefix="roberta.",
    encoder_config=encoder_config,
    encoder_names=encoder_names,
    head_names=head_names,
    task_heads=TaskHeads(dense_tanh_head, "classifier.dense", "classifier.out_proj"),
    ignored=(
        r"roberta\.embeddings\.(position_ids|token_type_ids)",
        r"roberta\.pooler\..*",
    ),
    head_biases=(HEAD_BIAS, DECODER_BIAS),
    token_id_fields=ROBERTA_TOKENS,
)
