"""Measure a checkpoint on texts: masked-token perplexity, top-1 and top-5, tokens and whole words.

mlm evaluate runs/imdb --validation_file test.csv.gz
mlm evaluate runs/imdb --train_file imdb_tr.csv   # the share that training held out
"""

import argparse
from typing import TYPE_CHECKING

from mlm.backend.startup import load_backend
from mlm.commands.invocation import exit_code, program

if TYPE_CHECKING:
    from mlm.evaluation.checkpoint_evaluation import Evaluation

RECORDED = "default: the training run's value"
FOR_ITS_TEXTS = f"{RECORDED}, if these are its texts"


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the command line's values; an argument that cannot be read exits with 2."""
    parser = argparse.ArgumentParser(
        prog=program("evaluate"), description=(__doc__ or "").splitlines()[0]
    )
    add = parser.add_argument
    add("model", help="a checkpoint folder, a Hub id, or `demo`")
    add("--validation_file", nargs="+", default=(), help="measure on all texts of these files")
    held_out = "measure on the share of these files that training holds out"
    add("--train_file", nargs="+", default=(), help=held_out)
    add("--validation_split_percentage", type=float, help=f"that share; {RECORDED}, else 5")
    add("--model_revision", help="branch, tag or commit of a Hub id")
    add("--text_column", help=f"column with the texts; {FOR_ITS_TEXTS}")
    add("--encoding", help=f"character encoding; {FOR_ITS_TEXTS}")
    add("--max_seq_length", type=int, help=f"in tokens; {RECORDED}, else 128")
    action = argparse.BooleanOptionalAction
    add(
        "--line_by_line",
        action=action,
        help=f"do not pack several documents into a sequence; {RECORDED}",
    )
    add("--max_eval_samples", type=int, help=f"maximum number of sequences; {FOR_ITS_TEXTS}")
    sequences = f"sequences in a batch; {FOR_ITS_TEXTS}, else 32"
    add("--per_device_eval_batch_size", type=int, help=sequences)
    formats = ("auto", "fp32", "bf16", "fp16")
    add("--precision", choices=formats, help=f"number format; {FOR_ITS_TEXTS}, else fp32")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    given = parse(arguments)
    load_backend()
    return exit_code(lambda: _evaluate(given))


def _evaluate(given: argparse.Namespace) -> None:
    from mlm.evaluation.checkpoint_evaluation import evaluate

    settings = vars(given)
    name, files, revision = (
        settings.pop(k) for k in ("model", "validation_file", "model_revision")
    )
    report(evaluate(name, files, revision=revision, **settings))


def report(measured: "Evaluation") -> None:
    """Print the settings and figures of an evaluation."""
    tokens, words = measured.tokens, measured.words
    print(measured.held_out)
    print(f"masked-token perplexity {tokens.perplexity:.2f} (loss {tokens.loss:.4f} nats)")
    print(
        f"masked tokens: top-1 {tokens.top1:.2%}, top-5 {tokens.top5:.2%} of {tokens.num_tokens:,}"
    )
    if words.num_words:
        print(
            f"whole words:   top-1 {words.top1:.2%}, top-5 {words.top5:.2%} of {words.num_words:,}"
        )
    else:
        print("whole words:   none was masked in so few texts; give more")
    if measured.recorded_loss is not None:
        print(f"training.json has a loss of {measured.recorded_loss:.4f} for the same texts")
