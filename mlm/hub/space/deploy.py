"""Create or update a Space of the page: its settings, then its files in one commit.

    model = space_model("me/imdb_bert_uncased")
    files = lay_out(folder, [model], "cpu-basic")
    deploy_space("me/my-playground", files, SpaceSettings({"MLM_MODEL": model.name}))

The settings go first, so that the build which the commit starts has them. mlm.hub does not import
this module: the page never needs it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlm.checkpoint.file_limits import LARGEST_SMALL_FILE
from mlm.errors import HubError
from mlm.hub.commit import PUSH_ATTEMPTS, Change, check_arrived, commit_change
from mlm.hub.connection import call_hub, checked_id, checked_revision, endpoint, hub_api
from mlm.hub.inspection import fetch_all_but_weights
from mlm.hub.pull import DEMO, PULL_ATTEMPTS, named_revision
from mlm.hub.push import Published, check_account
from mlm.hub.repository import refuse_public
from mlm.hub.snapshot import look_up
from mlm.hub.space.files import SpaceModel
from mlm.hub.space.settings import SpaceSettings, check_apart

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import SpaceInfo

OURS = "mlm/playground/page.py"  # a Space without this file is not one of the page
FRESH = {".gitattributes", "README.md"}  # files that the Hub puts into a new Space
TOKEN = "HF_TOKEN"
STARTING = {"BUILDING", "APP_STARTING", "RUNNING_BUILDING", "RUNNING_APP_STARTING"}
WAIT_MINUTES = 30.0  # after which the Hub itself ends a start
PAUSE = 5.0  # seconds


def space_models(names: str) -> list[SpaceModel]:
    """Return the models of MLM_MODEL's value, each pinned to a commit; see space_model."""
    each = [name.strip() for name in names.split(",") if name.strip()]
    return [space_model(name) for name in each or [DEMO]]


def space_model(name: str) -> SpaceModel:
    """Return the bundled checkpoint, or one on the Hub, pinned to its commit now.

    One on the Hub is checked as far as a pull checks it before it fetches weights.

    Args:
        name: "demo", owner/name or owner/name@revision.

    Raises:
        HubError: a folder, a checkpoint that does not exist, or the Hub cannot be reached.
        CheckpointError: the page could not load it.
    """
    if name == DEMO:
        return SpaceModel(DEMO)
    if Path(name).expanduser().is_dir():
        raise HubError(
            f"{name} is a folder, and a Space pulls from the Hub: publish it with "
            "`mlm push` and give its id"
        )
    repo_id, revision = named_revision(name, None)
    snapshot = look_up(checked_id(repo_id), checked_revision(revision), PULL_ATTEMPTS)
    weights = fetch_all_but_weights(snapshot)
    small = [name for name in snapshot.files if name in LARGEST_SMALL_FILE]
    files = (*small, *weights) if _anyone_may_read(snapshot.repo_id) else ()
    return SpaceModel(snapshot.repo_id, snapshot.commit, files)


def _anyone_may_read(repo_id: str) -> bool:
    info = call_hub(f"read {repo_id}", lambda: hub_api().model_info(repo_id), PULL_ATTEMPTS)
    return not info.private and not info.gated


def check_settings(settings: SpaceSettings, models: Sequence[SpaceModel]) -> None:
    """Check the settings before anything is sent.

    Raises:
        ConfigError: a name is both a variable's and a secret's.
        HubError: the Space would have no token for a private or gated model, or would have the
            token that writes to the account.
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
    """Create or update a Space, and check that the Hub has its files.

    Files below mlm/ that an earlier deployment sent and this one does not have are deleted in the
    same commit; other files, variables and secrets of the Space are kept.

    Args:
        repo_id: owner/name.
        files: path in the Space -> path here.
        settings: variables and secrets to set; hardware and visibility.

    Raises:
        HubError: the Hub refused, could not be reached, or the Space was changed meanwhile; it is
            a Space of something else, or a public one where a private one is wanted.
    """
    if "/" not in checked_id(repo_id):
        raise HubError(f"{repo_id!r} does not say whose Space it is: give owner/name")
    check_account(repo_id)
    api = hub_api()
    head = _create_or_read(api, repo_id, settings)
    _check_ours(head, settings)
    _apply(settings, api, repo_id)
    commit = _commit(api, head, files)
    check_arrived(api, repo_id, commit, files, repo_type="space", advice="deploy again")
    return Published(repo_id, commit, f"{endpoint()}/spaces/{repo_id}")


def wait_until_running(space: Published, minutes: float = WAIT_MINUTES) -> None:
    """Wait until a Space runs at the commit that was published.

    Raises:
        HubError: it stopped at another stage, or does not run after so many minutes.
    """
    api, deadline = hub_api(), time.monotonic() + 60 * minutes
    purpose, logs = f"ask how {space.repo_id} is", f"its log: {space.url}?logs=build"
    while True:
        now = call_hub(purpose, lambda: api.get_space_runtime(space.repo_id), PUSH_ATTEMPTS)
        is_new = now.raw.get("sha") in (None, space.commit)
        if now.stage == "RUNNING" and is_new:
            return
        if now.stage not in STARTING and is_new:
            raise HubError(f"{space.repo_id} does not run but is {now.stage}; {logs}")
        if time.monotonic() > deadline:
            raise HubError(
                f"{space.repo_id} is still {now.stage} after {minutes:g} minutes; {logs}"
            )
        time.sleep(PAUSE)


# the Space and its settings


def _create_or_read(api: "HfApi", repo_id: str, settings: SpaceSettings) -> "SpaceInfo":
    """Return the Space as it is now; a new one is created on the hardware of the settings."""
    purpose = f"look for the Space {repo_id}"
    if not call_hub(purpose, lambda: api.repo_exists(repo_id, repo_type="space"), PUSH_ATTEMPTS):
        call_hub(
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
    return call_hub(f"read {repo_id}", lambda: api.space_info(repo_id), PUSH_ATTEMPTS)


def _check_ours(head: "SpaceInfo", settings: SpaceSettings) -> None:
    """Raise HubError for a Space of something else, or a public one that has to be private."""
    names = _file_names(head)
    if OURS not in names and names - FRESH:
        raise HubError(
            f"{head.id} is a Space of something else (it has {min(names - FRESH)}): "
            "give another name, or delete it on its page"
        )
    if settings.private:
        refuse_public(head.id, head, "deploy openly")


def _apply(settings: SpaceSettings, api: "HfApi", repo_id: str) -> None:
    """Set variables, secrets and hardware; what has its value already is not set again.

    Each change restarts the Space. A secret's value cannot be read, so all are set.
    """
    present = call_hub(
        f"read the variables of {repo_id}", lambda: api.get_space_variables(repo_id), PUSH_ATTEMPTS
    )
    for name, value in settings.variables.items():
        if name not in present or present[name].value != value:
            _set_value(api.add_space_variable, repo_id, name, value)
    for name, value in settings.secrets.items():
        _set_value(api.add_space_secret, repo_id, name, value)
    if settings.hardware:
        _set_hardware(api, repo_id, settings.hardware)


def _set_value(call: Callable[..., object], repo_id: str, name: str, value: str) -> None:
    try:
        call_hub(f"set {name} of {repo_id}", lambda: call(repo_id, name, value), PUSH_ATTEMPTS)
    except HubError as error:  # it may quote the Hub's answer, and that the value
        raise type(error)(str(error).replace(value, "***")) from None


def _set_hardware(api: "HfApi", repo_id: str, hardware: str) -> None:
    runtime = call_hub(
        f"ask what {repo_id} runs on", lambda: api.get_space_runtime(repo_id), PUSH_ATTEMPTS
    )
    if hardware not in (runtime.requested_hardware, runtime.hardware):
        call_hub(
            f"move {repo_id} to {hardware}",
            lambda: api.request_space_hardware(repo_id, hardware),  # type: ignore[arg-type]
            PUSH_ATTEMPTS,
        )


# the files


def _file_names(head: "SpaceInfo") -> set[str]:
    return {file.rfilename for file in head.siblings or []}


def _commit(api: "HfApi", head: "SpaceInfo", files: Mapping[str, Path]) -> str:
    """Commit all files at once on top of `head`; return the new commit's id."""
    stale = (name for name in _file_names(head) if name.startswith("mlm/") and name not in files)
    title = f"The page, {len(files)} files"
    return commit_change(
        api,
        Change(head.id, head.sha, title, files, sorted(stale), repo_type="space"),
        purpose=f"commit to {head.id}",
        newest_commit=lambda: _head(api, head.id).sha,
        conflict=f"{head.id} was changed by someone else during this deployment; nothing was "
        "overwritten: look at it, and deploy again",
    )
