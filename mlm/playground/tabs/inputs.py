"""Check values from visitors and programs, which may be of any type and size."""

import gradio as gr

from mlm.errors import InputError

MAX_TOP_K = 50


def top_k_slider(value: int, elem_id: str, label: str = "Words to show") -> gr.Slider:
    """Return a slider for the number of words for each mask."""
    return gr.Slider(1, MAX_TOP_K, value, step=1, label=label, buttons=[], elem_id=elem_id)


def check_top_k(top_k: object) -> int:
    """Return the number of words for each mask. Raises InputError if it is not 1 to 50."""
    return check_whole_number(top_k, "The number of words to show (top_k)", 1, MAX_TOP_K)


def check_whole_number(value: object, name: str, low: int, high: int) -> int:
    """Return a whole number from `low` to `high`; 5.0 counts, because JSON has one kind of number.

    Raises:
        InputError: anything else; `name` begins the message.
    """
    number = int(value) if isinstance(value, float) and value.is_integer() else value
    if type(number) is not int or not low <= number <= high:
        raise InputError(f"{name} must be a whole number from {low} to {high:,}.")
    return number


def is_blank(text: object) -> bool:
    """Return whether this is a text of white space, or an empty one."""
    return isinstance(text, str) and not text.strip()
