"""One short file a model family: its Hugging Face config and tensor names <-> our encoder.

A family's file ends with its Family: add such a file, its name below, and its settings to
tests/test_parity.py, and the family is here.
"""

import re
from typing import Any

from mlm.checkpoint.families import (
    albert,
    bert,
    camembert,
    deberta_v2,
    distilbert,
    electra,
    modernbert,
    mpnet,
    roberta,
    xlm_roberta,
)
from mlm.checkpoint.families.family import Family
from mlm.checkpoint.strict_json import shown
from mlm.errors import CheckpointError, one_line
from mlm.model.encoder_config import ACTIVATION_NAMES, EncoderConfig, Shape, variable_shapes

FAMILIES: dict[str, Family] = {
    module.FAMILY.model_type: module.FAMILY
    for module in (
        albert,
        bert,
        camembert,
        deberta_v2,
        distilbert,
        electra,
        modernbert,
        mpnet,
        roberta,
        xlm_roberta,
    )
}
# Masked-LM families of transformers that are not here, and why.
LEFT_OUT = {"deberta": "its first version joins query, key and value in a way of its own"}


def family_of(model_type: str | None) -> Family:
    """The family of a config's `model_type`; CheckpointError if there is none."""
    if isinstance(model_type, str) and model_type in LEFT_OUT:
        raise CheckpointError(
            f"model_type is {model_type!r}, which this encoder does not have: "
            f"{LEFT_OUT[model_type]}; choose a checkpoint of another family"
        )
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        known = ", ".join(sorted(FAMILIES))
        raise CheckpointError(f"model_type is {model_type!r}; the known families are {known}")
    return FAMILIES[model_type]


def new_config(model_type: str, **overrides: Any):
    """A transformers config of the family with some fields changed."""
    from transformers import AutoConfig

    family = family_of(model_type)
    known = AutoConfig.for_model(model_type).to_dict().keys() | family.extra_settings
    unknown = sorted(set(overrides) - known)
    if unknown:
        raise CheckpointError(
            f"{model_type} has no setting {unknown[0]!r}; among others it has hidden_size, "
            "num_hidden_layers, num_attention_heads, intermediate_size"
        )
    try:
        return AutoConfig.for_model(model_type, architectures=[family.architecture], **overrides)
    except Exception as error:  # transformers raises its own validation classes
        reason = one_line(error, 300)
        raise CheckpointError(f"the {model_type} settings cannot work: {reason}") from None


def special_token_ids(model_type: str, tokenizer) -> dict[str, int]:
    """The config fields of a family that name a tokenizer's special tokens, filled in."""
    fields = family_of(model_type).token_id_fields
    return {name: getattr(tokenizer, f"{token}_token_id") for name, token in fields.items()}


def encoder_config_of(hf_config) -> EncoderConfig:
    """The checked EncoderConfig of a transformers config."""
    family = family_of(hf_config.model_type)
    config = family.encoder_config(hf_config)
    check_shape(config)
    names, shapes = family.tensor_names(config).keys(), variable_shapes(config).keys()
    if names != shapes:
        raise CheckpointError(
            f"the config asks for {family.model_type} with or without {min(names ^ shapes)}, which "
            "it is not made for; look at type_vocab_size"
        )
    return config


def tensor_shapes(model_type: str, config: EncoderConfig) -> dict[str, Shape]:
    """The tensors that a checkpoint of this shape holds: name -> shape, in PyTorch's layout."""
    shapes = variable_shapes(config)
    tensors: dict[str, Shape] = {}
    for key, group in family_of(model_type).tensor_names(config).items():
        shape = shapes[key]
        rows, *columns = reversed(shape) if key.endswith("/kernel") else shape
        tensors |= dict.fromkeys(group, (rows // len(group), *columns))
    return tensors


SMALLEST = {
    "vocab_size": 1,
    "hidden_size": 1,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "intermediate_size": 1,
    "max_position_embeddings": 3,  # two go to special tokens
}
DROPOUTS = ("embedding_dropout", "attention_dropout", "attention_output_dropout", "mlp_dropout")


def check_shape(config: EncoderConfig) -> None:
    """CheckpointError if the numbers of a config do not fit together or our layers."""
    for name, least in SMALLEST.items():
        if getattr(config, name) < least:
            raise CheckpointError(
                f"{name} is {getattr(config, name)}; it has to be {least} or more"
            )
    for name in DROPOUTS:
        if not 0 <= getattr(config, name) < 1:
            raise CheckpointError(f"{name} is {getattr(config, name)}; it is from 0 to below 1")
    if config.pad_token_id is not None and not 0 <= config.pad_token_id < config.vocab_size:
        raise CheckpointError(
            f"pad_token_id is {config.pad_token_id}, beyond a vocab_size of {config.vocab_size}"
        )
    if config.hidden_size % config.num_attention_heads:
        raise CheckpointError(
            f"hidden_size {config.hidden_size} does not divide by num_attention_heads "
            f"{config.num_attention_heads}; choose one that does"
        )
    if config.positions == "rotary" and config.head_dim % 2:
        raise CheckpointError(
            f"{config.head_dim} numbers a head; rotary positions need an even number"
        )
    for name in (config.hidden_act, config.head_act):
        if name not in ACTIVATION_NAMES:
            raise CheckpointError(
                f"activation {shown(name)} is not among {', '.join(sorted(ACTIVATION_NAMES))}"
            )


# Heads of other tasks, which a masked LM has no use for.
OTHER_HEADS = (r"(pre_)?classifier\..*", r"qa_outputs\..*")


def is_ignored(family: Family, name: str) -> bool:
    """True for a tensor of the family that a masked LM has no use for (a pooler, a buffer)."""
    return is_other_head(name) or any(re.fullmatch(pattern, name) for pattern in family.ignored)


def is_other_head(name: str) -> bool:
    """True for a tensor of another task's head (a classifier)."""
    return any(re.fullmatch(pattern, name) for pattern in OTHER_HEADS)
