"""Compare: two models on one sentence, or one model on two, and which words rise and fall."""

from functools import partial
from typing import Any

import gradio as gr

from mlm.errors import InputError, UserError
from mlm.inference.comparison import Comparison, compare_models, compare_texts
from mlm.playground.choice import Choice
from mlm.playground.models import Models
from mlm.playground.tabs import compare_html
from mlm.playground.tabs.fill_tab import MAX_TOP_K, checked_top_k, side_by_side
from mlm.playground.tabs.tab import Tab

FIRST, SECOND = "He works as a [MASK].", "She works as a [MASK]."


def add_compare_tab(choice: Choice, model: gr.Textbox | None) -> Tab:
    """Put the tab on the page that is being built."""
    two = len(choice.own.names) > 1
    against = "the two models" if two else "with the model that this one was trained from"
    with gr.Column(elem_classes="mlm-ask"):
        first = gr.Textbox(
            label="A sentence with a [MASK]",
            value=FIRST,
            max_lines=6,
            elem_id="mlm-first",
            elem_classes="mlm-text",
        )
        second = gr.Textbox(
            label=f"Another with as many. Leave it empty to compare {against}.",
            value="" if two else SECOND,
            max_lines=6,
            elem_id="mlm-second",
            elem_classes="mlm-text",
        )
        with gr.Row(elem_classes="mlm-tools"):
            top_k = gr.Slider(
                1, MAX_TOP_K, 8, step=1, label="Words to show", buttons=[], elem_id="mlm-compare-k"
            )
            button = gr.Button("Compare", variant="primary", elem_id="mlm-compare", scale=0)
    answer = gr.HTML(elem_id="mlm-compared", elem_classes="mlm-answer")

    inputs = {"text": first, "other": second, "k": top_k}
    tab = Tab("compare", choice, model, inputs, answer, answer_html, partial(models_for, choice))
    tab.answer_on([first.submit, second.submit, button.click, top_k.release])
    return tab


def add_compare_api(choice: Choice) -> None:
    """The endpoint `/compare`."""

    def compare(text: str, other_text: str = "", top_k: int = 5) -> list:
        """Which words rise and which fall, for each mask: {rose, fell}, lists of words.

        With other_text, from text to other_text under the main model; without, from the first to
        the second of the page's two models, or from what its one model was trained from, as the
        model's card names it, to that model. Each word has {word, first, second, change}: its
        probabilities on both sides, null where a vocabulary does not have it.
        """
        try:
            models = models_for(choice, choice.own, text, other_text)
            return [each.as_dict() for each in ask_models(models, text, other_text, top_k)]
        except UserError as error:
            raise gr.Error(str(error), print_exception=False) from None

    gr.api(compare, api_name="compare")


def models_for(choice: Choice, models: Models, text: Any, other_text: Any, *_: Any) -> Models:
    """The models to compare: without another text, the page's own one stands beside its base."""
    alone = isinstance(other_text, str) and not other_text.strip()
    return choice.with_base() if alone and models is choice.own else models


def ask_models(models: Models, text: Any, other_text: Any, top_k: Any) -> list[Comparison]:
    """What the tab and the endpoint compare. Raises UserError."""
    top_k = checked_top_k(top_k)
    if isinstance(other_text, str) and not other_text.strip():
        if len(models.names) < 2:
            raise InputError(
                "There is one model here, and its card names none that it was trained from: "
                "give a second sentence to compare with."
            )
        (first, _), (second, _) = side_by_side(models.all)
        return compare_models(first, second, text, top_k)
    return compare_texts(models.main, text, other_text, top_k)


def answer_html(models: Models, text: Any, other_text: Any, top_k: Any) -> str:
    """Which words rose and which fell, for each mask. Raises UserError."""
    found = ask_models(models, text, other_text, top_k)
    if isinstance(other_text, str) and other_text.strip():
        return compare_html.answer(found, text, other_text, models.main.name)
    names = [f"{label} {model.name}".strip() for model, label in side_by_side(models.all)]
    return compare_html.answer(found, names[0], names[1], text)
