"""The whole page: its head, tabs, endpoints and links, and the options to launch it with."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported

import gradio as gr
from gradio import processing_utils
from starlette.middleware import Middleware

from mlm.hub.space import TITLE
from mlm.inference.fill_mask import FillMask
from mlm.inference.row_reading import MAX_BYTES
from mlm.playground import links
from mlm.playground.choice import Choice, LoadModel
from mlm.playground.models import Models
from mlm.playground.served_classifier import ServedClassifier, add_classify_api
from mlm.playground.server.arguments import CallArguments
from mlm.playground.server.favicon import FaviconLink
from mlm.playground.server.limits import (
    CLASSIFY,
    ENDPOINTS,
    AddressCheck,
    BodyLimit,
    RateLimit,
)
from mlm.playground.tabs import render
from mlm.playground.tabs.batch_tab import add_batch_api, add_batch_tab
from mlm.playground.tabs.compare_tab import add_compare_api, add_compare_tab
from mlm.playground.tabs.fill_tab import add_fill_api, add_fill_tab
from mlm.playground.tabs.learn_tab import add_learn_tab
from mlm.playground.tabs.score_tab import add_score_api, add_score_tab
from mlm.playground.tabs.tab import Tab
from mlm.playground.theme import theme

AddTab = Callable[[Choice, gr.Textbox | None], Tab]

STATIC = Path(__file__).parent / "static"
QUEUE_LENGTH = 48  # questions that wait; any more are refused as "Queue is full"
CONCURRENCY = 4  # questions in work; the model itself answers one at a time
FILE_LIFETIME = 600  # seconds that an upload, or a CSV made from it, stays on the disk
TABS: tuple[tuple[str, str, AddTab], ...] = (  # name in links, title, constructor
    ("fill", "Fill", add_fill_tab),
    ("compare", "Compare", add_compare_tab),
    ("score", "Score", add_score_tab),
    ("learn", "How it learns", add_learn_tab),
    ("batch", "Batch", add_batch_tab),
)
APIS = (add_fill_api, add_compare_api, add_score_api, add_batch_api)


def build_playground(
    models: Models | Sequence[FillMask],
    owners: frozenset[str] = frozenset(),
    load: LoadModel = FillMask.from_hub,
    classifier: ServedClassifier | None = None,
) -> gr.Blocks:
    """Return the page for one model, or for several side by side.

    Args:
        models: the first one is the main model, which answers at the endpoints of APIS.
        owners: owners on the Hub whose models a visitor may choose; see Choice.
        load: loads such a model; see Choice.
        classifier: answers at `/classify`.
    """
    models = models if isinstance(models, Models) else Models.of(models)
    choice = Choice(models, owners, load)
    lifetime = (FILE_LIFETIME, FILE_LIFETIME)  # how often to look for old files, and their age
    page = gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=lifetime)
    with page:
        gr.HTML(render.head(TITLE, wide=len(models.names) > 1), elem_id="mlm-head")
        model = _add_model_box(choice) if choice.is_open else None
        with gr.Tabs(elem_id="mlm-tabs", overflow_behavior="wrap") as tabs:
            added = [_add_tab(*tab, choice, model) for tab in TABS]
        link = gr.Button("Copy a link to this", elem_id="mlm-link", size="sm")
        link.click(None, js="() => mlm.copyLink()", api_visibility="private")
        for add_api in APIS:
            add_api(choice)
        if classifier is not None:
            add_classify_api(classifier)
        _answer_links(page, tabs, added)
    page.queue(max_size=QUEUE_LENGTH, default_concurrency_limit=CONCURRENCY, api_open=False)
    return page


def launch_options(*, classifies: bool = False) -> dict[str, Any]:
    """Return the arguments of `build_playground(...).launch(...)`: the page's look and safety.

    classifies: whether the page has a classifier.

    Also keeps Gradio from downloading files, in this whole process: it would fetch any public
    address that a visitor gives as a value, of any size.
    """
    processing_utils.async_ssrf_protected_download = _refuse_download
    endpoints = (*ENDPOINTS, CLASSIFY) if classifies else ENDPOINTS
    main_style = STATIC / "style.css"
    return {
        "theme": theme(),
        "css_paths": [main_style, *sorted(set(STATIC.glob("*.css")) - {main_style})],
        "js": (STATIC / "page.js").read_text(encoding="utf-8"),
        "app_kwargs": {
            "middleware": [
                Middleware(BodyLimit),  # outermost first
                Middleware(RateLimit),
                Middleware(AddressCheck, endpoints),
                Middleware(CallArguments),
                Middleware(FaviconLink),
            ]
        },
        "footer_links": ["api"],
        "run_history": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        "pwa": False,
        "max_file_size": MAX_BYTES,  # for the Batch tab, the only one with uploads
    }


def _add_model_box(choice: Choice) -> gr.Textbox:
    with gr.Row(elem_classes="mlm-choice"):
        model = gr.Textbox(
            label=f"Another model, by its id on the Hub (owner/name, of {choice.owners_in_words})",
            placeholder=choice.own.display_names[0],
            max_lines=1,
            elem_id="mlm-model",
        )
        if os.environ.get("OAUTH_CLIENT_ID"):  # a Space with `hf_oauth: true`
            gr.LoginButton("Sign in for your private models", size="sm", scale=0, min_width=260)
    return model


def _add_tab(name: str, title: str, add: AddTab, choice: Choice, model: gr.Textbox | None) -> Tab:
    with gr.Tab(title, id=name, render_children=True) as shown:
        tab = add(choice, model)
    shown.select(None, js=f"() => mlm.showTab({name!r})", api_visibility="private")
    if model:
        tab.answer_on([model.submit])
    return tab


def _answer_links(page: gr.Blocks, tabs: gr.Tabs, added: Sequence[Tab]) -> None:
    """When the page loads, restore what its address describes: tab, inputs and answer."""
    inputs = links.components(added)

    def restore(request: gr.Request, token: gr.OAuthToken | None) -> Iterator[list[object]]:
        state = links.read(dict(request.query_params), added)
        yield from links.answers(state, added, token)

    restored = page.load(
        restore,
        None,
        [tabs, *inputs, *(tab.output for tab in added)],
        show_progress="hidden",
        api_visibility="private",
    )
    sentence = added[0].inputs["text"]
    restored.then(None, sentence, None, js="(text) => mlm.arrived(text)", api_visibility="private")


async def _refuse_download(*_: object, **__: object) -> str:
    raise gr.Error(
        "This page downloads nothing from other addresses: upload a file.", print_exception=False
    )
