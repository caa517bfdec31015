"""TrainingConfig: every setting of a training run, its unit and its default; checked once.

Names are those of the ecosystem's `run_mlm.py` and `TrainingArguments` wherever they exist there.
"""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mlm.errors import ConfigError, one_line
from mlm.training.config_rules import check_config


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
    token_store: list[str] = _setting(
        [], "Instead of files: token stores of tokenize_texts.py; folders, URLs, globs."
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
    group_by_length: bool = _setting(
        False, "With --line_by_line: like lengths in a batch, which saves padding."
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
    require_device: Literal["any", "gpu", "tpu"] = _setting(
        "any", "Give up at once where there is no such accelerator, instead of taking the CPU."
    )
    distributed: bool = _setting(
        False, "Train with the other processes of a cluster, on JAX; see mlm/backend/processes.py."
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
    hub_tag: str | None = _setting(
        None, "Tag the publication, e.g. v1; a tag that is there already is never moved."
    )
    resume_from_hub: bool = _setting(
        False,
        "Keep the state of the run, its settings included, on a branch of --hub_model_id, and go "
        "on from there.",
    )
    hub_state_minutes: float = _setting(30.0, "Minutes between two states sent to the Hub.")

    # Card
    language: list[str] = _setting([], "Languages of the texts, for the card: codes such as en.")
    license: str | None = _setting(None, "Licence of the checkpoint, for the card: apache-2.0.")
    dataset_tags: list[str] = _setting(
        [], "Data sets on the Hub that the texts are of, for the card: stanfordnlp/imdb."
    )
    dataset_license: str | None = _setting(None, "Licence of the texts, for the card.")
    hub_space: str | None = _setting(
        None, "Space whose page serves the model, for a link in the card: owner/name."
    )
    example_texts: list[str] = _setting(
        ["I have watched this [MASK] and it was awesome."],
        "Sentences with a mask; the card shows the best words for each.",
    )

    def __post_init__(self):
        check_config(self)

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def to_public_dict(self) -> dict[str, Any]:
        """The same as to_dict without this machine's folders: of a local path its name is left."""
        public = self.to_dict()
        for name in ("train_file", "token_store", "validation_file"):
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
        reason = one_line(error)
        raise ConfigError(f"{str(path)!r} is no YAML that can be read: {reason}") from None
    if not isinstance(settings, dict):
        raise ConfigError(f"{str(path)!r} holds no settings; write one `field: value` a line")
    return settings
