"""The peers' side of the benchmarks: one task in a process of its own, which bench.py starts.

    python scripts/benchmarks/peers.py fill '{"model": "FOLDER", "sentences": ["..."], "times": 20}'

The peers are what people would otherwise use: transformers on PyTorch for filling, and for training
as its run_mlm.py does it; datasets for tokens; minicons for scores; ONNX Runtime with dynamic int8
weights. The last line printed is a Measurement of timing.py as JSON.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from timing import (
    Measurement,
    peak_megabytes,
    seconds_since_process_start,
    time_calls,
    token_scores,
)

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import (
        PreTrainedTokenizerBase,
        Trainer,
        TrainerCallback,
        TrainerControl,
        TrainerState,
        TrainingArguments,
    )

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
THREADS = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)  # PyTorch's number too

Settings = dict[str, Any]  # of a TrainingConfig, most of which TrainingArguments has by that name
Rows = dict[str, list[list[int]]]


def fill(model: str, sentences: list[str], times: int) -> Measurement:
    """Fill the masks of one sentence, or of many in one call, by a fill-mask pipeline."""
    from transformers import pipeline

    fill_mask: Callable[..., Any] = pipeline("fill-mask", model=model)
    many = len(sentences) > 1
    text = sentences if many else sentences[0]
    options = {"batch_size": 16} if many else {}
    fill_mask(text, top_k=5, **options)
    first = seconds_since_process_start()
    seconds, answer = time_calls(lambda: fill_mask(text, top_k=5, **options), times)
    answers = answer if many else [answer]
    return {
        "seconds": seconds,
        "first": first,
        "result": [token_scores(answer) for answer in answers],
        "megabytes": peak_megabytes(),
    }


def fill_int8(model: str, sentences: list[str], times: int) -> Measurement:
    """Fill the mask of one sentence by ONNX Runtime with int8 weights.

    The time includes tokenization and softmax. Scales per channel were slower, and the optimizer
    of ONNX Runtime for BERT changed nothing (2026-11).
    """
    import numpy as np
    import onnxruntime
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    network = AutoModelForMaskedLM.from_pretrained(model).eval()
    with tempfile.TemporaryDirectory() as folder:
        float32, int8 = f"{folder}/model.onnx", f"{folder}/int8.onnx"
        example = tokenizer(sentences[0], return_tensors="pt")
        names = ["input_ids", "attention_mask"]
        axes = {name: {0: "rows", 1: "tokens"} for name in [*names, "logits"]}
        torch.onnx.export(
            network, tuple(example[name] for name in names), float32, input_names=names,
            output_names=["logits"], dynamic_axes=axes, dynamo=False,
        )  # fmt: skip
        quantize_dynamic(float32, int8, weight_type=QuantType.QInt8)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        session = onnxruntime.InferenceSession(int8, options)

        def answer() -> list[dict[str, float]]:
            inputs = tokenizer(sentences[0], return_tensors="np")
            (logits,) = session.run(None, {name: inputs[name] for name in names})
            mask = int(np.flatnonzero(inputs["input_ids"][0] == tokenizer.mask_token_id)[0])
            row = logits[0, mask] - logits[0, mask].max()
            scores = np.exp(row) / np.exp(row).sum()
            return [{"token": int(i), "score": float(scores[i])} for i in np.argsort(-scores)[:5]]

        seconds, words = time_calls(answer, times)
    return {"seconds": seconds, "result": [token_scores(words)], "megabytes": peak_megabytes()}


def score(model: str, sentences: list[str]) -> Measurement:
    """Compute the pseudo-log-likelihood of each sentence by minicons."""
    from minicons import scorer
    from transformers import PreTrainedTokenizerBase

    # minicons uses the name that the method had until transformers 5.
    tokenizer_class: Any = PreTrainedTokenizerBase
    tokenizer_class.batch_encode_plus = tokenizer_class.__call__

    masked_lm = scorer.MaskedLMScorer(model, "cpu")
    seconds, scores = time_calls(
        lambda: [
            float(value)
            for sentence in sentences
            for value in masked_lm.sequence_score(
                [sentence], reduction=lambda x: x.sum(0).item(), PLL_metric="within_word_l2r"
            )
        ],
        1,
        warm_up=0,
    )
    return {"seconds": seconds, "result": scores}


def tokens(model: str, files: list[str]) -> Measurement:
    """Tokenize files for training; the result is the number of tokens."""
    from datasets import load_dataset
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    with tempfile.TemporaryDirectory() as cache:
        started = time.perf_counter()
        texts = load_dataset("csv", data_files=files, cache_dir=cache)["train"]
        rows = tokenize_and_group(texts, tokenizer, 128)
        seconds = time.perf_counter() - started
        return {"seconds": seconds, "result": len(rows) * 128}


def tokenize_and_group(
    texts: "Dataset", tokenizer: "PreTrainedTokenizerBase", length: int
) -> "Dataset":
    """Do what tokenize_function and group_texts of run_mlm.py do, in THREADS processes.

    Returns sequences of `length` tokens; the last tokens of a group are dropped.
    """
    tokenized = texts.map(
        lambda rows: tokenizer(rows["text"], return_special_tokens_mask=True),
        batched=True, num_proc=THREADS, remove_columns=texts.column_names,
    )  # fmt: skip

    def group(rows: Rows) -> Rows:
        joined = {name: [i for row in lists for i in row] for name, lists in rows.items()}
        end = len(joined["input_ids"]) // length * length
        return {
            name: [ids[i : i + length] for i in range(0, end, length)]
            for name, ids in joined.items()
        }

    return tokenized.map(group, batched=True, num_proc=THREADS)


def train(settings: Settings, times: int, on: str = "cpu") -> Measurement:
    """Make training steps as run_mlm.py does; the first two do not count for the seconds of a step.

    The result is the loss of the first step and the mean loss of the later ones.
    """
    import torch
    from transformers import TrainerCallback

    ends: dict[int, float] = {}  # of steps, since the start of the process
    losses: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(
            self,
            args: "TrainingArguments",
            state: "TrainerState",
            control: "TrainerControl",
            **kwargs: object,
        ) -> None:
            if on == "gpu" and state.global_step in (1, 2, 2 + times):
                torch.cuda.synchronize()
            ends[state.global_step] = seconds_since_process_start()

        def on_log(
            self,
            args: "TrainingArguments",
            state: "TrainerState",
            control: "TrainerControl",
            logs: dict[str, float] | None = None,
            **kwargs: object,
        ) -> None:
            losses.append((logs or {}).get("loss", float("nan")))

    # The logged loss is the mean since the last log.
    options = {"max_steps": 2 + times, "logging_steps": 2 + times, "logging_first_step": True}
    with tempfile.TemporaryDirectory() as folder:
        make_trainer(settings, folder, Clock(), on, logging_strategy="steps", **options).train()
    return {
        "seconds": (ends[2 + times] - ends[2]) / times,
        "result": losses[:2],
        "start": ends[1],
        "megabytes": peak_megabytes(),
    }


def learn(settings: Settings, held_out: str, loss: float, every: int) -> Measurement:
    """Train until the held-out loss is at most `loss`, evaluated after each `every` steps.

    held_out: the file of Material.held_out. The seconds are without the evaluations. The result is
    the loss and the number of steps.
    """
    import numpy as np
    import torch
    from transformers import TrainerCallback

    arrays = np.load(held_out)
    in_bf16 = settings["precision"] == "bf16"
    input_ids = torch.from_numpy(arrays["input_ids"]).long()
    masked_positions = torch.from_numpy(arrays["masked_positions"]).long()
    labels, real = torch.from_numpy(arrays["labels"]).long(), torch.from_numpy(arrays["real"])

    def target_logits(
        network: torch.nn.Module, ids: torch.Tensor, positions: torch.Tensor
    ) -> torch.Tensor:
        logits: torch.Tensor = network(input_ids=ids).logits
        return logits.gather(1, positions[..., None].expand(-1, -1, logits.shape[-1]))

    def held_out_loss(network: torch.nn.Module) -> float:
        network.eval()
        batches = zip(torch.split(input_ids, 32), torch.split(masked_positions, 32), strict=True)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, in_bf16):
            rows = [target_logits(network, ids, positions) for ids, positions in batches]
        network.train()
        logits = torch.cat(rows).float()[real]
        return float(torch.nn.functional.cross_entropy(logits, labels[real]))

    class StopAtLoss(TrainerCallback):
        reached = float("inf")
        step = 0
        evaluating = 0.0  # seconds

        def on_step_end(
            self,
            args: "TrainingArguments",
            state: "TrainerState",
            control: "TrainerControl",
            model: torch.nn.Module | None = None,
            **kwargs: object,
        ) -> None:
            assert model is not None, "the Trainer passes its model"
            if state.global_step % every == 0:
                started = time.perf_counter()
                self.reached, self.step = held_out_loss(model), state.global_step
                self.evaluating += time.perf_counter() - started
                control.should_training_stop = self.reached <= loss

    stop = StopAtLoss()
    with tempfile.TemporaryDirectory() as folder:
        make_trainer(settings, folder, stop).train()
    seconds = seconds_since_process_start() - stop.evaluating
    return {"seconds": seconds, "result": [stop.reached, stop.step]}


def make_trainer(
    settings: Settings,
    folder: str,
    callback: "TrainerCallback",
    on: str = "cpu",
    **options: str | int,
) -> "Trainer":
    """Return a Trainer as run_mlm.py sets it up: AdamW, dynamic masking, no padding.

    on: `cpu`, or `gpu`, which also uses torch.compile; options: more of TrainingArguments.
    """
    from datasets import load_dataset
    from transformers import (
        AutoModelForMaskedLM,
        AutoTokenizer,
        DataCollatorForLanguageModeling,
        Trainer,
        TrainingArguments,
    )

    tokenizer = AutoTokenizer.from_pretrained(settings["model_name_or_path"])
    network = AutoModelForMaskedLM.from_pretrained(settings["model_name_or_path"])
    texts = load_dataset("csv", data_files=settings["train_file"], cache_dir=folder)["train"]
    sequences = tokenize_and_group(texts, tokenizer, settings["max_seq_length"])
    ours = {"train_file", "model_name_or_path", "max_seq_length", "precision", "lr_scheduler_type"}
    others = {name: value for name, value in settings.items() if name not in ours}
    others |= {"logging_strategy": "no"} | options
    if on == "gpu":  # settings that are known to keep a GPU busy
        others |= {
            "torch_compile": True,
            "dataloader_num_workers": 4,
            "logging_nan_inf_filter": False,
        }
    arguments = TrainingArguments(
        folder, bf16=settings["precision"] == "bf16", lr_scheduler_type="constant_with_warmup",
        use_cpu=on == "cpu", report_to="none", save_strategy="no", disable_tqdm=True, **others,
    )  # fmt: skip
    collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15)
    return Trainer(
        network, arguments, train_dataset=sequences, data_collator=collator, callbacks=[callback]
    )


def finetune(settings: Settings, times: int, **stop: float) -> Measurement:
    """Make fine-tuning steps as run_classification.py does, which pads all texts to one length.

    Arguments and result as of `finetune` of ours.py.
    """
    import numpy as np
    from transformers import TrainerCallback

    ends: dict[int, float] = {}  # of steps, since the start of the process
    losses: list[float] = []
    evaluated: list[float] = []
    evaluating = 0.0

    class Clock(TrainerCallback):
        def on_step_end(
            self,
            args: "TrainingArguments",
            state: "TrainerState",
            control: "TrainerControl",
            **kwargs: object,
        ) -> None:
            nonlocal evaluating
            ends[state.global_step] = seconds_since_process_start()
            if stop and state.global_step % int(stop["every"]) == 0:
                started = time.perf_counter()
                evaluated.append(trainer.evaluate()["eval_accuracy"])
                evaluating += time.perf_counter() - started
                control.should_training_stop = evaluated[-1] >= stop["accuracy"]

        def on_log(
            self,
            args: "TrainingArguments",
            state: "TrainerState",
            control: "TrainerControl",
            logs: dict[str, float] | None = None,
            **kwargs: object,
        ) -> None:
            if "loss" in (logs or {}):
                losses.append((logs or {})["loss"])

    options: dict[str, str | int | bool] = {"logging_strategy": "no"}
    if not stop:
        options = {"max_steps": 2 + times, "logging_steps": 2 + times, "logging_first_step": True}
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_classification_trainer(settings, folder, Clock(), **options)
        trainer.train()
    if stop:
        steps = len(evaluated) * int(stop["every"])
        seconds = seconds_since_process_start() - evaluating
        return {"seconds": seconds, "result": [float(np.max(evaluated)), steps]}
    return {
        "seconds": (ends[2 + times] - ends[2]) / times,
        "result": losses[:2],
        "megabytes": peak_megabytes(),
    }


def make_classification_trainer(
    settings: Settings,
    folder: str,
    callback: "TrainerCallback",
    **options: str | int | bool,
) -> "Trainer":
    """Return a Trainer as run_classification.py sets it up: AdamW, texts padded to one length.

    options: more of TrainingArguments.
    """
    import numpy as np
    from datasets import load_dataset
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        Trainer,
        TrainingArguments,
        default_data_collator,
    )

    name = settings["model_name_or_path"]
    tokenizer = AutoTokenizer.from_pretrained(name)
    network = AutoModelForSequenceClassification.from_pretrained(
        name, num_labels=2, dtype="float32"
    )
    files = {"train": settings["train_file"], "validation": settings["validation_file"]}
    texts = load_dataset("csv", data_files=files, cache_dir=folder)
    examples = texts.map(
        lambda rows: tokenizer(
            rows["text"], padding="max_length", max_length=settings["max_seq_length"],
            truncation=True,
        )
        | {"label": rows["polarity"]},
        batched=True,
    )  # fmt: skip
    ours = {
        *("train_file", "validation_file", "model_name_or_path", "max_seq_length", "truncation"),
        *("precision", "lr_scheduler_type", "text_column_names", "label_column_name"),
    }
    others = {key: value for key, value in settings.items() if key not in ours}
    arguments = TrainingArguments(
        folder, bf16=settings["precision"] == "bf16", lr_scheduler_type="linear", use_cpu=True,
        report_to="none", save_strategy="no", disable_tqdm=True, **(others | options),
    )  # fmt: skip
    return Trainer(
        network, arguments, train_dataset=examples["train"], eval_dataset=examples["validation"],
        data_collator=default_data_collator, callbacks=[callback],
        compute_metrics=lambda of: {
            "accuracy": float(np.mean(np.argmax(of.predictions, -1) == of.label_ids))
        },
    )  # fmt: skip


def classify(model: str, texts: list[str], times: int) -> Measurement:
    """Label many texts in one call; the result is the score of the last label of each."""
    from transformers import AutoConfig, pipeline

    label: Callable[..., Any] = pipeline("text-classification", model=model)
    last = list(AutoConfig.from_pretrained(model).id2label.values())[-1]
    options = {"batch_size": 16, "top_k": None, "truncation": True, "max_length": 256}
    seconds, answers = time_calls(lambda: label(texts, **options), times)
    scores = [next(each["score"] for each in answer if each["label"] == last) for answer in answers]
    return {"seconds": seconds, "result": scores, "megabytes": peak_megabytes()}


def product_peak() -> Measurement:
    """Measure GFLOP/s of a matrix product in float32, by NumPy."""
    import numpy as np

    a = np.random.default_rng(0).random((2048, 2048), np.float32)
    seconds, _ = time_calls(lambda: a @ a, 10)
    return {"seconds": seconds, "result": 2 * 2048**3 / seconds / 1e9}


def gpu_product_peak() -> Measurement:
    """Measure GFLOP/s of a matrix product in bf16 on the GPU, by PyTorch."""
    import torch

    a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)

    def product() -> None:
        a @ a
        torch.cuda.synchronize()

    seconds, _ = time_calls(product, 20)
    return {"seconds": seconds, "result": 2 * 8192**3 / seconds / 1e9}


TASKS: dict[str, Callable[..., Measurement]] = {
    "fill": fill,
    "fill_int8": fill_int8,
    "score": score,
    "tokens": tokens,
    "train": train,
    "learn": learn,
    "finetune": finetune,
    "classify": classify,
    "product_peak": product_peak,
    "gpu_product_peak": gpu_product_peak,
}

if __name__ == "__main__":
    print(json.dumps(TASKS[sys.argv[1]](**json.loads(sys.argv[2]))))
