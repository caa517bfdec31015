"""Zero-shot figures of a checkpoint on labelled texts: nothing is trained, nothing is written.

TensorFlow is not needed if LiteRT can answer for the checkpoint.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from mlm.data.labelled.checks import check_classes
from mlm.data.labelled.labelled_files import read_labelled
from mlm.data.labelled.labelled_report import LabelledReport
from mlm.data.labelled.labelled_texts import LabelledTexts
from mlm.data.labelled.sampling import sample_texts
from mlm.errors import ConfigError
from mlm.evaluation.task.measurement import figures_of
from mlm.evaluation.task.tables import text_tables
from mlm.evaluation.task.task_figures import TaskFigures
from mlm.finetuning.config import FinetuningConfig
from mlm.finetuning.first_checks import labelled_settings
from mlm.finetuning.label_words import (
    LabelWords,
    describe_label_words,
    label_words,
    reversed_argument,
)
from mlm.finetuning.zero_shot import ZeroShotClassifier, calibrate
from mlm.training.summary import changed_settings

if TYPE_CHECKING:
    from mlm.inference.fill_mask import FillMask

SIDES = {  # to measure on, the first that has files, and the setting of the number of texts
    "test": "max_predict_samples",
    "validation": "max_eval_samples",
    "train": "max_train_samples",
}
USED = {  # settings that a measurement without training has
    *("zero_shot", "label_words", "calibration", "max_seq_length", "seed", *SIDES.values()),
    *("model_name_or_path", "model_revision", "train_file", "validation_file", "test_file"),
    *("text_column_names", "label_column_name", "problem_type"),
    *("encoding", "encoding_errors", "clean_html"),
}


def measure_zero_shot(
    config: FinetuningConfig, *, report: Callable[[str], None] = print
) -> TaskFigures:
    """Return the figures of a masked LM as a classifier on the test texts, and report them.

    Without test files, the validation texts are measured, without those all training texts.

    Raises:
        UserError: Texts, model, prompt or words that cannot work.
    """
    side = _check(config)
    if unused := [flag for flag in changed_settings(config) if flag.split()[0][2:] not in USED]:
        report(f"nothing is trained, so these settings have no effect: {', '.join(unused)}")
    texts = _read_texts(config, side, report)
    started = time.monotonic()
    fill = open_masked_lm(str(config.model_name_or_path), config.model_revision)
    figures = zero_shot_figures(config, fill, texts, report)
    seconds = time.monotonic() - started
    count = f"{len(texts):,} {side} texts"
    report(f"\non {count}, without labels: {figures.line()}; {seconds:.0f} s\n")
    report(f"{text_tables(figures)}\n")
    return figures


def zero_shot_figures(
    config: FinetuningConfig,
    fill: "FillMask",
    texts: LabelledTexts,
    report: Callable[[str], None],
) -> TaskFigures:
    """Return the figures of one model; say which words stand for which label before it is asked.

    Raises:
        ConfigError: Prompt or words do not suit the model or the labels.
    """
    check_zero_shot_texts(texts)
    words = label_words(config.label_words, texts.task.labels)
    model = ZeroShotClassifier(
        fill, str(config.zero_shot), words, max_seq_length=config.max_seq_length
    )
    report(
        f"zero-shot: {model.prompt!r} behind each part of {model.room} tokens of a text; "
        f"calibration: {CALIBRATIONS[config.calibration]}"
    )
    if model.note:
        report(f"prompt: {model.note}")
    report(f"label words: {describe_label_words(words)}")
    scores = model.scores(texts.texts, f"{fill.name}: reading the texts")
    empty = model.empty_scores() if config.calibration == "empty" else None
    logits = calibrate(scores, config.calibration, empty)
    figures = figures_of(texts.task, logits, texts.label_array(), seed=config.seed)
    if line := below_chance(figures, words):
        report(line)
    return figures


CALIBRATIONS = {
    "none": "none",
    "empty": "against the prompt without a text",
    "texts": "against the mean over these texts, as if all labels were equally frequent",
}


def check_zero_shot_texts(texts: LabelledTexts) -> None:
    """Raise ConfigError for a task that a prompt with one mask cannot do."""
    if texts.task.problem_type != "single_label_classification":
        raise ConfigError(
            f"--zero_shot is for texts that have one class each; this task is "
            f"{texts.task.problem_type}: leave it out"
        )
    if texts.second_texts is not None:
        raise ConfigError(
            "--zero_shot reads one text, and these are pairs: name one column with "
            "--text_column_names, or leave it out"
        )


def below_chance(figures: TaskFigures, words: LabelWords) -> str | None:
    """Return lines if the accuracy is below chance beyond doubt: the words may be exchanged."""
    chance, high = 1 / len(words), figures.headline.high
    if high is None or high >= chance:
        return None
    hint = f" The other way round:\n  {reversed_argument(words)}" if len(words) == 2 else ""
    return (
        f"the accuracy is below chance ({100 * chance:.1f} %): are the label words in the order of "
        f"the labels?{hint}"
    )


def open_masked_lm(name: str, revision: str | None) -> "FillMask":
    """Return the model that answers at masks. Raises HubError, CheckpointError."""
    from mlm.inference.fill_mask import FillMask

    return FillMask.from_pretrained(name, revision)


def _check(config: FinetuningConfig) -> str:
    """Return the side to measure on; raise UserError before anything is read."""
    if not config.model_name_or_path:
        raise ConfigError(
            "--model_name_or_path is missing; give the masked LM to ask: the folder of "
            "`mlm train`, a Hub id, or demo"
        )
    for side in SIDES:
        if getattr(config, f"{side}_file"):
            return side
    raise ConfigError("--test_file is missing; give files of labelled texts to measure on")


def _read_texts(
    config: FinetuningConfig, side: str, report: Callable[[str], None]
) -> LabelledTexts:
    counts = LabelledReport()
    files = getattr(config, f"{side}_file")
    texts = read_labelled(files, labelled_settings(config), counts, side=side)
    check_zero_shot_texts(texts)
    check_classes(texts, "test")  # a class may be rare where nothing is learned
    limit = getattr(config, SIDES[side])
    if limit is not None and limit < len(texts):
        counts.say(
            f"{len(texts) - limit:,} {side} texts left out by --{SIDES[side]}, drawn with seed "
            f"{config.seed}"
        )
        texts = sample_texts(texts, limit, config.seed)
    for line in (counts.summary(), *counts.remarks()):
        report(line)
    return texts
