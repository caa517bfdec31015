"""Make a Space of the page, or bring one up to date: its settings, then its files in one commit.

    model = space_model("me/imdb_bert_uncased")
    files = lay_out(folder, [model], "cpu-basic")
    deploy_space("me/my-playground", files, SpaceSettings({"MLM_MODEL": model.name}))

The settings go first, so that the one build which the commit begins has them. Not imported by
mlm.hub: the page itself never needs it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlm.checkpoint.file_limits import LARGEST_SMALL_FILE
from mlm.errors import HubError
from mlm.hub.connection import checked_id, checked_revision, endpoint, hub_api, retrying
from mlm.hub.inspection import fetch_all_but_weights
from mlm.hub.pull import PULL_ATTEMPTS, named_revision
from mlm.hub.push import PUSH_ATTEMPTS, Published, check_push, differences
from mlm.hub.snapshot import look_up
from mlm.hub.space.files import DEMO, SpaceModel
from mlm.hub.space.settings import SpaceSettings, check_apart

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import SpaceInfo

OURS = "mlm/playground/page.py"  # what tells a Space of this page from any other
FRESH = {".gitattributes", "README.md"}  # what the Hub puts into a new one
TOKEN = "HF_TOKEN"
ON_THE_WAY = {"BUILDING", "APP_STARTING", "RUNNING_BUILDING", "RUNNING_APP_STARTING"}
WAIT_MINUTES = 30.0  # after which the Hub itself gives a start up
PAUSE = 5.0  # seconds


def space_models(names: str) -> list[SpaceModel]:
    """What MLM_MODEL would name, pinned; see space_model."""
    each = [name.strip() for name in names.split(",") if name.strip()]
    return [space_model(name) for name in each or [DEMO]]


def space_model(name: str) -> SpaceModel:
    """A checkpoint on the Hub, at the commit that it has now, looked at as far as a pull does
    before it fetches weights; or the bundled one.

    Args:
        name: "demo", owner/name or owner/name@revision.

    Raises:
        HubError: a folder, or no such checkpoint, or the Hub cannot be reached.
        CheckpointError: the page could not load it.
    """
    if name == DEMO:
        return SpaceModel(DEMO)
    if Path(name).expanduser().is_dir():
        raise HubError(
            f"{name} is a folder, and a Space pulls from the Hub: publish it with "
            "scripts/push.py and give its id"
        )
    repo_id, revision = named_revision(name, None)
    snapshot = look_up(checked_id(repo_id), checked_revision(revision), PULL_ATTEMPTS)
    weights = fetch_all_but_weights(snapshot)
    small = [name for name in snapshot.files if name in LARGEST_SMALL_FILE]
    files = (*small, *weights) if _anyone_may_read(snapshot.repo_id) else ()
    return SpaceModel(snapshot.repo_id, snapshot.commit, files)


def _anyone_may_read(repo_id: str) -> bool:
    info = retrying(f"read {repo_id}", lambda: hub_api().model_info(repo_id), PULL_ATTEMPTS)
    return not info.private and not info.gated


def check_settings(settings: SpaceSettings, models: Sequence[SpaceModel]) -> None:
    """Find out before anything is sent what of the settings cannot work.

    Raises:
        ConfigError: a name is both a variable's and a secret's.
        HubError: the Space would have no token for a model that not everybody may read, or the one
            that may write to the account.
    """
    from huggingface_hub import get_token

    check_apart(settings)
    mine = [name for name, value in settings.secrets.items() if value == get_token()]
    if mine:
        raise HubError(
            f"the secret {mine[0]} would be the token that writes to your account: put one that "
            f"may only read into SPACE_{mine[0]}"
        )
    closed = [model.repo_id for model in models if model.commit and not model.files]
    if closed and TOKEN not in settings.secrets:
        raise HubError(
            f"{closed[0]} is private or gated, so the Space needs a token that may read it: "
            f"set SPACE_{TOKEN} and say --secret {TOKEN}"
        )


def deploy_space(repo_id: str, files: Mapping[str, Path], settings: SpaceSettings) -> Published:
    """Create or update a Space, and look whether the Hub has its files as they are here.

    Files below mlm/ that an earlier deployment sent and this one does not have are removed in the
    same commit; other files, variables and secrets that the Space has are left alone.

    Args:
        repo_id: owner/name.
        files: path in the Space -> path here.

    Raises:
        HubError: the Hub said no, could not be reached, or the Space was changed meanwhile; it is
            a Space of something else, or a public one where a private one is wanted.
    """
    if "/" not in checked_id(repo_id):
        raise HubError(f"{repo_id!r} does not say whose Space it is: give owner/name")
    check_push(repo_id)
    api = hub_api()
    head = _created(api, repo_id, settings)
    _check_ours(head, settings)
    _set(api, repo_id, settings)
    commit = _commit(api, head, dict(files))
    wrong = differences(api, repo_id, commit, dict(files), repo_type="space")
    if wrong:
        raise HubError(f"{repo_id} at {commit} has {', '.join(wrong)} not as here: deploy again")
    return Published(repo_id, commit, f"{endpoint()}/spaces/{repo_id}")


def wait_until_running(space: Published, minutes: float = WAIT_MINUTES) -> None:
    """Stay while a Space is built and started at the commit that was published.

    Raises:
        HubError: it ended in another way, or is not there after so many minutes.
    """
    api, deadline = hub_api(), time.monotonic() + 60 * minutes
    what, logs = f"ask how {space.repo_id} is", f"its log: {space.url}?logs=build"
    while True:
        now = retrying(what, lambda: api.get_space_runtime(space.repo_id), PUSH_ATTEMPTS)
        is_new = now.raw.get("sha") in (None, space.commit)
        if now.stage == "RUNNING" and is_new:
            return
        if now.stage not in ON_THE_WAY and is_new:
            raise HubError(f"{space.repo_id} does not run but is {now.stage}; {logs}")
        if time.monotonic() > deadline:
            raise HubError(
                f"{space.repo_id} is still {now.stage} after {minutes:g} minutes; {logs}"
            )
        time.sleep(PAUSE)


# the Space and its settings


def _created(api: "HfApi", repo_id: str, settings: SpaceSettings) -> "SpaceInfo":
    """The Space as it is now, made if need be, then on the hardware that is wanted."""
    what = f"look for the Space {repo_id}"
    if not retrying(what, lambda: api.repo_exists(repo_id, repo_type="space"), PUSH_ATTEMPTS):
        retrying(
            f"create the Space {repo_id}",
            lambda: api.create_repo(
                repo_id,
                repo_type="space",
                space_sdk="gradio",
                space_hardware=settings.hardware,  # type: ignore[arg-type]
                private=settings.private or None,
                exist_ok=True,
            ),
            PUSH_ATTEMPTS,
        )
    return _head(api, repo_id)


def _head(api: "HfApi", repo_id: str) -> "SpaceInfo":
    return retrying(f"read {repo_id}", lambda: api.space_info(repo_id), PUSH_ATTEMPTS)


def _check_ours(head: "SpaceInfo", settings: SpaceSettings) -> None:
    """HubError if the Space is somebody's work, or open where it is to be closed."""
    names = _names(head)
    if OURS not in names and names - FRESH:
        raise HubError(
            f"{head.id} is a Space of something else (it has {min(names - FRESH)}): "
            "give another name, or delete it on its page"
        )
    if settings.private and head.private is False:
        raise HubError(
            f"{head.id} exists and is public: make it private on its page, or deploy openly"
        )


def _set(api: "HfApi", repo_id: str, settings: SpaceSettings) -> None:
    """Bring variables, secrets and hardware to what they are to be; each change is a restart."""
    there = retrying(
        f"read the variables of {repo_id}", lambda: api.get_space_variables(repo_id), PUSH_ATTEMPTS
    )
    for name, value in settings.variables.items():
        if name not in there or there[name].value != value:
            _set_one(api.add_space_variable, repo_id, name, value)
    for name, value in settings.secrets.items():  # nobody can read what they are
        _set_one(api.add_space_secret, repo_id, name, value)
    if settings.hardware:
        _set_hardware(api, repo_id, settings.hardware)


def _set_one(call: Callable[..., object], repo_id: str, name: str, value: str) -> None:
    try:
        retrying(f"set {name} of {repo_id}", lambda: call(repo_id, name, value), PUSH_ATTEMPTS)
    except HubError as error:  # whose text is the Hub's in part, which may quote what it was sent
        raise type(error)(str(error).replace(value, "***")) from None


def _set_hardware(api: "HfApi", repo_id: str, hardware: str) -> None:
    runtime = retrying(
        f"ask what {repo_id} runs on", lambda: api.get_space_runtime(repo_id), PUSH_ATTEMPTS
    )
    if hardware not in (runtime.requested_hardware, runtime.hardware):
        retrying(
            f"move {repo_id} to {hardware}",
            lambda: api.request_space_hardware(repo_id, hardware),  # type: ignore[arg-type]
            PUSH_ATTEMPTS,
        )


# the files


def _names(head: "SpaceInfo") -> set[str]:
    return {file.rfilename for file in head.siblings or []}


def _commit(api: "HfApi", head: "SpaceInfo", files: dict[str, Path]) -> str:
    """Commit all files at once on top of `head`; the new commit's id."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    stale = [name for name in _names(head) if name.startswith("mlm/") and name not in files]
    operations: list[CommitOperationAdd | CommitOperationDelete] = [
        *(CommitOperationAdd(name, path) for name, path in files.items()),
        *(CommitOperationDelete(name, is_folder=False) for name in sorted(stale)),
    ]

    def attempt() -> str:
        try:
            return api.create_commit(
                head.id,
                operations,
                commit_message=f"The page, {len(files)} files",
                repo_type="space",
                parent_commit=head.sha,
            ).oid
        except Exception:
            if taken := _commit_since(api, head, files):
                return taken  # it arrived; only the answer was lost
            raise

    return retrying(f"commit to {head.id}", attempt, PUSH_ATTEMPTS)


def _commit_since(api: "HfApi", before: "SpaceInfo", files: dict[str, Path]) -> str | None:
    """The head, if it is our commit; None if nothing was committed. Raises HubError otherwise."""
    head = _head(api, before.id)
    if head.sha == before.sha:
        return None
    if differences(api, before.id, str(head.sha), files, repo_type="space"):
        raise HubError(
            f"{before.id} was changed by someone else during this deployment; nothing was "
            "overwritten: look at it, and deploy again"
        )
    return str(head.sha)
