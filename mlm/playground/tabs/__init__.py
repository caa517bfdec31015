"""The tabs: for each a module with its components and endpoint, and one with its answer as HTML.

tab.py             what all tabs share: inputs, answer, events, errors
inputs.py          checks of values from visitors
render.py          HTML that the tabs share
fill_tab.py        words for the masks of a sentence; fill_html.py
compare_tab.py     two models or two sentences compared; compare_html.py
score_tab.py       each word of a text scored; score_html.py
learn_tab.py       one training step on a sentence; learn_html.py
batch_tab.py       a file of sentences; batch_html.py
"""
