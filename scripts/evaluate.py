"""Measure a checkpoint on texts: masked-token perplexity, top-1 and top-5, tokens and whole words.

python scripts/evaluate.py runs/imdb --validation_file test.csv.gz
python scripts/evaluate.py runs/imdb --train_file imdb_tr.csv   # the share that training held out
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mlm.backend.startup import load_backend
from mlm.errors import UserError

AS_RUN = "left out: as the checkpoint's own run"
ON_ITS_TEXTS = f"{AS_RUN}, if these are its texts"


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a checkpoint folder, a Hub id, or `demo`")
    parser.add_argument("--validation_file", nargs="+", default=(), help="measure on all of it")
    parser.add_argument(
        "--train_file",
        nargs="+",
        default=(),
        help="measure on the texts of it that training holds out",
    )
    parser.add_argument("--validation_split_percentage", type=float, help=f"that share; {AS_RUN}")
    parser.add_argument("--model_revision")
    parser.add_argument("--text_column", help=ON_ITS_TEXTS)
    parser.add_argument("--encoding", help=ON_ITS_TEXTS)
    parser.add_argument("--max_seq_length", type=int, help=f"{AS_RUN}, else 128")
    parser.add_argument("--line_by_line", action=argparse.BooleanOptionalAction, help=AS_RUN)
    parser.add_argument("--max_eval_samples", type=int, help=f"sequences at most; {ON_ITS_TEXTS}")
    parser.add_argument("--per_device_eval_batch_size", type=int, help=f"{ON_ITS_TEXTS}, else 32")
    parser.add_argument(
        "--precision", choices=("auto", "fp32", "bf16", "fp16"), help=f"{ON_ITS_TEXTS}, else fp32"
    )
    return parser.parse_args(arguments)


def report(measured) -> None:
    tokens, words = measured.tokens, measured.words
    print(measured.held_out)
    print(f"masked-token perplexity {tokens.perplexity:.2f} (loss {tokens.loss:.4f} nats)")
    print(
        f"masked tokens: top-1 {tokens.top1:.2%}, top-5 {tokens.top5:.2%} of {tokens.num_tokens:,}"
    )
    print(f"whole words:   top-1 {words.top1:.2%}, top-5 {words.top5:.2%} of {words.num_words:,}")
    if measured.recorded_loss is not None:
        print(f"training.json says a loss of {measured.recorded_loss:.4f} for the same texts")


def main(arguments: list[str]) -> int:
    said = vars(parse(arguments))
    load_backend()
    from mlm.evaluation.evaluator import evaluate

    name, files, revision = (said.pop(k) for k in ("model", "validation_file", "model_revision"))
    try:
        report(evaluate(name, files, revision=revision, **said))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
