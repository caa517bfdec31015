"""Batch: a file of masked sentences, or pasted lines, filled row by row; a CSV to download."""

import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.events import api

from mlm.errors import InputError, UserError
from mlm.inference.fill_mask import FillMask
from mlm.inference.row_filling import ROWS_AT_ONCE, RowResult, fill_rows
from mlm.inference.row_reading import (
    MAX_BYTES,
    MAX_ROWS,
    SUFFIXES,
    Table,
    read_rows,
    rows_of,
    rows_of_lines,
)
from mlm.inference.row_writing import to_csv
from mlm.playground.choice import Choice
from mlm.playground.tabs import batch_html, render
from mlm.playground.tabs.inputs import check_top_k, top_k_slider
from mlm.playground.tabs.tab import Tab, endpoint_errors, loading_notices

Update = tuple[str, dict[str, Any]]  # HTML of the answer, update of the download button

MAX_TEXTS = 200  # in one call of the endpoint
MAX_PASTED = 50_000  # characters of up to four bytes; limits.py lets as many through
LIMITS = (
    f'<p class="mlm-hint">A file of at most {MAX_ROWS:,} rows and {MAX_BYTES // 1_000_000} MB, in '
    f"UTF-8, or sentences of at most {MAX_PASTED:,} characters in all. Each row holds one text "
    "with [MASK] or ___ in place of 1 to 32 words. A row that cannot be filled says why; the "
    "other rows are filled.</p>"
)
LINES = (
    "I have watched this [MASK] and it was awesome.\n"
    "Stir the [MASK] until it thickens.\n"
    "The plot was so [MASK] that I fell asleep."
)


def add_batch_tab(choice: Choice, model: gr.Textbox | None) -> Tab:
    """Add the tab to the page that is being built."""
    with gr.Column(elem_classes="mlm-ask"):
        gr.HTML(LIMITS, elem_classes="mlm-limits")
        file, lines, column = _add_texts()
        with gr.Row(elem_classes="mlm-tools"):
            top_k = top_k_slider(5, "mlm-batch-k", "Words for each mask")
            button, stop = _add_buttons()
    answer = gr.HTML(elem_id="mlm-batch-answer", elem_classes="mlm-answer")
    download = gr.DownloadButton("Download the CSV", visible=False, elem_id="mlm-batch-csv")

    def fill_all(token: gr.OAuthToken | None, *values: object) -> Iterator[Update]:
        yield from answers(choice, token, *values)

    # `preprocess` would leave an empty file in Gradio's folder on every event.
    private: dict[str, Any] = {"api_visibility": "private", "preprocess": False}
    file.change(update_columns, file, [column, lines, answer], show_progress="hidden", **private)
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
    # Links restore the tab and the number of words only. Another model clears the answer.
    return Tab("batch", choice, model, {"k": top_k}, answer, lambda models, k: "")


def _add_texts() -> tuple[gr.File, gr.Textbox, gr.Dropdown]:
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
        allow_custom_value=True,  # any value is checked against the file
        elem_id="mlm-batch-column",
    )
    return file, lines, column


def _add_buttons() -> tuple[gr.Button, gr.Button]:
    button = gr.Button("Fill all", variant="primary", elem_id="mlm-batch", scale=0, min_width=160)
    stop = gr.Button("Stop", elem_id="mlm-batch-stop", scale=0, min_width=100)
    return button, stop


def add_batch_api(choice: Choice) -> None:
    """Add the endpoint `/batch`."""

    def batch(texts: list[str], top_k: int = 5) -> list[Any]:
        """Return the top_k most probable words for the masks of many texts at once.

        For each text, in their order, the result of /fill_mask, or {error}, one line that says why
        the text cannot be filled. At most 200 texts, and 262,144 bytes for the whole call; top_k is
        1 to 50.
        """
        with endpoint_errors():
            return answer_texts(choice.own.main, texts, top_k)

    api(batch, api_name="batch", concurrency_limit=1)


def answer_texts(model: FillMask, texts: object, top_k: object) -> list[object]:
    """Return for each text what FillMask.fill returns, or its error. Raises InputError."""
    if not isinstance(texts, list):
        raise InputError(f"texts is of type {type(texts).__name__}; expected a list of texts.")
    if len(texts) > MAX_TEXTS:
        raise InputError(f"texts has {len(texts):,} texts; at most {MAX_TEXTS} are filled a call.")
    return [
        {"error": result.error} if result.filling is None else result.filling.as_pipeline()
        for result in fill_rows(model, rows_of(texts), check_top_k(top_k))
    ]


def update_columns(file: object) -> tuple[gr.Dropdown, gr.Textbox, str]:
    """Return updates for a new file: its columns, the box of lines hidden, a notice of an error."""
    no_columns = gr.Dropdown(choices=[], value=None, visible=False)
    if file is None:
        return no_columns, gr.Textbox(visible=True), ""
    try:
        table = read_rows(uploaded_path(file))
    except UserError as error:
        return no_columns, gr.Textbox(visible=False), render.problem(str(error))
    columns = gr.Dropdown(choices=table.columns, value=table.column, visible=bool(table.columns))
    return columns, gr.Textbox(visible=False), ""


def uploaded_path(file: object) -> Path:
    """Return the path of an uploaded file. Gradio has checked that it is an upload.

    Raises InputError if the value does not have the form of a file.
    """
    path = file.get("path") if isinstance(file, dict) else None
    if not isinstance(path, str) or "\0" in path:
        raise InputError("The upload is incomplete: give the file again.")
    return Path(path)


def read_input(file: object, column: object, lines: object, mask_token: str) -> Table:
    """Return the rows of the file or, without a file, of the pasted lines. Raises InputError."""
    if file is None:
        if isinstance(lines, str) and len(lines) > MAX_PASTED:
            raise InputError(
                f"The sentences have {len(lines):,} characters; at most {MAX_PASTED:,} are read "
                "here: put them in a file."
            )
        return Table([], None, rows_of_lines(lines))
    if not isinstance(column, str | None):
        raise InputError("The column must be the name of a column of the file.")
    return read_rows(uploaded_path(file), column or None, mask_token)


def answers(
    choice: Choice,
    token: gr.OAuthToken | None,
    file: object,
    column: object,
    lines: object,
    top_k: object,
    name: object = "",
) -> Iterator[Update]:
    """Yield notices while models are being loaded, the growing table, and the whole with its CSV.

    Args:
        choice: the models that a visitor may choose.
        token: the Hub token of a visitor who has signed in, or None.
        file: an upload as Gradio passes it, or None.
        column: name of the text column; the one with most masks if None or "".
        lines: sentences, one a line; ignored if there is a file.
        top_k: number of words for each mask.
        name: id of another model, or "".
    """
    hidden = gr.update(visible=False, value=None)
    try:
        models = choice.models(name, token.token if token else None)
        number = check_top_k(top_k)
        for notice in loading_notices(models):
            yield notice, hidden
        table = read_input(file, column, lines, models.main.mask_token)
        yield from _fill_in_steps(models.main, table, number, _csv_name(file))
    except UserError as error:
        yield render.problem(str(error)), hidden


def _fill_in_steps(model: FillMask, table: Table, top_k: int, csv_name: str) -> Iterator[Update]:
    """Yield the growing table, and at last the whole table with its CSV."""
    started, rows = time.perf_counter(), list(table.rows)
    results: list[RowResult] = []
    found = fill_rows(model, rows, top_k, merge=True)
    while len(results) < len(rows):
        yield batch_html.answer(model, results, len(rows), None), gr.update(visible=False)
        results += islice(found, ROWS_AT_ONCE)
    html = batch_html.answer(model, results, len(rows), time.perf_counter() - started)
    with tempfile.TemporaryDirectory() as folder:  # Gradio copies the file to its own
        path = Path(folder) / csv_name
        path.write_bytes(to_csv(results, table.others, table.separator))
        yield html, gr.update(value=str(path), visible=True)


def _csv_name(file: object) -> str:
    """Return the name of the CSV, made from the name of the uploaded file."""
    stem = "".join(c for c in uploaded_path(file).stem if c.isalnum() or c in "-_ ") if file else ""
    return f"{stem[:60] or 'sentences'}-filled.csv"
