"""Batch: a file of masked sentences, or a few pasted lines, filled row by row; a CSV to keep."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import gradio as gr

from mlm.errors import InputError, UserError
from mlm.inference.fill_mask import FillMask
from mlm.inference.row_filling import ROWS_AT_ONCE, RowResult, fill_rows
from mlm.inference.row_reading import (
    MAX_BYTES,
    MAX_ROWS,
    SUFFIXES,
    Row,
    read_rows,
    rows_of,
    rows_of_lines,
)
from mlm.inference.row_writing import to_csv
from mlm.playground.choice import Choice
from mlm.playground.tabs import batch_html, render
from mlm.playground.tabs.fill_tab import MAX_TOP_K, checked_top_k
from mlm.playground.tabs.tab import Tab, waited_for

MAX_TEXTS = 200  # of one call of the endpoint
MAX_PASTED = 50_000  # characters, of up to four bytes each: what limits.py lets through
LIMITS = (
    f'<p class="mlm-hint">A file of at most {MAX_ROWS:,} rows and {MAX_BYTES // 1_000_000} MB, in '
    f"UTF-8, or sentences of at most {MAX_PASTED:,} characters in all. Each row holds one text "
    "with [MASK] or ___ in place of 1 to 32 words. A row that cannot be filled says why, and stops "
    "nothing.</p>"
)
LINES = (
    "I have watched this [MASK] and it was awesome.\n"
    "Stir the [MASK] until it thickens.\n"
    "The plot was so [MASK] that I fell asleep."
)


def add_batch_tab(choice: Choice, model: gr.Textbox | None) -> Tab:
    """Put the tab on the page that is being built."""
    with gr.Column(elem_classes="mlm-ask"):
        gr.HTML(LIMITS, elem_classes="mlm-limits")
        file, lines, column = _texts()
        with gr.Row(elem_classes="mlm-tools"):
            top_k, button, stop = _tools()
    answer = gr.HTML(elem_id="mlm-batch-answer", elem_classes="mlm-answer")
    download = gr.DownloadButton("Download the CSV", visible=False, elem_id="mlm-batch-csv")

    def fill_all(token: gr.OAuthToken | None, *values: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        yield from _answers(choice, token, *values)

    # Without `preprocess`, which would leave an empty file in Gradio's folder at every event.
    private: dict[str, Any] = {"api_visibility": "private", "preprocess": False}
    file.change(columns_of, file, [column, lines, answer], show_progress="hidden", **private)
    filling = button.click(
        fill_all,
        [file, column, lines, top_k, *([model] if model else [])],
        [answer, download],
        show_progress="minimal",
        concurrency_limit=1,
        trigger_mode="once",
        **private,
    )
    stop.click(None, cancels=filling, api_visibility="private")
    stop.click(None, js="() => mlm.stopped()", api_visibility="private")
    remember = "(k) => mlm.remember('batch', ['k'], [k])"
    button.click(None, top_k, None, js=remember, api_visibility="private")
    # What a link brings back is the tab and the number of words; a new model clears the answer.
    return Tab("batch", choice, model, {"k": top_k}, answer, lambda models, k: "")


def _texts() -> tuple[gr.File, gr.Textbox, gr.Dropdown]:
    file = gr.File(
        label=f"A file ({', '.join(SUFFIXES)})",
        file_types=list(SUFFIXES),
        height=140,
        elem_id="mlm-batch-file",
    )
    lines = gr.Textbox(
        label="Or sentences, one a line",
        value=LINES,
        lines=3,
        max_lines=10,
        elem_id="mlm-batch-lines",
    )
    column = gr.Dropdown(
        [],
        label="The column that holds the texts",
        visible=False,
        allow_custom_value=True,  # whatever is sent is checked against the file
        elem_id="mlm-batch-column",
    )
    return file, lines, column


def _tools() -> tuple[gr.Slider, gr.Button, gr.Button]:
    top_k = gr.Slider(
        1, MAX_TOP_K, 5, step=1, label="Words for each mask", buttons=[], elem_id="mlm-batch-k"
    )
    button = gr.Button("Fill all", variant="primary", elem_id="mlm-batch", scale=0, min_width=160)
    stop = gr.Button("Stop", elem_id="mlm-batch-stop", scale=0, min_width=100)
    return top_k, button, stop


def add_batch_api(choice: Choice) -> None:
    """The endpoint `/batch`."""

    def batch(texts: list[str], top_k: int = 5) -> list:
        """The top_k most probable words for the masks of many texts at once.

        Gives for each text, in their order, what /fill_mask gives for it, or {error}, one line
        that says why it cannot be filled. At most 200 texts, and 262,144 bytes for the whole call;
        top_k is 1 to 50.
        """
        try:
            return answer_texts(choice.own.main, texts, top_k)
        except UserError as error:
            raise gr.Error(str(error), print_exception=False) from None

    gr.api(batch, api_name="batch", concurrency_limit=1)


def answer_texts(model: FillMask, texts: Any, top_k: Any) -> list[Any]:
    """For each text what FillMask.fill gives, or its error. Raises InputError."""
    if not isinstance(texts, list):
        raise InputError(f"texts is of type {type(texts).__name__}; expected a list of texts.")
    if len(texts) > MAX_TEXTS:
        raise InputError(f"texts has {len(texts):,} texts; at most {MAX_TEXTS} are filled a call.")
    return [
        {"error": result.error} if result.filling is None else result.filling.as_pipeline()
        for result in fill_rows(model, rows_of(texts), checked_top_k(top_k))
    ]


def columns_of(file: Any) -> tuple[Any, Any, str]:
    """For a file that has come: its columns to choose from, and no pasted lines beside it."""
    nothing = gr.Dropdown(choices=[], value=None, visible=False)
    if file is None:
        return nothing, gr.Textbox(visible=True), ""
    try:
        table = read_rows(path_of(file))
    except UserError as error:
        return nothing, gr.Textbox(visible=False), render.problem(str(error))
    chosen = gr.Dropdown(choices=table.columns, value=table.column, visible=bool(table.columns))
    return chosen, gr.Textbox(visible=False), ""


def path_of(file: Any) -> Path:
    """Where Gradio has put an uploaded file; it has checked that it was one. Raises InputError."""
    path = file.get("path") if isinstance(file, dict) else None
    if not isinstance(path, str) or "\0" in path:
        raise InputError("The file has not come whole: give it again.")
    return Path(path)


def rows_asked(file: Any, column: Any, lines: Any, mask_token: str) -> list[Row]:
    """The rows of the file or, where there is none, of the pasted lines. Raises InputError."""
    if file is None:
        if isinstance(lines, str) and len(lines) > MAX_PASTED:
            raise InputError(
                f"The sentences have {len(lines):,} characters; at most {MAX_PASTED:,} are read "
                "here: put them in a file."
            )
        return rows_of_lines(lines)
    if not isinstance(column, str | None):
        raise InputError("The column is to be the name of one.")
    return read_rows(path_of(file), column or None, mask_token).rows


def _answers(
    choice: Choice,
    token: gr.OAuthToken | None,
    file: Any,
    column: Any,
    lines: Any,
    top_k: Any,
    name: Any = "",
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What is loading; then the growing table; at last the whole of it with its CSV."""
    hidden = gr.update(visible=False, value=None)
    try:
        models = choice.models(name, token.token if token else None)
        number = checked_top_k(top_k)
        for loading in waited_for(models):
            yield loading, hidden
        rows = rows_asked(file, column, lines, models.main.mask_token)
        yield from _filled(models.main, rows, number, _name(file))
    except UserError as error:
        yield render.problem(str(error)), hidden


def _filled(
    model: FillMask, rows: Sequence[Row], top_k: int, name: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    started = time.perf_counter()
    results: list[RowResult] = []
    found = fill_rows(model, rows, top_k, merge=True)
    while len(results) < len(rows):
        yield batch_html.answer(model, results, len(rows), None), gr.update(visible=False)
        results += islice(found, ROWS_AT_ONCE)
    html = batch_html.answer(model, results, len(rows), time.perf_counter() - started)
    with tempfile.TemporaryDirectory() as folder:  # Gradio copies it to where it serves files from
        path = Path(folder) / name
        path.write_bytes(to_csv(results))
        yield html, gr.update(value=str(path), visible=True)


def _name(file: Any) -> str:
    """How the CSV is called: after the file that was given."""
    stem = "".join(c for c in path_of(file).stem if c.isalnum() or c in "-_ ") if file else ""
    return f"{stem[:60] or 'sentences'}-filled.csv"
