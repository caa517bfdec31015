"""Our side of the benchmarks: one task in a process of its own, which bench.py starts.

    python scripts/benchmarks/ours.py fill '{"model": "FOLDER", "sentences": ["..."], "times": 20}'

The last line printed is a Measurement of timing.py as JSON.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
from timing import (
    Measurement,
    peak_megabytes,
    seconds_since_process_start,
    time_calls,
    token_scores,
)

from mlm.backend.startup import keep_pytorch_out, load_backend
from mlm.inference.engines.litert import DType
from mlm.inference.fill_mask import FillMask
from mlm.inference.predictor import log_softmax

Settings = dict[str, Any]  # of a TrainingConfig


def fill(model: str, sentences: list[str], times: int, dtype: DType = "int8") -> Measurement:
    """Fill the masks of one sentence, or of many in one call; the result is the best words."""
    fill_mask = FillMask.from_pretrained(model, dtype=dtype)
    text = sentences if len(sentences) > 1 else sentences[0]
    fill_mask(text, 5)
    first = seconds_since_process_start()
    seconds, answer = time_calls(lambda: fill_mask(text, 5), times)
    answers = answer if len(sentences) > 1 else [answer]
    return {
        "seconds": seconds,
        "first": first,
        "result": [token_scores(answer) for answer in answers],
        "megabytes": peak_megabytes(),
    }


def score(model: str, sentences: list[str], dtype: DType = "int8") -> Measurement:
    """Compute the pseudo-log-likelihood of each sentence."""
    fill_mask = FillMask.from_pretrained(model, dtype=dtype)
    seconds, scores = time_calls(
        lambda: [fill_mask.score(s).pseudo_log_likelihood for s in sentences], 1, warm_up=0
    )
    return {"seconds": seconds, "result": scores}


def serve(model: str, sentence: str, clients: int, seconds: float) -> Measurement:
    """Serve the page in this process and `ask` it from another; megabytes are the page's."""
    from mlm.playground.page import build_playground, launch_options
    from mlm.playground.server.limits import RateLimit

    page = build_playground([FillMask.from_pretrained(model, dtype="int8")])
    options = launch_options()
    middleware = options["app_kwargs"]["middleware"]  # without the limit: all clients have one IP
    middleware[:] = [each for each in middleware if each.cls is not RateLimit]
    _, address, _ = page.launch(prevent_thread_lock=True, quiet=True, **options)
    # The clients run in another process, because the GIL of this one belongs to the page.
    arguments = {"address": address, "sentence": sentence, "clients": clients, "seconds": seconds}
    command = [sys.executable, __file__, "ask", json.dumps(arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    page.close()
    measurement: Measurement = json.loads(done.stdout.splitlines()[-1])
    return {**measurement, "megabytes": peak_megabytes()}


def ask(address: str, sentence: str, clients: int, seconds: float) -> Measurement:
    """Count the questions a second that a page answers to clients that ask without a pause.

    Plain HTTP, as in the examples of docs/api.md: gradio_client is slower than the page itself.
    """
    import httpx

    call = f"{address}gradio_api/call/fill_mask"

    def ask_until(client: httpx.Client, end: float) -> int:
        count = 0
        while time.monotonic() < end:
            event = client.post(call, json={"data": [sentence, 5]}).json()["event_id"]
            answer = client.get(f"{call}/{event}").text
            if not answer.startswith("event: complete"):
                raise SystemExit(f"the page answers {answer[:200]!r}")
            count += 1
        return count

    connections = [httpx.Client(timeout=60) for _ in range(clients)]
    with ThreadPoolExecutor(clients) as threads:
        for duration in (2.0, seconds):  # the first is a warm-up
            started = time.monotonic()
            count = sum(threads.map(ask_until, connections, repeat(started + duration)))
            elapsed = time.monotonic() - started
    return {"seconds": elapsed, "result": count / elapsed}


def tokens(model: str, files: list[str]) -> Measurement:
    """Build a token store of the texts; the result is its number of tokens."""
    from mlm.checkpoint.tokenizer import load_tokenizer
    from mlm.data.tokens.corpus import build_token_store

    tokenizer = load_tokenizer(model)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        store = build_token_store(Path(folder) / "tokens", tokenizer, train_files=files)
        seconds = time.perf_counter() - started
        counts = store.manifest["counts"]
    return {"seconds": seconds, "result": sum(count["tokens"] for count in counts.values())}


def train(settings: Settings, times: int, on: str = "cpu") -> Measurement:
    """Make training steps as train.py does; the first two do not count for the seconds of a step.

    The result is the loss of the first step and the mean loss of the later ones.
    """
    load_backend()
    from mlm.backend.input_pipeline import make_input_pipeline
    from mlm.training.compiled_learner import compile_learner
    from mlm.training.config import TrainingConfig
    from mlm.training.preparation import prepare
    from mlm.training.step.dataset import TrainingDataset

    def make_steps(first: int, count: int) -> float:
        steps = make_input_pipeline(TrainingDataset(prepared.batches, first, first + count))
        return float(learner.fit(steps, verbose=0, shuffle=False).history["mean_loss"][0])

    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(TrainingConfig(**settings), Path(folder) / "tokens", lambda line: None)
        if prepared.device.kind != on:
            raise SystemExit(f"expected a {on}, but the device is {prepared.device.name}")
        learner = compile_learner(prepared).learner
        first = make_steps(0, 1)
        start = seconds_since_process_start()
        second = make_steps(1, 1)
        started = time.perf_counter()
        others = make_steps(2, times)
        seconds = (time.perf_counter() - started) / times
    return {
        "seconds": seconds,
        "result": [first, (second + times * others) / (1 + times)],
        "start": start,
        "megabytes": peak_megabytes(),
    }


def learn(settings: Settings, held_out: str, loss: float, every: int) -> Measurement:
    """Train until the held-out loss is at most `loss`, evaluated after each `every` steps.

    held_out: the file of Material.held_out. The seconds are without the evaluations. The result is
    the loss and the number of steps.
    """
    load_backend()
    from mlm.backend.input_pipeline import make_input_pipeline
    from mlm.training.compiled_learner import compile_learner
    from mlm.training.config import TrainingConfig
    from mlm.training.preparation import prepare
    from mlm.training.step.dataset import TrainingDataset

    arrays = np.load(held_out)

    def held_out_loss() -> float:
        logits = learner.model.predict(
            {name: arrays[name] for name in ("input_ids", "masked_positions")},
            batch_size=32,
            verbose=0,
        )
        log_p = log_softmax(logits)
        of_label = np.take_along_axis(log_p, arrays["labels"][..., None], axis=-1)[..., 0]
        return float(-of_label[arrays["real"]].mean())

    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(TrainingConfig(**settings), Path(folder) / "tokens", lambda line: None)
        learner = compile_learner(prepared).learner
        step, reached, evaluating = 0, float("inf"), 0.0
        while reached > loss and step < prepared.total_steps:
            steps = TrainingDataset(prepared.batches, step, step + every)
            learner.fit(make_input_pipeline(steps), verbose=0, shuffle=False)
            started = time.perf_counter()
            step, reached = step + every, held_out_loss()
            evaluating += time.perf_counter() - started
    return {"seconds": seconds_since_process_start() - evaluating, "result": [reached, step]}


def finetune(settings: Settings, times: int, **stop: float) -> Measurement:
    """Make fine-tuning steps as `mlm finetune` does, the first two of which do not count.

    The result is the loss of the first step and the mean loss of the later ones. stop: `accuracy`
    and `every` instead train until the validation accuracy, taken after each `every` steps, is
    reached; then the seconds are those since the start without the evaluations, and the result is
    the accuracy and the number of steps. That begins with fitting the new classifier.
    """
    load_backend()
    from mlm.backend.input_pipeline import make_input_pipeline
    from mlm.finetuning.config import FinetuningConfig
    from mlm.finetuning.job import Finetuning
    from mlm.finetuning.preparation import prepare
    from mlm.training.compiled_learner import compile_learner
    from mlm.training.step.dataset import TrainingDataset

    prepared = prepare(FinetuningConfig(**settings), lambda line: None)
    learner = compile_learner(prepared).learner

    def make_steps(first: int, count: int) -> float:
        steps = make_input_pipeline(TrainingDataset(prepared.batches, first, first + count))
        return float(learner.fit(steps, verbose=0, shuffle=False).history["mean_loss"][0])

    if stop:
        Finetuning(prepared.config).begin(prepared)
        evaluator = prepared.make_evaluator()
        step, reached, evaluating = 0, 0.0, 0.0
        while reached < stop["accuracy"] and step < prepared.total_steps:
            make_steps(step, int(stop["every"]))
            step, started = step + int(stop["every"]), time.perf_counter()
            reached = evaluator.figures().figures.score("accuracy")
            evaluating += time.perf_counter() - started
        return {"seconds": seconds_since_process_start() - evaluating, "result": [reached, step]}
    first, second = make_steps(0, 1), make_steps(1, 1)
    started = time.perf_counter()
    others = make_steps(2, times)
    seconds = (time.perf_counter() - started) / times
    result = [first, (second + times * others) / (1 + times)]
    return {"seconds": seconds, "result": result, "megabytes": peak_megabytes()}


def classify(model: str, texts: list[str], times: int, dtype: DType = "int8") -> Measurement:
    """Label many texts in one call; the result is the score of the last label of each."""
    from mlm.inference.classifier import Classifier

    classifier = Classifier.from_pretrained(model, dtype=dtype)
    last = classifier.task.labels[-1]
    seconds, answers = time_calls(lambda: classifier(texts), times)
    scores = [next(each["score"] for each in answer if each["label"] == last) for answer in answers]
    return {"seconds": seconds, "result": scores, "megabytes": peak_megabytes()}


TASKS: dict[str, Callable[..., Measurement]] = {
    "fill": fill,
    "finetune": finetune,
    "classify": classify,
    "score": score,
    "serve": serve,
    "ask": ask,
    "tokens": tokens,
    "train": train,
    "learn": learn,
}

if __name__ == "__main__":
    keep_pytorch_out()
    print(json.dumps(TASKS[sys.argv[1]](**json.loads(sys.argv[2]))))
