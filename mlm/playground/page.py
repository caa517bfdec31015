"""The whole page: its head, its tabs, its links, its look, and how it is served."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported

import gradio as gr
from gradio import processing_utils
from starlette.middleware import Middleware

from mlm.inference.fill_mask import FillMask
from mlm.inference.row_reading import MAX_BYTES
from mlm.playground import links
from mlm.playground.choice import Choice, Load
from mlm.playground.models import Models
from mlm.playground.server.icon_link import HeadLinks
from mlm.playground.server.limits import BodyLimit, KnownAddresses, RateLimit
from mlm.playground.tabs import render
from mlm.playground.tabs.batch_tab import add_batch_api, add_batch_tab
from mlm.playground.tabs.compare_tab import add_compare_api, add_compare_tab
from mlm.playground.tabs.fill_tab import add_fill_api, add_fill_tab
from mlm.playground.tabs.learn_tab import add_learn_tab
from mlm.playground.tabs.score_tab import add_score_api, add_score_tab
from mlm.playground.tabs.tab import Tab
from mlm.playground.theme import theme

HERE = Path(__file__).parent / "static"
TITLE = "Which word is missing?"
QUEUE_LENGTH = 48  # questions that wait; whoever comes after them is told that all is busy
AT_ONCE = 4  # questions in work; the model itself takes one at a time
TABS = (  # as a link names it, as it is shown, what makes it
    ("fill", "Fill", add_fill_tab),
    ("compare", "Compare", add_compare_tab),
    ("score", "Score", add_score_tab),
    ("learn", "How it learns", add_learn_tab),
    ("batch", "Batch", add_batch_tab),
)
APIS = (add_fill_api, add_compare_api, add_score_api, add_batch_api)
BEFORE = (
    BodyLimit,
    RateLimit,
    KnownAddresses,
    HeadLinks,
)  # what a request passes before Gradio has it
KEPT = 600  # seconds that an uploaded file, or a CSV made of it, stays on the disk


def build_playground(
    models: Models | Sequence[FillMask],
    owners: frozenset[str] = frozenset(),
    load: Load = FillMask.from_hub,
) -> gr.Blocks:
    """The page for one model, or for several side by side; the first is the main one.

    Its programming interface, the named endpoints of APIS, is answered by the main model.
    owners, load: whose models on the Hub a visitor may choose besides, and how; see choice.py.
    """
    models = models if isinstance(models, Models) else Models.of(models)
    choice = Choice(models, owners, load)
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(KEPT, KEPT)) as page:
        gr.HTML(render.head(TITLE, wide=len(models.names) > 1), elem_id="mlm-head")
        model = _model_box(choice)
        with gr.Tabs(elem_id="mlm-tabs", overflow_behavior="wrap") as tabs:
            made = [_add_tab(*tab, choice, model) for tab in TABS]
        link = gr.Button("Copy a link to this", elem_id="mlm-link", size="sm")
        link.click(None, js="() => mlm.copyLink()", api_visibility="private")
        for add_api in APIS:
            add_api(choice)
        _answer_links(page, tabs, made)
    page.queue(max_size=QUEUE_LENGTH, default_concurrency_limit=AT_ONCE, api_open=False)
    return page


def _model_box(choice: Choice) -> gr.Textbox | None:
    if not choice.is_open:
        return None
    whose = "anybody" if "*" in choice.owners else " or ".join(sorted(choice.owners))
    with gr.Row(elem_classes="mlm-choice"):
        model = gr.Textbox(
            label=f"Another model, by its id on the Hub (owner/name, of {whose})",
            placeholder=choice.own.shown[0],
            max_lines=1,
            elem_id="mlm-model",
        )
        if os.environ.get("OAUTH_CLIENT_ID"):  # a Space with `hf_oauth: true`
            gr.LoginButton("Sign in for your private models", size="sm", scale=0, min_width=260)
    return model


def _add_tab(name: str, title: str, add: Any, choice: Choice, model: gr.Textbox | None) -> Tab:
    with gr.Tab(title, id=name, render_children=True) as shown:
        tab: Tab = add(choice, model)
    shown.select(None, js=f"() => mlm.showTab({name!r})", api_visibility="private")
    if model:
        tab.answer_on([model.submit])
    return tab


def _answer_links(page: gr.Blocks, tabs: gr.Tabs, made: Sequence[Tab]) -> None:
    """Bring back what a link says: its tab, the values of its inputs, and the answer."""
    inputs = links.components(made)

    def arrive(request: gr.Request, token: gr.OAuthToken | None) -> Iterator[list[Any]]:
        asked = links.read(dict(request.query_params), made)
        yield from links.answers(asked, made, token)

    arrived = page.load(
        arrive,
        None,
        [tabs, *inputs, *(tab.output for tab in made)],
        show_progress="hidden",
        api_visibility="private",
    )
    sentence = made[0].inputs["text"]
    arrived.then(None, sentence, None, js="(text) => mlm.arrived(text)", api_visibility="private")


async def _fetch_nothing(*_: Any, **__: Any) -> str:
    raise gr.Error(
        "This page fetches nothing from elsewhere: upload a file.", print_exception=False
    )


def launch_options() -> dict[str, Any]:
    """What `build_playground(...).launch(...)` needs for this page's look and safety."""
    # Gradio downloads whatever public address a visitor names in place of a value, of any size.
    processing_utils.async_ssrf_protected_download = _fetch_nothing
    return {
        "theme": theme(),
        "css_paths": [HERE / "style.css", *sorted(set(HERE.glob("*.css")) - {HERE / "style.css"})],
        "js": (HERE / "page.js").read_text(encoding="utf-8"),
        "app_kwargs": {"middleware": [Middleware(each) for each in BEFORE]},
        "footer_links": ["api"],
        "run_history": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        "pwa": False,
        "max_file_size": MAX_BYTES,  # of the Batch tab, which alone takes files
    }
