"""DeBERTa-v2 and -v3 (He et al. 2021): disentangled attention, to content and relative position.

Supported are the v3 checkpoints and the v2 ones without a convolution: key projections shared
between content and relative positions, both cross terms, no positions in the embeddings.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from mlm.checkpoint.families import bert
from mlm.checkpoint.families.family import Family
from mlm.checkpoint.families.naming import Names, dense, embeddings, norm
from mlm.errors import CheckpointError
from mlm.model.encoder_config import EncoderConfig

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

DECODER_BIAS, HEAD_BIAS = "cls.predictions.decoder.bias", "cls.predictions.bias"


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


def tensor_names(config: EncoderConfig) -> Names:
    """Return our variables -> the tensor names of DebertaV2ForMaskedLM."""
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
    names |= dense("head/dense", "cls.predictions.transform.dense")
    names |= norm("head/norm", "cls.predictions.transform.LayerNorm")
    names["head/bias"] = (HEAD_BIAS if config.tie_word_embeddings else DECODER_BIAS,)
    if not config.tie_word_embeddings:
        names["head/decoder"] = ("cls.predictions.decoder.weight",)
    return names


FAMILY = Family(
    model_type="deberta-v2",
    architecture="DebertaV2ForMaskedLM",
    prefix="deberta.",
    encoder_config=encoder_config,
    tensor_names=tensor_names,
    ignored=(
        r"deberta\.embeddings\.(position_ids|position_embeddings\.weight)",
        r"(cls|lm_predictions)\..*",  # the head that is used if `legacy` is false
        r"mask_predictions\..*",  # the discriminator of v3
        r"pooler\..*",
        r"deberta\.pooler\..*",
    ),
    head_biases=(HEAD_BIAS, DECODER_BIAS),
    extra_settings=frozenset(
        {"position_buckets", "share_att_key", "norm_rel_ebd", "conv_kernel_size", "embedding_size"}
    ),
)
