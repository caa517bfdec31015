"""Answers as HTML: pure functions, no Gradio.

Whatever a visitor wrote and whatever stands in a model's vocabulary goes through `html.escape`.
Bars are for the eye; a screen reader gets the same as an ordered list of words and percentages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from mlm.fill_mask import Candidate, Filling, FillMask

CONTEXT = 48  # characters of the sentence shown to each side of a word in the list,
NARROW_CONTEXT = 24  # and where the lists of several masks stand side by side


@dataclass(frozen=True)
class Column:
    """One model's part of an answer: its filling, or the sentence that says why there is none."""

    model: FillMask
    label: str  # "Before", "After" or ""
    filling: Filling | str
    seconds: float


def head(title: str, mask_token: str, *, wide: bool) -> str:
    """The title, and in two sentences what this is; `wide` makes room for two columns."""
    classes = "mlm-head mlm-wide" if wide else "mlm-head"
    return (
        f'<header class="{classes}"><p class="mlm-eyebrow">Masked language model</p>'
        f"<h1>{escape(title)}</h1>"
        "<p>Hide a word of a sentence behind "
        f"<code>{escape(mask_token)}</code>. The model reads what stands on both sides of the gap "
        "and says how probable it finds each word that it knows.</p></header>"
    )


def answer(columns: Sequence[Column]) -> str:
    """The whole answer: one column a model, or one notice where nobody had anything to say."""
    refusals = {column.filling for column in columns if isinstance(column.filling, str)}
    if len(refusals) == 1 and all(isinstance(column.filling, str) for column in columns):
        return problem(refusals.pop())
    several = " mlm-several" if len(columns) > 1 else ""
    parts = "".join(column_html(column) for column in columns)
    return f'<div class="mlm-columns{several}">{parts}</div>'


def problem(message: str) -> str:
    """A refusal, where the answer would have stood."""
    return f'<div class="mlm-problem" role="alert"><p>{escape(message)}</p></div>'


def column_html(column: Column) -> str:
    """Who answers, the sentence with its best words, and a list of bars for each mask."""
    filling = column.filling
    if isinstance(filling, str):
        body = problem(filling)
    else:
        panels = "".join(mask_html(column, filling, i) for i in range(len(filling.masks)))
        body = f'{notes(filling)}{sentence(filling)}<div class="mlm-panels">{panels}</div>'
    name = escape(column.model.name)
    return (
        f'<article class="mlm-column" aria-label="Answer of {name}">{who(column)}{body}</article>'
    )


def who(column: Column) -> str:
    """The model's name, revision and size, and how long it took."""
    model = column.model
    label = f'<span class="mlm-label">{escape(column.label)}</span> ' if column.label else ""
    facts = [f"{parameters(model.num_parameters)} parameters"]
    if model.revision:
        facts.insert(0, f"revision <code>{escape(model.revision[:7])}</code>")
    if not isinstance(column.filling, str):
        facts.append(f"answered in {milliseconds(column.seconds)}")
    return (
        f'<header class="mlm-who"><h2>{label}<bdi>{escape(model.name)}</bdi></h2>'
        f"<p>{' · '.join(facts)}</p></header>"
    )


def notes(filling: Filling) -> str:
    """What was read otherwise than it was written."""
    return f'<p class="mlm-note" role="status">{escape(filling.note)}</p>' if filling.note else ""


def sentence(filling: Filling) -> str:
    """The user's own text with the best word in every mask, each marked."""
    parts, end = [], 0
    for (start, stop), candidates in zip(filling.spans, filling.masks, strict=True):
        between = filling.text[end:start]
        parts.append(escape(between.rstrip() if candidates[0].joined else between))
        parts.append(f"<mark><bdi>{word(candidates[0])}</bdi></mark>")
        end = stop
    parts.append(escape(filling.text[end:]))
    html = f'<p class="mlm-sentence" dir="auto">{"".join(parts)}</p>'
    if len(filling.masks) == 1:
        return html
    return html + '<p class="mlm-each">Each gap is filled as if the others stayed open.</p>'


def mask_html(column: Column, filling: Filling, index: int) -> str:
    """One mask: a bar for each word on a scale of 0 to 100 %, and one for all other words."""
    candidates, many = filling.masks[index], len(filling.masks)
    title = f"Mask {index + 1} of {many}"
    heading = f"<h3>{title}</h3>" if many > 1 else ""
    context = NARROW_CONTEXT if many > 1 else CONTEXT
    items = "".join(bar(candidate, context) for candidate in candidates)
    others = column.model.vocab_size - len(candidates)
    rest = max(0.0, 1.0 - sum(candidate.score for candidate in candidates))
    return (
        f'<section class="mlm-panel">{heading}{SCALE}'
        f'<ol class="mlm-bars" aria-label="{title}: words, the most probable first">{items}</ol>'
        f"{rest_bar(rest, others)}</section>"
    )


def _scale() -> str:
    ticks = (("0", 0), ("25", 25), ("50", 50), ("75", 75), ("100 %", 100))
    spans = "".join(f'<span style="left:{at}%">{tick}</span>' for tick, at in ticks)
    return f'<div class="mlm-scale" aria-hidden="true"><div>{spans}</div></div>'


SCALE = _scale()


def bar(candidate: Candidate, context: int) -> str:
    """One word: itself, its bar, its percentage, and the place in the sentence where it stands."""
    before, after = excerpt(candidate.before, candidate.after, context)
    joined = '<span class="mlm-joint" title="goes on with the word before">…</span>'
    return (
        f'<li><span class="mlm-word">{joined if candidate.joined else ""}'
        f"<bdi>{word(candidate)}</bdi></span> "
        f"{track(candidate.score)}"
        f'<span class="mlm-percent">{percent(candidate.score)}</span> '
        f'<span class="mlm-context" dir="auto">{escape(before)}<b><bdi>{word(candidate)}</bdi></b>'
        f"{escape(after)}</span></li>"
    )


def rest_bar(score: float, others: int) -> str:
    """The probability that is left for everything not listed."""
    return (
        '<p class="mlm-rest"><span class="mlm-word">everything else</span> '
        f'{track(score)}<span class="mlm-percent">{percent(score)}</span> '
        f'<span class="mlm-context">the other {others:,} entries of the vocabulary</span></p>'
    )


def track(score: float) -> str:
    """The bar itself, from 0 to 100 %, whatever the other bars are."""
    width = f"{100 * min(score, 1.0):.3f}%"
    return (
        '<span class="mlm-track" aria-hidden="true">'
        f'<span class="mlm-fill" style="width:{width}"></span></span>'
    )


def word(candidate: Candidate) -> str:
    """The word, escaped; what would be invisible is named."""
    return escape(candidate.word) if candidate.word.strip() else "(space)"


def excerpt(before: str, after: str, width: int) -> tuple[str, str]:
    """What stands next to the word, at most `width` characters a side, cut at a space."""
    if len(before) > width:
        cut = before[-width:]
        before = "… " + cut[cut.find(" ") + 1 :]
    if len(after) > width:
        cut = after[:width]
        after = (cut[: cut.rfind(" ")] if " " in cut else cut) + " …"
    return before, after


def percent(score: float) -> str:
    """A probability for reading: 46.1 %, 0.04 %, < 0.01 %."""
    value = 100 * score
    if 0 < value < 0.01:
        return "&lt;&nbsp;0.01&nbsp;%"
    return f"{value:.2f}&nbsp;%" if value < 0.1 else f"{value:.1f}&nbsp;%"


def parameters(number: int) -> str:
    """5,312,345 -> 5.3 M."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return str(number)


def milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
