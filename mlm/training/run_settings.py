"""RunSettings: the settings that every training run has, whatever its model learns.

Names are those of the ecosystem's `TrainingArguments` wherever they exist there. The classes of
masked-LM training and of fine-tuning add their own.
"""

import dataclasses
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal, Self

from mlm.checkpoint.strict_json import JsonObject
from mlm.data.batches import MIN_SEQ_LENGTH
from mlm.errors import ConfigError
from mlm.hub.names import BRANCH, DATASET, LANGUAGE, LICENCE, SPACE, TAG
from mlm.training.config_rules import check_run_rules
from mlm.training.setting import Bounds, Form, check_values, setting, settings_of, without_folders

COUNT = Bounds(at_least=1)
NOT_NEGATIVE = Bounds(at_least=0)
SHARE = Bounds(at_least=0, at_most=1)
LICENCE_FORM = Form(LICENCE, "a licence's identifier, e.g. apache-2.0")
TEXTS_LICENCE_FORM = Form(LICENCE, "a licence's identifier, e.g. cc-by-4.0")

texts = partial(setting, group="Texts")
model = partial(setting, group="Model")
optimization = partial(setting, group="Optimization")
run = partial(setting, group="Run", moves_weights=False)
publishing = partial(setting, group="Publishing", moves_weights=False, in_recipe=False)
card = partial(setting, group="Card", moves_weights=False)


@dataclass(frozen=True)
class RunSettings:
    """Settings of a run: texts, model, optimization, destination. Raises ConfigError."""

    command: ClassVar[str]  # the word after `mlm` that takes these settings

    # The texts themselves may be named in another way on resume: their fingerprint is compared.
    train_file: list[str] = texts(
        [],
        "Files to train on: csv, tsv, jsonl, parquet or txt, each also .gz, .zip; globs; "
        "hf:// paths.",
        moves_weights=False,
        path="local",
    )
    validation_file: list[str] = texts(
        [],
        "Files to evaluate on. Default: a share of the training documents is held out.",
        moves_weights=False,
        path="local",
    )
    validation_split_percentage: float = texts(
        5.0, "Percentage of the documents to hold out, without --validation_file."
    )
    encoding: str | None = texts(None, "Encoding of the text files. Default: UTF-8.")
    encoding_errors: Literal["strict", "replace", "ignore"] = texts(
        "strict",
        "Bytes that the encoding does not know. strict: stop; replace: put U+FFFD in their place; "
        "ignore: leave them out. Their number is reported.",
    )
    clean_html: Literal["auto", "yes", "no"] = texts(
        "auto",
        "HTML to remove from the texts. auto: what is surely markup; yes: every known tag, escaped "
        "ones too; no: nothing.",
    )
    max_train_samples: int | None = texts(
        None, "Maximum number of training documents.", bounds=COUNT
    )
    max_eval_samples: int | None = texts(
        None, "Maximum number of sequences to evaluate on.", bounds=COUNT
    )
    model_name_or_path: str | None = model(
        None,
        "Checkpoint to adapt: a folder, a Hub id, or `demo`. Default: train from scratch.",
        path="local or Hub",
    )
    model_revision: str | None = model(None, "Branch, tag or commit of a Hub checkpoint.")
    freeze_layers: int = model(
        0,
        "Do not train the embeddings and this many of the lowest layers; 0 trains everything.",
        bounds=NOT_NEGATIVE,
    )
    max_seq_length: int = texts(
        128,
        "Maximum number of tokens in a sequence, including special tokens.",
        bounds=Bounds(at_least=MIN_SEQ_LENGTH, reason="two go to special tokens"),
    )
    per_device_train_batch_size: int = optimization(
        16, "Sequences per device (replica) in a training step.", bounds=COUNT
    )
    per_device_eval_batch_size: int = optimization(
        32, "Sequences per device in an evaluation step.", bounds=COUNT, moves_weights=False
    )
    gradient_accumulation_steps: int = optimization(
        1, "Batches per device whose gradients are summed into one update.", bounds=COUNT
    )
    max_steps: int = optimization(
        -1, "Number of optimizer updates; if positive, overrides --num_train_epochs."
    )
    num_train_epochs: float = optimization(3.0, "Passes over the training texts.")
    learning_rate: float | None = optimization(5e-5, "Peak learning rate.", bounds=NOT_NEGATIVE)
    lr_scheduler_type: Literal["linear", "cosine", "constant", "warmup_stable_decay"] = (
        optimization(
            "linear",
            "Schedule after the warm-up: linear or cosine decay to zero, constant, or constant "
            "with a linear decay to zero at the end (warmup_stable_decay).",
        )
    )
    lr_decay_ratio: float = optimization(
        0.2,
        "Share of all steps in which warmup_stable_decay decays.",
        bounds=Bounds(above=0, at_most=1),
    )
    warmup_steps: int = optimization(
        0, "Steps in which the learning rate rises linearly from zero.", bounds=NOT_NEGATIVE
    )
    warmup_ratio: float = optimization(
        0.0, "Warm-up as a share of all steps, if --warmup_steps is 0.", bounds=SHARE
    )
    optim: Literal["adamw", "muon"] = optimization(
        "adamw",
        "Optimizer: AdamW; or Muon for the matrices inside the layers and AdamW for the rest.",
    )
    weight_decay: float = optimization(
        0.01, "Decoupled weight decay, not applied to biases and norms.", bounds=NOT_NEGATIVE
    )
    adam_beta1: float = optimization(
        0.9, "Decay rate of AdamW's first moment.", bounds=Bounds(at_least=0, below=1)
    )
    adam_beta2: float = optimization(
        0.999, "Decay rate of AdamW's second moment.", bounds=Bounds(at_least=0, below=1)
    )
    adam_epsilon: float = optimization(
        1e-8, "Added to the square root of AdamW's second moment.", bounds=Bounds(above=0)
    )
    max_grad_norm: float = optimization(
        1.0, "Maximum global norm of a gradient; 0 turns clipping off.", bounds=NOT_NEGATIVE
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = optimization(
        "auto", "Number format of the arithmetic; auto chooses by the hardware and says why."
    )
    require_device: Literal["any", "gpu", "tpu"] = optimization(
        "any",
        "Stop at once where this accelerator is missing, instead of using the CPU.",
        moves_weights=False,
        in_recipe=False,
    )
    distributed: bool = optimization(
        False,
        "Train together with the other processes of a cluster, on JAX; see "
        "docs/kaggle_and_clusters.md.",
        moves_weights=False,
    )
    skip_bad_steps: int = optimization(
        0,
        "Number of steps with a loss or gradient that is not finite to skip before giving up.",
        bounds=NOT_NEGATIVE,
        moves_weights=False,
    )
    seed: int = optimization(
        42, "Seed of everything random.", bounds=Bounds(at_least=0, at_most=2**32 - 1)
    )
    output_dir: str = run(
        "runs/mlm",
        "Folder of the checkpoint and of the run's state.",
        in_recipe=False,
        path="local",
    )
    overwrite_output_dir: bool = run(
        False,
        "Start again although --output_dir holds a checkpoint, which the result replaces.",
        in_recipe=False,
    )
    discard_state: bool = run(
        False,
        "Start again although --output_dir holds the state of an interrupted run: delete it.",
        in_recipe=False,
    )
    logging_steps: int = run(50, "Steps between two points of the loss curve.", bounds=COUNT)
    eval_steps: int = run(500, "Steps between two evaluations.", bounds=COUNT, moves_weights=True)
    save_steps: int = run(500, "Steps between two saved states.", bounds=COUNT)
    save_minutes: float = run(
        15.0,
        "Minutes after which a state is saved, whatever the steps; 0 saves by steps only.",
        bounds=NOT_NEGATIVE,
    )
    save_total_limit: int = run(
        2,
        "Number of saved states to keep, the newest; at least 2.",
        bounds=Bounds(at_least=2, reason="one stays whole while the next is written"),
    )
    max_train_minutes: float | None = run(
        None,
        "Stop before the run has taken this long, with a state to resume from.",
        bounds=Bounds(above=0),
        in_recipe=False,
    )
    early_stopping_patience: int | None = run(
        None,
        "Stop after this many evaluations in a row without a lower validation loss.",
        bounds=COUNT,
        moves_weights=True,
    )
    load_best_model_at_end: bool = run(
        False, "Keep the weights with the lowest validation loss instead of the last ones."
    )
    # It never reaches a state; as a setting that moves weights it needs no rule of its own.
    dry_run: bool = run(
        False,
        "Read everything, time a few steps, report what the run would take; write nothing.",
        moves_weights=True,
    )
    report_to: Literal["none", "tensorboard"] = run(
        "none",
        "Where to write the curves besides training.json: tensorboard, in OUTPUT_DIR/logs.",
        in_recipe=False,
    )
    save_dtype: Literal["float32", "float16", "bfloat16"] = run(
        "float32", "Number format of the checkpoint's weights."
    )
    push_to_hub: bool = publishing(False, "Publish the checkpoint when the run ends.")
    hub_model_id: str | None = publishing(None, "Repository to publish to: owner/name.")
    hub_private_repo: bool = publishing(False, "Make a repository that is created private.")
    hub_revision: str | None = publishing(
        None,
        "Branch to publish to, created if it does not exist. Default: main.",
        form=Form(BRANCH, "a branch, e.g. longer-run"),
    )
    hub_tag: str | None = publishing(
        None,
        "Tag for the publication, e.g. v1; an existing tag is never moved.",
        form=Form(TAG, "a tag other than main and HEAD, e.g. v1"),
    )
    resume_from_hub: bool = publishing(
        False,
        "Keep the state of the run, including its settings, on a branch of --hub_model_id, and "
        "resume from there.",
    )
    hub_state_minutes: float = publishing(
        30.0, "Minutes between two states sent to the Hub.", bounds=NOT_NEGATIVE
    )
    language: list[str] = card(
        [],
        "Languages of the texts: ISO 639 codes such as en.",
        form=Form(LANGUAGE, "an ISO 639 code, e.g. en"),
    )
    license: str | None = card(
        None, "Licence of the checkpoint, e.g. apache-2.0.", form=LICENCE_FORM
    )
    dataset_tags: list[str] = card(
        [],
        "Data sets on the Hub that the texts come from, e.g. stanfordnlp/imdb.",
        form=Form(DATASET, "the id of a data set, e.g. stanfordnlp/imdb"),
    )
    dataset_license: str | None = card(None, "Licence of the texts.", form=TEXTS_LICENCE_FORM)
    hub_space: str | None = card(
        None,
        "Space whose page serves the model, to link to: owner/name.",
        form=Form(SPACE, "owner/name"),
        in_recipe=False,
    )

    def __post_init__(self) -> None:
        """Check all settings; raise ConfigError."""
        check_values(self)
        check_run_rules(self)

    @property
    def source_files(self) -> dict[str, list[str]]:
        """Return the given files of texts by what they are for."""
        files = {"train": self.train_file, "validation": self.validation_file}
        return {side: names for side, names in files.items() if names}

    def source_identities(self) -> dict[str, list[JsonObject]]:
        """Return what distinguishes versions of these files, by what they are for."""
        from mlm.data.texts.text_files import expand_files, file_identity

        return {
            side: [dict(file_identity(url)) for url in expand_files(files)]
            for side, files in self.source_files.items()
        }

    @property
    def starts_again(self) -> bool:
        """Return whether a state in `output_dir` is deleted instead of resumed from."""
        return self.overwrite_output_dir or self.discard_state

    def to_dict(self) -> JsonObject:
        """Return the settings as plain values, the reverse of `from_dict`."""
        return dataclasses.asdict(self)

    def to_public_dict(self) -> JsonObject:
        """Return the settings with local paths reduced to their last part."""
        return without_folders(self)

    @classmethod
    def from_dict(cls, settings: JsonObject) -> Self:
        """Make a config of plain values, such as a recipe's; ConfigError names an unknown field."""
        unknown = sorted(set(settings) - set(settings_of(cls)), key=str)
        if unknown:
            raise ConfigError(
                f"unknown setting {unknown[0]!r}; `mlm {cls.command} --help` lists them all"
            )
        return cls(**settings)
