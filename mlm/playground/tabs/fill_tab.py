"""Fill: a sentence of which words are masked by a click, and the answers as bars."""

import re
import time
from collections.abc import Sequence
from typing import Any

import gradio as gr

from mlm.errors import InputError, UserError
from mlm.inference.fill_mask import FillMask
from mlm.inference.filling import Filling, JointFilling
from mlm.inference.joint_filling import MAX_JOINT_MASKS
from mlm.inference.masked_text import MaskedText
from mlm.playground.choice import Choice
from mlm.playground.models import Models
from mlm.playground.tabs import fill_html
from mlm.playground.tabs.tab import Tab

MAX_TOP_K = 50
MAX_AMONG = 50  # words that only are looked at
MAX_LONGER_MASKS = 4  # of a text whose longer words are searched
JOINT_ANSWERS = 5
WORDS = '<div id="mlm-words" role="group" aria-label="Hide a word"></div>'  # page.js fills it
EXAMPLES = (
    "I have watched this [MASK] and it was awesome.",
    "The plot was so [MASK] that I fell asleep.",
    "She plays a [MASK] who falls in love with the wrong man.",
    "The [MASK] was great, but the [MASK] was terrible.",
    "I ordered the [MASK] and it was delicious.",
)


def add_fill_tab(choice: Choice, model: gr.Textbox | None) -> Tab:
    """Put the tab on the page that is being built."""
    with gr.Column(elem_classes="mlm-ask"):
        sentence = _sentence()
        gr.HTML(WORDS, elem_classes="mlm-bare")
        with gr.Row(elem_classes="mlm-tools"):
            top_k = gr.Slider(
                1, MAX_TOP_K, 5, step=1, label="Words to show", buttons=[], elem_id="mlm-top-k"
            )
            fill = gr.Button("Fill", variant="primary", elem_id="mlm-fill", scale=0, min_width=160)
        with gr.Accordion("More", open=False, elem_id="mlm-more") as more:
            only, longer = _wishes()
        shown = gr.Examples(
            [[example] for example in EXAMPLES], sentence, label="Or try one of these"
        )
        gr.HTML('<div id="mlm-recent"></div>', elem_classes="mlm-bare")
    answer = gr.HTML(elem_id="mlm-answer", elem_classes="mlm-answer")

    inputs = {"text": sentence, "k": top_k, "only": only, "longer": longer}
    folded = {"only": more, "longer": more}
    tab = Tab("fill", choice, model, inputs, answer, _answer_of_all, folded=folded)
    tab.answer_on([sentence.submit, only.submit, fill.click, top_k.release, longer.change])
    tab.answer_after(shown.load_input_event)
    return tab


def _sentence() -> gr.Textbox:
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


def _wishes() -> tuple[gr.Textbox, gr.Checkbox]:
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


def _answer_of_all(models: Models, *asked: Any) -> str:
    return answer_html(side_by_side(models.all), *asked)


def add_fill_api(choice: Choice) -> None:
    """The endpoint `/fill_mask`, for gradio_client, JavaScript and curl."""

    def fill_mask(text: str, top_k: int = 5) -> list:
        """The top_k most probable words for each mask of a text.

        For one mask a list of {score, token, token_str, sequence}, best first, as
        transformers.pipeline("fill-mask") gives it; for several masks a list of such lists.
        text holds [MASK], <mask>, _ or ___ in place of 1 to 32 words; top_k is 1 to 50.
        """
        try:
            return ask_model(choice.own.main, text, top_k).as_pipeline()
        except UserError as error:
            raise gr.Error(str(error), print_exception=False) from None

    gr.api(fill_mask, api_name="fill_mask")


def ask_model(
    model: FillMask, text: Any, top_k: Any, targets: Any = None, *, merge: bool = False
) -> Filling:
    """One text, whoever sent it and whatever they sent. Raises InputError."""
    if targets is not None and (not isinstance(targets, list) or len(targets) > MAX_AMONG):
        raise InputError(f"targets is to be a list of at most {MAX_AMONG} words.")
    number = min(checked_top_k(top_k), model.vocab_size)
    return model.answer([text], number, targets, merge=merge)[0]


def checked_top_k(top_k: Any) -> int:
    """A whole number from 1 to 50, whoever sent it. Raises InputError."""
    if isinstance(top_k, float) and top_k.is_integer():
        top_k = int(top_k)  # JSON knows one kind of number only
    if type(top_k) is not int or not 1 <= top_k <= MAX_TOP_K:
        raise InputError(f"The words to show (top_k) are a whole number from 1 to {MAX_TOP_K}.")
    return top_k


def side_by_side(models: Sequence[FillMask]) -> list[tuple[FillMask, str]]:
    """The models from left to right, labelled where one was trained from the other."""
    if len(models) == 2:
        main, other = models
        config = (main.training or {}).get("config")  # of any shape: anyone may have written it
        base = config.get("model_name_or_path") if isinstance(config, dict) else None
        # A folder is recorded by its last part.
        if base in (other.name, other.name.rpartition("/")[2]) or main.base_model == other.name:
            return [(other, "Before"), (main, "After")]
    return [(model, "") for model in models]


def answer_html(
    models: Sequence[tuple[FillMask, str]],
    text: Any,
    top_k: Any,
    only: Any = "",
    longer: Any = False,
) -> str:
    """Every model's answer to one text, each in its column; a refusal stands in its place."""
    columns = []
    for model, label in models:
        started = time.perf_counter()
        try:
            found = _found(model, text, top_k, only, longer)
        except UserError as error:
            found = {"filling": str(error)}
        seconds = time.perf_counter() - started
        columns.append(fill_html.Column(model, label, seconds=seconds, **found))
    return fill_html.answer(columns)


def _found(model: FillMask, text: Any, top_k: Any, only: Any, longer: Any) -> dict[str, Any]:
    """The fields of a Column. Raises UserError."""
    targets = words_of(only)
    if targets is not None:  # all of them, so that their shares add up
        known = [word for word in targets if model.is_word(word)] or targets
        filling = ask_model(model, text, min(MAX_TOP_K, model.vocab_size), known)
        left_out = [word for word in targets if word not in known]
        return {"filling": filling, "among": True, "left_out": left_out}
    number = checked_top_k(top_k)
    masked = model.read(text)  # once for all three answers
    found: dict[str, Any] = {"filling": ask_model(model, masked, number, merge=True)}
    found["joint"] = _joint(model, masked, number)
    found["longer"] = _longer(model, masked, number) if longer is True else None
    return found


def _joint(model: FillMask, masked: MaskedText, top_k: int) -> list[JointFilling]:
    if not 2 <= len(masked.spans) <= MAX_JOINT_MASKS:
        return []
    return model.fill_jointly(masked, min(top_k, JOINT_ANSWERS))


def _longer(model: FillMask, masked: MaskedText, top_k: int) -> list:
    if len(masked.spans) > MAX_LONGER_MASKS:
        raise InputError(
            f"The text has {len(masked.spans)} masks; longer words are searched for at most "
            f"{MAX_LONGER_MASKS}: hide fewer, or do without."
        )
    return model.fill_whole_words(masked, min(top_k, model.vocab_size))


def words_of(only: Any) -> list[str] | None:
    """The words between commas of any script; None where there is none. Raises InputError."""
    if not isinstance(only, str | None) or len(only or "") > 5000:
        raise InputError("The words to choose among are to be a short text with commas.")
    words = [word.strip() for word in re.split("[,;،、，\n]", only or "")]
    return [word for word in words if word] or None
