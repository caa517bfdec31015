"""Pull a checkpoint: its revision is resolved to a commit once, its files checked, then fetched."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlm.backend.atomic_files import replace_file
from mlm.errors import CheckpointError, HubError
from mlm.hub.connection import (
    OWN_ACCESS,
    Access,
    HubUnreachableError,
    checked_id,
    checked_revision,
    endpoint,
    is_offline,
)
from mlm.hub.inspection import fetch_all_but_weights, naming_repository
from mlm.hub.snapshot import (
    COMMIT_ID,
    NOT_WRITABLE,
    CacheNotWritableError,
    Snapshot,
    look_up,
)

if TYPE_CHECKING:
    from mlm.checkpoint.folder import Checkpoint

logger = logging.getLogger(__name__)

DEMO = "demo"  # the checkpoint that comes with the project
BUNDLED_FOLDER = Path(__file__).parents[1] / "bundled" / "imdb_modernbert"
CONFIG = "config.json"
PARTS_OF_ID = 2  # owner/name
PULL_ATTEMPTS = 3  # someone is waiting: 3 s of pauses


@dataclass(frozen=True)
class Fetched:
    """A checkpoint folder here, and its repository and commit (None for a local folder)."""

    folder: Path
    repo_id: str | None
    commit: str | None

    @property
    def url(self) -> str | None:
        """The commit's page on the Hub; None for a local folder."""
        return f"{endpoint()}/{self.repo_id}/tree/{self.commit}" if self.repo_id else None


def load_checkpoint(name: str | Path, revision: str | None = None) -> "Checkpoint":
    """Fetch and read a checkpoint; see fetch_checkpoint."""
    from mlm.checkpoint.folder import read_checkpoint

    return read_checkpoint(fetch_checkpoint(name, revision).folder)


def fetch_checkpoint(name: str | Path, revision: str | None = None) -> Fetched:
    """Return a verified checkpoint folder for "demo", an existing folder, or a Hub id.

    Args:
        name: "demo" is the bundled checkpoint; an existing folder is used in place; anything else
            is a repository on the Hub, owner/name or owner/name@revision.
        revision: branch, tag or commit of a repository; None is its main branch.

    Raises:
        HubError: no such repository or revision, no permission to read it, no safetensors weights,
            or the Hub cannot be reached and the cache has no copy.
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


def check_name(name: str | Path) -> None:
    """Refuse a name that can be neither a checkpoint folder here nor a Hub id, at once.

    Nothing heavy is imported and the Hub is not asked.

    Raises:
        CheckpointError: a path to nothing, or a folder without a checkpoint.
        HubError: a file.
    """
    folder = _folder_of(name)
    is_path = str(name).startswith((".", "/", "~")) or len(Path(name).parts) > PARTS_OF_ID
    if folder is not None or is_path:
        check_folder(folder or Path(name).expanduser())


def check_folder(folder: Path) -> None:
    """Raise CheckpointError unless a folder is there that may hold a checkpoint."""
    if not folder.is_dir():
        what = "is a file" if folder.is_file() else "does not exist"
        raise CheckpointError(
            f"{str(folder)!r} {what}; expected a checkpoint folder, such as a run's --output_dir"
        )
    if not (folder / CONFIG).is_file():
        raise CheckpointError(
            f"{str(folder)!r} has no {CONFIG}; expected a checkpoint folder, such as the "
            "--output_dir of a run that has ended"
        )


def check_available(name: str | Path) -> None:
    """Raise what fetch_checkpoint raises for a checkpoint that is not there; fetch nothing.

    A folder is verified; for a Hub id without a copy in the cache, the Hub is asked.
    """
    from mlm.checkpoint.folder import verify_folder

    folder = _folder_of(name)
    if folder is not None:
        verify_folder(folder)
    elif is_offline():
        fetch_from_hub(str(name))
    else:
        repo_id, revision = named_revision(str(name), None)
        checked = checked_id(repo_id), checked_revision(revision)
        if _cached_copy(*checked, OWN_ACCESS) is None:
            look_up(*checked, PULL_ATTEMPTS)


def is_classifier(name: str | Path) -> bool:
    """Return whether a checkpoint is that of a classifier; of the Hub, only its config is fetched.

    Raises HubError and CheckpointError as fetch_checkpoint does.
    """
    from mlm.checkpoint.config_json import read_config
    from mlm.checkpoint.config_task import stated_task

    folder = _folder_of(name) or _config_folder(str(name))
    return stated_task(read_config(folder)) is not None


def _config_folder(name: str) -> Path:
    """Return the folder in the cache with a repository's config, which is fetched if need be."""
    repo_id, revision = named_revision(name, None)
    checked = checked_id(repo_id), checked_revision(revision)
    cached = _cached_copy(*checked, OWN_ACCESS)
    if cached is not None:
        return cached.folder
    if is_offline():
        return fetch_from_hub(name).folder  # which says that nothing can be fetched
    return look_up(*checked, PULL_ATTEMPTS).fetch(CONFIG).parent


def fetch_from_hub(
    repo_id: str, revision: str | None = None, access: Access = OWN_ACCESS
) -> Fetched:
    """Return a verified checkpoint folder for a Hub id, even if a local folder has that name.

    Raises HubError and CheckpointError as fetch_checkpoint does.
    """
    repo_id, revision = named_revision(repo_id, revision)
    return _cached_or_fetched(checked_id(repo_id), checked_revision(revision), access)


def named_revision(name: str, revision: str | None) -> tuple[str, str | None]:
    """Split owner/name@revision into id and revision, unless a revision is given."""
    repo_id, at, named = name.partition("@")  # which no id can have
    return (repo_id, named) if at and revision is None else (name, revision)


def _folder_of(name: str | Path) -> Path | None:
    """Return the local folder of that name; None if there is none, so it may be a Hub id."""
    if str(name) == DEMO:
        return BUNDLED_FOLDER
    try:
        folder = Path(name).expanduser()
        is_file, is_folder = folder.is_file(), folder.is_dir()
    except (OSError, RuntimeError, ValueError):  # ~nobody/, a name that is too long, a \0
        return None
    if is_file:
        raise HubError(f"{name} is a file; expected the folder of a checkpoint, or a Hub id")
    return folder if is_folder else None


def _cached_or_fetched(repo_id: str, revision: str, access: Access) -> Fetched:
    """Return the cached copy if nothing newer can be fetched, else a download; both verified."""
    cached = _cached_copy(repo_id, revision, access)
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
    except (HubUnreachableError, CacheNotWritableError) as error:
        if cached is None:
            raise
        logger.warning("%s; using the cached copy of %s at %s", error, repo_id, cached.commit)
    return cached


def _download(snapshot: Snapshot, revision: str) -> Fetched:
    """Fetch a checkpoint, its weights last and only if all other files pass the checks."""
    from mlm.checkpoint.folder import verify_folder

    fetched = _cached_copy(snapshot.repo_id, snapshot.commit, snapshot.access)
    if fetched is None:
        paths = [snapshot.fetch(name) for name in fetch_all_but_weights(snapshot)]
        folder = paths[0].parent
        with naming_repository(snapshot, folder):
            verify_folder(folder)
        fetched = Fetched(folder, snapshot.repo_id, snapshot.commit)
    _record_commit(snapshot, revision)
    return fetched


def _cached_copy(repo_id: str, revision: str, access: Access) -> Fetched | None:
    """Return a whole copy of this revision from an earlier download, if the cache has one."""
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


def _record_commit(snapshot: Snapshot, revision: str) -> None:
    """Record in the cache the commit of a branch or tag, so that it is found again off line.

    A cache that cannot be written stays as it is: the next call asks the Hub again.
    """
    from huggingface_hub.file_download import repo_folder_name

    if revision == snapshot.commit:
        return
    repo_folder = repo_folder_name(repo_id=snapshot.repo_id, repo_type="model")
    ref = snapshot.access.cache_folder / repo_folder / "refs" / revision
    try:
        ref.parent.mkdir(parents=True, exist_ok=True)
        replace_file(ref, snapshot.commit)
    except OSError as error:
        if error.errno not in NOT_WRITABLE:
            raise
        logger.info("%s of %s is not recorded: %s", revision, snapshot, error)
