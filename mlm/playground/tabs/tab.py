"""What every tab of the page is: what is put in, what answers, and where the answer stands."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import gradio as gr

from mlm.errors import UserError
from mlm.playground.choice import Choice
from mlm.playground.models import Models
from mlm.playground.tabs import render


def waited_for(models: Models) -> Iterator[str]:
    """What is loading, once a second until it is there."""
    while not models.are_ready(within=1.0):
        yield render.waiting(models.shown, models.seconds())


@dataclass(frozen=True)
class Tab:
    """A tab that turns inputs into one piece of HTML.

    Attributes:
        name: as a link spells it.
        choice: of the models that answer.
        model: where a visitor writes another model's id; None where there is no choice.
        own_inputs: the tab's components by the names that a link has for their values.
        output: what shows the answer.
        ask: the models and the values of the own inputs, in their order -> HTML. A UserError is
            shown as a notice.
        models_for: the same -> the models to wait for and ask instead of the chosen ones.
        folded: the names of the inputs that are out of sight -> what to open to see them.
    """

    name: str
    choice: Choice
    model: gr.Textbox | None
    own_inputs: dict[str, Any]
    output: gr.HTML
    ask: Callable[..., str]
    models_for: Callable[..., Models] = lambda models, *own: models
    folded: dict[str, gr.Accordion] = field(default_factory=dict)

    @property
    def inputs(self) -> dict[str, Any]:
        """All components whose values make the answer; the model's comes last."""
        return self.own_inputs | ({"model": self.model} if self.model else {})

    def answers(self, token: gr.OAuthToken | None, *values: Any) -> Iterator[str]:
        """What is loading, as long as it is; then the answer, or the notice in its place.

        Gradio gives the token of a visitor who signed in, and knows by its type where to.
        """
        own = values[: len(self.own_inputs)]
        name = values[-1] if self.model else ""
        try:
            models = self.choice.models(name, token.token if token else None)
            yield from waited_for(models)
            models = self.models_for(models, *own)
            yield from waited_for(models)
            yield self.ask(models, *own)
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
