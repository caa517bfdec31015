"""Every request of checking, publishing and pulling fails once in every way, and all succeed.

The requests are counted on a run without faults, so that none is forgotten.
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mlm.hub import (
    check_push,
    delete_states,
    fetch_checkpoint,
    fetch_newest_state,
    push_checkpoint,
    push_state,
)
from mlm.hub.local import Fault
from mlm.hub.training_branch import BRANCH
from tests.hub.test_hub import make_checkpoint
from tests.support.served_hub import TOKEN, api, contents, served_hub, write_state
from tests.support.sweeps import sweep

# huggingface_hub itself uploads large files in a way that its HTTP client calls deprecated
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload:DeprecationWarning")

FAULTS = {
    "408": Fault(408),
    "429": Fault(429, {"Retry-After": "3"}),
    "500": Fault(500),
    "502": Fault(502),
    "503": Fault(503),
    "504": Fault(504),
    "connection dropped": Fault(None),
    "answer lost": Fault(None, after=True),
    "answer cut": Fault(None, after=True, sent=0.6),
    "done, but 500": Fault(500, after=True),
    "done, but 504": Fault(504, after=True),
}


class FaultAt:
    """A fault for the request of one number; records all requests."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.position, self.fault = -1, Fault(500)

    def start(self, position: int = -1, fault: Fault | None = None) -> None:
        self.requests, self.position = [], position
        self.fault = fault or self.fault

    def __call__(self, method: str, path: str) -> Fault | None:
        self.requests.append(f"{method} {path}")
        return self.fault if len(self.requests) == self.position + 1 else None


class Folders:
    """Checkpoints with different weights, so that all are uploaded; and empty caches."""

    def __init__(self, root: Path) -> None:
        self._root, self._count = root, 0

    def new_checkpoint(self) -> Path:
        self._count += 1
        return make_checkpoint(self._root / f"run-{self._count}", seed=self._count)

    def new_state(self) -> Path:
        self._count += 1
        return write_state(self._root / f"states-{self._count}", step=12, seed=self._count)

    def empty_folder(self) -> Path:
        self._count += 1
        return self._root / f"empty-{self._count}"


@pytest.fixture
def faults() -> FaultAt:
    return FaultAt()


@pytest.fixture
def folders(tmp_path, monkeypatch, faults):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with served_hub(tmp_path, monkeypatch, faults):
        yield Folders(tmp_path)


Job = tuple[Callable[[], object], Callable[[], object]]  # the work, and the check afterwards


def checking(folders: Folders, repo: str) -> Job:
    push_checkpoint(folders.new_checkpoint(), repo, private=True)
    return lambda: check_push(repo, private=True, tag="v2"), lambda: None


def publishing(folders: Folders, repo: str) -> Job:
    folder = folders.new_checkpoint()

    def look() -> None:
        assert titles(repo) == ["one", "initial commit"]
        assert tags(repo) == {"v1": api().model_info(repo).sha}

    return lambda: push_checkpoint(folder, repo, commit_message="one", tag="v1"), look


def publishing_again(folders: Folders, repo: str) -> Job:
    before = push_checkpoint(folders.new_checkpoint(), repo, commit_message="one", tag="v1").commit
    folder = folders.new_checkpoint()

    def look() -> None:
        head = api().model_info(repo).sha
        assert titles(repo) == ["two", "one", "initial commit"]
        assert tags(repo) == {"v1": before, "v2": head}
        assert fetch_checkpoint(repo).commit == head

    return lambda: push_checkpoint(folder, repo, commit_message="two", tag="v2"), look


def pulling(folders: Folders, repo: str) -> Job:
    folder = folders.new_checkpoint()
    push_checkpoint(folder, repo)
    os.environ["HF_HUB_CACHE"] = str(folders.empty_folder())  # monkeypatch puts it back
    pulled: list[Path] = []

    def look() -> None:
        assert contents(pulled[0]) == contents(folder)

    return lambda: pulled.append(fetch_checkpoint(repo).folder), look


def sending_a_state(folders: Folders, repo: str) -> Job:
    state = folders.new_state()

    def look() -> None:
        assert len(titles(repo, BRANCH)) == 2
        assert titles(repo) == ["initial commit"]
        there = folders.empty_folder()
        assert fetch_newest_state(repo, there)
        assert contents(there / state.name) == contents(state)

    return lambda: push_state(state, repo, private=True), look


def going_on_from_a_state(folders: Folders, repo: str) -> Job:
    state, there = folders.new_state(), folders.empty_folder()
    push_state(state, repo)

    def look() -> None:
        assert contents(there / state.name) == contents(state)

    return lambda: fetch_newest_state(repo, there), look


def clearing_up(folders: Folders, repo: str) -> Job:
    push_state(folders.new_state(), repo)

    def look() -> None:
        assert [branch.name for branch in api().list_repo_refs(repo).branches] == ["main"]

    return lambda: delete_states(repo), look


def titles(repo: str, revision: str = "main") -> list[str]:
    return [commit.title for commit in api().list_repo_commits(repo, revision=revision)]


def tags(repo: str) -> dict[str, str]:
    return {tag.name: tag.target_commit for tag in api().list_repo_refs(repo).tags}


JOBS = {  # the work -> the least number of its requests
    checking: 3,
    publishing: 12,
    publishing_again: 11,
    pulling: 15,
    sending_a_state: 16,
    going_on_from_a_state: 9,
    clearing_up: 1,
}


IN_TURN = "another for each request"


@pytest.mark.parametrize("fault", sweep([IN_TURN, *FAULTS], quick=[IN_TURN]))
@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.__name__)
def test_whatever_goes_wrong_once_is_mended(folders, faults, job, fault, caplog):
    do, look = job(folders, "me/whole")
    faults.start()
    do()
    requests = list(faults.requests)
    assert len(requests) >= JOBS[job], requests
    kinds = [*FAULTS.values()] if fault == IN_TURN else [FAULTS[fault]]
    for position, request in enumerate(requests):
        do, look = job(folders, f"me/broken-{position}")
        faults.start(position, kinds[position % len(kinds)])
        with caplog.at_level(logging.DEBUG):
            do()
        assert len(faults.requests) > position, request
        faults.start()
        look()
    assert TOKEN not in caplog.text
