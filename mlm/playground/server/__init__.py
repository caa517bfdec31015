"""Checks and limits that run before Gradio, without importing it.

environment.py  Gradio's environment variables, checked before Gradio reads them
limits.py       limits on bodies, request rates and addresses
favicon.py      the icon link in the head of the front page
"""
