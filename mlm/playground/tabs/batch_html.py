"""The answer of the Batch tab as HTML: pure functions, no Gradio."""

from collections.abc import Sequence
from html import escape

from mlm.inference.fill_mask import FillMask
from mlm.inference.filling import Candidate
from mlm.inference.row_filling import RowResult
from mlm.playground.tabs import render

SHOWN_ROWS = 100  # the CSV has them all
SHOWN_WORDS = 5  # of each mask
LONGEST_SHOWN = 300  # characters of a sentence
LONGEST_WORD = 40
FORMULAS = (
    "The CSV has a line for each word. A cell that a spreadsheet would run as a formula, because "
    "it begins with =, +, - or @, has an apostrophe in front."
)


def answer(model: FillMask, results: Sequence[RowResult], of: int, seconds: float | None) -> str:
    """How far it has come, and a table of the first rows; `seconds` once all are done."""
    done = seconds is not None
    told = summary(results) if done else progress(len(results), of)
    below = f'<p class="mlm-hint">{_all_rows(results)}{FORMULAS}</p>' if done else ""
    return (
        f'<article class="mlm-column" aria-label="Answer of {escape(model.name)}">'
        f"{render.who(model, '', seconds)}{told}{table(results[:SHOWN_ROWS])}{below}</article>"
    )


def _all_rows(results: Sequence[RowResult]) -> str:
    if len(results) <= SHOWN_ROWS:
        return ""
    return f"The first {SHOWN_ROWS} rows are shown; the CSV has all {len(results):,}. "


def progress(done: int, of: int) -> str:
    """ "120 of 500 rows", with a bar."""
    return (
        '<div class="mlm-progress" role="status">'
        f"<p>{done:,} of {of:,} rows</p>"
        f'<progress value="{done}" max="{of}" aria-label="Rows that are filled"></progress></div>'
    )


def summary(results: Sequence[RowResult]) -> str:
    """How many rows were filled, and how many could not be."""
    bad = sum(result.filling is None for result in results)
    filled = len(results) - bad
    told = f"{filled:,} row{'' if filled == 1 else 's'} filled"
    if bad:
        told += f"; {bad:,} could not be, and {'says' if bad == 1 else 'say'} why"
    return f'<p class="mlm-summary" role="status">{told}.</p>'


def table(results: Sequence[RowResult]) -> str:
    """A row for each: its number, its sentence with the best words, and the words of each mask."""
    if not results:
        return ""
    rows = "".join(_row(result) for result in results)
    return (
        '<table class="mlm-batch-table"><thead><tr><th scope="col">Row</th>'
        '<th scope="col">Sentence with the best word</th>'
        f'<th scope="col">Words</th></tr></thead><tbody>{rows}</tbody></table>'
    )


def _row(result: RowResult) -> str:
    number = f'<th scope="row">{result.number}</th>'
    if result.filling is None:
        text = f'<bdi dir="auto">{escape(_cut(result.text, LONGEST_SHOWN))}</bdi>'
        error = f'<td class="mlm-bad-row">{escape(result.error or "")}</td>'
        return f"<tr>{number}<td>{text}</td>{error}</tr>"
    return (
        f'<tr>{number}<td><span dir="auto">{_sentence(result)}</span></td>'
        f"<td>{_words(result.filling.masks)}</td></tr>"
    )


def _sentence(result: RowResult) -> str:
    """The best word in place of each mask, each mask on its own, as far as there is room."""
    assert result.filling is not None
    parts: list[str] = []
    text, end, shown = result.text, 0, 0
    for span, candidates in zip(result.filling.spans, result.filling.masks, strict=True):
        before = text[end : span[0]]
        best = candidates[0]
        # Joined to the word that it continues, or after a missing space; see `text_around_word`.
        joined = before.rstrip() if best.joined else before
        wanted = " " if best.before == f"{text[: span[0]]} " else ""
        if shown + len(joined) > LONGEST_SHOWN:
            return "".join(parts) + escape(_cut(joined, LONGEST_SHOWN - shown))
        parts.append(f"{escape(joined + wanted)}<mark><bdi>{_word(best)}</bdi></mark>")
        shown += len(joined) + len(best.word)
        end = span[1]
    return "".join(parts) + escape(_cut(text[end:], max(LONGEST_SHOWN - shown, 1)))


def _words(masks: Sequence[Sequence[Candidate]]) -> str:
    return "".join(
        f'<ol aria-label="Mask {number} of {len(masks)}">'
        + "".join(f"<li>{_scored(candidate)}</li>" for candidate in candidates[:SHOWN_WORDS])
        + "</ol>"
        for number, candidates in enumerate(masks, 1)
    )


def _scored(candidate: Candidate) -> str:
    joined = "…" if candidate.joined else ""
    return f"<b>{joined}<bdi>{_word(candidate)}</bdi></b>&nbsp;{render.percent(candidate.score)}"


def _word(candidate: Candidate) -> str:
    return render.word(_cut(candidate.word, LONGEST_WORD))


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: max(width - 2, 0)]} …"
