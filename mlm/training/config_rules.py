"""The rules of a TrainingConfig: each raises a ConfigError that names a flag and what it holds.

config.py checks itself with them and so imports this; here a config is Any.
"""

import math
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from mlm.errors import ConfigError
from mlm.hub.names import DATASET, LANGUAGE, LICENCE, SPACE, TAG
from mlm.training.config_overrides import parse_config_overrides


def check_config(config: Any) -> None:
    """ConfigError if a setting of a TrainingConfig, or two together, cannot work."""
    for check in _CHECKS:
        check(config)


def _check_types(config: Any) -> None:
    # Not the fields' own `type`: HfArgumentParser narrows those in place.
    for name, kind in get_type_hints(type(config)).items():
        value = getattr(config, name)
        if not _fits(value, kind):
            spelled = kind.__name__ if isinstance(kind, type) else kind
            raise ConfigError(f"--{name} is {value!r}; it takes {spelled}{_hint(value, kind)}")


def _fits(value: Any, kind: Any) -> bool:
    """True if a value has the type of a field; a whole number is a float as well."""
    if get_origin(kind) is Literal:
        return True  # _check_choices says more
    if get_origin(kind) is UnionType:
        return any(_fits(value, member) for member in get_args(kind))
    if get_origin(kind) is list:
        return isinstance(value, list) and all(_fits(v, get_args(kind)[0]) for v in value)
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is kind


def _hint(value: Any, kind: Any) -> str:
    if get_origin(kind) is list:
        return f", in a recipe [{value}]"
    if kind is float and isinstance(value, str):
        return ", and YAML reads 3e-4 as text: write 3.0e-4"
    return ""


def _check_counts(config: Any) -> None:
    positive = (
        "max_seq_length",
        "per_device_train_batch_size",
        "per_device_eval_batch_size",
        "logging_steps",
        "eval_steps",
        "save_steps",
        "vocab_size",
        "gradient_accumulation_steps",
    )
    for name in positive:
        if getattr(config, name) < 1:
            raise ConfigError(f"--{name} is {getattr(config, name)}; it has to be 1 or more")
    if config.max_seq_length < 3:
        raise ConfigError(f"--max_seq_length is {config.max_seq_length}; two go to special tokens")
    if config.save_total_limit < 2:
        raise ConfigError(
            f"--save_total_limit is {config.save_total_limit}; keep 2 or more, so that a state "
            "stays whole while the next is written"
        )
    if not 0 <= config.seed < 2**32:
        raise ConfigError(f"--seed is {config.seed}; it has to be from 0 to {2**32 - 1}")
    for name in ("max_train_samples", "max_eval_samples", "early_stopping_patience"):
        value = getattr(config, name)
        if value is not None and value < 1:
            raise ConfigError(f"--{name} is {value}; give 1 or more, or leave it out")


def _check_shares(config: Any) -> None:
    shares = (
        "mlm_probability",
        "final_mlm_probability",
        "mask_replace_prob",
        "random_replace_prob",
        "warmup_ratio",
    )
    for name in shares:
        if not 0 <= (getattr(config, name) or 0) <= 1:
            raise ConfigError(f"--{name} is {getattr(config, name)}; it is a share from 0 to 1")
    for name in ("mlm_probability", "final_mlm_probability"):
        if getattr(config, name) == 0:
            raise ConfigError(f"--{name} is 0: nothing would be predicted; the usual is 0.15")
    if config.whole_word_mask and config.span_mask:
        raise ConfigError("--span_mask chooses whole words already; leave --whole_word_mask out")
    if config.group_by_length and not config.line_by_line:
        raise ConfigError("--group_by_length: packed sequences have one length; add --line_by_line")
    if config.mask_replace_prob + config.random_replace_prob > 1 + 1e-9:
        raise ConfigError(
            f"--mask_replace_prob {config.mask_replace_prob} and --random_replace_prob "
            f"{config.random_replace_prob} add up to more than 1"
        )
    if not 0 < config.validation_split_percentage < 100 and not config.validation_file:
        raise ConfigError(
            f"--validation_split_percentage is {config.validation_split_percentage}; "
            "it has to be between 0 and 100, or give a --validation_file"
        )


def _check_optimizer(config: Any) -> None:
    for name in ("adam_beta1", "adam_beta2"):
        if not 0 <= getattr(config, name) < 1:
            raise ConfigError(f"--{name} is {getattr(config, name)}; it is from 0 to below 1")
    if config.adam_epsilon <= 0:
        raise ConfigError(f"--adam_epsilon is {config.adam_epsilon}; it has to be above 0")


def _check_from_scratch(config: Any) -> None:
    """What only a new model heeds is not to be set beside a checkpoint, nor twice."""
    if "vocab_size" in parse_config_overrides(config.config_overrides):
        raise ConfigError("--config_overrides has vocab_size; give --vocab_size instead")
    if config.add_words_file and config.freeze_layers:
        raise ConfigError(
            "--freeze_layers leaves the embeddings as they are: the words of --add_words_file "
            "could not learn; leave one of them out"
        )
    if config.model_name_or_path and config.config_overrides:
        raise ConfigError(
            f"--config_overrides is {config.config_overrides!r}, but the shape comes from "
            "--model_name_or_path; leave one of them out"
        )
    if config.model_name_or_path and config.vocab_size != type(config).vocab_size:
        raise ConfigError(
            f"--vocab_size is {config.vocab_size}, but the vocabulary comes from "
            "--model_name_or_path; leave one of them out"
        )


def _check_length_of_run(config: Any) -> None:
    if config.max_steps == 0 or config.max_steps < -1:
        raise ConfigError(f"--max_steps is {config.max_steps}; give 1 or more, or leave it out")
    if config.max_steps == -1 and config.num_train_epochs <= 0:
        raise ConfigError(
            f"--num_train_epochs is {config.num_train_epochs}; give more than 0, or --max_steps"
        )
    not_negative = (
        "warmup_steps",
        "weight_decay",
        "max_grad_norm",
        "learning_rate",
        "skip_bad_steps",
        "freeze_layers",
        "hub_state_minutes",
    )
    for name in not_negative:
        if getattr(config, name) < 0:
            raise ConfigError(f"--{name} is {getattr(config, name)}; it cannot be negative")
    if config.max_train_minutes is not None and config.max_train_minutes <= 0:
        raise ConfigError(f"--max_train_minutes is {config.max_train_minutes}; give more than 0")


def _check_publishing(config: Any) -> None:
    if config.push_to_hub and not config.hub_model_id:
        raise ConfigError("--push_to_hub needs --hub_model_id, e.g. me/imdb_bert_uncased")
    if config.resume_from_hub and not config.hub_model_id:
        raise ConfigError("--resume_from_hub needs --hub_model_id, e.g. me/imdb_bert_uncased")
    if config.hub_tag and not config.push_to_hub:
        raise ConfigError(
            f"--hub_tag is {config.hub_tag!r}, but nothing is published; give --push_to_hub too"
        )


def _check_card(config: Any) -> None:
    """Before hours of training: what the Hub would refuse of the card at their end."""
    rules = (
        ("hub_tag", TAG, "e.g. v1"),
        ("language", LANGUAGE, "an ISO 639 code, e.g. en"),
        ("license", LICENCE, "a licence's identifier, e.g. apache-2.0"),
        ("dataset_license", LICENCE, "a licence's identifier, e.g. cc-by-4.0"),
        ("dataset_tags", DATASET, "a data set's id, e.g. stanfordnlp/imdb"),
        ("hub_space", SPACE, "owner/name"),
    )
    for name, pattern, expected in rules:
        value = getattr(config, name)
        for each in value if isinstance(value, list) else [value]:
            if each is not None and not pattern.fullmatch(each):
                raise ConfigError(f"--{name} is {each!r}; it takes {expected}")


def _check_choices(config: Any) -> None:
    for name, kind in get_type_hints(type(config)).items():
        value = getattr(config, name)
        if get_origin(kind) is Literal and value not in get_args(kind):
            choices = ", ".join(get_args(kind))
            raise ConfigError(f"--{name} is {value!r}; it is one of {choices}")


def _check_token_store(config: Any) -> None:
    """Its texts were read, split and cut into tokens when it was made."""
    if not config.token_store:
        return
    of_texts = ("train_file", "validation_file", "text_column", "encoding", "max_train_samples")
    said = next((name for name in (*of_texts, "add_words_file") if getattr(config, name)), None)
    if said:
        raise ConfigError(f"--token_store has its texts as tokens already: leave out --{said}")
    if not config.model_name_or_path:
        raise ConfigError(
            "--token_store has tokens of one tokenizer: name its checkpoint as --model_name_or_path"
        )


_CHECKS = (
    _check_types,
    _check_choices,
    _check_counts,
    _check_shares,
    _check_optimizer,
    _check_from_scratch,
    _check_token_store,
    _check_length_of_run,
    _check_publishing,
    _check_card,
)
