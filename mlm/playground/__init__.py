"""The page. This package and app.py are the only places that know Gradio."""
