"""Checks and limits that run before Gradio, without importing it.

environment.py  Gradio's environment variables, checked and set before Gradio reads them
limits.py       limits on bodies, request rates and addresses
arguments.py    the defaults that a call lacks, and what is wrong with its arguments
favicon.py      the icon link in the head of the front page
"""
