"""A model repository to push to: its full id, its newest commit, its branches and tags.

It is looked up before anything is created, so that a Hub that limits the creation of repositories
(429) does not stop a push to one that exists.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlm.errors import HubError
from mlm.hub.commit import PUSH_ATTEMPTS
from mlm.hub.connection import call_hub
from mlm.hub.names import BRANCH, TAG

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import ModelInfo, SpaceInfo

LOOKUP_TIMEOUT = 10.0  # seconds


@dataclass(frozen=True)
class Refs:
    """The branches and tags of a repository: name -> commit; both empty for a new repository."""

    branches: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


def full_id(api: "HfApi", repo_id: str) -> str:
    """Return owner/name; a name alone belongs to the token's account."""
    if "/" in repo_id:
        return repo_id
    account = call_hub("ask who the token belongs to", api.whoami, PUSH_ATTEMPTS)
    return f"{account['name']}/{repo_id}"


def find_head(api: "HfApi", repo_id: str, branch: str | None = None) -> "ModelInfo | None":
    """Return a branch's newest commit and its files; None without such a repository or branch."""
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    def look_up() -> "ModelInfo | None":
        try:
            return api.model_info(
                repo_id, revision=branch, files_metadata=True, timeout=LOOKUP_TIMEOUT
            )
        except RevisionNotFoundError:
            return None
        except RepositoryNotFoundError as error:
            if error.response.status_code != 404:  # 401 hides a repository from a stranger
                raise
            return None

    where = f"the branch {branch} of {repo_id}" if branch else repo_id
    return call_hub(f"look up {where}", look_up, PUSH_ATTEMPTS)


def open_branch(
    api: "HfApi", repo_id: str, branch: str | None = None, *, private: bool = False
) -> "ModelInfo":
    """Return a branch's newest commit; repository and branch are created if they do not exist.

    Args:
        api: the client.
        repo_id: owner/name.
        branch: None is the main branch; a new one starts at the head of that.
        private: make a new repository private; an existing public one is refused.

    Raises:
        HubError: the Hub refused or could not be reached, or the repository is public.
    """
    head = find_head(api, repo_id, branch)
    if head is None:
        _create(api, repo_id, branch, private=private)
        head = find_head(api, repo_id, branch)
    if head is None:
        what = f"no branch {branch}" if branch else "no files"
        raise HubError(f"{repo_id} has {what} although it was just made: push again")
    if private:
        refuse_public(repo_id, head)
    return head


def _create(api: "HfApi", repo_id: str, branch: str | None, *, private: bool) -> None:
    """Create the repository if it does not exist, then the branch."""
    main = find_head(api, repo_id) if branch else None
    if main is None:
        call_hub(
            f"create {repo_id}",
            lambda: api.create_repo(repo_id, private=private or None, exist_ok=True),
            PUSH_ATTEMPTS,
        )
    elif private:
        refuse_public(repo_id, main)
    if branch:
        call_hub(
            f"create the branch {branch} of {repo_id}",
            lambda: api.create_branch(repo_id, branch=branch, exist_ok=True),
            PUSH_ATTEMPTS,
        )


def refuse_public(
    repo_id: str, info: "ModelInfo | SpaceInfo", alternative: str = "push openly"
) -> None:
    """Raise HubError if a repository that has to be private is public.

    alternative: what to do instead of making it private.
    """
    if info.private is False:
        raise HubError(
            f"{repo_id} exists and is public: make it private on its page, or {alternative}"
        )


# branches and tags


def refs_of(api: "HfApi", repo_id: str) -> Refs:
    """Return the branches and tags of a repository; none for one that does not exist yet."""
    from huggingface_hub.errors import RepositoryNotFoundError

    def look_up() -> Refs:
        try:
            listed = api.list_repo_refs(repo_id)
        except RepositoryNotFoundError as error:
            if error.response.status_code != 404:  # 401 hides a repository from a stranger
                raise
            return Refs()
        groups = (listed.branches, listed.tags)
        return Refs(*({ref.name: ref.target_commit for ref in group} for group in groups))

    return call_hub(f"read the branches and tags of {repo_id}", look_up, PUSH_ATTEMPTS)


def check_names(tag: str | None, branch: str | None) -> None:
    """Raise HubError for what cannot be the name of a new tag, or of a branch."""
    if tag is not None and not TAG.fullmatch(tag):
        raise HubError(
            f"{tag[:100]!r} is not a name for a tag: expected letters, digits, . _ - /, "
            "and neither main nor HEAD"
        )
    if branch is not None and not BRANCH.fullmatch(branch):
        raise HubError(
            f"{branch[:100]!r} is not a name for a branch: expected letters, digits, . _ - /, "
            "and not HEAD"
        )
    if tag is not None and tag == branch:
        raise HubError(f"{tag} is given as tag and as branch: choose another name for one of them")


def check_free(refs: Refs, repo_id: str, tag: str | None, branch: str | None) -> None:
    """Raise HubError for a tag called like a branch, or a branch called like a tag."""
    if tag in refs.branches:
        raise HubError(f"{repo_id} has a branch {tag}: choose another name for the tag")
    if branch in refs.tags:
        raise HubError(
            f"{branch} is a tag of {repo_id}, and tags are not moved: give the name of a branch"
        )
