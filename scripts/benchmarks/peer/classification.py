"""Fine-tuning by a Trainer, as run_classification.py of transformers does it."""

import tempfile
from typing import Any

import numpy as np
from datasets import DatasetDict, load_dataset
from timing import Measurement, peak_megabytes, seconds_since_process_start
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    EvalPrediction,
    Trainer,
    default_data_collator,
)

from peer.arguments import Settings, options_of_timed_steps, training_arguments
from peer.callbacks import StepLog, StopAtValue


def finetune(settings: Settings, times: int, **stop: float) -> Measurement:
    """Make fine-tuning steps. Arguments and result as of `finetune` of ours.py."""
    with tempfile.TemporaryDirectory() as folder:
        if stop:
            return train_to_accuracy(settings, folder, stop["accuracy"], int(stop["every"]))
        return time_steps(settings, folder, times)


def time_steps(settings: Settings, folder: str, times: int) -> Measurement:
    """Make steps, the first two of which do not count."""
    log = StepLog()
    trainer = make_trainer(settings, folder, **options_of_timed_steps(times))
    trainer.add_callback(log)
    trainer.train()
    return {
        "seconds": log.seconds_of_a_step(),
        "result": log.losses[:2],
        "megabytes": peak_megabytes(),
    }


def train_to_accuracy(settings: Settings, folder: str, accuracy: float, every: int) -> Measurement:
    """Train until the validation accuracy, taken after each `every` steps, is reached."""
    trainer = make_trainer(settings, folder, logging_strategy="no")
    stop = StopAtValue(
        lambda _: trainer.evaluate()["eval_accuracy"], lambda value: value >= accuracy, every
    )
    trainer.add_callback(stop)
    trainer.train()
    seconds = seconds_since_process_start() - stop.evaluating
    return {"seconds": seconds, "result": [max(stop.values), stop.step]}


def make_trainer(settings: Settings, folder: str, **options: Any) -> Trainer:
    """Return a Trainer as run_classification.py sets it up: AdamW, texts padded to one length.

    options: more of TrainingArguments.
    """
    network = AutoModelForSequenceClassification.from_pretrained(
        settings["model_name_or_path"], num_labels=2, dtype="float32"
    )
    examples = read_examples(settings, folder)
    return Trainer(
        network,
        training_arguments(settings, folder, lr_scheduler_type="linear", **options),
        train_dataset=examples["train"],
        eval_dataset=examples["validation"],
        data_collator=default_data_collator,
        compute_metrics=accuracy_of,
    )


def read_examples(settings: Settings, folder: str) -> DatasetDict:
    """Read and tokenize the texts and labels of both sides; folder: for the cache."""
    tokenizer = AutoTokenizer.from_pretrained(settings["model_name_or_path"])
    files = {"train": settings["train_file"], "validation": settings["validation_file"]}
    return load_dataset("csv", data_files=files, cache_dir=folder).map(
        lambda rows: tokenizer(
            rows["text"], padding="max_length", max_length=settings["max_seq_length"],
            truncation=True,
        )
        | {"label": rows["polarity"]},
        batched=True,
    )  # fmt: skip


def accuracy_of(evaluated: EvalPrediction) -> dict[str, float]:
    """Return the share of right labels."""
    chosen = np.argmax(evaluated.predictions, -1)
    return {"accuracy": float(np.mean(chosen == evaluated.label_ids))}
