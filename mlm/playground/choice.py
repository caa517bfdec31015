"""Which model answers: the page's own or, where the owner of the page allows it, another one.

Another one is fetched as whoever asks for it: as nobody, or as the visitor who signed in. What a
private model says is for those alone whose token opens it.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from mlm.errors import InputError, UserError
from mlm.inference.fill_mask import FillMask
from mlm.playground.models import Models

OTHERS_KEPT = 2  # models that visitors chose and that stay in memory
LONGEST_ID = 200

Load = Callable[[str, str | None], FillMask]


class Choice:
    """The models of a page, and the others that a visitor may ask for.

    Args:
        models: the page's own.
        owners: whose models on the Hub may be chosen besides; "*" is anybody's, none is nobody's.
        load: a Hub id and a visitor's token or None -> FillMask.
    """

    def __init__(
        self,
        models: Models,
        owners: frozenset[str] = frozenset(),
        load: Load = FillMask.from_hub,
    ):
        self.own, self.owners, self._load = models, owners, load
        self._others: OrderedDict[tuple[str, str | None], Models] = OrderedDict()  # name, token
        self._with_base: Models | None = None
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether anything can be chosen."""
        return bool(self.owners)

    def models(self, name: Any = "", token: str | None = None) -> Models:
        """The models that answer for a visitor who wrote this name; the page's own for none.

        token: of the visitor, where they signed in.

        Raises InputError: no id, not allowed here, or another model is being loaded.
        """
        if not isinstance(name, str | None) or len(name or "") > LONGEST_ID:
            raise InputError("The model is to be the id of a repository on the Hub: owner/name.")
        name = (name or "").strip()
        if not name:
            return self.own
        for own, shown in zip(self.own.names, self.own.shown, strict=True):
            if name in (own, shown):
                return self.own.only(own)
        self._check_allowed(name)
        with self._lock:
            return self._others_or_load(name, token)

    def _check_allowed(self, name: str) -> None:
        owner, slash, _ = name.partition("/")
        if not self.owners:
            raise InputError("This page answers with its own model alone: leave the model out.")
        if not slash or ("*" not in self.owners and owner not in self.owners):
            whose = "anybody" if "*" in self.owners else " or ".join(sorted(self.owners))
            raise InputError(
                f"The model {name!r} cannot be chosen here: give owner/name of {whose}."
            )

    def with_base(self) -> Models:
        """The page's own models and, beside one that stands alone, what it was trained from.

        That is what the card of the model names, loaded when it is first asked for. Waits for the
        page's own, which stay alone where nothing is named. Raises UserError if they have failed.
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

    def _load_base(self, name: str) -> FillMask:
        """As nobody: a stranger wrote the card, and may not name what only the owner can read."""
        try:
            return self._load(name, None)
        except UserError as error:
            raise InputError(
                f"The model that this one was trained from cannot be loaded ({error}): "
                "give a second sentence to compare with."
            ) from None

    def _others_or_load(self, name: str, token: str | None) -> Models:
        self._forget_what_failed()
        if (name, token) not in self._others:
            if not all(models.are_ready() for models in self._others.values()):
                raise InputError("Another model is being loaded for somebody: try again soon.")
            while len(self._others) >= OTHERS_KEPT:
                self._others.popitem(last=False)
            self._others[name, token] = Models([name], lambda name: self._load(name, token))
        self._others.move_to_end((name, token))
        return self._others[name, token]

    def _forget_what_failed(self) -> None:
        """So that a name that could not be loaded can be tried again."""
        for key in [key for key, models in self._others.items() if models.have_failed()]:
            del self._others[key]


def allowed_owners() -> frozenset[str]:
    """MLM_ALLOW_OWNERS: names with commas between them, "*" for anybody; nobody by default."""
    names = os.environ.get("MLM_ALLOW_OWNERS", "").split(",")
    return frozenset(name.strip() for name in names if name.strip())
