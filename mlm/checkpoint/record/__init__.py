"""The record of a checkpoint: its card, training.json and config.json, read as untrusted files.

schema.py         the shape of training.json and config.json; the values that have it
reading.py        the files' content of that shape, and single facts from it
card_metadata.py  the licence and the base model in a card's metadata
curve_svg.py      the loss curve as SVG
markdown.py       sections and tables of a card
"""
