"""Pull a checkpoint: a revision resolved to a commit once, its files checked, then fetched."""

import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from mlm.errors import CheckpointError, HubError
from mlm.hub.connection import (
    HubUnreachableError,
    cache_folder,
    checked_id,
    checked_revision,
    endpoint,
    hub_api,
    is_offline,
    retrying,
)
from mlm.hub.files import CHECKPOINT_FILES, OTHER_WEIGHTS, matches

if TYPE_CHECKING:
    from mlm.checkpoint import Checkpoint

logger = logging.getLogger(__name__)

DEMO = "demo"  # the checkpoint that comes with the project
BUNDLED_FOLDER = Path(__file__).parents[1] / "bundled" / "imdb_modernbert"
COMMIT_ID = re.compile(r"[0-9a-f]{40}")
LOOKUP_TIMEOUT = 10.0  # seconds
PULL_ATTEMPTS = 3  # someone is waiting: 3 s of pauses


@dataclass(frozen=True)
class Fetched:
    """A checkpoint folder here, and where it came from (None for a local folder)."""

    folder: Path
    repo_id: str | None
    commit: str | None


def load_checkpoint(name: str | Path, revision: str | None = None) -> "Checkpoint":
    """Fetch and read a checkpoint; see fetch_checkpoint."""
    from mlm.checkpoint import read_checkpoint

    return read_checkpoint(fetch_checkpoint(name, revision).folder)


def fetch_checkpoint(name: str | Path, revision: str | None = None) -> Fetched:
    """A verified checkpoint folder for "demo", an existing folder, or a Hub id.

    Args:
        name: "demo" is the bundled checkpoint; a folder is taken as it is; anything else is a
            repository on the Hub.
        revision: branch, tag or commit of a repository; None is its main branch.

    Raises:
        HubError: no such repository or revision, no right to read it, no safetensors weights, or
            the Hub cannot be reached and the cache has no copy.
        CheckpointError: the folder is not whole.
    """
    from mlm.checkpoint import verify_folder

    folder = BUNDLED_FOLDER if str(name) == DEMO else Path(name).expanduser()
    if folder.is_file():
        raise HubError(f"{name} is a file; expected the folder of a checkpoint, or a Hub id")
    if folder.is_dir() or str(name) == DEMO:
        if revision is not None:
            raise HubError(f"revision {revision!r} was given, but {name} is a folder: leave it out")
        fetched = Fetched(folder, None, None)
    else:
        fetched = _fetch_from_hub(checked_id(name), checked_revision(revision))
    verify_folder(fetched.folder)
    return fetched


def _fetch_from_hub(repo_id: str, revision: str) -> Fetched:
    """The cached copy where nothing newer can be had, else a download."""
    cached = _cached(repo_id, revision)
    if cached and (is_offline() or COMMIT_ID.fullmatch(revision)):
        return cached
    if is_offline():
        raise HubError(
            f"HF_HUB_OFFLINE is set, and neither a folder here nor the cache has {repo_id} "
            f"at {revision!r}: unset it to fetch"
        )
    try:
        return _download(repo_id, revision, attempts=1 if cached else PULL_ATTEMPTS)
    except HubUnreachableError as error:
        if cached is None:
            raise
        logger.warning("%s; using the cached copy of %s at %s", error, repo_id, cached.commit)
        return cached


def _download(repo_id: str, revision: str, attempts: int) -> Fetched:
    """Fetch the checkpoint's files at one commit: the config first, the rest if it will do."""
    api = hub_api()
    info = retrying(
        f"look up {repo_id} at {revision!r} (no folder here has that name)",
        lambda: api.model_info(repo_id, revision=revision, timeout=LOOKUP_TIMEOUT),
        attempts,
    )
    commit = str(info.sha)
    wanted = _files_to_fetch(repo_id, [file.rfilename for file in info.siblings or []])
    _check_config(_fetch_files(repo_id, commit, ["config.json"], attempts))
    folder = _fetch_files(repo_id, commit, wanted, attempts)
    _remember(repo_id, revision, commit)
    return Fetched(folder, repo_id, commit)


def _check_config(folder: Path) -> None:
    """Raise CheckpointError for a config that this project has no model for."""
    from mlm.checkpoint import read_config
    from mlm.families import encoder_config_of

    encoder_config_of(read_config(folder))


def _fetch_files(repo_id: str, commit: str, names: list[str], attempts: int) -> Path:
    from huggingface_hub import snapshot_download

    return Path(
        retrying(
            f"download {repo_id} at {commit}",
            lambda: snapshot_download(
                repo_id,
                revision=commit,
                allow_patterns=names,
                cache_dir=cache_folder(),
                endpoint=endpoint(),
            ),
            attempts,
        )
    )


def _files_to_fetch(repo_id: str, names: Sequence[str]) -> list[str]:
    """Those of a repository's files that make a checkpoint. Raises HubError where they do not."""
    weights = {"model.safetensors", "model.safetensors.index.json"} & set(names)
    if not weights:
        other = [name for name in names if matches(name, OTHER_WEIGHTS)]
        found = f"only {', '.join(sorted(other)[:3])}" if other else "no weights at all"
        raise HubError(
            f"{repo_id} has {found}; expected model.safetensors: save it once with "
            "transformers' model.save_pretrained() and push that"
        )
    if "config.json" not in names:
        raise HubError(f"{repo_id} has no config.json, so it is not a transformers checkpoint")
    wanted = [name for name in names if matches(name, CHECKPOINT_FILES)]
    if "model.safetensors" in weights:  # some repositories have the shards as well
        wanted = [name for name in wanted if not fnmatchcase(name, "model[-.]*safetensors*")]
        wanted.append("model.safetensors")
    return wanted


def _cached(repo_id: str, revision: str) -> Fetched | None:
    """A whole copy of this revision from an earlier download, if there is one."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    from mlm.checkpoint import verify_folder

    try:
        folder = snapshot_download(
            repo_id,
            revision=revision,
            allow_patterns=list(CHECKPOINT_FILES),
            cache_dir=cache_folder(),
            local_files_only=True,
        )
        verify_folder(Path(folder))
    except (LocalEntryNotFoundError, CheckpointError):
        return None
    return Fetched(Path(folder), repo_id, Path(folder).name)


def _remember(repo_id: str, revision: str, commit: str) -> None:
    """Note in the cache which commit a branch stood for, so that it is found again off line."""
    from huggingface_hub.file_download import repo_folder_name

    if revision == commit:
        return
    repo_folder = Path(cache_folder()) / repo_folder_name(repo_id=repo_id, repo_type="model")
    ref = repo_folder / "refs" / revision
    ref.parent.mkdir(parents=True, exist_ok=True)
    beside = ref.with_name(f"{ref.name}.{os.getpid()}")
    beside.write_text(commit)
    beside.replace(ref)
