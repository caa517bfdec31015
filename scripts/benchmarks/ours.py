"""Our half of the benchmarks: one task in a process of its own; bench.py runs it.

    python scripts/benchmarks/ours.py fill '{"model": "FOLDER", "sentences": ["..."], "times": 20}'

The last line printed is {"seconds": ..., "result": ...}.
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

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from timing import peak_mb, since_process_start, timed, words

from mlm.backend.startup import keep_pytorch_out, load_backend
from mlm.inference.engines.litert import DType
from mlm.inference.fill_mask import FillMask
from mlm.inference.predictor import log_softmax


def fill(model: str, sentences: list[str], times: int, dtype: DType = "int8") -> dict[str, Any]:
    """Fill-mask of one sentence, or of many at once; the best words."""
    fill_mask = FillMask.from_pretrained(model, dtype=dtype)
    asked: Any = sentences if len(sentences) > 1 else sentences[0]
    fill_mask(asked, 5)
    first = since_process_start()
    seconds, found = timed(lambda: fill_mask(asked, 5), times)
    answers = found if len(sentences) > 1 else [found]
    return {
        "seconds": seconds,
        "first": first,  # answer, since the process started
        "result": [words(answer) for answer in answers],
        "megabytes": peak_mb(),
    }


def score(model: str, sentences: list[str], dtype: DType = "int8") -> dict[str, Any]:
    """Pseudo-log-likelihood of each sentence."""
    fill_mask = FillMask.from_pretrained(model, dtype=dtype)
    seconds, found = timed(
        lambda: [fill_mask.score(s).pseudo_log_likelihood for s in sentences], 1, warm_up=0
    )
    return {"seconds": seconds, "result": found}


def serve(model: str, **asked: Any) -> dict[str, Any]:
    """What `ask` finds of a page that this process serves, and the memory that the page took."""
    from mlm.playground.page import build_playground, launch_options
    from mlm.playground.server.limits import RateLimit

    page = build_playground([FillMask.from_pretrained(model, dtype="int8")])
    options = launch_options()
    before = options["app_kwargs"]["middleware"]
    before[:] = [each for each in before if each.cls is not RateLimit]  # all of these are one
    _, address, _ = page.launch(prevent_thread_lock=True, quiet=True, **options)
    # In a process of their own: Python's lock is this one's for the page.
    command = [sys.executable, __file__, "ask", json.dumps({"address": address, **asked})]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    page.close()
    return json.loads(done.stdout.splitlines()[-1]) | {"megabytes": peak_mb()}


def ask(address: str, sentence: str, clients: int, seconds: float) -> dict[str, Any]:
    """Questions a second that a page answers so many who each ask again at once.

    By plain HTTP, as README's programs do: gradio_client takes longer than the page for itself.
    """
    import httpx

    call = f"{address}gradio_api/call/fill_mask"

    def answered(client: httpx.Client, end: float) -> int:
        count = 0
        while time.monotonic() < end:
            event = client.post(call, json={"data": [sentence, 5]}).json()["event_id"]
            told = client.get(f"{call}/{event}").text
            if not told.startswith("event: complete"):
                raise SystemExit(f"the page answers {told[:200]!r}")
            count += 1
        return count

    asking = [httpx.Client(timeout=60) for _ in range(clients)]
    with ThreadPoolExecutor(clients) as threads:
        for lasting in (2.0, seconds):  # the first is to warm up
            begun = time.monotonic()
            count = sum(threads.map(answered, asking, repeat(begun + lasting)))
            taken = time.monotonic() - begun
    return {"seconds": taken, "result": count / taken}


def tokens(model: str, files: list[str]) -> dict[str, Any]:
    """Texts to a store that batches are cut from."""
    from mlm.checkpoint.tokenizer import load_tokenizer
    from mlm.data.tokens.corpus import build_token_store

    tokenizer = load_tokenizer(model)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        store = build_token_store(Path(folder) / "tokens", tokenizer, train_files=files)
        seconds = time.perf_counter() - started
        counts = store.manifest["counts"]
    return {"seconds": seconds, "result": sum(count["tokens"] for count in counts.values())}


def train(settings: dict[str, Any], times: int, on: str = "cpu") -> dict[str, Any]:
    """Steps of a training as train.py makes them; the first two are not counted."""
    load_backend()
    from mlm.backend.input_pipeline import make_input_pipeline
    from mlm.training.config import TrainingConfig
    from mlm.training.preparation import prepare
    from mlm.training.step import Learner
    from mlm.training.step.dataset import TrainingDataset
    from mlm.training.step.optimizer import make_optimizer

    def make_steps(first: int, count: int) -> float:
        steps = make_input_pipeline(TrainingDataset(ready.batches, first, first + count))
        return learner.fit(steps, verbose=0, shuffle=False).history["cross_entropy"][0]

    with tempfile.TemporaryDirectory() as folder:
        ready = prepare(TrainingConfig(**settings), Path(folder) / "tokens", lambda line: None)
        if ready.device.kind != on:
            raise SystemExit(f"{ready.device.name} is what there is, where a {on} is asked for")
        learner = Learner(ready.start.model, ready.micro_batches)
        optimizer = make_optimizer(ready.config, ready.total_steps)
        learner.compile_for_training(optimizer, jit_compile=ready.device.jit_compile)
        first = make_steps(0, 1)
        start = since_process_start()
        second = make_steps(1, 1)
        begun = time.perf_counter()
        others = make_steps(2, times)
        seconds = (time.perf_counter() - begun) / times
    return {
        "seconds": seconds,
        "result": [first, (second + times * others) / (1 + times)],  # losses: first, later mean
        "start": start,  # of the process, to the end of the first step
        "megabytes": peak_mb(),
    }


def learn(settings: dict[str, Any], held_out: str, loss: float, every: int) -> dict[str, Any]:
    """Until the loss on masked sequences that are held out is so low, looked at every few steps.

    Looking is not counted.
    """
    load_backend()
    from mlm.backend.input_pipeline import make_input_pipeline
    from mlm.training.config import TrainingConfig
    from mlm.training.preparation import prepare
    from mlm.training.step import Learner
    from mlm.training.step.dataset import TrainingDataset
    from mlm.training.step.optimizer import make_optimizer

    arrays = np.load(held_out)

    def held_out_loss() -> float:
        logits = learner.masked_lm.predict(
            {name: arrays[name] for name in ("input_ids", "masked_positions")},
            batch_size=32,
            verbose=0,
        )
        log_p = log_softmax(logits)
        of_label = np.take_along_axis(log_p, arrays["labels"][..., None], axis=-1)[..., 0]
        return float(-of_label[arrays["real"]].mean())

    with tempfile.TemporaryDirectory() as folder:
        ready = prepare(TrainingConfig(**settings), Path(folder) / "tokens", lambda line: None)
        learner = Learner(ready.start.model, ready.micro_batches)
        optimizer = make_optimizer(ready.config, ready.total_steps)
        learner.compile_for_training(optimizer, jit_compile=ready.device.jit_compile)
        step, reached, looked = 0, float("inf"), 0.0
        while reached > loss and step < ready.total_steps:
            steps = TrainingDataset(ready.batches, step, step + every)
            learner.fit(make_input_pipeline(steps), verbose=0, shuffle=False)
            begun = time.perf_counter()
            step, reached = step + every, held_out_loss()
            looked += time.perf_counter() - begun
    return {"seconds": since_process_start() - looked, "result": [reached, step]}


TASKS: dict[str, Callable[..., dict[str, Any]]] = {
    "fill": fill,
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
