"""The answer of the Fill tab as HTML. Pure functions, without Gradio."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from mlm.inference.fill_mask import FillMask
from mlm.inference.filling import Candidate, Filling, JointFilling
from mlm.playground.tabs import render

CONTEXT = 48  # characters of the sentence on each side of a word in a list
NARROW_CONTEXT = 24  # the same in the narrower lists of several masks
PAGES_OWN_MASK = re.compile(r"^\[MASK\] was read as \S+\.\s*")  # a note that says nothing new
MIN_LONGER_SCORE = 0.001  # longer words below it are mostly noise: pieces that make no word


@dataclass(frozen=True)
class Column:
    """One model's answer: a filling, or the message of the error in its place."""

    model: FillMask
    label: str  # "Before", "After" or ""
    filling: Filling | str
    seconds: float = 0.0
    has_targets: bool = False  # True if the words are chosen among the visitor's own
    unknown_targets: list[str] = field(
        default_factory=list
    )  # words that the model has no pieces for
    joint: list[JointFilling] = field(default_factory=list)
    longer: list[list[Candidate]] | None = None  # words of several pieces; None if not searched


def answer(columns: Sequence[Column]) -> str:
    """Return a column for each model, or one notice if all models gave the same error."""
    errors = {column.filling for column in columns if isinstance(column.filling, str)}
    if len(errors) == 1 and all(isinstance(column.filling, str) for column in columns):
        return render.problem(errors.pop())
    several = " mlm-several" if len(columns) > 1 else ""
    parts = "".join(column_html(column) for column in columns)
    return f'<div class="mlm-columns{several}">{parts}</div>'


def column_html(column: Column) -> str:
    """Return the model's name, the sentence with its best words, and bars for each mask."""
    filling = column.filling
    if isinstance(filling, str):
        seconds, body = None, render.problem(filling)
    else:
        seconds = column.seconds
        panels = "".join(mask_html(column, filling, i) for i in range(len(filling.masks)))
        body = (
            f"{_note(filling)}{sentence_html(filling, column.joint)}{joint_html(column.joint)}"
            f'<div class="mlm-panels">{panels}</div>'
        )
    header = render.model_header(column.model, column.label, seconds)
    return (
        f'<article class="mlm-column" aria-label="Answer of {escape(column.model.name)}">'
        f"{header}{body}</article>"
    )


def sentence_html(filling: Filling, joint: Sequence[JointFilling] = ()) -> str:
    """Return the visitor's text with the best words marked, the best joint filling if given."""
    if joint:
        return _sentence(joint[0].parts)
    parts, end = [], 0
    for (start, stop), candidates in zip(filling.spans, filling.masks, strict=True):
        parts += [filling.text[end:start], candidates[0].word]
        end = stop
    return _sentence([*parts, filling.text[end:]])


def _sentence(parts: Sequence[str]) -> str:
    return f'<p class="mlm-sentence" dir="auto">{_mark_words(parts)}</p>'


def joint_html(fillings: Sequence[JointFilling]) -> str:
    """Return a list of joint fillings of all masks; "" for none."""
    if not fillings:
        return ""
    items = "".join(_joint_item(filling) for filling in fillings)
    return (
        '<section class="mlm-joint-answers"><h3>All gaps together</h3>'
        '<p class="mlm-hint">Words that fit the sentence and each other. Each is hidden again '
        "while the others stay; the bar is the geometric mean of the probabilities that the model "
        "then gives them.</p>"
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
        f'<span class="mlm-context" dir="auto">{_mark_words(filling.parts, "b")} '
        f'<span class="mlm-given">({each})</span></span></li>'
    )


def mask_html(column: Column, filling: Filling, index: int) -> str:
    """Return one mask's words as bars on a scale of 0 to 100 %, and a bar for all other words."""
    candidates, num_masks = filling.masks[index], len(filling.masks)
    title = f"Mask {index + 1} of {num_masks}"
    subtitle = ", the others open" if column.joint else ""
    heading = f"<h3>{title}{subtitle}</h3>" if num_masks > 1 else ""
    context = NARROW_CONTEXT if num_masks > 1 else CONTEXT
    total = sum(candidate.score for candidate in candidates)
    items = "".join(
        bar_html(candidate, context, total if column.has_targets else None)
        for candidate in candidates
    )
    rest = "" if column.has_targets else _rest(column.model, candidates)
    longer = "" if column.longer is None else _longer(column.longer[index], context)
    return (
        f'<section class="mlm-panel">{heading}{_targets_hint(column, candidates)}{render.SCALE}'
        f'<ol class="mlm-bars" aria-label="{title}: words, the most probable first">{items}</ol>'
        f"{rest}{longer}</section>"
    )


def bar_html(candidate: Candidate, context: int, total: float | None = None) -> str:
    """Return a list item: a word, its bar, its percentage and its place in the sentence.

    Args:
        candidate: the word.
        context: characters of the sentence on each side.
        total: sum of the probabilities of all listed words, to show this word's share of it.
    """
    before, after = render.excerpt(candidate.before, candidate.after, context)
    word = render.word(candidate.word)
    joined = '<span class="mlm-joint" title="continues the word before">…</span>'
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
    """Return the words that the vocabulary has in pieces only, as a list of their own."""
    likely = [candidate for candidate in candidates if candidate.score >= MIN_LONGER_SCORE]
    hint = (
        "Words that the model knows only in pieces. It sees how many pieces are hidden, so these "
        "are probabilities among words of as many pieces."
        if likely
        else f"No longer word is likely here: all are below {render.percent(MIN_LONGER_SCORE)}."
        if candidates
        else "No word of several pieces fits in: the text is as long as the model reads."
    )
    items = "".join(bar_html(candidate, context) for candidate in likely)
    return (
        f'<h4>Longer words</h4><p class="mlm-hint">{hint}</p>'
        f'<ol class="mlm-bars" aria-label="Words of several pieces">{items}</ol>'
    )


def _targets_hint(column: Column, candidates: Sequence[Candidate]) -> str:
    """Return what the bars mean if the words are chosen among the visitor's own; else ""."""
    if not column.has_targets:
        return ""
    has_pieces = any(len(candidate.tokens) > 1 for candidate in candidates)
    pieces = (
        " For a word that it knows only in pieces, the model sees the number of pieces, which "
        "makes it easier: compare such words among themselves."
    )
    unknown = ", ".join(f"<bdi>{escape(word)}</bdi>" for word in column.unknown_targets)
    left_out = f" Left out because the model has no pieces for them: {unknown}."
    return (
        '<p class="mlm-hint">Only among your words. The bar is the probability among all words '
        f"that the model knows; below it the share among yours."
        f"{pieces if has_pieces else ''}{left_out if unknown else ''}</p>"
    )


def _note(filling: Filling) -> str:
    """Return the note on masks that were read differently, unless it is about the page's [MASK]."""
    return render.note(PAGES_OWN_MASK.sub("", filling.note or ""))


def _mark_words(parts: Sequence[str], tag: str = "mark") -> str:
    """Join parts that are text and word in turn, with a tag around each word."""
    return "".join(
        f"<{tag}><bdi>{render.word(part)}</bdi></{tag}>" if i % 2 else escape(part)
        for i, part in enumerate(parts)
    )
