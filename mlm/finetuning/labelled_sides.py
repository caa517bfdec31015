"""The labelled texts of a run: read, limited, encoded, with a line for all that happens to them."""

from collections.abc import Callable
from dataclasses import replace

from mlm.checkpoint.task_checkpoint import TaskCheckpoint
from mlm.data.examples.encoded_examples import EncodedExamples, encode_examples
from mlm.data.labelled.labelled_report import LabelledReport
from mlm.data.labelled.sampling import sample_texts
from mlm.data.labelled.sides import Sides, read_sides
from mlm.errors import CorpusError
from mlm.finetuning.config import FinetuningConfig
from mlm.finetuning.first_checks import labelled_settings


def read_texts(config: FinetuningConfig, report: Callable[[str], None]) -> tuple[Sides, str]:
    """Return the labelled texts of each side, and a line on how they were read.

    What was decided before an error is reported too: it may be the reason of the error.
    """
    counts = LabelledReport()
    try:
        texts = _read_sides(config, counts)
    except CorpusError:
        for line in counts.lines:
            report(line)
        raise
    for line in (counts.summary(), *counts.remarks()):
        report(line)
    limits = {"validation": config.max_eval_samples, "test": config.max_predict_samples}
    return _limited(texts, limits, config.seed, report), counts.summary()


def _read_sides(config: FinetuningConfig, counts: LabelledReport) -> Sides:
    return read_sides(
        labelled_settings(config),
        counts,
        train_files=config.train_file,
        validation_files=config.validation_file,
        test_files=config.test_file,
        validation_split_percentage=config.validation_split_percentage,
        max_train_samples=config.max_train_samples,
        seed=config.seed,
    )


def _limited(
    texts: Sides, limits: dict[str, int | None], seed: int, report: Callable[[str], None]
) -> Sides:
    """Return the sides with at most so many texts, each class with its share; say what is left."""
    for side, limit in limits.items():
        labelled = getattr(texts, side)
        if labelled is not None and limit is not None and limit < len(labelled):
            report(f"{side}: {limit:,} of {len(labelled):,} texts are drawn with seed {seed}")
            texts = replace(texts, **{side: sample_texts(labelled, limit, seed)})
    return texts


def encode_sides(
    config: FinetuningConfig,
    texts: Sides,
    checkpoint: TaskCheckpoint,
    report: Callable[[str], None],
) -> dict[str, EncodedExamples]:
    """Return the encoded texts of each side."""
    examples = {}
    for side, labelled in vars(texts).items():
        if labelled is None:
            continue
        examples[side] = encode_examples(
            labelled,
            checkpoint.tokenizer,
            max_seq_length=config.max_seq_length,
            truncation=config.truncation,
            has_segments=checkpoint.config.has_segments,
        )
        report(f"{side}: {examples[side].report_line}")
    return examples
