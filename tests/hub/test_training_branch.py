"""Tests of the branch with a run's states, on a local Hub, with the real client over HTTP."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mlm.checkpoint.run_state import newest_state
from mlm.errors import CheckpointError, HubError
from mlm.hub import HubUnreachableError
from mlm.hub.local import Fault
from mlm.hub.local.store import Change, RepoStore, large_file
from mlm.hub.training_branch import (
    BRANCH,
    delete_states,
    fetch_newest_state,
    newest_step,
    push_state,
)
from tests.support.served_hub import (
    READ_TOKEN,
    REPO,
    TOKEN,
    Plan,
    api,
    contents,
    served_hub,
    write_manifest,
)
from tests.support.served_hub import write_state as state_under

pytestmark = pytest.mark.kaggle

# every request of a first push, as (method, address)
CALLS_OF_A_PUSH = [
    ("GET", f"/api/models/{REPO}/revision/{BRANCH}"),
    ("POST", "/api/repos/create"),
    ("POST", f"/api/models/{REPO}/branch/{BRANCH}"),
    ("POST", f"/api/models/{REPO}/preupload/{BRANCH}"),
    ("POST", f"/{REPO}.git/info/lfs/objects/batch"),
    ("PUT", "/lfs/[0-9a-f]+"),
    ("POST", "/lfs/[0-9a-f]+/verify"),
    ("POST", f"/api/models/{REPO}/commit/{BRANCH}"),
    ("POST", f"/api/models/{REPO}/paths-info/.*"),
]
LOOK_UP, CREATE, MAKE_BRANCH, _, _, PUT, _, COMMIT, CHECK = CALLS_OF_A_PUSH
DOWNLOAD = ("GET", f"/{REPO}/resolve/.*")
DELETE = ("DELETE", f"/api/models/{REPO}/branch/{BRANCH}")
FILES = {"manifest.json", "model.safetensors", "optimizer.safetensors", "run.json"}


@pytest.fixture
def plan() -> Plan:
    return Plan()


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch, plan):
    with served_hub(tmp_path, monkeypatch, plan) as local:
        yield local


@pytest.fixture
def naps(monkeypatch) -> list[float]:
    """Pauses between attempts in seconds, recorded instead of waited for."""
    taken: list[float] = []
    monkeypatch.setattr("time.sleep", taken.append)
    return taken


@pytest.fixture
def here(tmp_path) -> Path:
    """The folder of the first machine's states."""
    return tmp_path / "here"


@pytest.fixture
def there(tmp_path) -> Path:
    """The folder of the next machine's states, which does not exist yet."""
    return tmp_path / "there" / "state"


def files_on(revision: str = BRANCH) -> set[str]:
    return {file.rfilename for file in api().model_info(REPO, revision=revision).siblings}


def folders_on_branch() -> set[str]:
    return {name.split("/")[0] for name in files_on() if "/" in name}


def history(revision: str = BRANCH) -> list[str]:
    return [commit.title for commit in api().list_repo_commits(REPO, revision=revision)]


def commit_to_branch(hub_folder: Path, added: dict[str, bytes], branch: str = BRANCH) -> None:
    """Commit files that no client and no server has checked, as anybody may have done."""
    store = RepoStore(hub_folder)
    entries = {name: store.small_file(content) for name, content in added.items()}
    store.commit("models", REPO, branch, Change("theirs", "", "you", entries))


# round trip


def test_what_is_pushed_is_what_the_next_machine_has(here, there):
    folder = state_under(here, 12)
    push_state(folder, REPO)
    assert fetch_newest_state(REPO, there)
    assert contents(there / "step-00000012") == contents(folder)
    assert newest_state(there).step == 12
    assert [path.name for path in there.iterdir()] == ["step-00000012"]


def test_the_best_state_stays_beside_the_newest_two(here, there):
    best = state_under(here, 1)
    for step in (2, 3, 4):
        push_state(state_under(here, step), REPO, best=best)
    assert folders_on_branch() == {"step-00000001", "step-00000003", "step-00000004"}
    assert len(history()) == 1 + 3  # the best was sent once
    push_state(state_under(here, 5), REPO)
    assert folders_on_branch() == {"step-00000004", "step-00000005"}


def test_one_commit_a_state_and_the_newest_two_stay(here):
    commits = [push_state(state_under(here, step), REPO) for step in (1, 2, 3, 4)]
    titles = [f"State of step {step}" for step in (4, 3, 2, 1)]
    assert history() == [*titles, "initial commit"]
    assert folders_on_branch() == {"step-00000003", "step-00000004"}
    assert api().model_info(REPO, revision=BRANCH).sha == commits[-1]


def test_the_step_of_the_newest_state_is_known_without_fetching_it(here, plan):
    assert newest_step(REPO) is None
    for step in (3, 12):
        push_state(state_under(here, step), REPO)
    plan.requests.clear()
    assert newest_step(REPO) == 12
    assert plan.count(DOWNLOAD) == 0


def test_main_and_other_files_are_left_alone(here, tmp_path):
    api().create_repo(REPO)
    api().upload_file(path_or_fileobj=b"x", path_in_repo="curve.txt", repo_id=REPO)
    main = api().model_info(REPO).sha
    for step in (1, 2, 3):
        push_state(state_under(here, step), REPO)
    assert api().model_info(REPO).sha == main
    assert files_on("main") == {".gitattributes", "curve.txt"}
    assert {name for name in files_on() if "/" not in name} == {".gitattributes", "curve.txt"}


def test_what_is_there_already_is_not_sent_again(here, plan):
    folder = state_under(here, 5)
    first = push_state(folder, REPO)
    plan.requests.clear()
    assert push_state(folder, REPO) == first
    assert (plan.count(COMMIT), plan.count(PUT)) == (0, 0)


def test_another_run_at_the_same_step_takes_its_place(here, there, tmp_path):
    push_state(state_under(here, 5), REPO)
    folder = state_under(tmp_path / "again", 5, seed=1)
    push_state(folder, REPO)
    assert fetch_newest_state(REPO, there)
    assert contents(there / "step-00000005") == contents(folder)


def test_states_that_this_run_has_not_come_to_go(here, tmp_path):
    push_state(state_under(here, 900), REPO)
    push_state(state_under(tmp_path / "again", 5), REPO)
    assert folders_on_branch() == {"step-00000005"}


def test_a_name_without_owner_is_the_accounts(here, there):
    push_state(state_under(here, 1), "reviews")
    assert history()[0] == "State of step 1"
    assert fetch_newest_state("reviews", there)


def test_private_if_asked_for(here, tmp_path):
    push_state(state_under(here, 1), REPO, private=True)
    assert api().model_info(REPO).private
    api().create_repo("me/open")
    with pytest.raises(HubError, match="me/open exists and is public"):
        push_state(here / "step-00000001", "me/open", private=True)


def test_a_hub_that_creates_nothing_more_does_not_stop_a_push_to_what_is_there(here, plan):
    api().create_repo(REPO)
    plan.add(CREATE, Fault(429), times=100)
    push_state(state_under(here, 1), REPO)
    assert folders_on_branch() == {"step-00000001"}


def test_no_branch_is_made_in_a_repository_that_is_public_but_has_to_be_private(here, plan):
    api().create_repo(REPO)
    with pytest.raises(HubError, match=f"{REPO} exists and is public"):
        push_state(state_under(here, 1), REPO, private=True)
    assert plan.count(MAKE_BRANCH) == 0


@pytest.mark.parametrize("spoil", [lambda f: (f / "run.json").unlink(), lambda f: f.rename("best")])
def test_what_is_no_state_is_not_pushed(here, plan, monkeypatch, spoil):
    folder = state_under(here, 1)
    monkeypatch.chdir(here)
    spoil(folder)
    left = next(here.iterdir())
    with pytest.raises(CheckpointError, match="is not a training state: expected a folder step-"):
        push_state(left, REPO)
    assert plan.requests == []


# faults of a push


@pytest.mark.parametrize("call", CALLS_OF_A_PUSH)
@pytest.mark.parametrize("status", [429, 500, 503, None])
def test_each_call_of_a_push_is_tried_again(here, there, plan, naps, call, status):
    folder = state_under(here, 7)
    plan.add(call, Fault(status))
    push_state(folder, REPO)
    assert plan.count(call) >= 1
    assert naps
    assert history() == ["State of step 7", "initial commit"]
    assert fetch_newest_state(REPO, there)
    assert contents(there / folder.name) == contents(folder)


@pytest.mark.parametrize("call", [CREATE, MAKE_BRANCH, PUT, COMMIT])
@pytest.mark.parametrize("status", [500, None])
def test_a_call_whose_answer_is_lost_was_heard_all_the_same(here, plan, naps, call, status):
    plan.add(call, Fault(status, after=True))
    commit = push_state(state_under(here, 7), REPO)
    assert history() == ["State of step 7", "initial commit"]
    assert api().model_info(REPO, revision=BRANCH).sha == commit
    assert plan.count(COMMIT) == 1


@pytest.mark.parametrize("call", [LOOK_UP, CREATE, MAKE_BRANCH, PUT, COMMIT, CHECK])
def test_a_hub_that_stays_away_is_named(here, plan, naps, call):
    plan.add(call, Fault(503), times=1000)
    with pytest.raises(HubUnreachableError, match=r"could not .* answered 503$"):
        push_state(state_under(here, 7), REPO)
    assert len(naps) >= 5  # more where the client also tries by itself


@pytest.mark.parametrize("call", CALLS_OF_A_PUSH)
@pytest.mark.parametrize(("status", "said"), [(401, "HF_TOKEN"), (403, "does not permit it")])
def test_what_is_not_permitted_is_not_tried_again(here, plan, naps, caplog, call, status, said):
    plan.add(call, Fault(status, {"X-Error-Message": f"Bearer {TOKEN}"}), times=1000)
    with caplog.at_level(logging.DEBUG), pytest.raises(HubError, match=said) as caught:
        push_state(state_under(here, 7), REPO)
    assert naps == []
    assert "\n" not in str(caught.value)
    lines = [record.getMessage() for record in caplog.records if "httpcore" not in record.name]
    assert TOKEN not in "".join([*lines, str(caught.value)])


@pytest.mark.parametrize(("token", "said"), [(READ_TOKEN, "does not permit"), ("", "no token")])
def test_rights(here, monkeypatch, token, said):
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(HubError, match=said):
        push_state(state_under(here, 7), REPO)


def test_somebody_elses_commit_is_not_overwritten(here, tmp_path, plan):
    push_state(state_under(here, 1), REPO)
    plan.add(COMMIT, None, do=lambda: commit_to_branch(tmp_path / "hub", {"notes": b"mine"}))
    second = state_under(here, 2)
    with pytest.raises(HubError, match="changed by someone else during this push"):
        push_state(second, REPO)
    assert history() == ["theirs", "State of step 1", "initial commit"]
    push_state(second, REPO)
    assert {"notes", "step-00000002/run.json"} <= files_on()


def test_a_file_that_arrived_otherwise_is_noticed(here, tmp_path, plan):
    def spoil() -> None:
        for path in (tmp_path / "hub" / "models" / REPO / "commits").iterdir():
            commit = json.loads(path.read_text())
            for name, entry in commit["files"].items():
                entry["size"] += name.endswith("run.json")
            path.write_text(json.dumps(commit))

    plan.add(CHECK, None)  # the check which files the branch has already
    plan.add(CHECK, None, do=spoil)
    with pytest.raises(HubError, match=r"has step-00000001/run\.json not as here"):
        push_state(state_under(here, 1), REPO)


# a push that is killed

PUSH = "import sys, pathlib; from mlm.hub.training_branch import push_state as push; "
PUSH += "push(pathlib.Path(sys.argv[1]), sys.argv[2])"


@pytest.mark.parametrize("call", [PUT, COMMIT, CHECK], ids=["upload", "commit", "check"])
def test_the_branch_is_usable_after_a_push_that_was_killed(here, there, plan, tmp_path, call):
    push_state(state_under(here, 1), REPO)
    second = state_under(here, 2)
    reached, release = threading.Event(), threading.Event()

    def hold() -> None:
        reached.set()
        release.wait()

    if call == CHECK:
        plan.add(CHECK, None)  # the check which files the branch has already
    plan.add(call, None, do=hold)
    child = subprocess.Popen([sys.executable, "-c", PUSH, str(second), REPO])
    try:
        assert reached.wait(60)
        os.kill(child.pid, signal.SIGKILL)
    finally:
        child.wait()
        release.set()
    assert fetch_newest_state(REPO, there)
    found = newest_state(there)
    assert contents(found.folder) == contents(here / found.folder.name)
    push_state(second, REPO)
    assert fetch_newest_state(REPO, tmp_path / "third")
    assert contents(tmp_path / "third" / second.name) == contents(second)
    assert history()[1:] == ["State of step 1", "initial commit"]


# fetch


def test_nothing_there_is_no_error(here, there):
    assert not fetch_newest_state(REPO, there)
    api().create_repo(REPO)
    assert not fetch_newest_state(REPO, there)
    api().create_branch(REPO, branch=BRANCH)
    assert not fetch_newest_state(REPO, there)
    assert not there.exists()


@pytest.mark.parametrize("step", [5, 6])
def test_a_machine_that_is_as_far_fetches_nothing(here, there, plan, step):
    push_state(state_under(here, 5), REPO)
    state_under(there, step, seed=1)
    plan.requests.clear()
    assert not fetch_newest_state(REPO, there)
    assert plan.count(DOWNLOAD) == 0


def test_a_machine_that_is_behind_or_damaged_fetches(here, there):
    folder = state_under(here, 5)
    push_state(folder, REPO)
    state_under(there, 4)
    (state_under(there, 5) / "run.json").write_text("{}")
    assert fetch_newest_state(REPO, there)
    assert contents(there / folder.name) == contents(folder)


def test_all_of_a_state_is_from_one_commit(here, there, plan):
    for step in (1, 2):
        push_state(state_under(here, step), REPO)
    third, fourth = state_under(here, 3), state_under(here, 4)
    plan.add(DOWNLOAD, None, do=lambda: (push_state(third, REPO), push_state(fourth, REPO)))
    assert fetch_newest_state(REPO, there)
    assert contents(there / "step-00000002") == contents(here / "step-00000002")


@pytest.mark.parametrize("call", [LOOK_UP, DOWNLOAD, ("HEAD", f"/{REPO}/resolve/.*")])
@pytest.mark.parametrize("status", [429, 500, 503, None])
def test_each_call_of_a_fetch_is_tried_again(here, there, plan, naps, call, status):
    folder = state_under(here, 5)
    push_state(folder, REPO)
    plan.add(call, Fault(status))
    assert fetch_newest_state(REPO, there)
    assert contents(there / folder.name) == contents(folder)


@pytest.mark.parametrize("call", [LOOK_UP, DOWNLOAD])
@pytest.mark.parametrize(
    ("status", "said"), [(503, "answered 503"), (401, "HF_TOKEN"), (403, "does not permit")]
)
def test_a_hub_that_does_not_tell_is_not_taken_for_empty(
    here, there, plan, naps, call, status, said
):
    push_state(state_under(here, 5), REPO)
    plan.add(call, Fault(status), times=1000)
    with pytest.raises(HubError, match=said):
        fetch_newest_state(REPO, there)
    assert not there.exists() or list(there.iterdir()) == []


def test_a_strangers_look_is_not_taken_for_an_empty_hub(here, there, monkeypatch):
    push_state(state_under(here, 5), REPO, private=True)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(HubError, match="it is private: check the id, run `hf auth login`"):
        fetch_newest_state(REPO, there)


def test_off_line(there, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set, so no state can be fetched"):
        fetch_newest_state(REPO, there)


def test_a_place_that_cannot_be_written(here, there):
    push_state(state_under(here, 5), REPO)
    there.parent.mkdir()
    there.write_text("a file")
    with pytest.raises(HubError, match=r"could not put step-00000005 of me/reviews into"):
        fetch_newest_state(REPO, there)


def test_what_a_killed_fetch_left_is_removed(here, there):
    push_state(state_under(here, 5), REPO)
    (there / ".fetching-old" / "step-00000005").mkdir(parents=True)
    assert fetch_newest_state(REPO, there)
    assert [path.name for path in there.iterdir()] == ["step-00000005"]


# a branch that anybody may have written


def with_file(name: str, content: str):
    """Return a function that replaces a file and puts its hash into the manifest."""

    def spoil(folder: Path) -> None:
        (folder / name).write_text(content)
        write_manifest(folder)

    return spoil


def with_manifest(**changes):
    def spoil(folder: Path) -> None:
        hashes = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps(hashes | changes))

    return spoil


def flip_a_bit(folder: Path) -> None:
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)


SPOILED = {
    "no manifest": (lambda f: (f / "manifest.json").unlink(), "it has no manifest.json"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "it has no model.safetensors"),
    "torn manifest": (
        lambda f: (f / "manifest.json").write_text('{"run.json": "'),
        "manifest.json is torn",
    ),
    "binary manifest": (
        lambda f: (f / "manifest.json").write_bytes(b"\xff\xfe\x00"),
        "manifest.json is torn",
    ),
    "deep manifest": (
        lambda f: (f / "manifest.json").write_text("[" * 200_000),
        "manifest.json is torn",
    ),
    "manifest of lists": (lambda f: (f / "manifest.json").write_text("[]"), "is not an object"),
    "empty manifest": (lambda f: (f / "manifest.json").write_text("{}"), "is not about run.json"),
    "device": (with_manifest(**{"/dev/zero": "0" * 64}), "is not about run.json"),
    "upwards": (with_manifest(**{"../../secret": "0" * 64}), "is not about run.json"),
    "hash of another kind": (with_manifest(**{"run.json": 5}), "are not those of its manifest"),
    "flipped bit": (flip_a_bit, "are not those of its manifest"),
    "torn run": (with_file("run.json", '{"step"'), "run.json is torn"),
    "run of lists": (with_file("run.json", "[5]"), "run.json is not an object"),
    "another step": (with_file("run.json", '{"step": 4}'), "it says that it is of step 4"),
    "no step": (with_file("run.json", '{"step": "5"}'), "it says that it is of step '5'"),
}


@pytest.mark.parametrize("what", SPOILED)
def test_a_spoiled_state_is_named_and_the_one_before_is_used(here, there, tmp_path, caplog, what):
    spoil, said = SPOILED[what]
    push_state(state_under(here, 4), REPO)
    folder = state_under(tmp_path / "spoiled", 5)
    spoil(folder)
    added = {f"{folder.name}/{name}": content for name, content in contents(folder).items()}
    commit_to_branch(tmp_path / "hub", added)
    assert fetch_newest_state(REPO, there)
    assert [path.name for path in there.iterdir()] == ["step-00000004"]
    assert contents(there / "step-00000004") == contents(here / "step-00000004")
    assert f"step-00000005 on the branch {BRANCH} of {REPO} is not used" in caplog.text
    assert said in caplog.text


def test_where_all_are_spoiled_there_is_none(there, tmp_path, caplog):
    api().create_repo(REPO)
    api().create_branch(REPO, branch=BRANCH)
    steps = range(1, 20)
    added = {f"step-{step:08d}/manifest.json": b"{}" for step in steps}
    commit_to_branch(tmp_path / "hub", added)
    assert not fetch_newest_state(REPO, there)
    assert len(caplog.records) == 8
    assert not there.exists()


def test_other_names_are_never_asked_for(here, there, tmp_path, plan):
    push_state(state_under(here, 4), REPO)
    names = [
        "step-99999999/../../../escaped",
        "../step-99999999/run.json",
        "/step-99999999/run.json",
        "step-999999999/run.json",
        "step-٩٩٩٩٩٩٩٩/run.json",
        "step-00000004/extra.bin",
        "step-00000004/deep/run.json",
        "step-00000004\n/run.json",
        "state/step-99999999/run.json",
        "step-99999999",
    ]
    commit_to_branch(tmp_path / "hub", dict.fromkeys(names, b"{}"))
    plan.requests.clear()
    before = {path for path in tmp_path.rglob("*") if "hub" not in path.parts}
    assert fetch_newest_state(REPO, there)
    asked = {
        path.split("/resolve/")[1].split("/", 1)[1] for _, path in plan.requests if "/res" in path
    }
    assert asked == {f"step-00000004/{name}" for name in FILES}
    new = {path for path in tmp_path.rglob("*") if "hub" not in path.parts} - before
    assert {path for path in new if "cache" not in path.parts} == {
        there.parent,
        there,
        there / "step-00000004",
        *(there / "step-00000004" / name for name in FILES),
    }


@pytest.mark.parametrize(
    ("name", "size"),
    [("model.safetensors", 4001), ("optimizer.safetensors", 10**15), ("run.json", 70 * 2**20)],
)
def test_a_huge_state_is_not_downloaded(
    here, there, tmp_path, plan, monkeypatch, caplog, name, size
):
    push_state(state_under(here, 4), REPO)
    push_state(state_under(here, 5), REPO)
    most = 1000 if name != "run.json" else 2**40
    monkeypatch.setattr("mlm.checkpoint.file_limits.max_checkpoint_bytes", lambda: most)
    huge = {f"step-00000005/{name}": large_file("0" * 64, size)}
    store = RepoStore(tmp_path / "hub")
    store.commit("models", REPO, BRANCH, Change("theirs", "", "you", huge))
    assert fetch_newest_state(REPO, there)
    assert [path.name for path in there.iterdir()] == ["step-00000004"]
    assert plan.count(("GET", f"/{REPO}/resolve/.*/step-00000005/.*")) == 0
    assert f"step-00000005 on the branch {BRANCH} of {REPO} is not used" in caplog.text


# the end


def test_the_branch_goes_when_the_run_ended_well(here, caplog):
    push_state(state_under(here, 4), REPO)
    delete_states(REPO)
    delete_states("reviews")
    assert [branch.name for branch in api().list_repo_refs(REPO).branches] == ["main"]
    assert caplog.text == ""


@pytest.mark.parametrize(("status", "said"), [(403, "does not permit"), (503, "answered 503")])
def test_a_branch_that_cannot_be_removed_is_no_error(here, plan, naps, caplog, status, said):
    push_state(state_under(here, 4), REPO)
    plan.add(DELETE, Fault(status), times=1000)
    delete_states(REPO)
    assert said in caplog.text
    assert "remove it on the page" in caplog.text
    assert folders_on_branch() == {"step-00000004"}


def test_a_removal_whose_answer_is_lost(here, plan, naps, caplog):
    push_state(state_under(here, 4), REPO)
    plan.add(DELETE, Fault(None, after=True))
    delete_states(REPO)
    assert [branch.name for branch in api().list_repo_refs(REPO).branches] == ["main"]
    assert "on the page" not in caplog.text


def test_after_the_end_a_new_run_begins_anew(here, there):
    push_state(state_under(here, 900), REPO)
    delete_states(REPO)
    assert not fetch_newest_state(REPO, there)
    shutil.rmtree(here)
    push_state(state_under(here, 1), REPO)
    assert folders_on_branch() == {"step-00000001"}
