"""The measured sections of a card: figures before and after, the curve, the best words."""

from typing import Literal

from mlm.checkpoint.record.curve_svg import LOSS, curve_in_words
from mlm.checkpoint.record.markdown import escape_markdown, format_value, section, table
from mlm.checkpoint.record.reading import public_name, words_of
from mlm.training.card.training_json import Figures, TrainingJson, evaluations_in, examples_in

PICTURE = "loss_curve.svg"
FIGURES = (  # key of a figure, title, format
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
MEASURED_SHARE = 0.15  # of the tokens, as PROTOCOL says
CURVE_ROWS = 8
NO_BREAK = "\N{NO-BREAK SPACE}"
TOP_K = 5  # best words shown for a sentence


def figures_section(training: TrainingJson) -> str:
    """Return the figures before and after the training, their protocol, and the loss curve."""
    metrics = training.get("metrics", {})
    columns = {
        "before training": metrics.get("before", {}),
        "after training": metrics.get("after", {}),
    }
    columns = {head: figures for head, figures in columns.items() if figures}
    rows = [
        (title, *(format_value(figures.get(key), style) for figures in columns.values()))
        for key, title, style in FIGURES
        if any(key in figures for figures in columns.values())
    ]
    if not rows:
        return section("Figures", _curve(training))
    count = list(columns.values())[-1].get("num_tokens")
    size = f" {count:,} tokens were chosen." if count else ""
    return section("Figures", table(["", *columns], rows), PROTOCOL + size, _curve(training))


def _curve(training: TrainingJson) -> str:
    """Return the picture of the curve, and a table of its points on held-out texts."""
    points = training.get("validation_curve", [])
    summary = curve_in_words(training.get("loss_curve", []), points)
    if not summary:
        return ""
    picture = f"![Loss against the steps of the training: {summary}.]({PICTURE})"
    share = training.get("config", {}).get("mlm_probability")
    if training.get("loss_curve") and isinstance(share, float) and share != MEASURED_SHARE:
        picture += (
            f"\n\nOf training batches {share:.0%} of the tokens were chosen, not "
            f"{MEASURED_SHARE:.0%}: their loss is another measure than that of held-out texts."
        )
    if len(points) < 2:
        return picture
    stride = -(-(len(points) - 1) // (CURVE_ROWS - 1))
    shown = [*points[:-1:stride], points[-1]]
    rows = [(f"{point[0]:,}", f"{point[1]:.4f}") for point in shown]
    return f"{picture}\n\n{table(['step', f'{LOSS}, held-out texts'], rows)}"


def evaluations_section(training: TrainingJson) -> str:
    """Return the figures on files measured later, each with the command that repeats it."""
    parts = []
    for record in evaluations_in(training):
        files = " ".join(public_name(name) for name in record["files"])
        command = f"mlm evaluate FOLDER --validation_file {files}"
        length = f" --max_seq_length {record['max_seq_length']}"
        parts.append(_evaluation_table(record.get("tokens", {}), record.get("words", {})))
        parts.append(f"Measured with `{command}{length}`.")
    return section("Measured on other texts", *parts)


def _evaluation_table(tokens: Figures, words: Figures) -> str:
    both = (tokens, words)
    rows = [
        ("masked-token perplexity", format_value(tokens.get("perplexity"), "{:.2f}"), ""),
        ("ranked first", *(format_value(of.get("top1"), "{:.2%}") for of in both)),
        ("among the first five", *(format_value(of.get("top5"), "{:.2%}") for of in both)),
        (
            "measured on",
            format_value(tokens.get("num_tokens"), "{:,}"),
            format_value(words.get("num_words"), "{:,}"),
        ),
    ]
    return table(["", "masked tokens", "whole masked words"], rows)


def best_words_table(
    training: TrainingJson, kind: Literal["examples", "contrasts"] = "examples"
) -> str:
    """Return a table of sentences with their best words and probabilities; "" without any."""
    tried = [(each["text"], words_of(each)[:TOP_K]) for each in examples_in(training, kind)]
    rows = [
        (
            escape_markdown(text),
            *(f"{escape_markdown(word)}{NO_BREAK}{score:.1%}" for word, score in words),
            *[""] * (TOP_K - len(words)),
        )
        for text, words in tried
        if words
    ]
    return table(["sentence", *(f"{rank}." for rank in range(1, TOP_K + 1))], rows) if rows else ""
