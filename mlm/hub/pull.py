"""Pull a checkpoint: a revision resolved to a commit once, its files checked, then fetched."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlm.errors import CheckpointError, HubError
from mlm.hub.connection import (
    OWN,
    Access,
    HubUnreachableError,
    checked_id,
    checked_revision,
    endpoint,
    is_offline,
)
from mlm.hub.inspection import fetch_all_but_weights, told_of
from mlm.hub.snapshot import COMMIT_ID, Snapshot, look_up

if TYPE_CHECKING:
    from mlm.checkpoint.folder import Checkpoint

logger = logging.getLogger(__name__)

DEMO = "demo"  # the checkpoint that comes with the project
BUNDLED_FOLDER = Path(__file__).parents[1] / "bundled" / "imdb_modernbert"
PULL_ATTEMPTS = 3  # someone is waiting: 3 s of pauses


@dataclass(frozen=True)
class Fetched:
    """A checkpoint folder here, and where it came from (None for a local folder)."""

    folder: Path
    repo_id: str | None
    commit: str | None

    @property
    def url(self) -> str | None:
        """Its page on the Hub, at the commit."""
        return f"{endpoint()}/{self.repo_id}/tree/{self.commit}" if self.repo_id else None


def load_checkpoint(name: str | Path, revision: str | None = None) -> "Checkpoint":
    """Fetch and read a checkpoint; see fetch_checkpoint."""
    from mlm.checkpoint.folder import read_checkpoint

    return read_checkpoint(fetch_checkpoint(name, revision).folder)


def fetch_checkpoint(name: str | Path, revision: str | None = None) -> Fetched:
    """A verified checkpoint folder for "demo", an existing folder, or a Hub id.

    Args:
        name: "demo" is the bundled checkpoint; a folder is taken as it is; anything else is a
            repository on the Hub, owner/name or owner/name@revision.
        revision: branch, tag or commit of a repository; None is its main branch.

    Raises:
        HubError: no such repository or revision, no right to read it, no safetensors weights, or
            the Hub cannot be reached and the cache has no copy.
        CheckpointError: the folder is not whole.
    """
    from mlm.checkpoint.folder import verify_folder

    folder = _folder_of(name)
    if folder is not None:
        if revision is not None:
            raise HubError(f"revision {revision!r} was given, but {name} is a folder: leave it out")
        verify_folder(folder)
        return Fetched(folder, None, None)
    return fetch_from_hub(str(name), revision)


def fetch_from_hub(repo_id: str, revision: str | None = None, access: Access = OWN) -> Fetched:
    """A verified checkpoint folder for a Hub id, whatever folder here may have that name.

    Raises HubError and CheckpointError as fetch_checkpoint does.
    """
    repo_id, revision = named_revision(repo_id, revision)
    return _cached_or_fetched(checked_id(repo_id), checked_revision(revision), access)


def named_revision(name: str, revision: str | None) -> tuple[str, str | None]:
    """The id and the revision of owner/name@revision; a revision that is given goes before."""
    repo_id, at, named = name.partition("@")  # which no id can have
    return (repo_id, named) if at and revision is None else (name, revision)


def _folder_of(name: str | Path) -> Path | None:
    """The folder that a name means; None if it is none here, and so may be a Hub id."""
    if str(name) == DEMO:
        return BUNDLED_FOLDER
    try:
        folder = Path(name).expanduser()
        is_file, is_folder = folder.is_file(), folder.is_dir()
    except (OSError, RuntimeError, ValueError):  # ~nobody/, a name longer than any can be, a \0
        return None
    if is_file:
        raise HubError(f"{name} is a file; expected the folder of a checkpoint, or a Hub id")
    return folder if is_folder else None


def _cached_or_fetched(repo_id: str, revision: str, access: Access) -> Fetched:
    """The cached copy where nothing newer can be had, else a download; both verified."""
    cached = _cached(repo_id, revision, access)
    if cached and (is_offline() or COMMIT_ID.fullmatch(revision)):
        return cached
    if is_offline():
        raise HubError(
            f"HF_HUB_OFFLINE is set, and neither a folder here nor the cache has a whole {repo_id} "
            f"at {revision!r}: unset it to fetch"
        )
    try:
        snapshot = look_up(repo_id, revision, 1 if cached else PULL_ATTEMPTS, access)
        if cached is None or cached.commit != snapshot.commit:
            return _download(snapshot, revision)
    except HubUnreachableError as error:
        if cached is None:
            raise
        logger.warning("%s; using the cached copy of %s at %s", error, repo_id, cached.commit)
    return cached


def _download(snapshot: Snapshot, revision: str) -> Fetched:
    """Fetch a checkpoint, its weights last and only if everything else will do."""
    from mlm.checkpoint.folder import verify_folder

    fetched = _cached(snapshot.repo_id, snapshot.commit, snapshot.access)
    if fetched is None:
        paths = [snapshot.fetch(name) for name in fetch_all_but_weights(snapshot)]
        folder = paths[0].parent
        with told_of(snapshot, folder):
            verify_folder(folder)
        fetched = Fetched(folder, snapshot.repo_id, snapshot.commit)
    _remember(snapshot, revision)
    return fetched


def _cached(repo_id: str, revision: str, access: Access) -> Fetched | None:
    """A whole copy of this revision from an earlier download, if there is one."""
    from huggingface_hub import try_to_load_from_cache

    from mlm.checkpoint.folder import verify_folder

    config = try_to_load_from_cache(
        repo_id, "config.json", cache_dir=access.cache_folder, revision=revision
    )
    if not isinstance(config, str):
        return None
    folder = Path(config).parent
    try:
        verify_folder(folder)
    except CheckpointError:
        return None
    return Fetched(folder, repo_id, folder.name)


def _remember(snapshot: Snapshot, revision: str) -> None:
    """Note in the cache which commit a branch stood for, so that it is found again off line."""
    from huggingface_hub.file_download import repo_folder_name

    if revision == snapshot.commit:
        return
    repo_folder = repo_folder_name(repo_id=snapshot.repo_id, repo_type="model")
    ref = snapshot.access.cache_folder / repo_folder / "refs" / revision
    ref.parent.mkdir(parents=True, exist_ok=True)
    beside = ref.with_name(f"{ref.name}.{os.getpid()}")
    beside.write_text(snapshot.commit)
    beside.replace(ref)
