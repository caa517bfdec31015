"""The whole page: its head, its look, its tab, and how it is served."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported

import gradio as gr

from mlm.fill_mask import FillMask
from mlm.masked_text import MAX_MASKS
from mlm.playground import render
from mlm.playground.fill_tab import add_fill_api, add_fill_tab

HERE = Path(__file__).parent
TITLE = "Which word is missing?"
QUEUE_LENGTH = 64  # questions that wait; whoever comes after them is told that all is busy
AT_ONCE = 4  # questions in work; the model itself takes one at a time
SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "Arial", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


def build_playground(models: Sequence[FillMask]) -> gr.Blocks:
    """The page for one model, or for several side by side; the first is the main one.

    Its programming interface is `/fill_mask(text, top_k)`, answered by the main model.
    """
    for model in models:
        _warm_up(model)
    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        wide = len(models) > 1
        gr.HTML(render.head(TITLE, models[0].mask_token, wide=wide), elem_id="mlm-head")
        add_fill_tab(models)
        add_fill_api(models[0])
    page.queue(max_size=QUEUE_LENGTH, default_concurrency_limit=AT_ONCE, api_open=False)
    return page


def _warm_up(model: FillMask) -> None:
    """Trace the model's graph before the first visitor waits for it.

    Twice: TensorFlow's first graph is for one shape alone; the second, asked for with every size
    different, leaves the sizes open and serves all that come after.
    """
    many = " ".join([model.mask_token] * min(MAX_MASKS, model.max_length - 2))
    model([model.mask_token])
    model([many, many])


def launch_options() -> dict[str, Any]:
    """What `build_playground(...).launch(...)` needs for this page's look and safety."""
    return {
        "theme": theme(),
        "css_paths": HERE / "style.css",
        "footer_links": ["api"],
        "run_history": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        "pwa": False,
        "mcp_server": False,
        "max_file_size": "1kb",  # nothing here takes a file, and Gradio's upload route stands open
    }


def theme() -> gr.themes.Base:
    """Fonts of the visitor's own system; greys that keep a contrast of 4.5 to 1 and more."""
    base = gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.stone,
        font=SANS,
        font_mono=MONO,
    )
    return base.set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        body_text_color="*neutral_900",
        body_text_color_dark="*neutral_100",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_label_text_color="*neutral_700",
        block_label_text_color_dark="*neutral_300",
        block_title_text_color="*neutral_700",
        block_title_text_color_dark="*neutral_300",
        input_background_fill="white",
        input_background_fill_dark="*neutral_950",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
        button_primary_text_color="white",
        slider_color="*primary_700",
        slider_color_dark="*primary_500",
    )
