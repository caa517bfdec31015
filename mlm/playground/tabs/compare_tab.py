"""Compare: two models on one sentence, or one model on two, and the words that rise and fall."""

from functools import partial
from typing import Any

import gradio as gr
from gradio.events import api

from mlm.errors import InputError
from mlm.inference.comparison import Comparison, compare_models, compare_texts
from mlm.playground.choice import Choice
from mlm.playground.models import Models
from mlm.playground.tabs import compare_html
from mlm.playground.tabs.fill_tab import side_by_side
from mlm.playground.tabs.inputs import check_top_k, is_blank, top_k_slider
from mlm.playground.tabs.tab import Tab, endpoint_errors

FIRST, SECOND = "He works as a [MASK].", "She works as a [MASK]."


def add_compare_tab(choice: Choice, model: gr.Textbox | None) -> Tab:
    """Add the tab to the page that is being built."""
    has_two = len(choice.own.names) > 1
    against = "the two models" if has_two else "with the model that this one was trained from"
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
            value="" if has_two else SECOND,
            max_lines=6,
            elem_id="mlm-second",
            elem_classes="mlm-text",
        )
        with gr.Row(elem_classes="mlm-tools"):
            top_k = top_k_slider(8, "mlm-compare-k")
            button = gr.Button("Compare", variant="primary", elem_id="mlm-compare", scale=0)
    answer = gr.HTML(elem_id="mlm-compared", elem_classes="mlm-answer")

    inputs = {"text": first, "other": second, "k": top_k}
    tab = Tab("compare", choice, model, inputs, answer, answer_html, partial(models_for, choice))
    tab.answer_on([first.submit, second.submit, button.click, top_k.release])
    return tab


def add_compare_api(choice: Choice) -> None:
    """Add the endpoint `/compare`."""

    def compare(text: str, other_text: str = "", top_k: int = 5) -> list[Any]:
        """Return the words that rise and fall, for each mask: {rose, fell}, lists of words.

        With other_text, from text to other_text for the main model. Without it, from the first to
        the second of the page's two models, or from the base model that the card of its one model
        names to that model. Each word has {word, first, second, change}: its probabilities on both
        sides, null if it is not in a vocabulary. If a model knows no word of a text, each mask has
        a note too.
        """
        with endpoint_errors():
            models = models_for(choice, choice.own, text, other_text)
            return [each.as_dict() for each in ask_models(models, text, other_text, top_k)]

    api(compare, api_name="compare")


def models_for(
    choice: Choice, models: Models, text: object, other_text: object, *_: object
) -> Models:
    """Return the models to compare: without another text, the page's own one and its base model."""
    return choice.with_base() if is_blank(other_text) and models is choice.own else models


def ask_models(models: Models, text: Any, other_text: Any, top_k: object) -> list[Comparison]:
    """Compare two models on one text or, with another text, the main model on both.

    Raises:
        UserError: a text or number that is not valid, or a single model without a base model.
    """
    number = check_top_k(top_k)
    if not is_blank(other_text):
        return compare_texts(models.main, text, other_text, number)
    if len(models.names) < 2:
        raise InputError(
            "There is one model here, and its card names none that it was trained from: "
            "give a second sentence to compare with."
        )
    (first, _), (second, _) = side_by_side(models.all)
    return compare_models(first, second, text, number)


def answer_html(models: Models, text: Any, other_text: Any, top_k: object) -> str:
    """Return the words that rose and fell, for each mask. Raises UserError."""
    comparisons = ask_models(models, text, other_text, top_k)
    if not is_blank(other_text):
        return compare_html.answer(comparisons, text, other_text, models.main.name)
    names = [f"{label} {model.name}".strip() for model, label in side_by_side(models.all)]
    return compare_html.answer(comparisons, names[0], names[1], text)
