"""The models of a page, loaded while the page is already there."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait

from mlm.inference.fill_mask import FillMask, shown_name
from mlm.inference.masked_text import MAX_MASKS


class Models:
    """One model or several, the first of them the main one.

    Args:
        names: how each is called while it is not there yet.
        load: name -> FillMask; called once for each, in order, in a thread of its own.
    """

    def __init__(self, names: Sequence[str], load: Callable[[str], FillMask]):
        self.names = list(names)
        self.shown = [shown_name(name) for name in names]  # to visitors
        self._load = load
        self._loaded: list[Future[FillMask]] = [Future() for _ in self.names]
        self._started = time.monotonic()
        threading.Thread(target=self._load_all, daemon=True).start()

    @classmethod
    def of(cls, models: Sequence[FillMask]) -> "Models":
        """Models that are there already."""
        waiting = list(models)
        return cls([model.name for model in models], lambda name: waiting.pop(0))

    def only(self, name: str) -> "Models":
        """One of them as the main model, alone; these themselves if that is the first.

        Raises UserError if it cannot be loaded.
        """
        place = self.names.index(name)
        return self if place == 0 else Models.of([self._loaded[place].result()])

    @property
    def all(self) -> list[FillMask]:
        """Every model, waited for. Raises UserError if one cannot be loaded."""
        return [loaded.result() for loaded in self._loaded]

    @property
    def main(self) -> FillMask:
        """The main model, waited for. Raises UserError if it cannot be loaded."""
        return self._loaded[0].result()

    def are_ready(self, within: float = 0.0) -> bool:
        """Whether all are loaded, or have failed to, in so many seconds."""
        return not wait(self._loaded, within).not_done

    def have_failed(self) -> bool:
        """Whether one was tried and cannot be loaded."""
        return any(loaded.done() and loaded.exception() for loaded in self._loaded)

    def seconds(self) -> float:
        """Since the loading began."""
        return time.monotonic() - self._started

    def _load_all(self) -> None:
        for name, loaded in zip(self.names, self._loaded, strict=True):
            try:
                model = self._load(name)
                warm_up(model)
            except Exception as error:  # whoever asks for the model gets it
                loaded.set_exception(error)
            else:
                loaded.set_result(model)


def warm_up(model: FillMask) -> None:
    """Ask it before the first visitor waits for it: Keras traces a graph then.

    Twice: TensorFlow's first graph is for one shape alone; the second, asked for with every size
    different, leaves the sizes open and serves all that come after.
    """
    many = " ".join([model.mask_token] * min(MAX_MASKS, model.max_length - 2))
    model([model.mask_token])
    model([many, many])
