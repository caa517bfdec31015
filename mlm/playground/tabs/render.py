"""HTML that the tabs share: the head, notices, bars, percentages. Pure functions.

Every text from a visitor or from a model's files goes through `html.escape`. Bars are hidden from
screen readers, which get an ordered list of words and percentages.
"""

from collections.abc import Sequence
from html import escape

from mlm.inference.fill_mask import FillMask


def head(title: str, *, wide: bool) -> str:
    """Return the title and a description; `wide` makes room for two columns."""
    classes = "mlm-head mlm-wide" if wide else "mlm-head"
    return (
        f'<header class="{classes}"><p class="mlm-eyebrow">Masked language model</p>'
        f"<h1>{escape(title)}</h1>"
        "<p>Hide a word of a sentence behind <code>[MASK]</code>. The model reads the words on "
        "both sides of the gap and says how probable it finds each word that it knows.</p></header>"
    )


def problem(message: str) -> str:
    """Return a notice that takes the place of an answer."""
    return f'<div class="mlm-problem" role="alert"><p>{escape(message)}</p></div>'


def waiting(names: Sequence[str], seconds: float) -> str:
    """Return a notice of the models that are being loaded, and for how long they have been."""
    return (
        '<div class="mlm-waiting" role="status"><p>Loading '
        f"<bdi>{escape(', '.join(names))}</bdi>: {seconds:.0f} s so far. A model of the Hub is "
        "fetched first, and one that is new here is made ready, once.</p></div>"
    )


def model_header(model: FillMask, label: str = "", seconds: float | None = None) -> str:
    """Return the model's label ("Before"), name, revision and size, and the seconds it took."""
    tag = f'<span class="mlm-label">{escape(label)}</span> ' if label else ""
    facts = [
        f"revision <code>{escape(model.revision[:7])}</code>" if model.revision else "",
        f"{parameters(model.num_parameters)} parameters",
        escape(model.engine.kind),
        f"licence <bdi>{escape(model.licence)}</bdi>" if model.licence else "",
        f"answered in {duration(seconds)}" if seconds is not None else "",
    ]
    return (
        f'<header class="mlm-who"><h2>{tag}{_model_name(model)}</h2>'
        f"<p>{' · '.join(filter(None, facts))}</p></header>"
    )


def _model_name(model: FillMask) -> str:
    """Return the name, as a link to the model's page if it has one."""
    name = f"<bdi>{escape(model.name)}</bdi>"
    if not model.url or not model.url.startswith(("https://", "http://")):
        return name
    return f'<a href="{escape(model.url)}" target="_blank" rel="noopener noreferrer">{name}</a>'


def note(text: str | None) -> str:
    """Return a remark on how a text was read; "" for None."""
    return f'<p class="mlm-note" role="status">{escape(text)}</p>' if text else ""


def _scale() -> str:
    ticks = (("0", 0), ("25", 25), ("50", 50), ("75", 75), ("100 %", 100))
    spans = "".join(f'<span style="left:{at}%">{tick}</span>' for tick, at in ticks)
    return f'<div class="mlm-scale" aria-hidden="true"><div>{spans}</div></div>'


SCALE = _scale()


def rest_bar(score: float, others: int) -> str:
    """Return the bar of the probability that is left for the `others`, the words not listed."""
    return (
        '<p class="mlm-rest"><span class="mlm-word">everything else</span> '
        f'{track(score)}<span class="mlm-percent">{percent(score)}</span> '
        f'<span class="mlm-context">the other {others:,} entries of the vocabulary</span></p>'
    )


def track(score: float) -> str:
    """Return the bar itself, on an absolute scale from 0 to 100 %."""
    width = f"{100 * min(score, 1.0):.3f}%"
    return (
        '<span class="mlm-track" aria-hidden="true">'
        f'<span class="mlm-fill" style="width:{width}"></span></span>'
    )


def word(text: str) -> str:
    """Return a word, escaped; white space, which would be invisible, is named."""
    return escape(text) if text.strip() else "(space)"


def short_word(text: str, width: int) -> str:
    """Return a word as `word` does, cut to at most `width` characters."""
    return word(text if len(text) <= width or not text.strip() else f"{text[: width - 1]}…")


def excerpt(before: str, after: str, width: int) -> tuple[str, str]:
    """Return the text before and after a word, cut at a space to about `width` characters each."""
    if len(before) > width:
        cut = before[-width:]
        before = "… " + cut[cut.find(" ") + 1 :]
    if len(after) > width:
        cut = after[:width]
        after = (cut[: cut.rfind(" ")] if " " in cut else cut) + " …"
    return before, after


def percent(score: float) -> str:
    """Return a probability as text: 46.1 %, 0.04 %, < 0.01 %."""
    value = 100 * score
    if 0 < value < 0.01:
        return "&lt;&nbsp;0.01&nbsp;%"
    return f"{value:.2f}&nbsp;%" if value < 0.1 else f"{value:.1f}&nbsp;%"


def parameters(number: int) -> str:
    """Return a number of parameters as text: 5,312,345 -> 5.3 M."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return str(number)


def duration(seconds: float) -> str:
    """Return a duration as text: 87 ms, 1.2 s."""
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
