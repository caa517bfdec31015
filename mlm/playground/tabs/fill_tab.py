"""Fill: a sentence whose words are masked by a click, and the best words as bars."""

import re
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import gradio as gr
from gradio.events import api

from mlm.errors import InputError, UserError
from mlm.inference.fill_mask import FillMask
from mlm.inference.filling import Candidate, Filling, JointFilling
from mlm.inference.joint_filling import MAX_JOINT_MASKS
from mlm.inference.masked_text import MaskedText
from mlm.playground.choice import Choice
from mlm.playground.models import Models
from mlm.playground.tabs import fill_html
from mlm.playground.tabs.fill_html import Column
from mlm.playground.tabs.inputs import MAX_TOP_K, check_top_k, top_k_slider
from mlm.playground.tabs.tab import Tab, endpoint_errors

MAX_TARGETS = 50  # words of the visitor's own to choose among
MAX_TARGETS_LENGTH = 5_000  # characters
MAX_LONGER_MASKS = 4  # in a text for which longer words are searched
JOINT_ANSWERS = 5
WORDS = '<div id="mlm-words" role="group" aria-label="Hide a word"></div>'  # filled by page.js
EXAMPLES = (
    "I have watched this [MASK] and it was awesome.",
    "The plot was so [MASK] that I fell asleep.",
    "She plays a [MASK] who falls in love with the wrong man.",
    "The [MASK] was great, but the [MASK] was terrible.",
    "I ordered the [MASK] and it was delicious.",
)


def add_fill_tab(choice: Choice, model: gr.Textbox | None) -> Tab:
    """Add the tab to the page that is being built."""
    with gr.Column(elem_classes="mlm-ask"):
        sentence = _add_sentence()
        gr.HTML(WORDS, elem_classes="mlm-bare")
        with gr.Row(elem_classes="mlm-tools"):
            top_k = top_k_slider(5, "mlm-top-k")
            fill = gr.Button("Fill", variant="primary", elem_id="mlm-fill", scale=0, min_width=160)
        with gr.Accordion("More", open=False, elem_id="mlm-more") as more:
            only, longer = _add_options()
        examples = gr.Examples(
            [[example] for example in EXAMPLES], sentence, label="Or try one of these"
        )
        gr.HTML('<div id="mlm-recent"></div>', elem_classes="mlm-bare")
    answer = gr.HTML(elem_id="mlm-answer", elem_classes="mlm-answer")

    inputs = {"text": sentence, "k": top_k, "only": only, "longer": longer}
    accordions = {"only": more, "longer": more}
    tab = Tab("fill", choice, model, inputs, answer, _ask_all, accordions=accordions)
    tab.answer_on([sentence.submit, only.submit, fill.click, top_k.release, longer.change])
    tab.answer_after(examples.load_input_event)
    return tab


def _add_sentence() -> gr.Textbox:
    sentence = gr.Textbox(
        label="Your sentence: click a word below it to hide it",
        value=EXAMPLES[0],
        lines=1,
        max_lines=8,
        elem_id="mlm-sentence",
        elem_classes="mlm-text",
        html_attributes=gr.InputHTMLAttributes(enterkeyhint="go", spellcheck=False),
    )
    sentence.change(
        None, sentence, None, js="(text) => mlm.showWords(text)", api_visibility="private"
    )
    return sentence


def _add_options() -> tuple[gr.Textbox, gr.Checkbox]:
    only = gr.Textbox(
        label="Only among these words (with commas between them)",
        placeholder="good, bad, unwatchable",
        max_lines=2,
        elem_id="mlm-only",
    )
    longer = gr.Checkbox(
        label="Search longer words too, which the model knows only in pieces",
        elem_id="mlm-longer",
    )
    return only, longer


def add_fill_api(choice: Choice) -> None:
    """Add the endpoint `/fill_mask`, for gradio_client, JavaScript and curl."""

    def fill_mask(text: str, top_k: int = 5) -> list[Any]:
        """Return the top_k most probable words for each mask of a text.

        For one mask a list of {score, token, token_str, sequence}, best first, as
        transformers.pipeline("fill-mask") gives it; for several masks a list of such lists.
        text holds [MASK], <mask>, _ or ___ in place of 1 to 32 words; top_k is 1 to 50. If the
        model knows no word of the text, each word has a note too.
        """
        with endpoint_errors():
            return ask_model(choice.own.main, text, top_k).as_pipeline()

    api(fill_mask, api_name="fill_mask")


def ask_model(
    model: FillMask,
    text: object,
    top_k: object,
    targets: list[str] | None = None,
    *,
    merge: bool = False,
) -> Filling:
    """Fill one text. Raises InputError for a text or number that is not valid, of any type."""
    if targets is not None and len(targets) > MAX_TARGETS:
        raise InputError(f"Name at most {MAX_TARGETS} words to choose among (targets).")
    number = min(check_top_k(top_k), model.vocab_size)
    return model.answer([text], number, targets, merge=merge)[0]


def side_by_side(models: Sequence[FillMask]) -> list[tuple[FillMask, str]]:
    """Return the models from left to right with labels, "Before" and "After" for base and model."""
    if len(models) == 2:
        main, other = models
        config = (main.training or {}).get("config")  # of any type: anyone may have written it
        base = config.get("model_name_or_path") if isinstance(config, dict) else None
        # training.json has the last part of a folder's path only.
        if base in (other.name, other.name.rpartition("/")[2]) or main.base_model == other.name:
            return [(other, "Before"), (main, "After")]
    return [(model, "") for model in models]


def _ask_all(models: Models, text: object, top_k: object, only: object, longer: object) -> str:
    return answer_html(side_by_side(models.all), text, top_k, only, longer)


def answer_html(
    models: Sequence[tuple[FillMask, str]],
    text: object,
    top_k: object,
    only: object = "",
    longer: object = False,
) -> str:
    """Return the answers to one text, a column for each model.

    Args:
        models: the models and their labels.
        text: the text with masks.
        top_k: number of words for each mask.
        only: the only words to choose among, separated by commas; "" or None for all words.
        longer: True searches words of several pieces as well.
    """
    columns = []
    for model, label in models:
        started = time.perf_counter()
        try:
            column = _answer_column(model, label, text, top_k, only, longer)
        except UserError as error:
            column = Column(model, label, str(error))
        columns.append(replace(column, seconds=time.perf_counter() - started))
    return fill_html.answer(columns)


def _answer_column(
    model: FillMask, label: str, text: object, top_k: object, only: object, longer: object
) -> Column:
    """Return one model's answer, its time not yet set. Raises UserError."""
    targets = split_words(only)
    if targets is not None:  # all of them are shown, so that their shares add up
        known = [word for word in targets if model.is_word(word)] or targets
        filling = ask_model(model, text, min(MAX_TOP_K, model.vocab_size), known)
        unknown = [word for word in targets if word not in known]
        return Column(model, label, filling, has_targets=True, unknown_targets=unknown)
    number = check_top_k(top_k)
    masked = model.read(text)  # once for all three answers
    filling = ask_model(model, masked, number, merge=True)
    joint = _fill_jointly(model, masked, number)
    longer_words = _search_longer(model, masked, number) if longer is True else None
    return Column(model, label, filling, joint=joint, longer=longer_words)


def _fill_jointly(model: FillMask, masked: MaskedText, top_k: int) -> list[JointFilling]:
    """Return the best fillings of all masks together; [] for one mask, or too many."""
    if not 2 <= len(masked.spans) <= MAX_JOINT_MASKS:
        return []
    return model.fill_jointly(masked, min(top_k, JOINT_ANSWERS))


def _search_longer(model: FillMask, masked: MaskedText, top_k: int) -> list[list[Candidate]]:
    """Return the best words of several pieces for each mask. Raises InputError for many masks."""
    if len(masked.spans) > MAX_LONGER_MASKS:
        raise InputError(
            f"The text has {len(masked.spans)} masks; longer words are searched for at most "
            f"{MAX_LONGER_MASKS}: hide fewer words, or do not search longer ones."
        )
    return model.fill_whole_words(masked, min(top_k, model.vocab_size))


def split_words(only: object) -> list[str] | None:
    """Return the words between the commas of any script; None if there are none.

    Raises InputError if this is not a text, or too long.
    """
    if not isinstance(only, str | None) or len(only or "") > MAX_TARGETS_LENGTH:
        raise InputError("The words to choose among must be a short text with commas.")
    words = [word.strip() for word in re.split("[,;،、，\n]", only or "")]
    return [word for word in words if word] or None
