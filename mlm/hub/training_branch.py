"""The training state of a run on a branch of its repository, so that another machine can resume.

    step-00001200/  model.safetensors  optimizer.safetensors  run.json  manifest.json
    step-00001100/  ...

The branch starts at the head of `main` and never changes `main`. Each state is one commit, which
deletes older states except the newest two and the best; an interrupted push leaves whole states.
"""

import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mlm.backend.atomic_files import remove_leftovers, replace_folder, staging_folder
from mlm.errors import CheckpointError, HubError
from mlm.hub.commit import PUSH_ATTEMPTS, Change, check_arrived, commit_change, differences
from mlm.hub.connection import (
    cache_folder,
    call_hub,
    checked_id,
    hub_api,
    is_offline,
    without_progress_bars,
)
from mlm.hub.push import check_can_push
from mlm.hub.repository import find_head, full_id, open_branch

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import ModelInfo

    from mlm.checkpoint.run_state import TrainingState

logger = logging.getLogger(__name__)

BRANCH = "training-state"
KEPT = 2  # newest states on the branch
STEP_FOLDER = re.compile(r"step-[0-9]{8}")
TENSOR_FILES = ("model.safetensors", "optimizer.safetensors")
RUN, MANIFEST = "run.json", "manifest.json"
STATE_FILES = (MANIFEST, RUN, *TENSOR_FILES)  # the small ones first: a bad one ends the download
MAX_JSON_BYTES = 64 * 1024 * 1024  # a loss curve of a million points has a third of that
MOST_TRIED = 8  # states of a branch to try; a run leaves two
STAGING_PREFIX = ".fetching-"

Sizes = dict[str, int | None]  # file name -> bytes, as the Hub lists them


def push_state(
    folder: Path, repo_id: str, *, private: bool = False, best: Path | None = None
) -> str:
    """Send one state to the branch, check that it arrived, and return the commit that has it.

    Repository and branch are created if they do not exist. States of later steps are deleted,
    because this run has not reached them: they are another run's. Files that the branch has
    already are not sent again.

    Args:
        folder: a whole state, called step-XXXXXXXX.
        repo_id: "name" or "owner/name".
        private: make a new repository private; an existing public one is refused.
        best: another whole state that has to be on the branch, and is kept.

    Raises:
        CheckpointError: a folder is not a training state.
        HubError: the Hub refused, could not be reached, or was changed meanwhile.
    """
    files = _files_of(folder) | (_files_of(best) if best else {})
    check_can_push()
    api = hub_api()
    with without_progress_bars():
        repo_id = full_id(api, checked_id(repo_id))
        head = open_branch(api, repo_id, BRANCH, private=private)
        commit = str(head.sha)
        absent = differences(api, repo_id, commit, files)
        if not absent:
            return commit
        new = {path: files[path] for path in absent}
        commit = _commit(api, repo_id, head, folder.name, new, keep=best.name if best else None)
    check_arrived(api, repo_id, commit, files, advice="push again")
    return commit


def fetch_newest_state(repo_id: str, root: Path) -> bool:
    """Download the newest whole state of the branch to `root`, unless `root` has one as new.

    The branch's content is untrusted until checked: names, sizes, the hashes of the manifest. A
    state that fails is logged, and the one before it is tried.

    Returns:
        True if a state was fetched. False without a newer one: no repository, no branch, or no
        whole state on it.

    Raises:
        HubError: the Hub refused or could not be reached, so the branch's content is unknown.
    """
    from mlm.checkpoint.run_state import newest_state

    if is_offline():
        raise HubError("HF_HUB_OFFLINE is set, so no state can be fetched: unset it")
    api = hub_api()
    repo_id = full_id(api, checked_id(repo_id))
    head = find_head(api, repo_id, BRANCH)
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


def newest_step(repo_id: str) -> int | None:
    """Return the step of the newest state on the branch, whole or not; None if it has none.

    Raises:
        HubError: the Hub refused or could not be reached.
    """
    api = hub_api()
    head = find_head(api, full_id(api, checked_id(repo_id)), BRANCH)
    return next(map(_step, _states_on(head)), None) if head else None


def _fetch_best(
    fetch: Callable[[str, Sizes], bool], listed: dict[str, Sizes], newest: Path
) -> None:
    """Fetch the best state of the run that the state `newest` belongs to, unless it is here."""
    from mlm.checkpoint.run_state import TrainingState, damage_of

    best = TrainingState(newest, json.loads((newest / RUN).read_text(encoding="utf-8"))).best
    if best and best.name in listed and damage_of(best) is not None:
        fetch(best.name, listed[best.name])


def delete_states(repo_id: str) -> None:
    """Delete the branch; if that fails, log it and leave the branch."""
    from huggingface_hub.errors import RevisionNotFoundError

    def delete() -> None:
        try:
            api.delete_branch(whole_id, branch=BRANCH)
        except RevisionNotFoundError:
            logger.debug("%s has no branch %s", whole_id, BRANCH)

    api = hub_api()
    try:
        whole_id = full_id(api, checked_id(repo_id))
        call_hub(f"remove the branch {BRANCH} of {whole_id}", delete, PUSH_ATTEMPTS)
    except HubError as error:
        logger.warning("%s; remove it on the page of the repository", error)


def _states_on(head: "ModelInfo") -> dict[str, Sizes]:
    """Return the commit's folders with the name of a state, newest first, and their files.

    Only files that a state has are listed, so no other name is ever requested.
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
    """Return the files of a local state by their path on the branch. Raises CheckpointError."""
    absent = [name for name in STATE_FILES if not (folder / name).is_file()]
    if absent or not STEP_FOLDER.fullmatch(folder.name):
        raise CheckpointError(
            f"{str(folder)!r} is not a training state: expected a folder step-XXXXXXXX with "
            f"{', '.join(absent or STATE_FILES)}"
        )
    return {f"{folder.name}/{name}": folder / name for name in STATE_FILES}


def _commit(
    api: "HfApi",
    repo_id: str,
    head: "ModelInfo",
    name: str,
    files: Mapping[str, Path],
    *,
    keep: str | None,
) -> str:
    """Commit the files of a state on top of `head`; return the new commit's id."""

    def newest_commit() -> str | None:
        newest = find_head(api, repo_id, BRANCH)
        return newest.sha if newest else None

    change = Change(
        repo_id,
        head.sha,
        f"State of step {_step(name)}",
        files,
        _folders_to_delete((other for other in _states_on(head) if other != keep), name),
        # Several at once go through a pool of threads, and a process does not end before those
        # have, however long the Hub keeps them waiting.
        uploaded_singly=[path for path in files if path.endswith(TENSOR_FILES)],
        branch=BRANCH,
    )
    return commit_change(
        api,
        change,
        purpose=f"send {name} to {repo_id}",
        newest_commit=newest_commit,
        conflict=f"the branch {BRANCH} of {repo_id} was changed by someone else during this push; "
        "nothing was overwritten: see that only one run uses it, and push again",
    )


def _folders_to_delete(present: Iterable[str], name: str) -> list[str]:
    """Return the folders to delete so that `name` is the newest state, with KEPT - 1 before it."""
    present = list(present)
    later = [other for other in present if other > name]
    earlier = sorted((other for other in present if other < name), reverse=True)
    return [f"{other}/" for other in (*later, *earlier[KEPT - 1 :])]


# fetch


class _NotUsable(Exception):
    """A state on the branch cannot be used; the reason, in a few words."""


def _fetch(api: "HfApi", repo_id: str, commit: str, name: str, sizes: Sizes, root: Path) -> bool:
    """Download and check one state, then move it into `root`; False and a warning if it fails."""
    try:
        _check_listing(sizes)
        remove_leftovers(root, STAGING_PREFIX)
        with staging_folder(root, STAGING_PREFIX) as staging:
            for file in STATE_FILES:
                _download(api, repo_id, commit, f"{name}/{file}", staging)
                _check_file(staging / name / file)
            state = _whole_state(staging, _step(name))
            replace_folder(state.folder, root / name, STAGING_PREFIX)  # a damaged one, if any
    except _NotUsable as reason:
        logger.warning("%s on the branch %s of %s is not used: %s", name, BRANCH, repo_id, reason)
        return False
    except OSError as error:
        raise HubError(f"could not put {name} of {repo_id} into {str(root)!r}: {error}") from None
    return True


def _check_listing(sizes: Sizes) -> None:
    """Raise _NotUsable unless all files are listed, and none is larger than a state's can be."""
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
    call_hub(
        f"download {path} of {repo_id} at {commit}",
        lambda: api.hf_hub_download(
            repo_id, path, revision=commit, local_dir=staging, cache_dir=cache_folder()
        ),
        PUSH_ATTEMPTS,
    )


def _check_file(path: Path) -> None:
    """Raise _NotUsable for JSON that is not an object, or a manifest that names other files.

    The files that a manifest names are opened and hashed, so it may only name a state's own.
    """
    if path.suffix != ".json":
        return
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise _NotUsable(f"{path.name} is torn") from None
    if not isinstance(content, dict):
        raise _NotUsable(f"{path.name} is not an object")
    if path.name == MANIFEST and content.keys() != {RUN, *TENSOR_FILES}:
        raise _NotUsable(f"{path.name} is not about {', '.join((RUN, *TENSOR_FILES))}")


def _whole_state(staging: Path, step: int) -> "TrainingState":
    """Return the state below `staging`. Raises _NotUsable if its hashes or its step are wrong."""
    from mlm.checkpoint.run_state import newest_state

    state = newest_state(staging)
    if state is None:
        raise _NotUsable("its files are not those of its manifest")
    if state.run.get("step") != step:
        raise _NotUsable(f"it says that it is of step {state.run.get('step')!r:.100}")
    return state
