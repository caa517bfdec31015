"""The models of a page, loaded in the background while the page is already served."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait

from mlm.inference.fill_mask import FillMask
from mlm.inference.masked_text import MAX_MASKS
from mlm.inference.model_name import shown_name


class Models:
    """One model or several; the first one is the main model.

    Attributes:
        names: the name of each model, as `load` takes it.
        display_names: the same for visitors, without folders of this machine.
    """

    def __init__(self, names: Sequence[str], load: Callable[[str], FillMask]):
        """Start to load the models.

        Args:
            names: the names of the models.
            load: name -> FillMask; called once for each model, in order, in a background thread.
        """
        self.names = list(names)
        self.display_names = [shown_name(name) for name in names]
        self._load = load
        self._futures: list[Future[FillMask]] = [Future() for _ in self.names]
        self._started = time.monotonic()
        threading.Thread(target=self._load_all, daemon=True).start()

    @classmethod
    def of(cls, models: Sequence[FillMask]) -> "Models":
        """Return Models of models that are loaded already."""
        remaining = list(models)
        return cls([model.name for model in models], lambda name: remaining.pop(0))

    def only(self, name: str) -> "Models":
        """Return Models of just this model; `self` if it is the main one.

        Waits for the model. Raises UserError if it cannot be loaded.
        """
        index = self.names.index(name)
        return self if index == 0 else Models.of([self._futures[index].result()])

    @property
    def all(self) -> list[FillMask]:
        """All models, after waiting for them. Raises UserError if one cannot be loaded."""
        return [future.result() for future in self._futures]

    @property
    def main(self) -> FillMask:
        """The main model, after waiting for it. Raises UserError if it cannot be loaded."""
        return self._futures[0].result()

    def are_ready(self, timeout: float = 0.0) -> bool:
        """Return whether all models have been loaded, or have failed to, within `timeout` s."""
        return not wait(self._futures, timeout).not_done

    def have_failed(self) -> bool:
        """Return whether a model could not be loaded."""
        return any(future.done() and future.exception() for future in self._futures)

    def loading_seconds(self) -> float:
        """Return the seconds since loading began."""
        return time.monotonic() - self._started

    def _load_all(self) -> None:
        for name, future in zip(self.names, self._futures, strict=True):
            try:
                model = self._load(name)
                warm_up(model)
            except Exception as error:  # raised again in the thread that needs the model
                future.set_exception(error)
            else:
                future.set_result(model)


def warm_up(model: FillMask) -> None:
    """Run a model before the first visitor needs it, because Keras traces a graph then.

    It runs twice: TensorFlow's first graph is for one shape only; the second, traced for inputs
    that differ in every dimension, leaves the dimensions open and serves all later inputs.
    """
    many_masks = " ".join([model.mask_token] * min(MAX_MASKS, model.max_length - 2))
    model([model.mask_token])
    model([many_masks, many_masks])
