"""The sections of a card that hold what was measured: figures, the curve, the best words."""

from collections.abc import Mapping
from typing import Any

from mlm.checkpoint.record.curve_svg import LOSS, curve_in_words
from mlm.checkpoint.record.reading import evaluations_of, examples_of, public_name, words_of
from mlm.training.card.tables import number, plain, table, titled

PICTURE = "loss_curve.svg"
FIGURES = (  # of metrics: key, title, format
    ("loss", "loss, nats per masked token", "{:.4f}"),
    ("perplexity", "masked-token perplexity", "{:,.2f}"),
    ("top1", "right token ranked first", "{:.1%}"),
    ("top5", "right token among the first five", "{:.1%}"),
)
PROTOCOL = (
    "Figures are of held-out documents, which no training step saw: 15 % of their tokens are "
    "chosen with a fixed seed whatever the training rate; of these, 80 % show the mask, 10 % a "
    "random word, 10 % themselves; the mean is over chosen tokens. Masked-token perplexity is "
    "exp(loss) and is not the perplexity of a left-to-right language model."
)
MEASURED_SHARE = 0.15  # of the tokens; PROTOCOL says it in words
CURVE_ROWS = 8
NO_BREAK = "\N{NO-BREAK SPACE}"
TOP_K = 5


def figures(training: Mapping[str, Any]) -> str:
    """Before and after the training, how that was measured, and the way between."""
    metrics = training.get("metrics", {})
    columns = [name for name in ("before", "after") if metrics.get(name)]
    rows = [
        (title, *(number(metrics[name].get(key), style) for name in columns))
        for key, title, style in FIGURES
        if any(key in metrics[name] for name in columns)
    ]
    if not rows:
        return titled("Figures", _curve(training))
    counted = metrics[columns[-1]].get("num_tokens")
    size = f" {counted:,} tokens were chosen." if counted else ""
    heads = ["", *(f"{name} training" for name in columns)]
    return titled("Figures", table(heads, rows), PROTOCOL + size, _curve(training))


def _curve(training: Mapping[str, Any]) -> str:
    """The picture, and its points on held-out texts for whoever cannot see it."""
    points = training.get("validation_curve", [])
    told = curve_in_words(training.get("loss_curve", []), points)
    if not told:
        return ""
    picture = f"![Loss against the steps of the training: {told}.]({PICTURE})"
    share = training.get("config", {}).get("mlm_probability")
    if training.get("loss_curve") and isinstance(share, float) and share != MEASURED_SHARE:
        picture += (
            f"\n\nOf training batches {share:.0%} of the tokens were chosen, not "
            f"{MEASURED_SHARE:.0%}: their loss is another measure than that of held-out texts."
        )
    if len(points) < 2:
        return picture
    stride = -(-(len(points) - 1) // (CURVE_ROWS - 1))
    chosen = [*points[:-1:stride], points[-1]]
    rows = [(f"{point[0]:,}", f"{point[1]:.4f}") for point in chosen]
    return f"{picture}\n\n{table(['step', f'{LOSS}, held-out texts'], rows)}"


def evaluations(training: Mapping[str, Any]) -> str:
    """Measurements on texts that no training saw, each with the command that repeats it."""
    parts = []
    for measured in evaluations_of(training):
        files = " ".join(public_name(name) for name in measured["files"])
        command = f"python scripts/evaluate.py FOLDER --validation_file {files}"
        length = f" --max_seq_length {measured['max_seq_length']}"
        parts.append(_measured(measured.get("tokens", {}), measured.get("words", {})))
        parts.append(f"Measured with `{command}{length}`.")
    return titled("Measured on other texts", *parts)


def _measured(tokens: Mapping[str, Any], words: Mapping[str, Any]) -> str:
    rows = [
        ("masked-token perplexity", number(tokens.get("perplexity"), "{:.2f}"), ""),
        ("ranked first", *(number(of.get("top1"), "{:.2%}") for of in (tokens, words))),
        ("among the first five", *(number(of.get("top5"), "{:.2%}") for of in (tokens, words))),
        (
            "measured on",
            number(tokens.get("num_tokens"), "{:,}"),
            number(words.get("num_words"), "{:,}"),
        ),
    ]
    return table(["", "masked tokens", "whole masked words"], rows)


def best_words(training: Mapping[str, Any], kind: str = "examples") -> str:
    """A line a sentence with its best words and their probabilities; "" where none was measured."""
    tried = [(each["text"], words_of(each)[:TOP_K]) for each in examples_of(training, kind)]
    rows = [
        (
            plain(text),
            *(f"{plain(word)}{NO_BREAK}{score:.1%}" for word, score in words),
            *[""] * (TOP_K - len(words)),
        )
        for text, words in tried
        if words
    ]
    return table(["sentence", *(f"{rank}." for rank in range(1, TOP_K + 1))], rows) if rows else ""
