"""Configs of a family: a new transformers config, and the checked EncoderConfig of one."""

from dataclasses import replace
from typing import TYPE_CHECKING

from mlm.checkpoint.families.family import Family
from mlm.checkpoint.families.lookup import family_of
from mlm.checkpoint.strict_json import short_repr
from mlm.checkpoint.task import Task
from mlm.errors import CheckpointError, one_line
from mlm.model.encoder_config import (
    ACTIVATION_NAMES,
    EncoderConfig,
    TaskHeadConfig,
    variable_shapes,
)

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerFast

MINIMA = {
    "vocab_size": 1,
    "hidden_size": 1,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "intermediate_size": 1,
    "max_position_embeddings": 3,  # two positions hold special tokens
}
DROPOUTS = ("embedding_dropout", "attention_dropout", "attention_output_dropout", "mlp_dropout")
HEAD_DROPOUTS = ("dense_dropout", "dropout")


def new_config(model_type: str, **overrides: object) -> "PreTrainedConfig":
    """Return a new transformers config of the family.

    Args:
        model_type: the family.
        **overrides: fields that differ from the family's defaults.

    Raises:
        CheckpointError: an unknown family or field, or values that do not go together.
    """
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


def special_token_ids(model_type: str, tokenizer: "PreTrainedTokenizerFast") -> dict[str, int]:
    """Return the config fields that hold ids of special tokens, with the tokenizer's ids."""
    fields = family_of(model_type).token_id_fields
    return {name: getattr(tokenizer, f"{token}_token_id") for name, token in fields.items()}


def encoder_config_of(hf_config: "PreTrainedConfig", task: Task | None = None) -> EncoderConfig:
    """Return the EncoderConfig of a transformers config; CheckpointError if it is not supported.

    task: gives the kind of its head and the number of labels; None for the masked-LM head.
    """
    family = family_of(hf_config.model_type)
    config = family.encoder_config(hf_config)
    if task is not None:
        config = replace(config, task_head=_task_head(hf_config, family, task, config))
    _check_numbers(config)
    _check_layers(config)
    names, shapes = family.tensor_names(config).keys(), variable_shapes(config).keys()
    if names != shapes:
        raise CheckpointError(
            f"the config asks for {family.model_type} with or without {min(names ^ shapes)}, which "
            "it is not made for; look at type_vocab_size"
        )
    return config


def _task_head(
    hf_config: "PreTrainedConfig", family: Family, task: Task, config: EncoderConfig
) -> TaskHeadConfig:
    """Return the checked head of a task; its initial values are drawn as the encoder's are."""
    head = family.task_heads.config(hf_config, task.kind, len(task.labels))
    if head.dense_act not in ACTIVATION_NAMES:
        raise _unknown_activation(head.dense_act)
    for name in HEAD_DROPOUTS:
        if not 0 <= getattr(head, name) < 1:
            raise CheckpointError(
                f"the {name} of the task's head is {getattr(head, name)}; it is from 0 to below 1"
            )
    return replace(head, dense_std=config.residual_initializer_range)


def _check_numbers(config: EncoderConfig) -> None:
    """Raise CheckpointError if a number of the config is out of its range."""
    for name, least in MINIMA.items():
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


def _check_layers(config: EncoderConfig) -> None:
    """Raise CheckpointError if our layers cannot be built from the config."""
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
            raise _unknown_activation(name)


def _unknown_activation(name: str) -> CheckpointError:
    known = ", ".join(sorted(ACTIVATION_NAMES))
    return CheckpointError(f"activation {short_repr(name)} is not among {known}")
