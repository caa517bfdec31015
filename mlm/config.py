"""TrainingConfig: every setting of a training run, its unit and its default; checked once.

Names are those of the ecosystem's `run_mlm.py` and `TrainingArguments` wherever they exist there.
"""

import dataclasses
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from mlm.errors import ConfigError


def _setting(default: Any, help_text: str) -> Any:
    """A dataclass field whose help text the command line shows."""
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata={"help": help_text})
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True)
class TrainingConfig:
    """What to train, on what, how, and where the result goes."""

    # Texts
    train_file: list[str] = _setting(
        [], "Files to train on: csv, tsv, jsonl, parquet, txt, each also .gz; globs; hf:// paths."
    )
    validation_file: list[str] = _setting(
        [], "Files to evaluate on. Without any, a share of the training documents is held out."
    )
    validation_split_percentage: float = _setting(
        5.0, "Share of the documents held out when there is no --validation_file, in percent."
    )
    text_column: str | None = _setting(None, "Column with the text; found by itself if obvious.")
    encoding: str | None = _setting(None, "Encoding of the text files; UTF-8 when left out.")
    max_train_samples: int | None = _setting(None, "Use at most that many training documents.")
    max_eval_samples: int | None = _setting(None, "Evaluate on at most that many sequences.")
    line_by_line: bool = _setting(
        False, "One document a sequence, cut at the maximum, instead of packed sequences."
    )

    # Model
    model_name_or_path: str | None = _setting(
        None, "Checkpoint to adapt: a folder, a Hub id, or `demo`. None trains from scratch."
    )
    model_revision: str | None = _setting(None, "Branch, tag or commit of a Hub checkpoint.")
    model_type: str = _setting("modernbert", "Family to train from scratch, e.g. modernbert, bert.")
    config_overrides: str | None = _setting(
        None, "Changes to the family's default shape, e.g. hidden_size=256,num_hidden_layers=4."
    )
    vocab_size: int = _setting(8192, "Entries of a vocabulary trained from scratch.")
    add_words_file: str | None = _setting(
        None, "Words of the domain, one a line, that become tokens of their own."
    )
    freeze_layers: int = _setting(
        0, "Leave the embeddings and that many of the lowest layers as they are; 0 trains all."
    )

    # Masking
    max_seq_length: int = _setting(128, "Tokens a sequence, special tokens included.")
    mlm_probability: float = _setting(0.15, "Share of the tokens to predict.")
    final_mlm_probability: float | None = _setting(
        None, "The share at the last step, approached in a line from the first; else it stays."
    )
    mask_replace_prob: float = _setting(0.8, "Of those, the share that shows the mask token.")
    random_replace_prob: float = _setting(0.1, "Of those, the share that shows a random word.")
    whole_word_mask: bool = _setting(False, "Choose whole words rather than single tokens.")
    span_mask: bool = _setting(False, "Choose spans of words, as SpanBERT does.")

    # Optimisation
    per_device_train_batch_size: int = _setting(16, "Sequences a replica in one training step.")
    per_device_eval_batch_size: int = _setting(32, "Sequences a replica in one evaluation step.")
    gradient_accumulation_steps: int = _setting(
        1, "Batches a replica whose gradients make one step together."
    )
    max_steps: int = _setting(-1, "Optimizer updates; overrides --num_train_epochs if positive.")
    num_train_epochs: float = _setting(3.0, "Passes over the training texts.")
    learning_rate: float = _setting(5e-5, "Highest learning rate.")
    lr_scheduler_type: Literal["linear", "cosine", "constant"] = _setting(
        "linear", "What follows the warm-up: decay to zero, in a line or a cosine, or none."
    )
    warmup_steps: int = _setting(0, "Steps in which the learning rate rises from zero.")
    warmup_ratio: float = _setting(0.0, "The same as a share of all steps, if steps are not given.")
    optim: Literal["adamw", "muon"] = _setting(
        "adamw", "AdamW; or Muon for the matrices inside the layers and AdamW for the rest."
    )
    weight_decay: float = _setting(0.01, "Decoupled weight decay; not on biases and norms.")
    adam_beta1: float = _setting(0.9, "Decay of the first moment.")
    adam_beta2: float = _setting(0.999, "Decay of the second moment.")
    adam_epsilon: float = _setting(1e-8, "Added to the second moment's root.")
    max_grad_norm: float = _setting(1.0, "Largest global norm of a gradient; 0 leaves it alone.")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = _setting(
        "auto", "Number format of the arithmetic; auto chooses from the hardware and says why."
    )
    skip_bad_steps: int = _setting(
        0, "Steps with a loss or gradient that is not finite to pass over before giving up."
    )
    seed: int = _setting(42, "Seed of everything that is drawn.")

    # Run
    output_dir: str = _setting("runs/mlm", "Where the checkpoint goes, and the state of the run.")
    overwrite_output_dir: bool = _setting(False, "Start anew where a checkpoint stands already.")
    logging_steps: int = _setting(50, "Steps between two points of the loss curve.")
    eval_steps: int = _setting(500, "Steps between two evaluations.")
    save_steps: int = _setting(500, "Steps between two saved states.")
    save_total_limit: int = _setting(2, "Saved states to keep; the newest stay. At least 2.")
    max_train_minutes: float | None = _setting(
        None, "End in order, with a state to go on from, before the run has taken that long."
    )
    early_stopping_patience: int | None = _setting(
        None, "End after that many evaluations in a row without a lower validation loss."
    )
    load_best_model_at_end: bool = _setting(
        False, "Keep the weights of the lowest validation loss rather than the last ones."
    )
    dry_run: bool = _setting(
        False, "Read everything, time a few steps, say what a run would take; write nothing."
    )
    report_to: Literal["none", "tensorboard"] = _setting(
        "none", "Where the curves go besides training.json: tensorboard, in OUTPUT_DIR/logs."
    )
    save_dtype: Literal["float32", "float16", "bfloat16"] = _setting(
        "float32", "Number format of the checkpoint's weights."
    )

    # Publishing
    push_to_hub: bool = _setting(False, "Publish the checkpoint when the run ends.")
    hub_model_id: str | None = _setting(None, "Where to publish: owner/name.")
    hub_private_repo: bool = _setting(False, "Make a repository that is created here private.")
    resume_from_hub: bool = _setting(
        False,
        "Keep the state of the run, its settings included, on a branch of --hub_model_id, and go "
        "on from there.",
    )
    hub_state_minutes: float = _setting(30.0, "Minutes between two states sent to the Hub.")

    def __post_init__(self):
        for check in _CHECKS:
            check(self)

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def to_public_dict(self) -> dict[str, Any]:
        """The same as to_dict without this machine's folders: of a local path its name is left."""
        public = self.to_dict()
        for name in ("train_file", "validation_file"):
            public[name] = [file if "://" in file else Path(file).name for file in public[name]]
        public["output_dir"] = Path(self.output_dir).name
        if self.add_words_file:
            public["add_words_file"] = Path(self.add_words_file).name
        if self.model_name_or_path and Path(self.model_name_or_path).expanduser().is_dir():
            public["model_name_or_path"] = Path(self.model_name_or_path).name
        return public

    @classmethod
    def from_dict(cls, settings: dict[str, Any]) -> "TrainingConfig":
        """From plain values, as of a recipe; ConfigError names a field that does not exist."""
        known = {f.name for f in dataclasses.fields(cls)}
        unknown = sorted(set(settings) - known, key=str)
        if unknown:
            raise ConfigError(
                f"unknown setting {unknown[0]!r}; `python scripts/train.py --help` lists them all"
            )
        return cls(**settings)


def read_recipe(path: str | Path) -> dict[str, Any]:
    """The settings of a recipe, a YAML file of field names and values."""
    import yaml

    try:
        settings = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"no recipe at {str(path)!r}; --config takes a YAML file") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{str(path)!r} is no YAML that can be read: {reason}") from None
    if not isinstance(settings, dict):
        raise ConfigError(f"{str(path)!r} holds no settings; write one `field: value` a line")
    return settings


def parse_config_overrides(text: str | None) -> dict[str, Any]:
    """`a=1,b=0.5,c=relu,d=true` -> the same as a dict with typed values."""
    overrides = {}
    for item in filter(None, (part.strip() for part in (text or "").split(","))):
        name, equals, value = item.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise ConfigError(
                f"--config_overrides has {item!r}; write name=value,name=value without spaces"
            )
        overrides[name.strip()] = _typed(value.strip())
    return overrides


def _typed(text: str) -> Any:
    import yaml

    if re.fullmatch(r"[\d.]+e[+-]?\d+", text):
        return float(text)  # YAML takes 1e-5 for text
    try:
        return yaml.safe_load(text)
    except (ValueError, yaml.YAMLError):
        return text


def _check_types(config: TrainingConfig) -> None:
    # Not the fields' own `type`: HfArgumentParser narrows those in place.
    for name, kind in get_type_hints(TrainingConfig).items():
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


def _check_counts(config: TrainingConfig) -> None:
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


def _check_shares(config: TrainingConfig) -> None:
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


def _check_optimizer(config: TrainingConfig) -> None:
    for name in ("adam_beta1", "adam_beta2"):
        if not 0 <= getattr(config, name) < 1:
            raise ConfigError(f"--{name} is {getattr(config, name)}; it is from 0 to below 1")
    if config.adam_epsilon <= 0:
        raise ConfigError(f"--adam_epsilon is {config.adam_epsilon}; it has to be above 0")


def _check_from_scratch(config: TrainingConfig) -> None:
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
    if config.model_name_or_path and config.vocab_size != TrainingConfig.vocab_size:
        raise ConfigError(
            f"--vocab_size is {config.vocab_size}, but the vocabulary comes from "
            "--model_name_or_path; leave one of them out"
        )


def _check_length_of_run(config: TrainingConfig) -> None:
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


def _check_publishing(config: TrainingConfig) -> None:
    if config.push_to_hub and not config.hub_model_id:
        raise ConfigError("--push_to_hub needs --hub_model_id, e.g. me/imdb_bert_uncased")
    if config.resume_from_hub and not config.hub_model_id:
        raise ConfigError("--resume_from_hub needs --hub_model_id, e.g. me/imdb_bert_uncased")


def _check_choices(config: TrainingConfig) -> None:
    for name, kind in get_type_hints(TrainingConfig).items():
        value = getattr(config, name)
        if get_origin(kind) is Literal and value not in get_args(kind):
            choices = ", ".join(get_args(kind))
            raise ConfigError(f"--{name} is {value!r}; it is one of {choices}")


_CHECKS = (
    _check_types,
    _check_choices,
    _check_counts,
    _check_shares,
    _check_optimizer,
    _check_from_scratch,
    _check_length_of_run,
    _check_publishing,
)
