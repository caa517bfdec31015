"""Addresses that restore what is on screen: `?tab=compare&text=...&other=...&k=8`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import gradio as gr
from gradio.components import Component

from mlm.inference.masked_text import MAX_CHARACTERS
from mlm.playground.tabs.tab import Tab

MAX_DIGITS = 9  # in a number of a link


@dataclass(frozen=True)
class LinkedState:
    """A tab and the values of its inputs, from the link or, where it has none, the defaults."""

    tab: Tab
    values: dict[str, object]


def read(query: Mapping[str, str], tabs: Sequence[Tab]) -> LinkedState:
    """Return the state that a query describes. Invalid values in it are ignored."""
    by_name = {tab.name: tab for tab in tabs}
    tab = by_name.get(query.get("tab", ""), tabs[0])
    given = {name: _parse(query.get(name), part) for name, part in tab.inputs.items()}
    defaults: dict[str, object] = {name: part.value for name, part in tab.inputs.items()}
    values = {name: value for name, value in given.items() if value is not None}
    return LinkedState(tab, defaults | values)


def components(tabs: Sequence[Tab]) -> list[Component | gr.Accordion]:
    """Return what a link may change: each input of each tab once, and the accordions."""
    parts: list[Component | gr.Accordion] = []
    for tab in tabs:
        parts += [*tab.inputs.values(), *tab.accordions.values()]
    return list(dict.fromkeys(parts))


def answers(
    state: LinkedState, tabs: Sequence[Tab], token: gr.OAuthToken | None = None
) -> Iterator[list[object]]:
    """Yield updates of the tabs, of `components` and of all outputs: the inputs, then the answer.

    Inputs and answer are separate updates, because Gradio sends the last one twice, and a visitor
    may be typing by then. A component that has its value already is skipped: Gradio applies an
    update when the component is first rendered, which may be after a visitor has opened it and
    typed.
    """
    inputs = state.tab.inputs.items()
    updates: dict[object, object] = {
        part: state.values[name] for name, part in inputs if state.values[name] != part.value
    }
    for name, accordion in state.tab.accordions.items():
        if state.values[name]:
            updates[accordion] = gr.Accordion(open=True)
    parts = components(tabs)
    selected = gr.Tabs(selected=state.tab.name)
    yield [selected, *(updates.get(part, gr.skip()) for part in parts), *(gr.skip() for _ in tabs)]
    for html in state.tab.answers(token, *state.values.values()):
        outputs = [html if tab is state.tab else gr.skip() for tab in tabs]
        yield [gr.skip(), *(gr.skip() for _ in parts), *outputs]


def _parse(text: str | None, component: Component) -> object:
    """Return the component's value that a link gives as `text`, None if it is not valid."""
    if text is None or len(text) > MAX_CHARACTERS:
        return None
    if isinstance(component, gr.Slider | gr.Number):
        is_number = text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
        number = int(text) if is_number else -1
        low, high = component.minimum or 0, component.maximum or number
        return number if low <= number <= high else None
    if isinstance(component, gr.Checkbox):
        return text in ("1", "true")
    return text
