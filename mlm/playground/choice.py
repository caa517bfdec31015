"""The model that answers: one of the page's own or, if the owner allows it, another of the Hub.

Another model is downloaded with the visitor's own token, or without one. A private model answers
only visitors whose token opens it.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable

from mlm.errors import InputError, UserError
from mlm.inference.fill_mask import FillMask
from mlm.playground.models import Models

MAX_OTHERS = 2  # models chosen by visitors that stay in memory
MAX_ID_LENGTH = 200

LoadModel = Callable[[str, str | None], FillMask]


class Choice:
    """The models of a page, and the other models that a visitor may choose.

    Attributes:
        own: the page's own models.
        owners: the owners on the Hub whose models a visitor may choose; "*" allows every owner.
    """

    def __init__(
        self,
        models: Models,
        owners: frozenset[str] = frozenset(),
        load: LoadModel = FillMask.from_hub,
    ):
        """Offer `models`, and those of `owners`.

        load: a Hub id, and a visitor's token or None -> FillMask.
        """
        self.own, self.owners, self._load = models, owners, load
        self._others: OrderedDict[tuple[str, str | None], Models] = OrderedDict()  # by name, token
        self._with_base: Models | None = None
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        """True if a visitor may choose other models."""
        return bool(self.owners)

    @property
    def owners_in_words(self) -> str:
        """The owners whose models may be chosen: "google-bert or me", "anybody"."""
        return "anybody" if "*" in self.owners else " or ".join(sorted(self.owners))

    def models(self, name: object = "", token: str | None = None) -> Models:
        """Return the models that answer a visitor.

        Args:
            name: the Hub id that the visitor has entered; the page's own models if it is empty.
            token: the Hub token of a visitor who has signed in, or None.

        Raises:
            InputError: not an id, not allowed here, or another model is being loaded.
        """
        if not isinstance(name, str | None) or len(name or "") > MAX_ID_LENGTH:
            raise InputError("The model must be the id of a repository on the Hub: owner/name.")
        name = (name or "").strip()
        if not name:
            return self.own
        for own, displayed in zip(self.own.names, self.own.display_names, strict=True):
            if name in (own, displayed):
                return self.own.only(own)
        self._check_allowed(name)
        with self._lock:
            return self._load_other(name, token)

    def with_base(self) -> Models:
        """Return the page's own models; a single one together with its base model.

        The base model is the one that the model's card names. It is loaded on the first call.
        Waits for the main model.

        Raises:
            UserError: the main model cannot be loaded.
        """
        main = self.own.main
        base = main.base_model
        if len(self.own.names) > 1 or not base:
            return self.own
        with self._lock:
            if self._with_base is None or self._with_base.have_failed():
                load = {self.own.names[0]: lambda: main, base: lambda: self._load_base(base)}
                self._with_base = Models(list(load), lambda name: load[name]())
            return self._with_base

    def _check_allowed(self, name: str) -> None:
        owner, slash, _ = name.partition("/")
        if not self.owners:
            raise InputError("This page answers with its own model only: leave the model out.")
        if not slash or ("*" not in self.owners and owner not in self.owners):
            raise InputError(
                f"The model {name!r} cannot be chosen here: give owner/name of "
                f"{self.owners_in_words}."
            )

    def _load_base(self, name: str) -> FillMask:
        """Load a base model without a token: a card must not open what only the owner may read."""
        try:
            return self._load(name, None)
        except UserError as error:
            raise InputError(
                f"The model that this one was trained from cannot be loaded ({error}): "
                "give a second sentence to compare with."
            ) from None

    def _load_other(self, name: str, token: str | None) -> Models:
        """Return another model, which starts to load unless it is in memory."""
        self._drop_failed()
        if (name, token) not in self._others:
            if not all(models.are_ready() for models in self._others.values()):
                raise InputError("Another model is being loaded for somebody: try again soon.")
            while len(self._others) >= MAX_OTHERS:
                self._others.popitem(last=False)
            self._others[name, token] = Models([name], lambda name: self._load(name, token))
        self._others.move_to_end((name, token))
        return self._others[name, token]

    def _drop_failed(self) -> None:
        """Forget models that could not be loaded, so that they are tried again."""
        for key in [key for key, models in self._others.items() if models.have_failed()]:
            del self._others[key]


def allowed_owners() -> frozenset[str]:
    """Return the owners in MLM_ALLOW_OWNERS, separated by commas; none by default."""
    names = os.environ.get("MLM_ALLOW_OWNERS", "").split(",")
    return frozenset(name.strip() for name in names if name.strip())
