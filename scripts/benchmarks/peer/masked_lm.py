"""Masked-LM training by a Trainer, as run_mlm.py of transformers does it."""

import tempfile
from typing import Any

from datasets import load_dataset
from timing import Measurement, peak_megabytes, seconds_since_process_start
from transformers import (
    AutoModelForMaskedLM,
    AutoTokenizer,
    DataCollatorForLanguageModeling,
    Trainer,
)

from peer.arguments import Settings, options_of_timed_steps, training_arguments
from peer.callbacks import StepLog, StopAtValue
from peer.held_out import HeldOut
from peer.tokenization import tokenize_and_group

GPU_OPTIONS = {  # that are known to keep a GPU busy
    "torch_compile": True,
    "dataloader_num_workers": 4,
    "logging_nan_inf_filter": False,
}


def train(settings: Settings, times: int, on: str = "cpu") -> Measurement:
    """Make training steps; the first two do not count for the seconds of a step.

    The result is the loss of the first step and the mean loss of the later ones.
    """
    log = StepLog(wait_at=(1, 2, 2 + times) if on == "gpu" else ())
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(settings, folder, on, **options_of_timed_steps(times))
        trainer.add_callback(log)
        trainer.train()
    return {
        "seconds": log.seconds_of_a_step(),
        "result": log.losses[:2],
        "start": log.ends[1],
        "megabytes": peak_megabytes(),
    }


def learn(settings: Settings, held_out: str, loss: float, every: int) -> Measurement:
    """Train until the held-out loss is at most `loss`, evaluated after each `every` steps.

    held_out: the file of Material.held_out. The seconds are without the evaluations. The result is
    the loss and the number of steps.
    """
    sequences, in_bf16 = HeldOut.read(held_out), settings["precision"] == "bf16"
    stop = StopAtValue(
        lambda network: sequences.loss(network, in_bf16), lambda value: value <= loss, every
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(settings, folder, logging_strategy="no")
        trainer.add_callback(stop)
        trainer.train()
    seconds = seconds_since_process_start() - stop.evaluating
    reached = stop.values[-1] if stop.values else float("inf")
    return {"seconds": seconds, "result": [reached, stop.step]}


def make_trainer(settings: Settings, folder: str, on: str = "cpu", **options: Any) -> Trainer:
    """Return a Trainer as run_mlm.py sets it up: AdamW, dynamic masking, no padding.

    on: `cpu`, or `gpu`, which also uses torch.compile; options: more of TrainingArguments.
    """
    tokenizer = AutoTokenizer.from_pretrained(settings["model_name_or_path"])
    network = AutoModelForMaskedLM.from_pretrained(settings["model_name_or_path"])
    texts = load_dataset("csv", data_files=settings["train_file"], cache_dir=folder)["train"]
    options |= {"lr_scheduler_type": "constant_with_warmup"}
    options |= GPU_OPTIONS if on == "gpu" else {}
    return Trainer(
        network,
        training_arguments(settings, folder, on, **options),
        train_dataset=tokenize_and_group(texts, tokenizer, settings["max_seq_length"]),
        data_collator=DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15),
    )
