"""What people would otherwise use, on the same work; bench.py runs it, in the peers' environment.

    python scripts/benchmarks/peers.py fill '{"model": "FOLDER", "sentences": ["..."], "times": 20}'

PyTorch's transformers for filling and training as its run_mlm.py sets it up, datasets for
preparing, minicons for scoring, ONNX Runtime with dynamic int8 weights.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from timing import peak_mb, since_process_start, timed, words

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
THREADS = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)  # PyTorch's number too


def fill(model: str, sentences: list[str], times: int) -> dict[str, Any]:
    from transformers import pipeline

    fill_mask = pipeline("fill-mask", model=model)
    many = len(sentences) > 1
    asked: Any = sentences if many else sentences[0]
    options = {"batch_size": 16} if many else {}
    fill_mask(asked, top_k=5, **options)
    first = since_process_start()
    seconds, found = timed(lambda: fill_mask(asked, top_k=5, **options), times)
    answers = found if many else [found]
    return {
        "seconds": seconds,
        "first": first,  # answer, since the process started
        "result": [words(answer) for answer in answers],
        "megabytes": peak_mb(),
    }


def fill_int8(model: str, sentences: list[str], times: int) -> dict[str, Any]:
    """One sentence by ONNX Runtime, weights in int8; tokenizing and the softmax are in it.

    Weights scaled by channel were slower, and its optimizer for BERT changed nothing (2026-11).
    """
    import numpy as np
    import onnxruntime
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    network = AutoModelForMaskedLM.from_pretrained(model).eval()
    with tempfile.TemporaryDirectory() as folder:
        whole, small = f"{folder}/model.onnx", f"{folder}/int8.onnx"
        example = tokenizer(sentences[0], return_tensors="pt")
        names = ["input_ids", "attention_mask"]
        axes = {name: {0: "rows", 1: "tokens"} for name in [*names, "logits"]}
        torch.onnx.export(
            network, tuple(example[name] for name in names), whole, input_names=names,
            output_names=["logits"], dynamic_axes=axes, dynamo=False,
        )  # fmt: skip
        quantize_dynamic(whole, small, weight_type=QuantType.QInt8)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        session = onnxruntime.InferenceSession(small, options)

        def answer() -> list[dict[str, Any]]:
            inputs = tokenizer(sentences[0], return_tensors="np")
            (logits,) = session.run(None, {name: inputs[name] for name in names})
            at = int(np.flatnonzero(inputs["input_ids"][0] == tokenizer.mask_token_id)[0])
            row = logits[0, at] - logits[0, at].max()
            shares = np.exp(row) / np.exp(row).sum()
            return [{"token": int(i), "score": float(shares[i])} for i in np.argsort(-shares)[:5]]

        seconds, found = timed(answer, times)
    return {"seconds": seconds, "result": [words(found)], "megabytes": peak_mb()}


def score(model: str, sentences: list[str]) -> dict[str, Any]:
    from minicons import scorer
    from transformers import PreTrainedTokenizerBase

    # minicons calls it by the name that it had until transformers 5.
    base: Any = PreTrainedTokenizerBase
    base.batch_encode_plus = base.__call__

    masked = scorer.MaskedLMScorer(model, "cpu")
    seconds, found = timed(
        lambda: [
            float(value)
            for sentence in sentences
            for value in masked.sequence_score(
                [sentence], reduction=lambda x: x.sum(0).item(), PLL_metric="within_word_l2r"
            )
        ],
        1,
        warm_up=0,
    )
    return {"seconds": seconds, "result": found}


def tokens(model: str, files: list[str]) -> dict[str, Any]:
    """What grouped() takes, from the files on."""
    from datasets import load_dataset
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    with tempfile.TemporaryDirectory() as cache:
        started = time.perf_counter()
        texts = load_dataset("csv", data_files=files, cache_dir=cache)["train"]
        rows = grouped(texts, tokenizer, 128)
        seconds = time.perf_counter() - started
        return {"seconds": seconds, "result": len(rows) * 128}


def grouped(texts, tokenizer, length: int):
    """run_mlm.py's tokenization and group_texts, with a process for each thread of ours."""
    cut = texts.map(
        lambda rows: tokenizer(rows["text"], return_special_tokens_mask=True),
        batched=True, num_proc=THREADS, remove_columns=texts.column_names,
    )  # fmt: skip

    def group(rows: dict[str, list]) -> dict[str, list]:
        joined = {name: [i for row in parts for i in row] for name, parts in rows.items()}
        whole = len(joined["input_ids"]) // length * length
        return {
            name: [ids[i : i + length] for i in range(0, whole, length)]
            for name, ids in joined.items()
        }

    return cut.map(group, batched=True, num_proc=THREADS)


def train(settings: dict[str, Any], times: int, on: str = "cpu") -> dict[str, Any]:
    """Steps of training as run_mlm.py makes them; the first two are not counted."""
    import torch
    from transformers import TrainerCallback

    ends: dict[int, float] = {}  # of steps, since the process started
    losses: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, args, state, control, **options):
            if on == "gpu" and state.global_step in (1, 2, 2 + times):
                torch.cuda.synchronize()
            ends[state.global_step] = since_process_start()

        def on_log(self, args, state, control, logs=None, **options):
            losses.append(logs.get("loss"))

    # Logged is the mean since the last time.
    options = {"max_steps": 2 + times, "logging_steps": 2 + times, "logging_first_step": True}
    with tempfile.TemporaryDirectory() as folder:
        trainer_of(settings, folder, Clock(), on, logging_strategy="steps", **options).train()
    return {
        "seconds": (ends[2 + times] - ends[2]) / times,
        "result": losses[:2],  # the first, and the mean of the others
        "start": ends[1],
        "megabytes": peak_mb(),
    }


def learn(settings: dict[str, Any], held_out: str, loss: float, every: int) -> dict[str, Any]:
    """Until the loss on masked sequences that are held out is so low, looked at every few steps.

    Looking is not counted.
    """
    import numpy as np
    import torch
    from transformers import TrainerCallback

    arrays, reached, looked = np.load(held_out), [float("inf"), 0], [0.0]
    in_bf16 = settings["precision"] == "bf16"
    ids = torch.from_numpy(arrays["input_ids"]).long()
    chosen = torch.from_numpy(arrays["masked_positions"]).long()
    labels, real = torch.from_numpy(arrays["labels"]).long(), torch.from_numpy(arrays["real"])

    def held_out_loss(network) -> float:
        network.eval()
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, in_bf16):
            found = [
                network(input_ids=rows).logits.gather(
                    1, places[..., None].expand(-1, -1, network.config.vocab_size)
                )
                for rows, places in zip(ids.split(32), chosen.split(32), strict=True)
            ]
        network.train()
        logits = torch.cat(found).float()[real]
        return float(torch.nn.functional.cross_entropy(logits, labels[real]))

    class Watch(TrainerCallback):
        def on_step_end(self, args, state, control, model=None, **options):
            if state.global_step % every == 0:
                begun = time.perf_counter()
                reached[:] = [held_out_loss(model), state.global_step]
                looked.append(time.perf_counter() - begun)
                control.should_training_stop = reached[0] <= loss

    with tempfile.TemporaryDirectory() as folder:
        trainer_of(settings, folder, Watch()).train()
    return {"seconds": since_process_start() - sum(looked), "result": reached}


def trainer_of(settings: dict[str, Any], folder: str, callback, on: str = "cpu", **options: Any):
    """transformers.Trainer as run_mlm.py sets it up: AdamW, dynamic masking, no padding.

    on: `cpu`, or `gpu`, where torch.compile is used;
    options: of TrainingArguments, beside what the settings say.
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
    data = grouped(texts, tokenizer, settings["max_seq_length"])
    ours = {"train_file", "model_name_or_path", "max_seq_length", "precision", "lr_scheduler_type"}
    asked = {name: value for name, value in settings.items() if name not in ours}
    asked |= {"logging_strategy": "no"} | options
    if on == "gpu":  # what is known to keep it busy
        asked |= {
            "torch_compile": True,
            "dataloader_num_workers": 4,
            "logging_nan_inf_filter": False,
        }
    arguments = TrainingArguments(
        folder, bf16=settings["precision"] == "bf16", lr_scheduler_type="constant_with_warmup",
        use_cpu=on == "cpu", report_to="none", save_strategy="no", disable_tqdm=True, **asked,
    )  # fmt: skip
    collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15)
    return Trainer(
        network, arguments, train_dataset=data, data_collator=collator, callbacks=[callback]
    )


def product_peak() -> dict[str, Any]:
    """Billions of operations a second in a product of two matrices of float32, by NumPy."""
    import numpy as np

    a = np.random.default_rng(0).random((2048, 2048), np.float32)
    seconds, _ = timed(lambda: a @ a, 10)
    return {"seconds": seconds, "result": 2 * 2048**3 / seconds / 1e9}


def gpu_product_peak() -> dict[str, Any]:
    """The same in bf16 on the GPU."""
    import torch

    a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)

    def product() -> None:
        a @ a
        torch.cuda.synchronize()

    seconds, _ = timed(product, 20)
    return {"seconds": seconds, "result": 2 * 8192**3 / seconds / 1e9}


TASKS: dict[str, Callable[..., dict[str, Any]]] = {
    "fill": fill,
    "fill_int8": fill_int8,
    "score": score,
    "tokens": tokens,
    "train": train,
    "learn": learn,
    "product_peak": product_peak,
    "gpu_product_peak": gpu_product_peak,
}

if __name__ == "__main__":
    print(json.dumps(TASKS[sys.argv[1]](**json.loads(sys.argv[2]))))
