"""Cost of 8-bit weights: the page's engines on the same masked tokens (evaluation protocol).

    python scripts/benchmarks/engine_quality.py demo ../shared/data/imdb/test_4k.csv.gz

Prints for each engine the masked-token perplexity, top-1 and top-5, and how often it ranks the same
word first as LiteRT in float32 does.
"""

import argparse
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from mlm.backend.startup import load_backend
from mlm.inference.engines.engine import Engine, Question
from mlm.inference.engines.litert import DType
from mlm.inference.predictor import log_softmax

if TYPE_CHECKING:
    from mlm.data.batches.dynamic_padding import Batch

BATCH_SIZE = 32


def answers(
    engine: Engine, batches: "Iterable[Batch]"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the label's cross-entropy and rank, and the token ranked first, per masked token."""
    found = []
    for inputs, labels, weights in batches:
        questions = [
            Question(ids[: mask.sum()].tolist(), positions[weight > 0].tolist())
            for ids, mask, positions, weight in zip(
                inputs["input_ids"],
                inputs.get("attention_mask", np.ones_like(inputs["input_ids"])),
                inputs["masked_positions"],
                weights,
                strict=True,
            )
        ]
        for logits, label, weight in zip(engine.logits(questions), labels, weights, strict=True):
            log_p = log_softmax(logits)
            of_label = np.take_along_axis(log_p, label[weight > 0, None], axis=1)
            ranks = (log_p > of_label).sum(axis=1)
            found.append(np.stack([-of_label[:, 0], ranks, log_p.argmax(axis=1)]))
    cross_entropy, ranks, first = np.concatenate(found, axis=1)
    return cross_entropy, ranks, first


def main(arguments: list[str]) -> None:
    """Print a line for each engine."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", help="a checkpoint folder, a Hub id, or `demo`")
    parser.add_argument("texts", help="a file with a `text` column")
    parser.add_argument(
        "--max_eval_samples", type=int, default=None, help="maximum number of sequences"
    )
    given = parser.parse_args(arguments)
    load_backend()
    from mlm import hub
    from mlm.data.batches.evaluation_batches import evaluation_batches
    from mlm.data.tokens.token_facts import TokenFacts
    from mlm.evaluation.held_out import resolve_held_out, tokenize_held_out
    from mlm.inference.engines.choice import open_with_engine

    folder = hub.fetch_checkpoint(given.model).folder
    texts, _ = resolve_held_out(None, validation_file=(given.texts,))
    engines: list[tuple[str, DType]] = [
        ("litert", "float32"),
        ("litert", "int8"),
        ("keras", "float32"),
    ]
    reference: np.ndarray | None = None
    batches = None
    for name, dtype in engines:
        opened, engine = open_with_engine(folder, name, dtype)
        batches = batches or evaluation_batches(
            tokenize_held_out(texts, opened.tokenizer),
            TokenFacts.of(opened.tokenizer),
            max_seq_length=texts.max_seq_length,
            batch_size=BATCH_SIZE,
            line_by_line=False,
            max_sequences=given.max_eval_samples,
            whole_word_mask=False,
        )
        cross_entropy, ranks, first = answers(engine, batches)
        reference = first if reference is None else reference
        print(
            f"{engine.kind}: perplexity {np.exp(cross_entropy.mean()):.4f}, "
            f"top-1 {(ranks < 1).mean():.2%}, top-5 {(ranks < 5).mean():.2%}, "
            f"the same first in {(first == reference).mean():.2%} of {len(ranks):,}",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
