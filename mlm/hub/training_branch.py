"""The state of a run on a branch of its repository, for the next machine to go on from.

    step-00001200/  model.safetensors  optimizer.safetensors  run.json  manifest.json
    step-00001100/  ...

The branch begins where `main` stands and never touches it. Each state is one commit that removes
the older ones beyond the newest two and the best, so whatever interrupts a push, the branch has
whole states.
"""

import json
import logging
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlm.errors import CheckpointError, HubError
from mlm.hub.connection import (
    cache_folder,
    checked_id,
    hub_api,
    is_offline,
    retrying,
    without_progress_bars,
)
from mlm.hub.push import PUSH_ATTEMPTS, check_can_push, differences

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationDelete, HfApi

    from mlm.checkpoint.run_state import TrainingState

logger = logging.getLogger(__name__)

BRANCH = "training-state"
KEPT = 2  # newest states on the branch
STEP_FOLDER = re.compile(r"step-[0-9]{8}")
TENSOR_FILES = ("model.safetensors", "optimizer.safetensors")
RUN, MANIFEST = "run.json", "manifest.json"
STATE_FILES = (MANIFEST, RUN, *TENSOR_FILES)  # the small ones first: they tell whether to go on
MAX_JSON_BYTES = 64 * 1024 * 1024  # a loss curve of a million points has a third of that
MOST_TRIED = 8  # states of a branch that are looked at; a run leaves two
LOOKUP_TIMEOUT = 10.0  # seconds

Sizes = dict[str, int | None]  # file name -> bytes, as the Hub lists them


def push_state(
    folder: Path, repo_id: str, *, private: bool = False, best: Path | None = None
) -> str:
    """Send one state to the branch and look whether it arrived; the commit that has it.

    Repository and branch are made if need be. States of later steps go too: this run has not come
    to them, so they are another's. What is there already is not sent again.

    Args:
        folder: a whole state, called step-XXXXXXXX.
        private: make a new repository private; an existing public one is refused.
        best: another whole state that is to be on the branch, and stay.

    Raises:
        CheckpointError: a folder is no state.
        HubError: the Hub said no, could not be reached, or was changed meanwhile.
    """
    files = _files_of(folder) | (_files_of(best) if best else {})
    check_can_push()
    api = hub_api()
    with without_progress_bars():
        repo_id, head = _open_branch(api, checked_id(repo_id), private)
        absent = differences(api, repo_id, head.sha, files)
        if not absent:
            return str(head.sha)
        new = {path: files[path] for path in absent}
        commit = _commit(api, repo_id, head, folder.name, new, keep=best.name if best else None)
    if wrong := differences(api, repo_id, commit, files):
        raise HubError(f"{repo_id} at {commit} has {', '.join(wrong)} not as here: push again")
    return commit


def fetch_newest_state(repo_id: str, root: Path) -> bool:
    """Download the newest whole state of the branch to `root`, which has none as new.

    Whatever is on the branch is a stranger's until checked: names, sizes, hashes of its manifest.
    A state that fails is named in the log, and the one before is tried.

    Returns:
        Whether a state was fetched. Nothing is where there is no repository, branch or whole state.

    Raises:
        HubError: the Hub said no or could not be reached, so that nobody knows what is there.
    """
    from mlm.checkpoint.run_state import newest_state

    if is_offline():
        raise HubError("HF_HUB_OFFLINE is set, so no state can be fetched: unset it")
    api = hub_api()
    repo_id = _full_id(api, checked_id(repo_id))
    head = _head(api, repo_id)
    if head is None:
        return False
    here = newest_state(root)
    listed = _states_on(head)
    newer = [name for name in listed if here is None or _step(name) > here.step]
    fetch = partial(_fetch, api, repo_id, str(head.sha), root=root)
    for name in newer[:MOST_TRIED]:
        if fetch(name, listed[name]):
            _fetch_best(fetch, listed, root / name)
            return True
    return False


def _fetch_best(
    fetch: Callable[[str, Sizes], bool], listed: dict[str, Sizes], newest: Path
) -> None:
    """The best state of the run that a fetched one is of, unless it is here."""
    from mlm.checkpoint.run_state import TrainingState, damage_of

    best = TrainingState(newest, json.loads((newest / RUN).read_text(encoding="utf-8"))).best
    if best and best.name in listed and damage_of(best) is not None:
        fetch(best.name, listed[best.name])


def delete_states(repo_id: str) -> None:
    """Remove the branch, once nobody needs it; where that fails, say so and leave it."""
    from huggingface_hub.errors import RevisionNotFoundError

    def delete() -> None:
        try:
            api.delete_branch(full_id, branch=BRANCH)
        except RevisionNotFoundError:
            logger.debug("%s has no branch %s", full_id, BRANCH)

    api = hub_api()
    try:
        full_id = _full_id(api, checked_id(repo_id))
        retrying(f"remove the branch {BRANCH} of {full_id}", delete, PUSH_ATTEMPTS)
    except HubError as error:
        logger.warning("%s; remove it on the page of the repository", error)


# the branch


def _full_id(api: "HfApi", repo_id: str) -> str:
    """owner/name, also where only a name was given."""
    if "/" in repo_id:
        return repo_id
    account = retrying("ask who the token belongs to", api.whoami, PUSH_ATTEMPTS)
    return f"{account['name']}/{repo_id}"


def _head(api: "HfApi", repo_id: str) -> Any:
    """The branch's newest commit with its files and their sizes; None if there is no branch."""
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    def look_up() -> Any:
        try:
            return api.model_info(
                repo_id, revision=BRANCH, files_metadata=True, timeout=LOOKUP_TIMEOUT
            )
        except RevisionNotFoundError:
            return None
        except RepositoryNotFoundError as error:
            if error.response.status_code != 404:  # 401 hides a repository from a stranger
                raise
            return None

    return retrying(f"look up the states of {repo_id}", look_up, PUSH_ATTEMPTS)


def _open_branch(api: "HfApi", repo_id: str, private: bool) -> tuple[str, Any]:
    """Full id and head of the branch, which is made if it is not there."""
    full_id = _full_id(api, repo_id)
    head = _head(api, full_id)
    if head is None:
        _make_branch(api, full_id, private)
        head = _head(api, full_id)
    if head is None:
        raise HubError(f"{full_id} has no branch {BRANCH} although it was just made: push again")
    if private and head.private is False:
        raise HubError(
            f"{full_id} exists and is public: make it private on its page, or push there"
        )
    return full_id, head


def _make_branch(api: "HfApi", repo_id: str, private: bool) -> None:
    retrying(
        f"create {repo_id}",
        lambda: api.create_repo(repo_id, private=private or None, exist_ok=True),
        PUSH_ATTEMPTS,
    )
    retrying(
        f"create the branch {BRANCH} of {repo_id}",
        lambda: api.create_branch(repo_id, branch=BRANCH, exist_ok=True),
        PUSH_ATTEMPTS,
    )


def _states_on(head: Any) -> dict[str, Sizes]:
    """The folders of a commit that are called like states, newest first, and what is in them.

    Files that no state has are left out, so nothing with another name is ever asked for.
    """
    states: dict[str, Sizes] = {}
    for file in head.siblings or []:
        name, _, inside = file.rfilename.partition("/")
        if STEP_FOLDER.fullmatch(name):
            sizes = states.setdefault(name, {})
            if inside in STATE_FILES:
                sizes[inside] = file.size
    return dict(sorted(states.items(), reverse=True))


def _step(name: str) -> int:
    return int(name.removeprefix("step-"))


# push


def _files_of(folder: Path) -> dict[str, Path]:
    """The files of a state here, by their path on the branch."""
    absent = [name for name in STATE_FILES if not (folder / name).is_file()]
    if absent or not STEP_FOLDER.fullmatch(folder.name):
        raise CheckpointError(
            f"{str(folder)!r} is no training state: expected a folder step-XXXXXXXX with "
            f"{', '.join(absent or STATE_FILES)}"
        )
    return {f"{folder.name}/{name}": folder / name for name in STATE_FILES}


def _commit(
    api: "HfApi", repo_id: str, head: Any, name: str, files: dict[str, Path], *, keep: str | None
) -> str:
    """Commit the files of a state on top of `head`; the new commit's id."""
    from huggingface_hub import CommitOperationAdd

    additions = [CommitOperationAdd(path, file) for path, file in files.items()]
    deletions = _deletions((other for other in _states_on(head) if other != keep), name)
    large = [each for each in additions if each.path_in_repo.endswith(TENSOR_FILES)]

    def attempt() -> str:
        try:
            for each in large:
                # One by one: several at once go through a pool of threads, and a process does not
                # end before those have, however long the Hub keeps them waiting.
                api.preupload_lfs_files(repo_id, [each], revision=BRANCH, free_memory=False)
            return api.create_commit(
                repo_id,
                [*additions, *deletions],
                commit_message=f"State of step {_step(name)}",
                revision=BRANCH,
                parent_commit=head.sha,
            ).oid
        except Exception:
            if taken := _commit_since(api, repo_id, head.sha, files):
                return taken  # it arrived; only the answer was lost
            raise

    return retrying(f"send {name} to {repo_id}", attempt, PUSH_ATTEMPTS)


def _deletions(present: Iterable[str], name: str) -> list["CommitOperationDelete"]:
    """What makes `name` the newest state, with KEPT - 1 before it."""
    from huggingface_hub import CommitOperationDelete

    present = list(present)
    later = [other for other in present if other > name]
    earlier = sorted((other for other in present if other < name), reverse=True)
    gone = [*later, *earlier[KEPT - 1 :]]
    return [CommitOperationDelete(f"{other}/", is_folder=True) for other in gone]


def _commit_since(api: "HfApi", repo_id: str, parent: str, files: dict[str, Path]) -> str | None:
    """The head, if it has our files; None if it is still `parent`. Raises HubError otherwise."""
    head = _head(api, repo_id)
    if head is not None and head.sha == parent:
        return None
    if head is None or differences(api, repo_id, head.sha, files):
        raise HubError(
            f"the branch {BRANCH} of {repo_id} was changed by someone else during this push; "
            "nothing was overwritten: see that only one run uses it, and push again"
        )
    return str(head.sha)


# fetch


class _NotUsable(Exception):
    """What is wrong with a state on the branch, in a few words."""


def _fetch(api: "HfApi", repo_id: str, commit: str, name: str, sizes: Sizes, root: Path) -> bool:
    """Download and check one state, then move it into `root`; False, with a line, if it fails."""
    try:
        _check_listing(sizes)
        root.mkdir(parents=True, exist_ok=True)
        for leftover in root.glob(".fetching-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        staging = Path(tempfile.mkdtemp(prefix=".fetching-", dir=root))
        try:
            for file in STATE_FILES:
                _download(api, repo_id, commit, f"{name}/{file}", staging)
                _check_file(staging / name / file)
            state = _whole_state(staging, _step(name))
            shutil.rmtree(root / name, ignore_errors=True)  # a damaged one, or it would be in use
            state.folder.replace(root / name)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except _NotUsable as reason:
        logger.warning("%s on the branch %s of %s is not used: %s", name, BRANCH, repo_id, reason)
        return False
    except OSError as error:
        raise HubError(f"could not put {name} of {repo_id} into {str(root)!r}: {error}") from None
    return True


def _check_listing(sizes: Sizes) -> None:
    """Raise _NotUsable unless all files are there, none larger than a state can have."""
    from mlm.checkpoint.file_limits import max_checkpoint_bytes

    known = {name: size for name, size in sizes.items() if size is not None and size >= 0}
    absent = [name for name in STATE_FILES if name not in known]
    if absent:
        raise _NotUsable(f"it has no {', '.join(absent)}, or none of a known size")
    most = 4 * max_checkpoint_bytes()  # weights, two moments of Adam, and as much again
    if sum(known.values()) > most:
        raise _NotUsable(f"it has {sum(known.values()):,} bytes, expected {most:,} at most")
    for name in (RUN, MANIFEST):
        if known[name] > MAX_JSON_BYTES:
            raise _NotUsable(f"{name} has {known[name]:,} bytes, expected {MAX_JSON_BYTES:,}")


def _download(api: "HfApi", repo_id: str, commit: str, path: str, staging: Path) -> None:
    retrying(
        f"download {path} of {repo_id} at {commit}",
        lambda: api.hf_hub_download(
            repo_id, path, revision=commit, local_dir=staging, cache_dir=cache_folder()
        ),
        PUSH_ATTEMPTS,
    )


def _check_file(path: Path) -> None:
    """Raise _NotUsable for JSON that is not an object; for a manifest, also of other files.

    A manifest is believed only about the files beside it: its names are opened and hashed.
    """
    if path.suffix != ".json":
        return
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise _NotUsable(f"{path.name} is torn") from None
    if not isinstance(content, dict):
        raise _NotUsable(f"{path.name} is no object")
    if path.name == MANIFEST and content.keys() != {RUN, *TENSOR_FILES}:
        raise _NotUsable(f"{path.name} is not about {', '.join((RUN, *TENSOR_FILES))}")


def _whole_state(staging: Path, step: int) -> "TrainingState":
    """The state below `staging`, if it is as its manifest says and of this step."""
    from mlm.checkpoint.run_state import newest_state

    state = newest_state(staging)
    if state is None:
        raise _NotUsable("its files are not those of its manifest")
    if state.run.get("step") != step:
        raise _NotUsable(f"it says that it is of step {state.run.get('step')!r:.100}")
    return state
