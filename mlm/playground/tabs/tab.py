"""A tab of the page: its inputs, the answer to them, and when to answer."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import gradio as gr
from gradio.components import Component
from gradio.events import Dependency

from mlm.errors import UserError
from mlm.playground.choice import Choice
from mlm.playground.models import Models
from mlm.playground.tabs import render


@dataclass(frozen=True)
class Tab:
    """A tab that turns inputs into one piece of HTML.

    Attributes:
        name: the name in links.
        choice: the models that a visitor may choose.
        model: where a visitor enters another model's id; None without a choice.
        own_inputs: the tab's own input components, by their names in links.
        output: shows the answer.
        ask: (models, *values of the own inputs) -> HTML. A UserError is shown as a notice.
        models_for: the same arguments -> the models to ask instead of the chosen ones.
        accordions: name of an input that is folded away -> the accordion that shows it.
    """

    name: str
    choice: Choice
    model: gr.Textbox | None
    own_inputs: Mapping[str, Component]
    output: gr.HTML
    ask: Callable[..., str]
    models_for: Callable[..., Models] = lambda models, *own: models
    accordions: Mapping[str, gr.Accordion] = field(default_factory=dict)

    @property
    def inputs(self) -> dict[str, Component]:
        """All input components by their names in links; the model's id comes last."""
        return {**self.own_inputs, **({"model": self.model} if self.model else {})}

    def answers(self, token: gr.OAuthToken | None, *values: object) -> Iterator[str]:
        """Yield notices while models are being loaded, then the answer or a notice of its error.

        Args:
            token: the Hub token of a visitor who has signed in, or None. Gradio passes it because
                of its type.
            values: the values of `inputs`, in their order.
        """
        own = values[: len(self.own_inputs)]
        name = values[-1] if self.model else ""
        try:
            models = self.choice.models(name, token.token if token else None)
            yield from loading_notices(models)
            models = self.models_for(models, *own)
            yield from loading_notices(models)
            yield self.ask(models, *own)
        except UserError as error:
            yield render.problem(str(error))

    def answer_on(self, events: Sequence[Callable[..., Dependency]]) -> None:
        """Answer on any of these events; of those that come during an answer, only the last."""
        self._answer_when(partial(gr.on, list(events), trigger_mode="always_last"))

    def answer_after(self, dependency: Dependency) -> None:
        """Answer when another event has been handled."""
        self._answer_when(dependency.then)

    def _answer_when(self, listen: Callable[..., Dependency]) -> None:
        """Answer, and then put a link to the answer into the address bar."""
        inputs = list(self.inputs.values())
        answered = listen(
            fn=self.answers,
            inputs=inputs,
            outputs=self.output,
            show_progress="minimal",
            api_visibility="private",
        )
        remember = f"(...values) => mlm.remember({self.name!r}, {list(self.inputs)!r}, values)"
        answered.then(None, inputs, None, js=remember, api_visibility="private")


def loading_notices(models: Models) -> Iterator[str]:
    """Yield a notice of what is being loaded, once a second, until all models are ready."""
    while not models.are_ready(timeout=1.0):
        yield render.waiting(models.display_names, models.loading_seconds())


@contextmanager
def endpoint_errors() -> Iterator[None]:
    """Turn a UserError into the error that Gradio sends to a program, without a traceback."""
    try:
        yield
    except UserError as error:
        raise gr.Error(str(error), print_exception=False) from None
