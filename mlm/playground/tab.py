"""What every tab of the page is: what is put in, what answers, and where the answer stands."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from mlm.errors import UserError
from mlm.playground import render
from mlm.playground.models import Models


@dataclass(frozen=True)
class Tab:
    """A tab that turns inputs into one piece of HTML.

    Attributes:
        name: as a link spells it.
        models: that have to be there before `ask` can answer.
        inputs: the components by the names that a link has for their values.
        output: what shows the answer.
        ask: the values of the inputs, in their order -> HTML. A UserError is shown as a notice.
    """

    name: str
    models: Models
    inputs: dict[str, Any]
    output: gr.HTML
    ask: Callable[..., str]

    def answers(self, *values: Any) -> Iterator[str]:
        """What is loading, as long as it is; then the answer, or the notice in its place."""
        while not self.models.are_ready(within=1.0):
            yield render.waiting(self.models.names, self.models.seconds())
        try:
            yield self.ask(*values)
        except UserError as error:
            yield render.problem(str(error))

    def answer_on(self, events: Sequence[Any]) -> None:
        """Answer at any of these events; of several while one is answered, the last counts."""
        self._answer_when(partial(gr.on, list(events), trigger_mode="always_last"))

    def answer_after(self, dependency: Any) -> None:
        """Answer when something else is done."""
        self._answer_when(dependency.then)

    def _answer_when(self, listen: Callable[..., Any]) -> None:
        """Answer; then the address of the page is one that brings the answer back."""
        inputs = list(self.inputs.values())
        private = {"api_visibility": "private"}
        answered = listen(
            fn=self.answers,
            inputs=inputs,
            outputs=self.output,
            show_progress="minimal",
            **private,
        )
        remember = f"(...values) => mlm.remember({self.name!r}, {list(self.inputs)!r}, values)"
        answered.then(None, inputs, None, js=remember, **private)
