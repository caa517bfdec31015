"""Push a checkpoint folder: one commit on top of the newest one, checked afterwards; tag it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlm.checkpoint.file_limits import CHECKPOINT_FILES, matches
from mlm.errors import HubError
from mlm.hub.commit import PUSH_ATTEMPTS, Change, check_arrived, commit_change, differences
from mlm.hub.connection import call_hub, checked_id, endpoint, hub_api, is_offline
from mlm.hub.repository import (
    Refs,
    check_free,
    check_names,
    find_head,
    full_id,
    open_branch,
    refs_of,
    refuse_public,
)

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import ModelInfo


@dataclass(frozen=True)
class Published:
    """A checkpoint on the Hub."""

    repo_id: str
    commit: str
    url: str


@dataclass(frozen=True)
class PushTarget:
    """A repository that may be pushed to.

    branch: None is the main branch.
    private: None for a new repository whose visibility its organization decides.
    """

    repo_id: str
    exists: bool
    private: bool | None
    branch: str | None = None

    def __str__(self) -> str:
        of_organization = "public unless its organization makes new repositories private"
        kind = {True: "private", False: "public: anyone can read it", None: of_organization}
        where = f"the branch {self.branch} of {self.repo_id}" if self.branch else self.repo_id
        state = "exists and" if self.exists else "does not exist yet and"
        verb = "is" if self.exists else "will be"
        return f"{where}, which {state} {verb} {kind[self.private]}"


def check_push(
    repo_id: str, *, private: bool = False, tag: str | None = None, branch: str | None = None
) -> PushTarget:
    """Check before a training that its result can be pushed; return the repository as it is now.

    Args:
        repo_id: "name" or "owner/name".
        private: a new repository will be private; an existing public one is refused.
        tag: to be made; it must not exist.
        branch: to push to; it need not exist. None is the main branch.

    Raises:
        HubError: off line, no token or one without write permission, a name that the Hub does not
            accept, another account's namespace, a public repository where a private one is wanted,
            a tag that exists already, or is called like a branch.
    """
    branch = other_than_main(branch)
    check_names(tag, branch)
    account, repo_id = check_account(repo_id)
    api = hub_api()
    head = find_head(api, repo_id)
    if head is None:
        is_own = repo_id.split("/")[0] == account["name"]
        return PushTarget(repo_id, False, private or (False if is_own else None), branch)
    if private:
        refuse_public(repo_id, head)
    if tag or branch:
        refs = refs_of(api, repo_id)
        check_free(refs, repo_id, tag, branch)
        if tag in refs.tags:
            raise _existing_tag_error(repo_id, str(tag))
    return PushTarget(repo_id, True, bool(head.private), branch)


def other_than_main(branch: str | None) -> str | None:
    """Return the branch; None for the main one."""
    return None if branch == "main" else branch


def check_account(repo_id: str) -> tuple[Mapping[str, Any], str]:
    """Return the token's account and the full id, if the account may write to the repository.

    Raises HubError as check_push does.
    """
    repo_id = checked_id(repo_id)
    check_can_push()
    account = call_hub("ask who the token belongs to", lambda: hub_api().whoami(), PUSH_ATTEMPTS)
    namespace = repo_id.split("/")[0] if "/" in repo_id else account["name"]
    writable = {account["name"]}
    writable |= {org["name"] for org in account.get("orgs", []) if org.get("roleInOrg") != "read"}
    if namespace not in writable:
        raise HubError(
            f"{repo_id} cannot be pushed as {account['name']}: "
            f"expected a name under {' or '.join(sorted(writable))}/"
        )
    if not _token_may_write(account, namespace, repo_id):
        raise HubError(
            f"the token cannot write to {repo_id}: "
            f"make one with write permission at {endpoint()}/settings/tokens"
        )
    return account, f"{namespace}/{repo_id.rpartition('/')[2]}"


def _token_may_write(account: Mapping[str, Any], namespace: str, repo_id: str) -> bool:
    """Return whether the token that `account` was read with has write permission.

    account: the Hub's answer to whoami.
    """
    token = account.get("auth", {}).get("accessToken", {})
    role: str = token.get("role", "write")
    if role != "fineGrained":
        return role == "write"
    return any(
        scope.get("entity", {}).get("name") in (namespace, repo_id)
        and "repo.write" in scope.get("permissions", [])
        for scope in token.get("fineGrained", {}).get("scoped", [])
    )


def push_checkpoint(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool = False,
    commit_message: str | None = None,
    tag: str | None = None,
    branch: str | None = None,
) -> Published:
    """Publish a checkpoint folder as one commit and check that the Hub has its files.

    Repository and branch are created if they do not exist. Checkpoint files of an earlier
    publication that this one does not have are deleted in the same commit; other files there are
    kept.

    Args:
        folder: the checkpoint; only its files among CHECKPOINT_FILES are sent.
        repo_id: "name" or "owner/name".
        private: make a new repository private; an existing public one is refused.
        commit_message: one line; the default gives the number of files.
        tag: the commit's name. An existing tag is not moved; it must name the same files.
        branch: to push to; None is the main branch.

    Raises:
        CheckpointError: the folder is not whole; nothing was sent.
        HubError: the Hub refused, could not be reached, or was changed meanwhile.
    """
    from mlm.checkpoint.folder import verify_folder

    folder, branch = Path(folder).expanduser(), other_than_main(branch)
    check_names(tag, branch)
    checked_id(repo_id)
    verify_folder(folder)
    check_can_push()
    files = _files_to_push(folder)
    api = hub_api()
    repo_id = full_id(api, repo_id)
    if tag or branch:
        refs = refs_of(api, repo_id)
        check_free(refs, repo_id, tag, branch)
        if tag:
            _refuse_taken_tag(api, repo_id, refs, tag, files)
    head = open_branch(api, repo_id, branch, private=private)
    title = commit_message or f"Checkpoint of {len(files)} files"
    commit = _commit(api, repo_id, head, files, title, branch)
    check_arrived(api, repo_id, commit, files, advice="push again")
    if tag:
        _tag(api, repo_id, tag, commit, files)
    page = f"{endpoint()}/{repo_id}"
    return Published(repo_id, commit, f"{page}/tree/{branch}" if branch else page)


def _commit(
    api: "HfApi",
    repo_id: str,
    head: "ModelInfo",
    files: Mapping[str, Path],
    title: str,
    branch: str | None,
) -> str:
    """Commit all files at once on top of `head`; return the new commit's id."""

    def newest_commit() -> str | None:
        newest = find_head(api, repo_id, branch)
        return newest.sha if newest else None

    present = [file.rfilename for file in head.siblings or []]
    stale = [name for name in present if matches(name, CHECKPOINT_FILES) and name not in files]
    return commit_change(
        api,
        Change(repo_id, head.sha, title, files, stale, branch=branch),
        purpose=f"commit to {repo_id}",
        newest_commit=newest_commit,
        conflict=f"{repo_id} was changed by someone else during this push; nothing was "
        "overwritten: look at it, and push again",
    )


# tags


def _refuse_taken_tag(
    api: "HfApi", repo_id: str, refs: Refs, tag: str, files: Mapping[str, Path]
) -> None:
    """Raise HubError if the tag names other files than these."""
    commit = refs.tags.get(tag)
    if commit and differences(api, repo_id, commit, files):
        raise _existing_tag_error(repo_id, tag)


def _existing_tag_error(repo_id: str, tag: str) -> HubError:
    return HubError(
        f"{repo_id} has a tag {tag} already, and tags are not moved: choose another name"
    )


def _tag(api: "HfApi", repo_id: str, tag: str, commit: str, files: Mapping[str, Path]) -> None:
    """Tag the commit, and check that the tag names these files."""
    call_hub(
        f"tag {repo_id} as {tag}; it is there at commit {commit}",
        lambda: api.create_tag(repo_id, tag=tag, revision=commit, exist_ok=True),
        PUSH_ATTEMPTS,
    )
    found = refs_of(api, repo_id).tags.get(tag)
    if found is None:
        raise HubError(f"{repo_id} has no tag {tag} although it was just made: push again")
    if found != commit and differences(api, repo_id, found, files):
        raise _existing_tag_error(repo_id, tag)


def _files_to_push(folder: Path) -> dict[str, Path]:
    """Return the checkpoint files of a folder by name."""
    files = (path for path in sorted(folder.iterdir()) if path.is_file())
    return {path.name: path for path in files if matches(path.name, CHECKPOINT_FILES)}


def check_can_push() -> None:
    """Raise HubError off line or without a token."""
    from huggingface_hub import get_token

    if is_offline():
        raise HubError("HF_HUB_OFFLINE is set, so nothing can be pushed: unset it")
    if not get_token():
        raise HubError("no token: run `hf auth login` or set HF_TOKEN")
