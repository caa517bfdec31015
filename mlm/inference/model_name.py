"""Names of models: checked before anything is fetched, and shown to visitors."""

import os
from pathlib import Path
from reprlib import repr as short_repr

from mlm.errors import HubError


def check_model_name(name: object, revision: object) -> None:
    """Raise HubError unless these can name a checkpoint; "" would be the working directory."""
    if not isinstance(name, str | os.PathLike) or not str(name):
        raise HubError(f"{short_repr(name)} names no checkpoint: give a folder, a Hub id or 'demo'")
    if not isinstance(revision, str | None):
        raise HubError(
            f"{short_repr(revision)} is not a revision: give a branch, a tag or a commit"
        )


def shown_name(name: str | Path) -> str:
    """Return a model's name as visitors see it: of a folder's path only the last two parts."""
    return "/".join(Path(name).parts[-2:])
