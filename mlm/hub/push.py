"""Push a checkpoint folder: one commit on top of the newest one, checked afterwards; tag it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlm.checkpoint.file_limits import CHECKPOINT_FILES, matches
from mlm.errors import HubError
from mlm.hub.commit import PUSH_ATTEMPTS, Change, check_arrived, commit_change, differences
from mlm.hub.connection import call_hub, checked_id, endpoint, hub_api, is_offline
from mlm.hub.names import TAG

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import GitRefInfo, ModelInfo, SpaceInfo


@dataclass(frozen=True)
class Published:
    """A checkpoint on the Hub."""

    repo_id: str
    commit: str
    url: str


def check_push(repo_id: str, *, private: bool = False, tag: str | None = None) -> str:
    """Check before a training that its result can be pushed; return the full id, owner/name.

    Raises:
        HubError: off line, no token or one without write permission, a name that the Hub does not
            accept, another account's namespace, a public repository where a private one is wanted,
            or a tag that exists already.
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
    full_id = f"{namespace}/{repo_id.rpartition('/')[2]}"
    if private:
        _check_not_public(full_id)
    if tag and tags_of(hub_api(), full_id).get(checked_tag(tag)):
        raise _existing_tag_error(full_id, tag)
    return full_id


def _check_not_public(repo_id: str) -> None:
    """Raise HubError if the repository exists and is public."""
    purpose, api = f"read {repo_id}", hub_api()
    if call_hub(purpose, lambda: api.repo_exists(repo_id), PUSH_ATTEMPTS):
        info = call_hub(purpose, lambda: api.model_info(repo_id), PUSH_ATTEMPTS)
        refuse_public(repo_id, info, "push openly")


def refuse_public(repo_id: str, info: "ModelInfo | SpaceInfo", alternative: str) -> None:
    """Raise HubError if a repository that has to be private is public.

    alternative: what to do instead of making it private, as "push openly".
    """
    if info.private is False:
        raise HubError(
            f"{repo_id} exists and is public: make it private on its page, or {alternative}"
        )


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
) -> Published:
    """Publish a checkpoint folder as one commit and check that the Hub has its files.

    The repository is created if it does not exist. Checkpoint files of an earlier publication
    that this one does not have are deleted in the same commit; other files there are kept.

    Args:
        folder: the checkpoint; only its files among CHECKPOINT_FILES are sent.
        repo_id: "name" or "owner/name".
        private: make a new repository private; an existing public one is refused.
        commit_message: one line; the default gives the number of files.
        tag: the commit's name. An existing tag is not moved; it must name the same files.

    Raises:
        CheckpointError: the folder is not whole; nothing was sent.
        HubError: the Hub refused, could not be reached, or was changed meanwhile.
    """
    from mlm.checkpoint.folder import verify_folder

    folder, given_id = Path(folder).expanduser(), checked_id(repo_id)
    verify_folder(folder)
    check_can_push()
    files = _files_to_push(folder)
    api = hub_api()
    repo_id = call_hub(
        f"create {given_id}",
        lambda: api.create_repo(given_id, private=private or None, exist_ok=True),
        PUSH_ATTEMPTS,
    ).repo_id
    head = _head(api, repo_id)
    if private:
        refuse_public(repo_id, head, "push openly")
    if tag:
        _refuse_taken_tag(api, repo_id, checked_tag(tag), files)
    commit = _commit(
        api, repo_id, head, files, commit_message or f"Checkpoint of {len(files)} files"
    )
    check_arrived(api, repo_id, commit, files, advice="push again")
    if tag:
        _tag(api, repo_id, tag, commit, files)
    return Published(repo_id, commit, f"{endpoint()}/{repo_id}")


def _head(api: "HfApi", repo_id: str) -> "ModelInfo":
    """Return the newest commit of the main branch with the list of its files."""
    return call_hub(f"read {repo_id}", lambda: api.model_info(repo_id), PUSH_ATTEMPTS)


def _commit(
    api: "HfApi", repo_id: str, head: "ModelInfo", files: Mapping[str, Path], title: str
) -> str:
    """Commit all files at once on top of `head`; return the new commit's id."""
    present = [file.rfilename for file in head.siblings or []]
    stale = [name for name in present if matches(name, CHECKPOINT_FILES) and name not in files]
    return commit_change(
        api,
        Change(repo_id, head.sha, title, files, stale),
        purpose=f"commit to {repo_id}",
        newest_commit=lambda: _head(api, repo_id).sha,
        conflict=f"{repo_id} was changed by someone else during this push; nothing was "
        "overwritten: look at it, and push again",
    )


# tags


def checked_tag(tag: str) -> str:
    """Return the tag if the Hub accepts it as a name. Raises HubError."""
    if not TAG.fullmatch(tag):
        raise HubError(f"{tag[:100]!r} is not a name for a tag: expected letters, digits, . _ -")
    return tag


def tags_of(api: "HfApi", repo_id: str) -> dict[str, str]:
    """Return tag -> commit; {} for a repository that does not exist yet."""
    from huggingface_hub.errors import RepositoryNotFoundError

    def look_up() -> "list[GitRefInfo]":
        try:
            return api.list_repo_refs(repo_id).tags
        except RepositoryNotFoundError as error:
            if error.response.status_code != 404:  # 401 hides a repository from a stranger
                raise
            return []

    tags = call_hub(f"read the tags of {repo_id}", look_up, PUSH_ATTEMPTS)
    return {tag.name: tag.target_commit for tag in tags}


def _refuse_taken_tag(api: "HfApi", repo_id: str, tag: str, files: Mapping[str, Path]) -> None:
    """Raise HubError if the tag names other files than these."""
    commit = tags_of(api, repo_id).get(tag)
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
    found = tags_of(api, repo_id).get(tag)
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
