"""What 8 bits cost: the page's engines on the same masked tokens, under the evaluation protocol.

    python scripts/benchmarks/engine_quality.py demo ../shared/data/imdb/test_4k.csv.gz

For each engine the masked-token perplexity, top-1 and top-5, and how often it ranks the same word
first as LiteRT in float32 does.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from mlm.backend.startup import load_backend
from mlm.inference.engines.engine import Engine, Question
from mlm.inference.engines.litert import DType
from mlm.inference.predictor import log_softmax

ROWS_AT_ONCE = 32


def answers(engine: Engine, batches) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every masked token: nats of its label, the label's rank, the token ranked first."""
    found = []
    for inputs, labels, weights in batches:
        questions = [
            Question(ids[: mask.sum()].tolist(), places[real > 0].tolist())
            for ids, mask, places, real in zip(
                inputs["input_ids"],
                inputs.get("attention_mask", np.ones_like(inputs["input_ids"])),
                inputs["masked_positions"],
                weights,
                strict=True,
            )
        ]
        for row, right, real in zip(engine.logits(questions), labels, weights, strict=True):
            log_p = log_softmax(row)
            of_label = np.take_along_axis(log_p, right[real > 0, None], axis=1)
            found.append(
                np.stack([-of_label[:, 0], (log_p > of_label).sum(axis=1), log_p.argmax(axis=1)])
            )
    nats, ranks, first = np.concatenate(found, axis=1)
    return nats, ranks, first


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", help="a checkpoint folder, a Hub id, or `demo`")
    parser.add_argument("texts", help="a file with a `text` column")
    parser.add_argument("--max_eval_samples", type=int, default=None, help="sequences at most")
    given = parser.parse_args(arguments)
    load_backend()
    from mlm import hub
    from mlm.data.batches.masked_batches import evaluation_batches
    from mlm.data.tokens.token_facts import TokenFacts
    from mlm.evaluation.held_out import resolve_held_out, tokenize_held_out
    from mlm.inference.engines.choice import open_with_engine

    folder = hub.fetch_checkpoint(given.model).folder
    asked, _ = resolve_held_out(None, validation_file=(given.texts,))
    kinds: list[tuple[str, DType]] = [
        ("litert", "float32"),
        ("litert", "int8"),
        ("keras", "float32"),
    ]
    first_of: np.ndarray | None = None
    batches = None
    for name, dtype in kinds:
        opened, engine = open_with_engine(folder, name, dtype)
        batches = batches or evaluation_batches(
            tokenize_held_out(asked, opened.tokenizer),
            TokenFacts.of(opened.tokenizer),
            max_seq_length=asked.max_seq_length,
            batch_size=ROWS_AT_ONCE,
            line_by_line=False,
            max_sequences=given.max_eval_samples,
            whole_word_mask=False,
        )
        nats, ranks, first = answers(engine, batches)
        first_of = first if first_of is None else first_of
        print(
            f"{engine.kind}: perplexity {np.exp(nats.mean()):.4f}, top-1 {(ranks < 1).mean():.2%}, "
            f"top-5 {(ranks < 5).mean():.2%}, the same first in {(first == first_of).mean():.2%} "
            f"of {len(nats):,}",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
