"""The page. This package and app.py are the only places that know Gradio."""

from mlm.playground.page import build_playground, launch_options

__all__ = ["build_playground", "launch_options"]
