"""The answer of the Batch tab as HTML. Pure functions, without Gradio."""

from collections.abc import Sequence
from html import escape

from mlm.inference.fill_mask import FillMask
from mlm.inference.filling import Candidate
from mlm.inference.row_filling import RowResult
from mlm.playground.tabs import render

SHOWN_ROWS = 100  # the CSV has all
SHOWN_WORDS = 5  # for each mask
MAX_SENTENCE = 300  # characters of a sentence in the table
MAX_WORD = 40  # characters of a word
FORMULAS = (
    "The CSV has a line for each word. A cell that a spreadsheet would run as a formula, because "
    "it begins with =, +, - or @, has an apostrophe in front."
)


def answer(
    model: FillMask, results: Sequence[RowResult], num_rows: int, seconds: float | None
) -> str:
    """Return the progress or, at the end, a summary, and a table of the first rows.

    Args:
        model: the model that fills the rows.
        results: the results so far.
        num_rows: number of rows in all.
        seconds: total time; None until the last row is done.
    """
    is_done = seconds is not None
    status = summary(results) if is_done else progress(len(results), num_rows)
    below = f'<p class="mlm-hint">{_rows_hint(results)}{FORMULAS}</p>' if is_done else ""
    header = render.model_header(model, seconds=seconds)
    return (
        f'<article class="mlm-column" aria-label="Answer of {escape(model.name)}">'
        f"{header}{status}{table(results[:SHOWN_ROWS])}{below}</article>"
    )


def _rows_hint(results: Sequence[RowResult]) -> str:
    if len(results) <= SHOWN_ROWS:
        return ""
    return f"The first {SHOWN_ROWS} rows are shown; the CSV has all {len(results):,}. "


def progress(done: int, total: int) -> str:
    """Return how many rows are done, with a bar."""
    return (
        '<div class="mlm-progress" role="status">'
        f"<p>{done:,} of {total:,} rows</p>"
        f'<progress value="{done}" max="{total}" aria-label="Rows that are filled"></progress>'
        "</div>"
    )


def summary(results: Sequence[RowResult]) -> str:
    """Return how many rows were filled, and how many could not be."""
    bad = sum(result.filling is None for result in results)
    filled = len(results) - bad
    sentence = f"{filled:,} row{'' if filled == 1 else 's'} filled"
    if bad:
        sentence += f"; {bad:,} could not be, and {'says' if bad == 1 else 'say'} why"
    return f'<p class="mlm-summary" role="status">{sentence}.</p>'


def table(results: Sequence[RowResult]) -> str:
    """Return a table: of each row its number, the sentence filled, and the words of each mask."""
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
        text = f'<bdi dir="auto">{escape(_truncate(result.text, MAX_SENTENCE))}</bdi>'
        error = f'<td class="mlm-bad-row">{escape(result.error or "")}</td>'
        return f"<tr>{number}<td>{text}</td>{error}</tr>"
    return (
        f'<tr>{number}<td><span dir="auto">{_sentence(result)}</span></td>'
        f"<td>{render.note(result.filling.warning)}{_words(result.filling.masks)}</td></tr>"
    )


def _sentence(result: RowResult) -> str:
    """Return the text with the best word of each mask, cut to about MAX_SENTENCE characters."""
    assert result.filling is not None
    parts: list[str] = []
    text, end, shown = result.text, 0, 0
    for span, candidates in zip(result.filling.spans, result.filling.masks, strict=True):
        before = text[end : span[0]]
        if shown + len(before) > MAX_SENTENCE:
            return "".join(parts) + escape(_truncate(before, MAX_SENTENCE - shown))
        parts.append(f"{escape(before)}<mark><bdi>{_word(candidates[0])}</bdi></mark>")
        shown += len(before) + len(candidates[0].word)
        end = span[1]
    return "".join(parts) + escape(_truncate(text[end:], max(MAX_SENTENCE - shown, 1)))


def _words(masks: Sequence[Sequence[Candidate]]) -> str:
    return "".join(
        f'<ol aria-label="Mask {number} of {len(masks)}">'
        + "".join(f"<li>{_candidate(candidate)}</li>" for candidate in candidates[:SHOWN_WORDS])
        + "</ol>"
        for number, candidates in enumerate(masks, 1)
    )


def _candidate(candidate: Candidate) -> str:
    joined = "…" if candidate.joined else ""
    return f"<b>{joined}<bdi>{_word(candidate)}</bdi></b>&nbsp;{render.percent(candidate.score)}"


def _word(candidate: Candidate) -> str:
    return render.word(_truncate(candidate.word, MAX_WORD))


def _truncate(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: max(width - 2, 0)]} …"
