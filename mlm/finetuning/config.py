"""FinetuningConfig: every setting of a fine-tuning.

Names are those of the ecosystem's `run_classification.py`, `run_glue.py` and `run_ner.py` wherever
they exist there.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

from mlm.checkpoint.strict_json import JsonObject
from mlm.finetuning.config_rules import check_rules
from mlm.training.run_settings import COUNT, SHARE, RunSettings, model, optimization, run, texts
from mlm.training.setting import Bounds, setting

labels = partial(setting, group="Labels")
head = partial(setting, group="Head")
comparison = partial(setting, group="Comparison", moves_weights=False)


@dataclass(frozen=True)
class FinetuningConfig(RunSettings):
    """Settings of a fine-tuning: those of any run, and texts, labels, head, comparison."""

    command: ClassVar[str] = "finetune"

    train_file: list[str] = texts(
        [],
        "Files of labelled texts: csv, tsv, jsonl, parquet, CoNLL, each also .gz, .zip; a folder "
        "with a sub-folder of texts for each class; globs; hf:// paths.",
        moves_weights=False,
        path="local",
    )
    validation_file: list[str] = texts(
        [],
        "Labelled files to choose by. Default: a share of the training texts, stratified by label.",
        moves_weights=False,
        path="local",
    )
    validation_split_percentage: float = texts(
        10.0, "Percentage of the training texts to hold out, without --validation_file."
    )
    test_file: list[str] = texts(
        [],
        "Labelled files to measure on once, at the end. Default: the held-out texts.",
        moves_weights=False,
        path="local",
    )
    text_column_names: list[str] = texts(
        [],
        "Column with the text, or two columns for pairs of texts. Default: detected.",
        aliases=("text_column",),
    )
    max_seq_length: int = texts(
        256,
        "Maximum number of tokens of a text, including special tokens.",
        bounds=Bounds(at_least=3, reason="two go to special tokens"),
    )
    truncation: Literal["head", "tail", "head_tail"] = texts(
        "head_tail",
        "Part of a text longer than --max_seq_length to read: its beginning, its end, or both.",
    )
    max_predict_samples: int | None = texts(
        None, "Maximum number of texts of --test_file.", bounds=COUNT, moves_weights=False
    )

    label_column_name: str | None = labels(
        None,
        "Column with the label, if there are several candidates. Default: detected.",
        aliases=("label_column",),
    )
    problem_type: Literal[
        "auto",
        "single_label_classification",
        "multi_label_classification",
        "regression",
        "token_classification",
    ] = labels("auto", "Kind of the labels. auto: found from the data, and said.")
    class_weights: Literal["none", "balanced"] = labels(
        "none",
        "Weights of the classes in the loss. balanced: rare classes count as much as others.",
    )
    metric_name: str | None = labels(
        None,
        "Metric of the learning curve, and to keep the best weights by, e.g. accuracy, f1_macro, "
        "mcc, pearson. Default: accuracy, f1 or r2 by the kind of the labels; the best weights are "
        "kept by the validation loss.",
    )

    freeze_encoder: bool = head(
        False,
        "Train the head only, on texts that are encoded once: a linear probe, done in seconds "
        "after that.",
    )
    classifier_pooling: Literal["auto", "cls", "mean"] = head(
        "auto",
        "State that a new ModernBERT head reads: that of the first token, or the mean over all. "
        "auto: the checkpoint's own; mean if it has no classifier yet.",
    )
    classifier_init: Literal["probe", "random"] = head(
        "probe",
        "Initial values of a new classifier. probe: those of a linear probe of up to 2,000 "
        "training texts, so that the encoder is not changed by random ones; random: as "
        "transformers draws them, as that of tokens always is.",
    )
    label_smoothing: float = head(
        0.0,
        "Share of a label's probability that is spread over all labels.",
        bounds=Bounds(at_least=0, below=1),
    )
    layerwise_lr_decay: float = optimization(
        1.0,
        "Factor of the learning rate from each layer to the one below it; 1 for one rate.",
        bounds=Bounds(above=0, at_most=1),
    )
    learning_rate: float | None = optimization(
        None,
        "Peak learning rate. Default: by the size of the model, 5e-5 for 12 layers of 768, in "
        "inverse proportion to the width and to the square root of the depth elsewhere.",
        bounds=Bounds(at_least=0),
    )
    warmup_ratio: float = optimization(
        0.1, "Warm-up as a share of all steps, if --warmup_steps is 0.", bounds=SHARE
    )

    output_dir: str = run(
        "runs/finetuned",
        "Folder of the checkpoint and of the run's state.",
        in_recipe=False,
        path="local",
    )
    model_name_or_path: str | None = model(
        None,
        "Checkpoint to fine-tune: a folder, a Hub id, or `demo`.",
        path="local or Hub",
    )

    labels_per_class: list[str] = comparison(
        [],
        "Numbers of labels a class to draw a learning curve for, e.g. 8 32 128 all.",
    )
    seeds: int = comparison(
        1, "Seeds of each point of the curve: samples of the texts, and heads.", bounds=COUNT
    )
    compare: list[str] = comparison(
        [],
        "Systems to draw beside the checkpoint: base (the model it was adapted from), random "
        "(weights of its shape that were never trained), tfidf (words and logistic regression).",
    )
    base_model_name_or_path: str | None = comparison(
        None,
        "The model that the checkpoint was adapted from, for `base`. Default: as its record says.",
        path="local or Hub",
    )
    zero_shot: str | None = comparison(
        None,
        "Classify without any label, by the mask of this prompt behind each text, e.g. 'In short, "
        "this movie was [MASK].'; needs --label_words.",
    )
    label_words: list[str] = comparison(
        [],
        "Words for the mask of --zero_shot, comma-separated for each label, in the order of the "
        "labels (numbers by value, words alphabetically); or label=word,word.",
    )
    calibration: Literal["none", "empty", "texts"] = comparison(
        "texts",
        "Subtracted from the scores of --zero_shot, because a model likes some words more than "
        "others. texts: the mean over the texts that are classified, which supposes that all "
        "labels are about equally frequent among them; empty: the scores of the prompt alone; "
        "none: nothing.",
    )

    def __post_init__(self) -> None:
        """Check all settings; raise ConfigError."""
        super().__post_init__()
        check_rules(self)

    @property
    def source_files(self) -> dict[str, list[str]]:
        """Return the given files of texts by what they are for."""
        return super().source_files | ({"test": self.test_file} if self.test_file else {})

    def source_identities(self) -> dict[str, list[JsonObject]]:
        """Return what distinguishes versions of these files, by what they are for."""
        from mlm.data.labelled.labelled_sources import source_identities

        return {side: source_identities(files) for side, files in self.source_files.items()}

    @property
    def pooling(self) -> Literal["cls", "mean"] | None:
        """Return what a new head reads; None leaves that to the checkpoint."""
        return None if self.classifier_pooling == "auto" else self.classifier_pooling

    @property
    def measures_only(self) -> bool:
        """True if nothing is trained: the masked LM is measured as a classifier as it is."""
        return self.zero_shot is not None and not self.labels_per_class

    @property
    def text_columns(self) -> list[str]:
        """Return the names of the text columns, however they were given."""
        return [name.strip() for given in self.text_column_names for name in given.split(",")]
