"""What the tabs draw with: bars, percentages, notices. Pure functions that return HTML.

Whatever a visitor wrote and whatever stands in a model's files goes through `html.escape`. Bars are
for the eye; a screen reader gets the same as an ordered list of words and percentages.
"""

from collections.abc import Sequence
from html import escape

from mlm.inference.fill_mask import FillMask


def head(title: str, *, wide: bool) -> str:
    """The title, and in two sentences what this is; `wide` makes room for two columns."""
    classes = "mlm-head mlm-wide" if wide else "mlm-head"
    return (
        f'<header class="{classes}"><p class="mlm-eyebrow">Masked language model</p>'
        f"<h1>{escape(title)}</h1>"
        "<p>Hide a word of a sentence behind <code>[MASK]</code>. The model reads what stands on "
        "both sides of the gap and says how probable it finds each word that it knows.</p></header>"
    )


def problem(message: str) -> str:
    """A refusal, where the answer would have stood."""
    return f'<div class="mlm-problem" role="alert"><p>{escape(message)}</p></div>'


def waiting(names: Sequence[str], seconds: float) -> str:
    """What is loading, and since when: the page is not dead."""
    return (
        '<div class="mlm-waiting" role="status"><p>Loading '
        f"<bdi>{escape(', '.join(names))}</bdi>: {seconds:.0f} s so far. A model of the Hub is "
        "fetched first, and one that is new here is made ready, once.</p></div>"
    )


def who(model: FillMask, label: str = "", seconds: float | None = None) -> str:
    """The model's label ("Before"), name, revision and size, and how long it took."""
    tag = f'<span class="mlm-label">{escape(label)}</span> ' if label else ""
    facts = [
        f"revision <code>{escape(model.revision[:7])}</code>" if model.revision else "",
        f"{parameters(model.num_parameters)} parameters",
        escape(model.engine.kind),
        f"licence <bdi>{escape(model.licence)}</bdi>" if model.licence else "",
        f"answered in {milliseconds(seconds)}" if seconds is not None else "",
    ]
    return (
        f'<header class="mlm-who"><h2>{tag}{_linked(model)}</h2>'
        f"<p>{' · '.join(filter(None, facts))}</p></header>"
    )


def _linked(model: FillMask) -> str:
    name = f"<bdi>{escape(model.name)}</bdi>"
    if not model.url or not model.url.startswith(("https://", "http://")):
        return name
    return f'<a href="{escape(model.url)}" target="_blank" rel="noopener noreferrer">{name}</a>'


def note(text: str | None) -> str:
    """A word on how something was read or is meant; "" for None."""
    return f'<p class="mlm-note" role="status">{escape(text)}</p>' if text else ""


def _scale() -> str:
    ticks = (("0", 0), ("25", 25), ("50", 50), ("75", 75), ("100 %", 100))
    spans = "".join(f'<span style="left:{at}%">{tick}</span>' for tick, at in ticks)
    return f'<div class="mlm-scale" aria-hidden="true"><div>{spans}</div></div>'


SCALE = _scale()


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


def word(text: str) -> str:
    """A word, escaped; what would be invisible is named."""
    return escape(text) if text.strip() else "(space)"


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
