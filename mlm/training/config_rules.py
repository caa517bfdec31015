"""The rules between the settings of a run; single values are checked in setting.py.

Each raises a ConfigError that names a flag and its value.
"""

from typing import TYPE_CHECKING

from mlm.errors import ConfigError
from mlm.training.config_overrides import parse_config_overrides

if TYPE_CHECKING:
    from mlm.training.config import TrainingConfig
    from mlm.training.run_settings import RunSettings


def check_run_rules(config: "RunSettings") -> None:
    """Raise ConfigError if two settings that any run has cannot work together."""
    _check_held_out(config)
    _check_length_of_run(config)
    _check_schedule(config)
    _check_publishing(config)


def check_rules(config: "TrainingConfig") -> None:
    """Raise ConfigError if two settings of a masked-LM training cannot work together."""
    for check in _CHECKS:
        check(config)


def _check_texts(config: "TrainingConfig") -> None:
    if config.group_by_length and not config.line_by_line:
        raise ConfigError("--group_by_length: packed sequences have one length; add --line_by_line")


def _check_held_out(config: "RunSettings") -> None:
    if not 0 < config.validation_split_percentage < 100 and not config.validation_file:
        raise ConfigError(
            f"--validation_split_percentage is {config.validation_split_percentage}; "
            "expected a number between 0 and 100, or a --validation_file"
        )


_OF_TEXTS = (
    *("train_file", "validation_file", "text_column", "encoding", "encoding_errors", "clean_html"),
    *("max_train_samples", "add_words_file"),
)


def _is_given(config: "RunSettings", name: str) -> bool:
    """Return whether a setting differs from its default; no files are the default of files."""
    return bool(getattr(config, name)) and getattr(config, name) != getattr(
        type(config), name, None
    )


def _check_token_store(config: "TrainingConfig") -> None:
    """Reject settings that took effect when a token store was made."""
    if not config.token_store:
        return
    given = next((name for name in _OF_TEXTS if _is_given(config, name)), None)
    if given:
        raise ConfigError(f"--token_store already holds its texts as tokens: leave out --{given}")
    if not config.model_name_or_path:
        raise ConfigError(
            "--token_store has tokens of one tokenizer: name its checkpoint as --model_name_or_path"
        )


def _check_model(config: "TrainingConfig") -> None:
    """Reject settings for new models when a checkpoint is given, and a vocabulary size twice."""
    if "vocab_size" in parse_config_overrides(config.config_overrides):
        raise ConfigError("--config_overrides has vocab_size; give --vocab_size instead")
    if config.add_words_file and config.freeze_layers:
        raise ConfigError(
            "--freeze_layers does not train the embeddings: the words of --add_words_file could "
            "not learn; leave one of them out"
        )
    if config.model_name_or_path and config.config_overrides:
        raise ConfigError(
            f"--config_overrides is {config.config_overrides!r}, but the shape comes from "
            "--model_name_or_path; leave one of them out"
        )
    for name in ("vocab_size", "tokenizer_type", "cased"):
        value = getattr(config, name)
        if config.model_name_or_path and value != getattr(type(config), name):
            raise ConfigError(
                f"--{name} is {value}, but the vocabulary comes from --model_name_or_path; leave "
                "one of them out"
            )


def _check_suggested_words(config: "TrainingConfig") -> None:
    """Reject a list of words for a vocabulary that is not there, or for tokens instead of texts."""
    if config.suggest_words is None:
        return
    if not config.model_name_or_path:
        raise ConfigError(
            "--suggest_words lists words that a vocabulary lacks; name its checkpoint as "
            "--model_name_or_path"
        )
    for name in ("token_store", "add_words_file"):
        if getattr(config, name):
            raise ConfigError(
                f"--suggest_words makes a list for --add_words_file, from texts; leave out --{name}"
            )


def _check_masking(config: "TrainingConfig") -> None:
    if config.whole_word_mask and config.span_mask:
        raise ConfigError("--span_mask masks whole words already; leave --whole_word_mask out")
    if config.mask_replace_prob + config.random_replace_prob > 1 + 1e-9:
        raise ConfigError(
            f"--mask_replace_prob {config.mask_replace_prob} and --random_replace_prob "
            f"{config.random_replace_prob} add up to more than 1; lower one of them"
        )


def _check_length_of_run(config: "RunSettings") -> None:
    if config.max_steps == 0 or config.max_steps < -1:
        raise ConfigError(f"--max_steps is {config.max_steps}; give 1 or more, or leave it out")
    if config.max_steps == -1 and config.num_train_epochs <= 0:
        raise ConfigError(
            f"--num_train_epochs is {config.num_train_epochs}; give more than 0, or --max_steps"
        )


def _check_schedule(config: "RunSettings") -> None:
    is_stable = config.lr_scheduler_type == "warmup_stable_decay"
    if _is_given(config, "lr_decay_ratio") and not is_stable:
        raise ConfigError(
            f"--lr_decay_ratio is {config.lr_decay_ratio}, but only --lr_scheduler_type "
            "warmup_stable_decay has such a share; leave it out"
        )


def _check_publishing(config: "RunSettings") -> None:
    for name in ("push_to_hub", "resume_from_hub"):
        if getattr(config, name) and not config.hub_model_id:
            raise ConfigError(f"--{name} needs --hub_model_id, e.g. me/imdb_bert_uncased")
    for name in ("hub_tag", "hub_revision"):
        if getattr(config, name) and not config.push_to_hub:
            raise ConfigError(
                f"--{name} is {getattr(config, name)!r}, but nothing is published; give "
                "--push_to_hub too"
            )


_CHECKS = (
    _check_texts,
    _check_token_store,
    _check_model,
    _check_suggested_words,
    _check_masking,
)
