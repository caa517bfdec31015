"""The page, a Gradio app on one model or several. Only this package imports Gradio.

serve.py    the command: check the environment, load the models, serve the page
models.py   the page's own models, loaded in the background
choice.py   other models of the Hub, if visitors may choose them
page.py     the tabs, endpoints and launch options put together
links.py    addresses that restore a tab, its inputs and its answer
theme.py    fonts and colours of Gradio's components
tabs/       two files for each tab: components and endpoint, and the answer as HTML
server/     checks and limits that run before Gradio
static/     JavaScript and CSS
"""
