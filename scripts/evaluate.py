"""Measure a checkpoint on texts: masked-token perplexity, top-1 and top-5, tokens and whole words.

python scripts/evaluate.py runs/imdb --validation_file test.csv.gz --text_column text
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mlm.devices import load_backend
from mlm.errors import UserError


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a checkpoint folder, a Hub id, or `demo`")
    parser.add_argument("--validation_file", nargs="+", required=True)
    parser.add_argument("--model_revision")
    parser.add_argument("--text_column")
    parser.add_argument("--encoding")
    parser.add_argument("--max_seq_length", type=int, default=128)
    parser.add_argument("--max_eval_samples", type=int, help="at most that many sequences")
    parser.add_argument("--per_device_eval_batch_size", type=int, default=32)
    parser.add_argument("--precision", default="fp32", choices=("auto", "fp32", "bf16", "fp16"))
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    said = parse(arguments)
    load_backend()
    from mlm.evaluation import evaluate

    try:
        measured = evaluate(
            said.model,
            said.validation_file,
            revision=said.model_revision,
            text_column=said.text_column,
            encoding=said.encoding,
            max_seq_length=said.max_seq_length,
            max_eval_samples=said.max_eval_samples,
            batch_size=said.per_device_eval_batch_size,
            precision=said.precision,
        )
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    tokens, words = measured.tokens, measured.words
    print(f"masked-token perplexity {tokens.perplexity:.2f} (loss {tokens.loss:.4f} nats)")
    print(
        f"masked tokens: top-1 {tokens.top1:.2%}, top-5 {tokens.top5:.2%} of {tokens.num_tokens:,}"
    )
    print(f"whole words:   top-1 {words.top1:.2%}, top-5 {words.top5:.2%} of {words.num_words:,}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
