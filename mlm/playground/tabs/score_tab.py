"""Score: how natural the model finds a text, word by word; two texts side by side."""

import time
from typing import Any

import gradio as gr
from gradio.events import api

from mlm.errors import InputError, UserError
from mlm.inference.fill_mask import FillMask
from mlm.inference.scoring import TextScore, score_text
from mlm.playground.choice import Choice
from mlm.playground.models import Models
from mlm.playground.tabs import score_html
from mlm.playground.tabs.inputs import is_blank
from mlm.playground.tabs.score_html import ScoreColumn
from mlm.playground.tabs.tab import Tab, endpoint_errors

TEXT = "I have watched this film with my sister, and the ending made us laugh out loud."
EXAMPLES = (
    ("The actors of this film are wonderful.", "The actors of this film is wonderful."),
    ("The ending made me cry.", "The ending made me bake."),
)


def add_score_tab(choice: Choice, model: gr.Textbox | None) -> Tab:
    """Add the tab to the page that is being built."""
    with gr.Column(elem_classes="mlm-ask"):
        first = gr.Textbox(
            label="A text without gaps",
            value=TEXT,
            lines=1,
            max_lines=10,
            elem_id="mlm-score-text",
            elem_classes="mlm-text",
        )
        with gr.Accordion(
            "Compare with another text", open=False, elem_id="mlm-score-more"
        ) as more:
            second = gr.Textbox(
                label="Another text",
                placeholder="The same with another word, for example",
                lines=1,
                max_lines=10,
                elem_id="mlm-score-other",
                elem_classes="mlm-text",
            )
        with gr.Row(elem_classes="mlm-tools"):
            button = gr.Button(
                "Score", variant="primary", elem_id="mlm-score", scale=0, min_width=160
            )
        examples = gr.Examples(
            [list(pair) for pair in EXAMPLES], [first, second], label="Or try one of these pairs"
        )
    answer = gr.HTML(elem_id="mlm-scores", elem_classes="mlm-answer")

    inputs = {"text": first, "other": second}
    tab = Tab("score", choice, model, inputs, answer, answer_html, accordions={"other": more})
    tab.answer_on([first.submit, second.submit, button.click])
    tab.answer_after(examples.load_input_event)
    examples.load_input_event.then(
        lambda: gr.Accordion(open=True), None, more, api_visibility="private", queue=False
    )
    return tab


def add_score_api(choice: Choice) -> None:
    """Add the endpoint `/score`."""

    def score(text: str) -> dict[str, Any]:
        """Score how natural the model finds a text, as a whole and word by word.

        Returns {text, pseudo_log_likelihood (nats), num_tokens, perplexity (the pseudo-perplexity),
        note, words}; each word is {text, start, end, log_probability (nats, of the whole word),
        probability, num_tokens, unknown, guesses}; log_probability and probability are null for a
        word that is not in the vocabulary. guesses is a list of {word, probability}, best first.
        text has no masks and at most 512 tokens.
        """
        with endpoint_errors():
            return ask_model(choice.own.main, text).as_dict()

    api(score, api_name="score")


def ask_model(model: FillMask, text: object) -> TextScore:
    """Score one text. Raises UserError for a text that is not valid, of any type."""
    return score_text(model.predictor, model.vocabulary, text)


def answer_html(models: Models, text: object, other: object = "") -> str:
    """Return the score of one text, or of two side by side if `other` is not blank or None.

    Raises UserError if no text can be scored.
    """
    model = models.main
    texts = [("First text", text), ("Second text", other)]
    if other is None or is_blank(other):
        texts = [("", text)]
    columns = [_score_column(model, label, each) for label, each in texts]
    if all(isinstance(column.score, str) for column in columns):
        raise InputError(" ".join(dict.fromkeys(str(column.score) for column in columns)))
    return score_html.answer(model, columns)


def _score_column(model: FillMask, label: str, text: object) -> ScoreColumn:
    """Return the score of a text, or the message of the error in its place."""
    started = time.perf_counter()
    try:
        score: TextScore | str = ask_model(model, text)
    except UserError as error:
        score = str(error)
    return ScoreColumn(label, score, time.perf_counter() - started)
