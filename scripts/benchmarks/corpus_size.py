"""Start and memory of the data half of a training, for token stores of 10 MB to 10 GB.

    python scripts/benchmarks/corpus_size.py [--megabytes 10 100 1000 10000] [--steps 500]

Synthetic tokens in stores of at most 1 GB, mapped from the disk, and read by range over HTTP from a
stand-in for the Hub. Each row is a process of its own. It gives the seconds from the end of the
imports to the first batch of 64 x 128, batches a second, and the growth of the process's memory in
MB. The stores have the same tokens, so that 10 GB take 2 on the disk. Cached pages of mapped files
do not count as memory.

On two busy cores, 10 / 100 / 1,000 / 10,000 MB: from the disk 0.02 / 0.04 / 0.04 / 0.20 s to the
first batch and 0 / 3 / 3 / 4 MB; from the Hub 0.17 / 0.24 / 0.31 / 0.84 s (the sizes of ten stores
are requested) and 15 / 81 / 104 / 133 MB: the blocks that are kept, 160 of them at most.
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
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SEQUENCE_LENGTH, BATCH_SIZE = 128, 64
STORE_SIZE = 1000  # MB


def write_store(
    folder: Path, megabytes: float, tokenizer: PreTrainedTokenizerFast, like: Path | None
) -> None:
    """Write a token store of random words in documents of 256 tokens.

    like: a store with the same files, which are then linked instead of written.
    """
    from mlm.checkpoint.tokenizer import tokenizer_hash
    from mlm.data.tokens.token_store import MANIFEST, fingerprint_of

    folder.mkdir(parents=True)
    documents = {"train": int(megabytes * 1_000_000) // 512, "validation": 100}
    for side, count in documents.items():
        if like:
            for kind in ("tokens", "offsets"):
                path = folder / f"{side}.{kind}"
                path.hardlink_to(like / path.name)
        else:
            write_side(folder, side, count, tokenizer)
    manifest = {
        "made_from": {"tokenizer": tokenizer_hash(tokenizer), "part": folder.name},
        "dtype": "uint16",
        "counts": {s: {"documents": n, "tokens": n * 256} for s, n in documents.items()},
        "sizes": {path.name: path.stat().st_size for path in sorted(folder.iterdir())},
        "report_line": "synthetic",
    }
    manifest["fingerprint"] = fingerprint_of(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


def write_side(folder: Path, side: str, count: int, tokenizer: PreTrainedTokenizerFast) -> None:
    """Write the tokens and offsets of `count` documents for one side of a store."""
    from mlm.data.tokens.token_facts import TokenFacts

    word_ids = TokenFacts.of(tokenizer).random_word_ids.astype(np.uint16)
    block = np.random.default_rng(0).choice(word_ids, 256 * 2000)  # repeated as often as needed
    with (folder / f"{side}.tokens").open("wb") as file:
        for first in range(0, count, 2000):
            file.write(block[: min(2000, count - first) * 256].tobytes())
    offsets = np.arange(count + 1, dtype=np.int64) * 256
    (folder / f"{side}.offsets").write_bytes(offsets.tobytes())


def measure(pattern: str, steps: int) -> None:
    """Open the stores, draw batches, and print the figures as JSON; run as a process of its own."""
    from mlm.checkpoint.tokenizer import load_tokenizer
    from mlm.data.batches.masked_batches import MaskedBatches
    from mlm.data.tokens.sharded_tokens import open_token_stores
    from mlm.data.tokens.token_facts import TokenFacts
    from mlm.hub.pull import BUNDLED_FOLDER

    tokenizer = load_tokenizer(BUNDLED_FOLDER)
    facts, before, started = TokenFacts.of(tokenizer), anonymous_megabytes(), time.perf_counter()
    store = open_token_stores([pattern], tokenizer)
    batches = MaskedBatches(
        store.train,
        facts,
        max_seq_length=SEQUENCE_LENGTH,
        global_batch_size=BATCH_SIZE,
        seed=0,
    )
    batches.batch_at(0)
    first, started = time.perf_counter() - started, time.perf_counter()
    highest = 0.0
    for step in range(steps):
        batches.batch_at(step)
        highest = max(highest, anonymous_megabytes())
    seconds = time.perf_counter() - started
    print(json.dumps({"first": first, "growth": highest - before, "rate": steps / seconds}))


def anonymous_megabytes() -> float:
    """Return the memory of this process without the cached pages of files (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    return int(fields["RssAnon"].split()[0]) / 1000


def publish(root: Path, sizes: list[int], url: str) -> None:
    """Upload the stores as data sets to the Hub at `url`."""
    from huggingface_hub import HfApi

    api = HfApi(endpoint=url, token="hf_local")
    for size in sizes:
        api.create_repo(f"me/tokens-{size}", repo_type="dataset")
        api.upload_folder(
            folder_path=root / f"tokens-{size}", repo_id=f"me/tokens-{size}", repo_type="dataset"
        )


def write_stores(root: Path, sizes: list[int]) -> None:
    """Write the stores of each size, in MB, into a folder of its own."""
    from mlm.checkpoint.tokenizer import load_tokenizer
    from mlm.hub.pull import BUNDLED_FOLDER

    tokenizer = load_tokenizer(BUNDLED_FOLDER)
    for size in sizes:
        first = None
        for number in range(-(-size // STORE_SIZE)):
            path = root / f"tokens-{size}" / f"part-{number:02}"
            write_store(path, min(size, STORE_SIZE), tokenizer, first)
            first = first or path


def print_rows(root: Path, sizes: list[int], steps: int, environment: dict[str, str]) -> None:
    """Measure each size from the disk and from the Hub, and print a table."""
    print("| from | MB | first batch, s | grown, MB | batches/s |\n|---|---|---|---|---|")
    for kind, address in (("disk", str(root)), ("Hub", "hf://datasets/me")):
        for size in sizes:
            pattern = f"{address}/tokens-{size}/part-*"
            done = subprocess.run(
                [sys.executable, __file__, "--steps", str(steps), "--measure", pattern],
                env=environment,
                check=True,
                capture_output=True,
                text=True,
            )
            found = json.loads(done.stdout.splitlines()[-1])
            figures = f"{found['first']:.2f} | {found['growth']:.0f} | {found['rate']:.0f}"
            print(f"| {kind} | {size:,} | {figures} |", flush=True)


def main(arguments: list[str]) -> None:
    """Print the table of all sizes, or with the hidden --measure the figures of one."""
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
