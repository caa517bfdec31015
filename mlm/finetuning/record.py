"""The record of a finished fine-tuning: training.json."""

from collections import Counter
from itertools import chain

from mlm.checkpoint.strict_json import JsonObject
from mlm.data.labelled.labelled_texts import LabelledTexts
from mlm.evaluation.task.task_figures import TaskFigures
from mlm.finetuning.config import FinetuningConfig
from mlm.finetuning.preparation import FinetuningPreparation
from mlm.training.card.origin import recipe_of
from mlm.training.record import run_record
from mlm.training.run_progress import Progress


def finetuning_record(
    prepared: FinetuningPreparation,
    progress: Progress,
    validation: TaskFigures,
    figures: TaskFigures,
) -> JsonObject:
    """Return what training.json holds: settings, texts, figures, and the facts of the run.

    figures: of the test texts, or of the validation texts if there are none.
    """
    config, task = prepared.config, prepared.task
    record = {
        "config": config.to_public_dict(),
        "recipe": recipe_of(
            FinetuningConfig, config.to_public_dict(), prepared.base_model["commit"]
        ),
        "base_model": prepared.base_model,
        "task": {
            "problem_type": task.problem_type,
            "labels": list(task.labels),
            "truncation": config.truncation,
            "max_seq_length": config.max_seq_length,
            "is_of_pairs": prepared.texts.train.second_texts is not None,
        },
        "corpus": texts_record(prepared),
        "metrics": {
            "before": progress.before,
            "validation": validation.to_dict(),
            "after": figures.to_dict(),
            "measured_on": "test" if "test" in prepared.examples else "validation",
        },
        **run_record(prepared, progress),
    }
    if prepared.curve:
        record |= {name: prepared.curve[name] for name in ("curve", "comparisons")}
    return record


def texts_record(prepared: FinetuningPreparation) -> JsonObject:
    """Return files, counts and fingerprint of the texts."""
    counts = {
        side: {
            "documents": len(examples),
            "tokens": int(examples.lengths.sum()),
            "cut_texts": int((examples.cut > 0).sum()),
            "labels": label_counts(getattr(prepared.texts, side)),
        }
        for side, examples in prepared.examples.items()
    }
    return {
        "made_from": {"sources": prepared.config.source_identities()},
        "counts": counts,
        "fingerprint": prepared.fingerprint,
        "report_line": prepared.summary,
    }


def label_counts(texts: LabelledTexts) -> dict[str, int]:
    """Return how often each label occurs; of a regression, nothing."""
    if texts.task.problem_type == "regression":
        return {}
    is_single = texts.task.problem_type == "single_label_classification"
    counts = Counter(texts.labels if is_single else chain.from_iterable(texts.labels))
    return {name: counts[name] for name in texts.task.labels}
