"""Peak memory of building a token store from 10,000 and from 1,000,000 rows; it must not grow.

    python scripts/benchmarks/memory_of_reading.py [--rows 10000 1000000] [--format csv parquet]

Writes synthetic rows (a fifth are repeats) to a temporary folder. Reads, cleans, splits and
tokenizes them in a process of its own, and prints the peak memory of that process.

On two busy cores: 154 MiB and 163 MiB as CSV, 128 MiB and 148 MiB as Parquet of one row group.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

STEMS = ("ka", "lo", "mi", "ne", "ru", "so", "ta", "vi")
WORDS = [stem + end for stem in STEMS for end in ("ben", "dor", "fil", "gam", "hus")]


def synthetic_texts(rows: int) -> Iterator[str]:
    """Yield `rows` texts of 20 words with a break in the middle; every fifth repeats the first."""
    rng = random.Random(0)
    for number in range(rows):
        words = rng.choices(WORDS, k=20) if number % 5 else WORDS[:20]
        yield " ".join(words[:10]) + "<br />" + " ".join(words[10:])


def write_rows(path: Path, rows: int) -> None:
    """Write the texts as CSV or Parquet; the suffix of `path` decides."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = synthetic_texts(rows)
    if path.suffix == ".csv":
        with path.open("w") as stream:
            stream.write("id,text\n")
            stream.writelines(f'{number},"{text}"\n' for number, text in enumerate(texts))
        return
    schema = pa.schema([("text", pa.string())])
    with pq.ParquetWriter(path, schema) as writer:  # one row group: the hardest to stream
        writer.write_table(pa.table({"text": list(texts)}, schema), row_group_size=rows)


def build_store(path: Path) -> tuple[float, float, str]:
    """Build a token store; return the peak resident memory in MiB, the seconds and the report."""
    from mlm.data.tokens.corpus import build_token_store
    from mlm.data.tokens.tokenizer_training import train_tokenizer

    tokenizer = train_tokenizer(synthetic_texts(1000), 300)
    start = time.perf_counter()
    store = build_token_store(
        path.parent / f"{path.name}.tokens", tokenizer, train_files=[str(path)]
    )
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10), seconds, store.report_line


def main() -> None:
    """Print a line for each format and number of rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--format", nargs="+", choices=["csv", "parquet"], default=["csv"])
    arguments = parser.parse_args()
    # A new process for each call: neither writing nor an earlier call counts as its memory.
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for suffix in arguments.format:
            for rows in arguments.rows:
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / f"rows.{suffix}"
                    pool.apply(write_rows, (path, rows))
                    peak, seconds, report = pool.apply(build_store, (path,))
                print(
                    f"{rows:>9,} rows of {suffix}: peak {peak:,.0f} MiB, {seconds:.1f} s; {report}"
                )


if __name__ == "__main__":
    main()
