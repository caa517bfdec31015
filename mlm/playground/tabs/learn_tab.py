"""Learn, "How it learns" on the page: a training step on the visitor's own sentence."""

import gradio as gr

from mlm.inference.masked_example import LARGEST_SEED, mask_example
from mlm.playground.choice import Choice
from mlm.playground.models import Models
from mlm.playground.tabs import learn_html
from mlm.playground.tabs.inputs import check_whole_number
from mlm.playground.tabs.tab import Tab

EXAMPLE = (
    "I have watched this movie three times, and the ending still makes me laugh out loud every "
    "single time."
)
NEXT_DRAW = "(seed) => mlm.nextDraw(seed)"


def add_learn_tab(choice: Choice, model: gr.Textbox | None) -> Tab:
    """Add the tab to the page that is being built."""
    with gr.Column(elem_classes="mlm-ask"):
        text = gr.Textbox(
            label="A sentence to learn from",
            value=EXAMPLE,
            lines=1,
            max_lines=8,
            elem_id="mlm-learn-text",
            elem_classes="mlm-text",
        )
        with gr.Row(elem_classes="mlm-tools"):
            rate = gr.Slider(
                5, 50, 15, step=5, label="Per cent to choose", buttons=[], elem_id="mlm-learn-rate"
            )
            seed = gr.Number(1, label="Draw number", precision=0, elem_id="mlm-learn-seed")
            again = gr.Button(
                "Draw again", variant="primary", elem_id="mlm-learn", scale=0, min_width=160
            )
    answer = gr.HTML(elem_id="mlm-lesson", elem_classes="mlm-answer")
    inputs = {"text": text, "rate": rate, "seed": seed}
    tab = Tab("learn", choice, model, inputs, answer, answer_html)
    tab.answer_on([text.submit, rate.release, seed.submit])
    tab.answer_after(again.click(None, seed, seed, js=NEXT_DRAW, api_visibility="private"))
    return tab


def answer_html(models: Models, text: object, rate: object, seed: object) -> str:
    """Return the sentence masked once, and the model's own training. Raises UserError.

    Args:
        models: the main model is used.
        text: the sentence.
        rate: per cent of the tokens to choose.
        seed: number of the draw.
    """
    model = models.main
    example = mask_example(
        model.predictor,
        model.vocabulary,
        model.token_facts,
        text,
        seed=check_whole_number(seed, "The draw number", 0, LARGEST_SEED),
        mlm_probability=check_whole_number(rate, "The per cent to choose", 0, 100) / 100,
    )
    return learn_html.answer(model, example)
