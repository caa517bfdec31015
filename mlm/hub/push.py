"""Push a checkpoint folder: one commit on top of the one that was read, looked at afterwards."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlm.checkpoint.file_limits import CHECKPOINT_FILES, matches
from mlm.errors import HubError
from mlm.hub.connection import checked_id, endpoint, hub_api, is_offline, retrying
from mlm.hub.names import TAG
from mlm.hub.snapshot import is_same

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import ModelInfo

PUSH_ATTEMPTS = 6  # hours of training are waiting: 31 s of pauses, or as long as the Hub asks


@dataclass(frozen=True)
class Published:
    """A checkpoint on the Hub."""

    repo_id: str
    commit: str
    url: str


def check_push(repo_id: str, *, private: bool = False, tag: str | None = None) -> str:
    """Find out before a training whether its result can be pushed; where to, as owner/name.

    Raises:
        HubError: off line, no token or one that may not write, a name that the Hub does not take,
            somebody else's namespace, a public repository where a private one is wanted, or a tag
            that is taken.
    """
    repo_id = checked_id(repo_id)
    check_can_push()
    account = retrying("ask who the token belongs to", lambda: hub_api().whoami(), PUSH_ATTEMPTS)
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
        raise HubError(_taken(full_id, tag))
    return full_id


def _check_not_public(repo_id: str) -> None:
    """HubError if the repository is there already and anyone may read it."""
    what, api = f"read {repo_id}", hub_api()
    if retrying(what, lambda: api.repo_exists(repo_id), PUSH_ATTEMPTS):
        _refuse_public(retrying(what, lambda: api.model_info(repo_id), PUSH_ATTEMPTS))


def _refuse_public(repo: "ModelInfo") -> None:
    if repo.private is False:
        raise HubError(
            f"{repo.id} exists and is public: make it private on its page, or push openly"
        )


def _token_may_write(account: dict[str, Any], namespace: str, repo_id: str) -> bool:
    token = account.get("auth", {}).get("accessToken", {})
    if token.get("role") != "fineGrained":
        return token.get("role", "write") == "write"
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
    """Publish a checkpoint folder as one commit, and look whether the Hub has it as it is here.

    The repository is made if need be. Checkpoint files of an earlier publication that this one
    does not have are removed in the same commit; other files there are left alone.

    Args:
        folder: the checkpoint; of its files, only those of CHECKPOINT_FILES are sent.
        repo_id: "name" or "owner/name".
        private: make a new repository private.
        commit_message: one line; by default it says what was pushed.
        tag: what the commit is called from now on. One that exists stays where it is; then these
            have to be the files that it names.

    Raises:
        CheckpointError: the folder is not whole; nothing was sent.
        HubError: the Hub said no, could not be reached, or was changed meanwhile.
    """
    from mlm.checkpoint.folder import verify_folder

    folder, wanted_id = Path(folder).expanduser(), checked_id(repo_id)
    verify_folder(folder)
    check_can_push()
    files = {path.name: path for path in _files_to_push(folder)}
    api = hub_api()
    repo_id = retrying(
        f"create {wanted_id}",
        lambda: api.create_repo(wanted_id, private=private or None, exist_ok=True),
        PUSH_ATTEMPTS,
    ).repo_id
    head = retrying(f"read {repo_id}", lambda: api.model_info(repo_id), PUSH_ATTEMPTS)
    if private:
        _refuse_public(head)
    if tag:
        _refuse_taken(api, repo_id, checked_tag(tag), files)
    message = commit_message or f"Checkpoint of {len(files)} files"
    commit = _commit(api, repo_id, head, files, message)
    wrong = differences(api, repo_id, commit, files)
    if wrong:
        raise HubError(f"{repo_id} at {commit} has {', '.join(wrong)} not as here: push again")
    if tag:
        _tag(api, repo_id, tag, commit, files)
    return Published(repo_id, commit, f"{endpoint()}/{repo_id}")


def _commit(api: "HfApi", repo_id: str, head: Any, files: dict[str, Path], message: str) -> str:
    """Commit all files at once on top of `head`; the new commit's id."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    present = [file.rfilename for file in head.siblings or []]
    stale = [name for name in present if matches(name, CHECKPOINT_FILES) and name not in files]
    operations: list[CommitOperationAdd | CommitOperationDelete] = [
        *(CommitOperationAdd(name, path) for name, path in files.items()),
        *(CommitOperationDelete(name, is_folder=False) for name in stale),
    ]

    def attempt() -> str:
        try:
            return api.create_commit(
                repo_id, operations, commit_message=message, parent_commit=head.sha
            ).oid
        except Exception:
            if taken := _commit_since(api, repo_id, head.sha, files):
                return taken  # it arrived; only the answer was lost
            raise

    return retrying(f"commit to {repo_id}", attempt, PUSH_ATTEMPTS)


def _commit_since(api: "HfApi", repo_id: str, parent: str, files: dict[str, Path]) -> str | None:
    """The head, if it is our commit; None if it is still `parent`. Raises HubError otherwise."""
    head = retrying(f"read {repo_id}", lambda: api.model_info(repo_id), PUSH_ATTEMPTS)
    if head.sha == parent:
        return None
    if differences(api, repo_id, str(head.sha), files):
        raise HubError(
            f"{repo_id} was changed by someone else during this push; nothing was overwritten: "
            "look at it, and push again"
        )
    return str(head.sha)


def differences(
    api: "HfApi", repo_id: str, commit: str, files: dict[str, Path], repo_type: str = "model"
) -> list[str]:
    """Names of the files that the Hub does not have at this commit byte for byte."""
    found = retrying(
        f"check {repo_id}",
        lambda: api.get_paths_info(repo_id, list(files), revision=commit, repo_type=repo_type),
        PUSH_ATTEMPTS,
    )
    same = {info.path for info in found if info.path in files and is_same(info, files[info.path])}
    return [name for name in files if name not in same]


# tags


def checked_tag(tag: str) -> str:
    if not TAG.fullmatch(tag):
        raise HubError(f"{tag[:100]!r} is no name for a tag: expected letters, digits, . _ -")
    return tag


def tags_of(api: "HfApi", repo_id: str) -> dict[str, str]:
    """Tag -> commit; {} for a repository that is not there yet."""
    from huggingface_hub.errors import RepositoryNotFoundError

    def look_up() -> Any:
        try:
            return api.list_repo_refs(repo_id).tags
        except RepositoryNotFoundError as error:
            if error.response.status_code != 404:  # 401 hides a repository from a stranger
                raise
            return []

    tags = retrying(f"read the tags of {repo_id}", look_up, PUSH_ATTEMPTS)
    return {tag.name: tag.target_commit for tag in tags}


def _refuse_taken(api: "HfApi", repo_id: str, tag: str, files: dict[str, Path]) -> None:
    """HubError if the tag names other files than these."""
    commit = tags_of(api, repo_id).get(tag)
    if commit and differences(api, repo_id, commit, files):
        raise HubError(_taken(repo_id, tag))


def _taken(repo_id: str, tag: str) -> str:
    return f"{repo_id} has a tag {tag} already, and tags are not moved: choose another name"


def _tag(api: "HfApi", repo_id: str, tag: str, commit: str, files: dict[str, Path]) -> None:
    """Tag the commit, and look whether the tag names these files now."""
    retrying(
        f"tag {repo_id} as {tag}; it is there at commit {commit}",
        lambda: api.create_tag(repo_id, tag=tag, revision=commit, exist_ok=True),
        PUSH_ATTEMPTS,
    )
    found = tags_of(api, repo_id).get(tag)
    if found is None:
        raise HubError(f"{repo_id} has no tag {tag} although it was just made: push again")
    if found != commit and differences(api, repo_id, found, files):
        raise HubError(_taken(repo_id, tag))


def _files_to_push(folder: Path) -> list[Path]:
    return [
        p for p in sorted(folder.iterdir()) if p.is_file() and matches(p.name, CHECKPOINT_FILES)
    ]


def check_can_push() -> None:
    from huggingface_hub import get_token

    if is_offline():
        raise HubError("HF_HUB_OFFLINE is set, so nothing can be pushed: unset it")
    if not get_token():
        raise HubError("no token: run `hf auth login` or set HF_TOKEN")
