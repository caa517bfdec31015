"""One commit to a repository: sent with retries, recognized if its answer was lost, and checked.

A Change names the commit that it goes on top of, so that a commit which someone else makes in the
meantime is never overwritten.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlm.errors import HubError
from mlm.hub.connection import call_hub
from mlm.hub.snapshot import is_same

if TYPE_CHECKING:
    from huggingface_hub import HfApi

PUSH_ATTEMPTS = 6  # hours of training are waiting: 31 s of pauses, or as long as the Hub asks


@dataclass(frozen=True)
class Change:
    """The change that one commit makes to a branch of a repository.

    parent: the branch's newest commit, read before; the new one goes on top of it.
    files: path in the repository -> file here; added or replaced.
    deleted: paths in the repository; that of a folder ends in "/".
    uploaded_singly: those of `files` to upload one after the other before the commit.
    branch: None is the main branch.
    """

    repo_id: str
    parent: str | None
    title: str
    files: Mapping[str, Path]
    deleted: Sequence[str] = ()
    uploaded_singly: Sequence[str] = ()
    branch: str | None = None
    repo_type: str = "model"


def commit_change(
    api: "HfApi",
    change: Change,
    *,
    purpose: str,
    newest_commit: Callable[[], str | None],
    conflict: str,
) -> str:
    """Send a change as one commit and return the commit's id.

    Args:
        api: the client.
        change: all or nothing of it arrives.
        purpose: completes "could not ..." in messages.
        newest_commit: looks up the branch's newest commit; None if the branch is gone.
        conflict: the message for a branch that someone else has changed since.

    Raises:
        HubError: the Hub refused it, could not be reached, or the branch was changed meanwhile.
    """

    def send_or_recognize() -> str:
        try:
            return send()
        except Exception:
            if arrived := _arrived_commit(api, change, newest_commit(), conflict):
                return arrived  # only the answer was lost
            raise

    send = _sender(api, change)
    return call_hub(purpose, send_or_recognize, PUSH_ATTEMPTS)


def _sender(api: "HfApi", change: Change) -> Callable[[], str]:
    """Return a function that sends the change and returns the commit's id.

    It may be called again: what was uploaded by an earlier call is not uploaded twice.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    additions = {path: CommitOperationAdd(path, file) for path, file in change.files.items()}
    deletions = [CommitOperationDelete(path) for path in change.deleted]

    def send() -> str:
        for path in change.uploaded_singly:
            api.preupload_lfs_files(
                change.repo_id,
                [additions[path]],
                repo_type=change.repo_type,
                revision=change.branch,
                free_memory=False,
            )
        return api.create_commit(
            change.repo_id,
            [*additions.values(), *deletions],
            commit_message=change.title,
            repo_type=change.repo_type,
            revision=change.branch,
            parent_commit=change.parent,
        ).oid

    return send


def _arrived_commit(api: "HfApi", change: Change, newest: str | None, conflict: str) -> str | None:
    """Return `newest` if it has the change's files; None if the branch has not moved."""
    if newest == change.parent:
        return None
    if newest is None or differences(
        api, change.repo_id, newest, change.files, repo_type=change.repo_type
    ):
        raise HubError(conflict)
    return newest


def check_arrived(
    api: "HfApi",
    repo_id: str,
    commit: str,
    files: Mapping[str, Path],
    *,
    repo_type: str = "model",
    advice: str,
) -> None:
    """Raise HubError, ending in `advice`, unless the commit has these files as they are here."""
    if wrong := differences(api, repo_id, commit, files, repo_type=repo_type):
        raise HubError(f"{repo_id} at {commit} has {', '.join(wrong)} not as here: {advice}")


def differences(
    api: "HfApi",
    repo_id: str,
    commit: str,
    files: Mapping[str, Path],
    *,
    repo_type: str = "model",
) -> list[str]:
    """Return the paths of `files` that the Hub does not have byte for byte at this commit."""
    from huggingface_hub.hf_api import RepoFile

    listed = call_hub(
        f"check {repo_id}",
        lambda: api.get_paths_info(repo_id, list(files), revision=commit, repo_type=repo_type),
        PUSH_ATTEMPTS,
    )
    present = [info for info in listed if isinstance(info, RepoFile) and info.path in files]
    same = {info.path for info in present if is_same(info, files[info.path])}
    return [path for path in files if path not in same]
