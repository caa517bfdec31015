"""The answer of the Fill tab as HTML: pure functions, no Gradio."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from mlm.inference.fill_mask import FillMask
from mlm.inference.filling import Candidate, Filling, JointFilling
from mlm.playground.tabs import render

CONTEXT = 48  # characters of the sentence shown to each side of a word in the list,
LEAST_OF_LONGER = 0.001  # what is less likely is noise: pieces that make no word
NARROW_CONTEXT = 24  # and where the lists of several masks stand side by side


@dataclass(frozen=True)
class Column:
    """One model's part of an answer: what it found, or the sentence that says why there is none."""

    model: FillMask
    label: str  # "Before", "After" or ""
    filling: Filling | str
    seconds: float
    among: bool = False  # only among the visitor's own words,
    left_out: list[str] = field(default_factory=list)  # and those of them that are none
    joint: list[JointFilling] = field(default_factory=list)
    longer: list[list[Candidate]] | None = None  # words of several pieces, if asked for


def answer(columns: Sequence[Column]) -> str:
    """The whole answer: one column a model, or one notice where nobody had anything to say."""
    refusals = {column.filling for column in columns if isinstance(column.filling, str)}
    if len(refusals) == 1 and all(isinstance(column.filling, str) for column in columns):
        return render.problem(refusals.pop())
    several = " mlm-several" if len(columns) > 1 else ""
    parts = "".join(column_html(column) for column in columns)
    return f'<div class="mlm-columns{several}">{parts}</div>'


def column_html(column: Column) -> str:
    """Who answers, the sentence with its best words, and a list of bars for each mask."""
    filling = column.filling
    if isinstance(filling, str):
        seconds, body = None, render.problem(filling)
    else:
        seconds = column.seconds
        panels = "".join(mask_html(column, filling, i) for i in range(len(filling.masks)))
        body = (
            f"{_note(filling)}{sentence(filling, column.joint)}{joint_html(column.joint)}"
            f'<div class="mlm-panels">{panels}</div>'
        )
    who = render.who(column.model, column.label, seconds)
    return (
        f'<article class="mlm-column" aria-label="Answer of {escape(column.model.name)}">'
        f"{who}{body}</article>"
    )


def sentence(filling: Filling, joint: Sequence[JointFilling] = ()) -> str:
    """The user's own text with the best word in every mask, the best together if they are known."""
    parts, end = [], 0
    if joint:
        return _sentence(joint[0].parts)
    for (start, stop), candidates in zip(filling.spans, filling.masks, strict=True):
        between = filling.text[end:start]
        parts += [between.rstrip() if candidates[0].joined else between, candidates[0].word]
        end = stop
    return _sentence([*parts, filling.text[end:]])


def _sentence(parts: Sequence[str]) -> str:
    return f'<p class="mlm-sentence" dir="auto">{_marked(parts)}</p>'


def joint_html(found: Sequence[JointFilling]) -> str:
    """Words for all masks that go together; "" for none."""
    if not found:
        return ""
    items = "".join(_joint_item(filling) for filling in found)
    return (
        '<section class="mlm-joint-answers"><h3>All gaps together</h3>'
        '<p class="mlm-hint">Words that fit the sentence and each other. Each is hidden once more '
        "while the others stand; the bar is the geometric mean of the probabilities that the model "
        "gives them back with.</p>"
        f'{render.SCALE}<ol class="mlm-bars" aria-label="Fillings of all gaps, the best first">'
        f"{items}</ol></section>"
    )


def _joint_item(filling: JointFilling) -> str:
    words = " · ".join(f"<bdi>{render.word(word)}</bdi>" for word in filling.words)
    each = ", ".join(
        f"<bdi>{render.word(word)}</bdi> {render.percent(score)}"
        for word, score in zip(filling.words, filling.word_scores, strict=True)
    )
    return (
        f'<li><span class="mlm-word">{words}</span> {render.track(filling.score)}'
        f'<span class="mlm-percent">{render.percent(filling.score)}</span> '
        f'<span class="mlm-context" dir="auto">{_marked(filling.parts, "b")} '
        f'<span class="mlm-given">({each})</span></span></li>'
    )


def mask_html(column: Column, filling: Filling, index: int) -> str:
    """One mask: a bar for each word on a scale of 0 to 100 %, and one for all other words."""
    candidates, many = filling.masks[index], len(filling.masks)
    title = f"Mask {index + 1} of {many}"
    heading = f"<h3>{title}{', the others open' if column.joint else ''}</h3>" if many > 1 else ""
    context = NARROW_CONTEXT if many > 1 else CONTEXT
    total = sum(candidate.score for candidate in candidates)
    items = "".join(
        bar(candidate, context, total if column.among else None) for candidate in candidates
    )
    rest = "" if column.among else _rest(column.model, candidates)
    longer = "" if column.longer is None else _longer(column.longer[index], context)
    return (
        f'<section class="mlm-panel">{heading}{_among_hint(column, candidates)}{render.SCALE}'
        f'<ol class="mlm-bars" aria-label="{title}: words, the most probable first">{items}</ol>'
        f"{rest}{longer}</section>"
    )


def bar(candidate: Candidate, context: int, total: float | None = None) -> str:
    """One word: itself, its bar, its percentage, and the place in the sentence where it stands.

    total: of the probabilities of all words looked at, to say which share of it is this word's.
    """
    before, after = render.excerpt(candidate.before, candidate.after, context)
    word = render.word(candidate.word)
    joined = '<span class="mlm-joint" title="goes on with the word before">…</span>'
    share = "" if total is None else f"{render.percent(candidate.score / (total or 1))} of these"
    also = f"with {', '.join(map(escape, candidate.also))}" if candidate.also else ""
    more = "".join(f'<span class="mlm-given">{text}</span> ' for text in (share, also) if text)
    return (
        f'<li><span class="mlm-word">{joined if candidate.joined else ""}<bdi>{word}</bdi></span> '
        f"{render.track(candidate.score)}"
        f'<span class="mlm-percent">{render.percent(candidate.score)}</span> '
        f'<span class="mlm-context" dir="auto">{escape(before)}<b><bdi>{word}</bdi></b>'
        f"{escape(after)} {more}</span></li>"
    )


def _rest(model: FillMask, candidates: Sequence[Candidate]) -> str:
    shown = sum(1 + len(candidate.also) for candidate in candidates)
    score = max(0.0, 1.0 - sum(candidate.score for candidate in candidates))
    return render.rest_bar(score, model.vocab_size - shown)


def _longer(candidates: Sequence[Candidate], context: int) -> str:
    """Words that the vocabulary has in pieces only, on a scale of their own."""
    likely = [candidate for candidate in candidates if candidate.score >= LEAST_OF_LONGER]
    hint = (
        "Words that the model knows only in pieces. It is told how many pieces are hidden, so "
        "these are probabilities among words of as many pieces."
        if likely
        else f"No longer word is likely here: all are below {render.percent(LEAST_OF_LONGER)}."
        if candidates
        else "No word of several pieces fits in: the text is as long as the model reads."
    )
    items = "".join(bar(candidate, context) for candidate in likely)
    return (
        f'<h4>Longer words</h4><p class="mlm-hint">{hint}</p>'
        f'<ol class="mlm-bars" aria-label="Words of several pieces">{items}</ol>'
    )


def _among_hint(column: Column, candidates: Sequence[Candidate]) -> str:
    if not column.among:
        return ""
    pieces = any(len(candidate.tokens) > 1 for candidate in candidates)
    whole = (
        " Of a word that the model knows only in pieces it is told how many they are, which makes "
        "it easier: compare such words among themselves."
    )
    absent = ", ".join(f"<bdi>{escape(word)}</bdi>" for word in column.left_out)
    left_out = f" Left out, for the model has no pieces for them: {absent}." if absent else ""
    return (
        '<p class="mlm-hint">Only among your words. The bar is the probability among all words '
        f"that the model knows; below it the share among yours.{whole if pieces else ''}{left_out}"
        "</p>"
    )


def _note(filling: Filling) -> str:
    """What was read otherwise than it was written; the page itself writes [MASK]."""
    only_ours = filling.note and filling.note.startswith("[MASK] was read as ")
    return render.note(None if only_ours else filling.note)


def _marked(parts: Sequence[str], tag: str = "mark") -> str:
    """Text and words in turn, the words in a tag."""
    return "".join(
        f"<{tag}><bdi>{render.word(part)}</bdi></{tag}>" if i % 2 else escape(part)
        for i, part in enumerate(parts)
    )
