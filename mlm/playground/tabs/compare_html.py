"""The answer of the Compare tab as HTML. Pure functions, without Gradio."""

from collections.abc import Sequence
from html import escape

from mlm.inference.comparison import Comparison, Difference
from mlm.playground.tabs import render


def answer(masks: Sequence[Comparison], first: str, second: str, title: str) -> str:
    """Return the words that rose and the words that fell, for each mask.

    Args:
        masks: the comparisons.
        first: the name of the first side, a sentence or a model.
        second: the name of the second side.
        title: what both sides share, the model or the sentence.
    """
    notes = "".join(map(render.note, dict.fromkeys(mask.note for mask in masks)))
    legend = _legend("first", first) + _legend("second", second) + notes
    panels = "".join(_mask(mask, i, len(masks)) for i, mask in enumerate(masks))
    return (
        '<article class="mlm-column" aria-label="Comparison"><header class="mlm-who">'
        f'<h2 dir="auto"><bdi>{escape(title)}</bdi></h2></header>{legend}{panels}</article>'
    )


def _legend(side: str, text: str) -> str:
    return (
        f'<p class="mlm-sides"><span class="mlm-key mlm-key-{side}"></span> '
        f'<span dir="auto"><bdi>{escape(text)}</bdi></span></p>'
    )


def _mask(mask: Comparison, index: int, num_masks: int) -> str:
    heading = f"<h3>Mask {index + 1} of {num_masks}</h3>" if num_masks > 1 else ""
    if not mask.rose and not mask.fell:
        return f'{heading}<p class="mlm-hint">Both answers are the same, word for word.</p>'
    return (
        f'{heading}<div class="mlm-panels">{_side("What rose", mask.rose)}'
        f"{_side('What fell', mask.fell)}</div>"
    )


def _side(title: str, differences: Sequence[Difference]) -> str:
    if not differences:
        return (
            f'<section class="mlm-panel"><h4>{title}</h4><p class="mlm-hint">Nothing.</p></section>'
        )
    items = "".join(_item(difference) for difference in differences)
    return (
        f'<section class="mlm-panel"><h4>{title}</h4>{render.SCALE}'
        f'<ol class="mlm-bars mlm-pairs" aria-label="{title}, the largest change first">{items}'
        "</ol></section>"
    )


def _item(difference: Difference) -> str:
    sides = (("first", difference.first), ("second", difference.second))
    tracks = "".join(
        f'<span class="mlm-{side}">{render.track(score or 0.0)}</span>' for side, score in sides
    )
    change = " → ".join(
        "not in its vocabulary" if score is None else render.percent(score) for _, score in sides
    )
    return (
        f'<li><span class="mlm-word"><bdi>{render.word(difference.word)}</bdi></span> '
        f'<span class="mlm-pair">{tracks}</span>'
        f'<span class="mlm-percent">{_format_change(difference.change)}</span> '
        f'<span class="mlm-context">{change}</span></li>'
    )


def _format_change(change: float) -> str:
    sign = "+" if change > 0 else "−"
    return f"{sign}{render.percent(abs(change)).removesuffix('%')}pp"
