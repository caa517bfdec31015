"""Score: how natural a text is for the model, word by word; two texts side by side."""

import time
from typing import Any

import gradio as gr

from mlm.errors import InputError, UserError
from mlm.inference.fill_mask import FillMask
from mlm.inference.scoring import TextScore, score_text
from mlm.playground.choice import Choice
from mlm.playground.models import Models
from mlm.playground.tabs import score_html
from mlm.playground.tabs.score_html import Scored
from mlm.playground.tabs.tab import Tab

TEXT = "I have watched this film with my sister, and the ending made us laugh out loud."
EXAMPLES = (
    ("The actors of this film are wonderful.", "The actors of this film is wonderful."),
    ("The ending made me cry.", "The ending made me bake."),
)


def add_score_tab(choice: Choice, model: gr.Textbox | None) -> Tab:
    """Put the tab on the page that is being built."""
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
        shown = gr.Examples(
            [list(pair) for pair in EXAMPLES], [first, second], label="Or try one of these pairs"
        )
    answer = gr.HTML(elem_id="mlm-scores", elem_classes="mlm-answer")

    inputs = {"text": first, "other": second}
    tab = Tab("score", choice, model, inputs, answer, answer_html, folded={"other": more})
    tab.answer_on([first.submit, second.submit, button.click])
    tab.answer_after(shown.load_input_event)
    shown.load_input_event.then(
        lambda: gr.Accordion(open=True), None, more, api_visibility="private", queue=False
    )
    return tab


def add_score_api(choice: Choice) -> None:
    """The endpoint `/score`."""

    def score(text: str) -> dict:
        """How much each word of a text surprises the model, and the text as a whole.

        Gives {text, pseudo_log_likelihood (nats), num_tokens, perplexity (the pseudo-perplexity),
        note, words}; each word {text, start, end, log_probability (nats, of the whole word),
        probability, num_tokens, unknown, guesses}; both numbers are null for a word that is not in
        the vocabulary. guesses is a list of {word, probability}, best first. text holds no masks
        and at most 512 tokens.
        """
        try:
            return ask_model(choice.own.main, text).as_dict()
        except UserError as error:
            raise gr.Error(str(error), print_exception=False) from None

    gr.api(score, api_name="score")


def ask_model(model: FillMask, text: Any) -> TextScore:
    """One text, whoever sent it and whatever they sent. Raises UserError."""
    return score_text(model.predictor, model.vocabulary, text)


def answer_html(models: Models, text: Any, other: Any = "") -> str:
    """The score of one text, or of two side by side. Raises UserError."""
    if other is None or (isinstance(other, str) and not other.strip()):
        started = time.perf_counter()
        score = ask_model(models.main, text)
        return score_html.answer(models.main, [Scored("", score, time.perf_counter() - started)])
    sides = [_scored(models.main, "First text", text), _scored(models.main, "Second text", other)]
    if all(isinstance(side.score, str) for side in sides):
        raise InputError(" ".join(dict.fromkeys(str(side.score) for side in sides)))
    return score_html.answer(models.main, sides)


def _scored(model: FillMask, label: str, text: Any) -> Scored:
    """A refusal stands in its text's place."""
    started = time.perf_counter()
    try:
        score: TextScore | str = ask_model(model, text)
    except UserError as error:
        score = str(error)
    return Scored(label, score, time.perf_counter() - started)
