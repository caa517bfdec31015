"""Texts to sequences of tokens by datasets, as run_mlm.py of transformers does it."""

import tempfile
import time

from datasets import Dataset, load_dataset
from timing import Measurement
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from peer import THREADS

Rows = dict[str, list[list[int]]]


def tokens(model: str, files: list[str]) -> Measurement:
    """Tokenize files for training; the result is the number of tokens."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    with tempfile.TemporaryDirectory() as cache:
        started = time.perf_counter()
        texts = load_dataset("csv", data_files=files, cache_dir=cache)["train"]
        rows = tokenize_and_group(texts, tokenizer, 128)
        seconds = time.perf_counter() - started
        return {"seconds": seconds, "result": len(rows) * 128}


def tokenize_and_group(texts: Dataset, tokenizer: PreTrainedTokenizerBase, length: int) -> Dataset:
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
