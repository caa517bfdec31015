"""Start and memory of the data half of a training, for token stores of 10 MB to 10 GB.

    python scripts/benchmarks/corpus_size.py [--megabytes 10 100 1000 10000] [--steps 500]

Synthetic tokens in parts of at most 1 GB, mapped from the disk and read by range from a stand-in
for the Hub over HTTP. Each row is a process of its own: seconds to the first batch of 64 x 128 from
when its imports are done, batches a second, and how many MB its memory grew from there on. The
parts have the same tokens, so that 10 GB take 2 on the disk. Of mapped files the system shows as
memory what it has cached; that is not counted here.

On two busy cores, 10 / 100 / 1,000 / 10,000 MB: from the disk 0.02 / 0.04 / 0.04 / 0.20 s to the
first batch and 0 / 3 / 3 / 4 MB; from the Hub 0.17 / 0.24 / 0.31 / 0.84 s (ten parts are asked for
their sizes) and 15 / 81 / 104 / 133 MB: the blocks that are kept, 160 of them at most.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

ROW, BATCH, PART = 128, 64, 1000  # tokens, sequences, megabytes


def write_store(folder: Path, megabytes: float, tokenizer, like: Path | None) -> None:
    """A store of random words in documents of 256 tokens; `like` has the same files already."""
    from mlm.checkpoint.tokenizer import tokenizer_hash
    from mlm.data.tokens.token_facts import TokenFacts
    from mlm.data.tokens.token_store import MANIFEST, fingerprint_of

    folder.mkdir(parents=True)
    documents = {"train": int(megabytes * 1_000_000) // 512, "validation": 100}
    for side, count in documents.items():
        for kind in ("tokens", "offsets"):
            path = folder / f"{side}.{kind}"
            if like:
                path.hardlink_to(like / path.name)
                continue
            words = TokenFacts.of(tokenizer).random_word_ids.astype(np.uint16)
            drawn = np.random.default_rng(0).choice(words, 256 * 2000)
            with path.open("wb") as file:
                for first in range(0, count, 2000):
                    some = min(2000, count - first)
                    ends = (first + 1 + np.arange(some, dtype=np.int64)) * 256
                    first_too = np.zeros(1, np.int64).tobytes() if first == 0 else b""
                    tokens = drawn[: some * 256].tobytes()
                    file.write(tokens if kind == "tokens" else first_too + ends.tobytes())
    manifest = {
        "made_from": {"tokenizer": tokenizer_hash(tokenizer), "part": folder.name},
        "dtype": "uint16",
        "counts": {s: {"documents": n, "tokens": n * 256} for s, n in documents.items()},
        "sizes": {path.name: path.stat().st_size for path in sorted(folder.iterdir())},
        "report_line": "synthetic",
    }
    manifest["fingerprint"] = fingerprint_of(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


def measure(pattern: str, steps: int) -> None:
    """In a process of its own: open the stores, draw batches, say how it was."""
    from mlm.checkpoint.tokenizer import load_tokenizer
    from mlm.data.batches.masked_batches import MaskedBatches
    from mlm.data.tokens.sharded_tokens import open_token_stores
    from mlm.data.tokens.token_facts import TokenFacts
    from mlm.hub.pull import BUNDLED_FOLDER

    tokenizer = load_tokenizer(BUNDLED_FOLDER)
    facts, before, begun = TokenFacts.of(tokenizer), anonymous_megabytes(), time.perf_counter()
    store = open_token_stores([pattern], tokenizer)
    batches = MaskedBatches(store.train, facts, max_seq_length=ROW, global_batch_size=BATCH, seed=0)
    batches.batch_at(0)
    first, begun = time.perf_counter() - begun, time.perf_counter()
    highest = 0.0
    for step in range(steps):
        batches.batch_at(step)
        highest = max(highest, anonymous_megabytes())
    seconds = time.perf_counter() - begun
    grown = highest - before
    print(json.dumps({"first": first, "grown": grown, "rate": steps / seconds}))


def anonymous_megabytes() -> float:
    """The memory of this process that is no cache of a file (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    found = dict(line.split(":", 1) for line in lines if ":" in line)
    return int(found["RssAnon"].split()[0]) / 1000


def publish(root: Path, sizes: list[int], url: str) -> None:
    """The stores as data sets of the Hub at `url`."""
    from huggingface_hub import HfApi

    api = HfApi(endpoint=url, token="hf_local")
    for size in sizes:
        api.create_repo(f"me/tokens-{size}", repo_type="dataset")
        api.upload_folder(
            folder_path=root / f"tokens-{size}", repo_id=f"me/tokens-{size}", repo_type="dataset"
        )


def write_stores(root: Path, sizes: list[int]) -> None:
    from mlm.checkpoint.tokenizer import load_tokenizer
    from mlm.hub.pull import BUNDLED_FOLDER

    tokenizer = load_tokenizer(BUNDLED_FOLDER)
    for size in sizes:
        first = None
        for part in range(-(-size // PART)):
            path = root / f"tokens-{size}" / f"part-{part:02}"
            write_store(path, min(size, PART), tokenizer, first)
            first = first or path


def print_rows(root: Path, sizes: list[int], steps: int, environment: dict[str, str]) -> None:
    print("| from | MB | first batch, s | grown, MB | batches/s |\n|---|---|---|---|---|")
    for kind, address in (("disk", str(root)), ("Hub", "hf://datasets/me")):
        for size in sizes:
            asked = [sys.executable, __file__, "--steps", str(steps), "--measure"]
            pattern = f"{address}/tokens-{size}/part-*"
            done = subprocess.run(
                [*asked, pattern], env=environment, check=True, capture_output=True, text=True
            )
            told = json.loads(done.stdout.splitlines()[-1])
            figures = f"{told['first']:.2f} | {told['grown']:.0f} | {told['rate']:.0f}"
            print(f"| {kind} | {size:,} | {figures} |", flush=True)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--megabytes", type=int, nargs="+", default=[10, 100, 1000, 10_000])
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.measure:
        measure(given.measure, given.steps)
        return
    from mlm.hub.local import LocalHub

    os.environ |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_stores(root, given.megabytes)
        with LocalHub(root / "hub", token="hf_local") as hub:
            publish(root, given.megabytes, hub.url)
            environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_local"}
            print_rows(root, given.megabytes, given.steps, environment)


if __name__ == "__main__":
    main(sys.argv[1:])
