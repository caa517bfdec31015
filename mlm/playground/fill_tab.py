"""Fill: a sentence, a button that masks a word of it, and the answers as bars."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from mlm.errors import InputError, UserError
from mlm.fill_mask import Filling, FillMask
from mlm.playground import render

MAX_TOP_K = 50
EXAMPLES = (
    "I have watched this [MASK] and it was awesome.",
    "The plot was so [MASK] that I fell asleep.",
    "She plays a [MASK] who falls in love with the wrong man.",
    "The [MASK] was great, but the [MASK] was terrible.",
    "I ordered the [MASK] and it was delicious.",
)
MASK_BUTTON = Path(__file__).with_name("mask_button.js")


def add_fill_tab(models: Sequence[FillMask]) -> None:
    """Put the tab on the page that is being built, with the first example answered."""
    mask_token = models[0].mask_token
    examples = [example.replace("[MASK]", mask_token) for example in EXAMPLES]
    with gr.Column(elem_id="mlm-ask"):
        sentence = gr.Textbox(
            label=f"Your sentence, with {mask_token} for the missing word",
            value=examples[0],
            lines=1,
            max_lines=8,
            elem_id="mlm-sentence",
            html_attributes=gr.InputHTMLAttributes(enterkeyhint="go", spellcheck=False),
        )
        with gr.Row(elem_id="mlm-tools"):
            mask = gr.Button("Mask the selected word", elem_id="mlm-mask", scale=0, min_width=220)
            top_k = gr.Slider(
                1, MAX_TOP_K, 5, step=1, label="Words to show", buttons=[], elem_id="mlm-top-k"
            )
            fill = gr.Button("Fill", variant="primary", elem_id="mlm-fill", scale=0, min_width=160)
        shown = gr.Examples(
            [[example] for example in examples], sentence, label="Or try one of these"
        )
    columns = side_by_side(models)
    answer = gr.HTML(answer_html(columns, examples[0], 5), elem_id="mlm-answer")

    def ask(text: str, number: int) -> str:
        return answer_html(columns, text, number)

    asking: dict[str, Any] = {
        "fn": ask,
        "inputs": [sentence, top_k],
        "outputs": answer,
        "api_visibility": "private",
        "show_progress": "minimal",
    }
    gr.on([sentence.submit, fill.click, top_k.release], trigger_mode="always_last", **asking)
    shown.load_input_event.then(**asking)
    script = MASK_BUTTON.read_text(encoding="utf-8").replace("MASK_TOKEN", json.dumps(mask_token))
    mask.click(None, sentence, sentence, js=script, api_visibility="private")


def add_fill_api(model: FillMask) -> None:
    """The endpoint `/fill_mask`, for gradio_client, JavaScript and curl."""

    def fill_mask(text: str, top_k: int = 5) -> list:
        """The top_k most probable words for each mask of a text.

        For one mask a list of {score, token, token_str, sequence}, best first, as
        transformers.pipeline("fill-mask") gives it; for several masks a list of such lists.
        text holds [MASK], <mask> or ___ in place of 1 to 32 words; top_k is 1 to 50.
        """
        try:
            return ask_model(model, text, top_k).as_pipeline()
        except UserError as error:
            raise gr.Error(str(error), print_exception=False) from None

    gr.api(fill_mask, api_name="fill_mask")


def ask_model(model: FillMask, text: Any, top_k: Any) -> Filling:
    """One text, whoever sent it and whatever they sent. Raises InputError."""
    if isinstance(top_k, float) and top_k.is_integer():
        top_k = int(top_k)  # JSON knows one kind of number only
    if type(top_k) is not int or not 1 <= top_k <= MAX_TOP_K:
        raise InputError(f"top_k is to be a whole number from 1 to {MAX_TOP_K}.")
    return model.answer([text], min(top_k, model.vocab_size))[0]


def side_by_side(models: Sequence[FillMask]) -> list[tuple[FillMask, str]]:
    """The models from left to right, labelled where one was trained from the other."""
    if len(models) == 2:
        main, other = models
        config = (main.training or {}).get("config")  # of any shape: anyone may have written it
        base = config.get("model_name_or_path") if isinstance(config, dict) else None
        # A folder is recorded by its last part.
        if base in (other.name, other.name.rpartition("/")[2]):
            return [(other, "Before"), (main, "After")]
    return [(model, "") for model in models]


def answer_html(models: Sequence[tuple[FillMask, str]], text: Any, top_k: Any) -> str:
    """Every model's answer to one text, each in its column; a refusal stands in its place."""
    columns = []
    for model, label in models:
        started = time.perf_counter()
        try:
            filling: Filling | str = ask_model(model, text, top_k)
        except UserError as error:
            filling = str(error)
        columns.append(render.Column(model, label, filling, time.perf_counter() - started))
    return render.answer(columns)
