"""Addresses that bring back what is on screen: `?tab=compare&text=...&other=...&k=8`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from mlm.inference.masked_text import MAX_CHARACTERS
from mlm.playground.tabs.tab import Tab


@dataclass(frozen=True)
class Asked:
    """A tab, and the values of its inputs: the link's where it has them, else the page's own."""

    tab: Tab
    values: dict[str, Any]


def read(query: Mapping[str, str], tabs: Sequence[Tab]) -> Asked:
    """What an address asks for. What it holds of no use is left out, never refused."""
    named = {tab.name: tab for tab in tabs}
    tab = named.get(query.get("tab", ""), tabs[0])
    given = {name: _value(part, query.get(name)) for name, part in tab.inputs.items()}
    own = {name: part.value for name, part in tab.inputs.items()}
    return Asked(tab, own | {name: value for name, value in given.items() if value is not None})


def components(tabs: Sequence[Tab]) -> list[Any]:
    """What a link may change: every input of every tab once, and what folds some away."""
    changed = [part for tab in tabs for part in (*tab.inputs.values(), *tab.folded.values())]
    return list(dict.fromkeys(changed))


def answers(
    asked: Asked, tabs: Sequence[Tab], token: gr.OAuthToken | None = None
) -> Iterator[list[Any]]:
    """Updates of the tabs, of all components and all outputs: what was asked, then the answer.

    Apart, because Gradio gives the last update twice, and a visitor may be typing by then. A part
    that has its value already is not told it: Gradio does so when the part is first seen, and
    that may be after a visitor has opened it and typed.
    """
    chosen = gr.Tabs(selected=asked.tab.name)
    inputs = asked.tab.inputs.items()
    told = {part: asked.values[name] for name, part in inputs if asked.values[name] != part.value}
    said = [fold for name, fold in asked.tab.folded.items() if asked.values[name]]
    told |= {fold: gr.Accordion(open=True) for fold in said}
    parts = components(tabs)
    yield [chosen, *(told.get(part, gr.skip()) for part in parts), *(gr.skip() for _ in tabs)]
    for html in asked.tab.answers(token, *asked.values.values()):
        outputs = [html if tab is asked.tab else gr.skip() for tab in tabs]
        yield [gr.skip(), *(gr.skip() for _ in parts), *outputs]


def _value(component: Any, given: str | None) -> Any:
    """A link's value as the component has it, None where there is none that will do."""
    if given is None or len(given) > MAX_CHARACTERS:
        return None
    if isinstance(component, gr.Slider | gr.Number):
        number = int(given) if given.isascii() and given.isdigit() and len(given) < 10 else -1
        least, most = component.minimum or 0, component.maximum or number
        return number if least <= number <= most else None
    if isinstance(component, gr.Checkbox):
        return given in ("1", "true")
    return given
