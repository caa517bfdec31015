"""Tests of mlm.hub on a local Hub, with the real huggingface_hub client over HTTP."""

import dataclasses
import errno
import json
import logging
import os
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
import traceback
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import HfApi
from huggingface_hub.utils import close_session
from safetensors.numpy import save_file

from mlm.checkpoint.config_task import config_for_task
from mlm.checkpoint.families import encoder_config_of, new_config, tensor_shapes
from mlm.checkpoint.task import Task
from mlm.checkpoint.task_checkpoint import open_task_checkpoint
from mlm.data.tokens.tokenizer_training import train_tokenizer
from mlm.errors import CheckpointError, HubError
from mlm.hub import (
    Access,
    HubUnreachableError,
    check_push,
    fetch_checkpoint,
    fetch_from_hub,
    pull,
    push_checkpoint,
)
from mlm.hub.local import Fault
from mlm.hub.local.store import Change, RepoStore
from mlm.inference.fill_mask import FillMask
from mlm.training.card import name_model_card, write_model_card
from mlm.training.config import TrainingConfig
from tests.support.places import ROOT
from tests.support.served_hub import READ_TOKEN, REPO, TOKEN, Plan, api, contents, served_hub
from tests.support.small_models import small_texts
from tests.support.task_records import curve, task_record

# huggingface_hub itself uploads large files in a way that its HTTP client calls deprecated
pytestmark = [
    pytest.mark.kaggle,
    pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload:DeprecationWarning"),
]

CONFIG = new_config(
    "bert",
    vocab_size=64,
    hidden_size=4,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=8,
    max_position_embeddings=16,
)
# every request of a push, as (method, address)
CALLS_OF_A_PUSH = [
    ("POST", "/api/repos/create"),
    ("GET", f"/api/models/{REPO}"),
    ("POST", "/api/validate-yaml"),
    ("POST", f"/api/models/{REPO}/preupload/main"),
    ("POST", f"/{REPO}.git/info/lfs/objects/batch"),
    ("PUT", "/lfs/[0-9a-f]+"),
    ("POST", "/lfs/[0-9a-f]+/verify"),
    ("POST", f"/api/models/{REPO}/commit/main"),
    ("POST", f"/api/models/{REPO}/paths-info/.*"),
]
CREATE, LOOK_UP, COMMIT = CALLS_OF_A_PUSH[0], CALLS_OF_A_PUSH[1], CALLS_OF_A_PUSH[7]


@pytest.fixture
def plan() -> Plan:
    return Plan()


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch, plan):
    for name in ("NO_PROXY", "no_proxy"):  # which a client of ours adds to
        monkeypatch.setenv(name, os.environ.get(name, ""))
    with served_hub(tmp_path, monkeypatch, plan) as local:
        yield local


@pytest.fixture
def naps(monkeypatch) -> list[float]:
    """Pauses between attempts in seconds, recorded instead of waited for."""
    taken: list[float] = []
    monkeypatch.setattr("time.sleep", taken.append)
    return taken


@pytest.fixture
def folder(tmp_path) -> Path:
    return make_checkpoint(tmp_path / "run")


@cache
def small_vocabulary():
    return train_tokenizer(small_texts(), CONFIG.vocab_size)


def make_checkpoint(folder: Path, seed: int = 0, task: Task | None = None, **config) -> Path:
    """Write the files of a checkpoint whose weights are noise, drawn from `seed`."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    shapes = tensor_shapes("bert", encoder_config_of(CONFIG, task))
    weights = {name: rng.normal(size=shape).astype("float32") for name, shape in shapes.items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(CONFIG.to_dict() | config))
    small_vocabulary().save_pretrained(folder)
    (folder / "README.md").write_text("---\ntags: [fill-mask]\n---\n# Reviews\n")
    (folder / "loss_curve.svg").write_text("<svg/>")
    return folder


def history(repo_id: str = REPO) -> list[str]:
    return [commit.title for commit in api().list_repo_commits(repo_id)]


def test_what_is_pushed_is_what_is_pulled(folder):
    published = push_checkpoint(folder, REPO, commit_message="first")
    fetched = fetch_checkpoint(REPO)
    assert contents(fetched.folder) == contents(folder)
    assert (fetched.repo_id, fetched.commit) == (REPO, published.commit)
    assert published.url.endswith(f"/{REPO}")


@pytest.mark.parametrize("problem_type", ["single_label_classification", "token_classification"])
def test_a_classifier_is_pushed_and_pulled(tmp_path, problem_type):
    task = Task(problem_type, ("bad", "good", "neither"))
    config = config_for_task(CONFIG, task).to_dict()
    folder = make_checkpoint(tmp_path / "classifier", task=task, **config)
    record = task_record(problem_type, task.labels, curve=curve())
    (folder / "training.json").write_text(json.dumps(record))
    write_model_card(folder)
    name_model_card(folder, REPO)
    push_checkpoint(folder, REPO)
    fetched = fetch_checkpoint(REPO)
    assert contents(fetched.folder) == contents(folder)
    assert {"README.md", "learning_curve.svg"} <= contents(folder).keys()
    assert f'model="{REPO}"' in (fetched.folder / "README.md").read_text()
    assert open_task_checkpoint(fetched.folder).task == task


def test_a_classifier_of_another_shape_than_its_config_is_not_fetched(tmp_path, plan):
    task = Task("single_label_classification", ("bad", "good", "neither"))
    config = config_for_task(CONFIG, task).to_dict() | {"id2label": {"0": "bad", "1": "good"}}
    folder = make_checkpoint(tmp_path / "classifier", task=task, **config)
    with pytest.raises(CheckpointError, match=r"has shape \(3.*\); config.json implies \(2"):
        push_checkpoint(folder, REPO)
    api().create_repo(REPO)
    api().upload_folder(folder_path=folder, repo_id=REPO)
    with pytest.raises(CheckpointError, match=f"of model.safetensors in {REPO}.* has shape"):
        fetch_checkpoint(REPO)


def test_a_publication_is_one_commit(folder):
    push_checkpoint(folder, REPO, commit_message="first")
    (folder / "README.md").write_text("# Better\n")
    push_checkpoint(folder, REPO, commit_message="second")
    assert history() == ["second", "first", "initial commit"]


def test_the_same_files_again_make_no_commit(folder):
    first = push_checkpoint(folder, REPO)
    assert push_checkpoint(folder, REPO) == first


def test_a_name_without_owner_goes_to_the_account(folder):
    assert push_checkpoint(folder, "reviews").repo_id == REPO


def test_pull_by_commit_branch_and_tag(folder, tmp_path):
    first = push_checkpoint(folder, REPO)
    api().create_tag(REPO, tag="v1")
    second = push_checkpoint(make_checkpoint(tmp_path / "run2", seed=1), REPO)
    assert fetch_checkpoint(REPO).commit == second.commit
    assert fetch_checkpoint(REPO, "main").commit == second.commit
    for revision in ("v1", first.commit):
        fetched = fetch_checkpoint(REPO, revision)
        assert (fetched.commit, contents(fetched.folder)) == (first.commit, contents(folder))


def test_only_checkpoint_files_are_pushed(folder):
    (folder / "state").mkdir()
    (folder / "state" / "optimizer.bin").write_bytes(b"big")
    (folder / "notes.txt").write_text("mine")
    push_checkpoint(folder, REPO)
    names = {file.rfilename for file in api().model_info(REPO).siblings}
    assert names == {".gitattributes", *contents(folder)} - {"notes.txt"}


def test_files_of_an_earlier_checkpoint_go_and_other_files_stay(folder, tmp_path):
    (folder / "vocab.txt").write_text("[MASK]\n")
    push_checkpoint(folder, REPO)
    api().upload_file(path_or_fileobj=b"x", path_in_repo="curve.txt", repo_id=REPO)
    push_checkpoint(make_checkpoint(tmp_path / "run2", seed=1), REPO)
    names = {file.rfilename for file in api().model_info(REPO).siblings}
    assert "vocab.txt" not in names
    assert {"curve.txt", "model.safetensors"} <= names


def test_a_broken_folder_is_not_pushed(folder, plan):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(CheckpointError):
        push_checkpoint(folder, REPO)
    assert plan.requests == []


@pytest.mark.parametrize("call", CALLS_OF_A_PUSH)
@pytest.mark.parametrize("status", [408, 429, 500, 503, None])
def test_each_call_of_a_push_is_tried_again(folder, plan, naps, call, status):
    plan.add(call, Fault(status))
    push_checkpoint(folder, REPO, commit_message="first")
    assert plan.count(call) >= 1
    assert naps
    assert history() == ["first", "initial commit"]


@pytest.mark.parametrize("status", [429, 500, None])
def test_a_commit_whose_answer_is_lost_is_recognized(folder, plan, naps, status):
    plan.add(COMMIT, Fault(status, after=True))
    published = push_checkpoint(folder, REPO, commit_message="first")
    assert history() == ["first", "initial commit"]
    assert plan.count(COMMIT) == 1
    assert fetch_checkpoint(REPO).commit == published.commit


def test_pauses_grow_and_end(folder, plan, naps):
    plan.add(CREATE, Fault(503), times=100)
    with pytest.raises(HubUnreachableError, match=r"could not create me/reviews: .* 503"):
        push_checkpoint(folder, REPO)
    assert naps == [1, 2, 4, 8, 16]
    assert plan.count(CREATE) == 6


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "86400"}, 300),
        ({"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0),
        ({"Retry-After": "soon"}, 1),
        ({"RateLimit": '"api";r=0;t=55'}, 55),
        ({"RateLimit": '"api";r=12;t=55'}, 1),
    ],
)
def test_the_hub_says_how_long_to_wait(folder, plan, naps, headers, seconds):
    plan.add(CREATE, Fault(429, headers))
    push_checkpoint(folder, REPO)
    assert naps == [seconds]


def test_somebody_elses_commit_is_not_overwritten(folder, tmp_path, plan):
    push_checkpoint(folder, REPO, commit_message="mine")
    store = RepoStore(tmp_path / "hub")

    def commit_meanwhile() -> None:
        added = {"config.json": store.small_file(b"{}")}
        store.commit("models", REPO, "main", Change("theirs", "", "you", added))

    plan.add(COMMIT, None, do=commit_meanwhile)
    with pytest.raises(HubError, match="changed by someone else during this push"):
        push_checkpoint(make_checkpoint(tmp_path / "run2", seed=1), REPO)
    assert history() == ["theirs", "mine", "initial commit"]


def test_a_file_that_arrived_otherwise_is_noticed(folder, tmp_path, plan):
    def spoil() -> None:
        for path in (tmp_path / "hub" / "models" / REPO / "commits").iterdir():
            commit = json.loads(path.read_text())
            if "config.json" in commit["files"]:
                commit["files"]["config.json"]["oid"] = "0" * 40
                path.write_text(json.dumps(commit))

    plan.add(("POST", ".*/paths-info/.*"), None, do=spoil)
    with pytest.raises(HubError, match=r"has config\.json not as here"):
        push_checkpoint(folder, REPO)


def test_private_if_asked_for(folder, monkeypatch):
    push_checkpoint(folder, REPO, private=True)
    assert api().model_info(REPO).private
    assert fetch_checkpoint(REPO).repo_id == REPO
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(HubError, match="no such repository, or it is private"):
        fetch_checkpoint(REPO)


def test_a_public_repository_is_not_taken_for_private(folder):
    push_checkpoint(folder, REPO)
    with pytest.raises(HubError, match="exists and is public"):
        push_checkpoint(folder, REPO, private=True)
    with pytest.raises(HubError, match=f"{REPO} exists and is public: make it private"):
        check_push(REPO, private=True)  # and before hours of training
    check_push(REPO)
    check_push("me/not_there_yet", private=True)


@pytest.mark.parametrize("name", ["~nosuchuser/x", "a" * 5000, "a\0b", "/" + "a" * 5000])
def test_what_can_be_no_folder_is_no_trace(name):
    with pytest.raises(HubError, match="neither a folder here nor a Hub id"):
        fetch_checkpoint(name)


# tags


def tags(repo_id: str = REPO) -> dict[str, str]:
    return {tag.name: tag.target_commit for tag in api().list_repo_refs(repo_id).tags}


def test_versions_are_tagged_and_pulled_by_their_tags(folder, tmp_path):
    first = push_checkpoint(folder, REPO, tag="v1")
    second = push_checkpoint(make_checkpoint(tmp_path / "run2", seed=1), REPO, tag="v2.0")
    assert tags() == {"v1": first.commit, "v2.0": second.commit}
    assert contents(fetch_checkpoint(REPO, "v1").folder) == contents(folder)
    assert history() == ["Checkpoint of 6 files"] * 2 + ["initial commit"]


def test_a_tag_is_never_moved(folder, tmp_path, plan):
    first = push_checkpoint(folder, REPO, tag="v1")
    other = make_checkpoint(tmp_path / "run2", seed=1)
    for call in (
        lambda: check_push(REPO, tag="v1"),  # before hours of training
        lambda: push_checkpoint(other, REPO, tag="v1"),
    ):
        with pytest.raises(HubError, match="has a tag v1 already, and tags are not moved"):
            call()
    assert (tags(), history()) == ({"v1": first.commit}, [*history()[:1], "initial commit"])
    assert plan.count(COMMIT) == 1
    assert check_push(REPO, tag="v2").repo_id == REPO
    assert check_push("not_there_yet", tag="v1").repo_id == "me/not_there_yet"


def test_the_same_again_under_its_tag_is_all_right(folder):
    first = push_checkpoint(folder, REPO, tag="v1")
    assert push_checkpoint(folder, REPO, tag="v1") == first
    assert tags() == {"v1": first.commit}


def test_a_tag_that_another_makes_meanwhile_is_noticed(folder, tmp_path, plan):
    push_checkpoint(folder, REPO)
    initial = api().list_repo_commits(REPO)[-1].commit_id
    store = RepoStore(tmp_path / "hub")
    plan.add(
        ("POST", f"/api/models/{REPO}/tag/.*"),
        None,
        do=lambda: store.add_ref("models", REPO, "tags", "v1", initial),
    )
    with pytest.raises(HubError, match="has a tag v1 already"):
        push_checkpoint(make_checkpoint(tmp_path / "run2", seed=1), REPO, tag="v1")
    assert tags() == {"v1": initial}


@pytest.mark.parametrize(
    "tag",
    [
        *("v 1", "../x", "v1/", "/v1", "a//b", "a/.b", "-v", "a" * 101, "v..1", "v1.lock"),
        *("a.lock/b", "main", "HEAD", "refs/pr/1", "training-state", "0" * 40),
    ],
)
def test_what_can_be_no_tag_is_refused_before_anything_is_sent(folder, tag, plan):
    with pytest.raises(HubError, match="is not a name for a tag"):
        push_checkpoint(folder, REPO, tag=tag)
    assert plan.count(COMMIT) == 0


def test_a_tag_may_have_a_slash(folder):
    published = push_checkpoint(folder, REPO, tag="release/1.0")
    assert tags() == {"release/1.0": published.commit}
    assert fetch_checkpoint(REPO, "release/1.0").commit == published.commit
    assert fetch_checkpoint(f"{REPO}@release/1.0").commit == published.commit


# branches


def branches() -> dict[str, str]:
    return {branch.name: branch.target_commit for branch in api().list_repo_refs(REPO).branches}


def test_a_push_to_a_branch_leaves_main_as_it_is(folder, tmp_path):
    first = push_checkpoint(folder, REPO)
    other = make_checkpoint(tmp_path / "run2", seed=1)
    second = push_checkpoint(other, REPO, branch="feature/longer", tag="v2")
    assert second.url == f"{api().endpoint}/{REPO}/tree/feature/longer"
    assert branches() == {"main": first.commit, "feature/longer": second.commit}
    assert tags() == {"v2": second.commit}
    third = push_checkpoint(
        make_checkpoint(tmp_path / "run3", seed=2), REPO, branch="feature/longer"
    )
    assert branches() == {"main": first.commit, "feature/longer": third.commit}
    assert fetch_checkpoint(REPO).commit == first.commit
    assert fetch_checkpoint(REPO, "feature/longer").commit == third.commit


def test_a_repository_is_created_for_its_branch(folder):
    published = push_checkpoint(folder, REPO, branch="trial", private=True)
    assert api().model_info(REPO).private
    assert branches()["trial"] == published.commit != branches()["main"]


def test_main_is_the_branch_that_is_pushed_to_by_default(folder, plan):
    published = push_checkpoint(folder, REPO, branch="main")
    assert (branches(), published.url) == ({"main": published.commit}, f"{api().endpoint}/{REPO}")


@pytest.mark.parametrize("branch", ["HEAD", "a b", "training-state", "x/", "0" * 40])
def test_what_can_be_no_branch_is_refused(folder, branch, plan):
    for call in (
        lambda: check_push(REPO, branch=branch),
        lambda: push_checkpoint(folder, REPO, branch=branch),
    ):
        with pytest.raises(HubError, match="is not a name for a branch"):
            call()
    assert plan.requests == []


def test_a_name_is_a_branch_or_a_tag_and_not_both(folder):
    push_checkpoint(folder, REPO, tag="v1", branch="trial")
    for given, said in (
        ({"tag": "trial"}, "has a branch trial: choose another name for the tag"),
        ({"branch": "v1"}, "v1 is a tag of me/reviews, and tags are not moved"),
        ({"tag": "x", "branch": "x"}, "x is given as tag and as branch"),
    ):
        for call in (
            lambda given=given: check_push(REPO, **given),
            lambda given=given: push_checkpoint(folder, REPO, **given),
        ):
            with pytest.raises(HubError, match=said):
                call()
    assert (set(branches()), set(tags())) == ({"main", "trial"}, {"v1"})


# creating a repository


def test_a_hub_that_creates_nothing_more_does_not_stop_a_push_to_what_is_there(
    folder, tmp_path, plan
):
    push_checkpoint(folder, REPO)
    plan.add(CREATE, Fault(429, {"Retry-After": "1"}), times=100)
    other = make_checkpoint(tmp_path / "run2", seed=1)
    for options in ({}, {"private": False, "branch": "trial"}):
        push_checkpoint(other, REPO, **options)
    assert contents(fetch_checkpoint(REPO).folder) == contents(other)
    assert plan.count(CREATE) == 1  # that of the first push


def test_what_is_pushed_to_is_said_before(folder):
    new = check_push("reviews")
    assert str(new) == (
        "me/reviews, which does not exist yet and will be public: anyone can read it"
    )
    assert str(check_push(REPO, private=True)).endswith("does not exist yet and will be private")
    push_checkpoint(folder, REPO, private=True)
    assert str(check_push(REPO)) == "me/reviews, which exists and is private"
    push_checkpoint(folder, "me/open")
    target = check_push("me/open", branch="trial")
    assert str(target) == (
        "the branch trial of me/open, which exists and is public: anyone can read it"
    )
    assert (target.exists, target.private, new.exists, new.private) == (True, False, False, False)


def test_the_visibility_of_an_organizations_new_repository_is_not_guessed(monkeypatch):
    organization = {"name": "lab", "roleInOrg": "write"}
    monkeypatch.setattr(HfApi, "whoami", lambda self: {"name": "me", "orgs": [organization]})
    assert check_push("lab/x").private is None
    assert "will be public unless its organization makes" in str(check_push("lab/x"))
    assert check_push("lab/x", private=True).private is True


# rights


def test_no_token(folder, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    for call in (lambda: check_push(REPO), lambda: push_checkpoint(folder, REPO)):
        with pytest.raises(HubError, match="no token: run `hf auth login` or set HF_TOKEN"):
            call()


@pytest.mark.parametrize(
    ("token", "repo_id", "said"),
    [
        ("hf_unknown", REPO, "does not know the token"),
        (READ_TOKEN, REPO, "write permission|does not permit"),
        (TOKEN, "you/reviews", "expected a name under me/|does not permit"),
        (TOKEN, "me/re--views", "nor a Hub id"),
        (TOKEN, "a/b/c", "nor a Hub id"),
    ],
)
def test_what_cannot_be_pushed_is_said_before_and_after(folder, monkeypatch, token, repo_id, said):
    monkeypatch.setenv("HF_TOKEN", token)
    for call in (lambda: check_push(repo_id), lambda: push_checkpoint(folder, repo_id)):
        with pytest.raises(HubError, match=said):
            call()


def fine_grained(*permissions: str, name: str = "me") -> dict:
    scope = {"entity": {"type": "user", "name": name}, "permissions": list(permissions)}
    return {"accessToken": {"role": "fineGrained", "fineGrained": {"scoped": [scope]}}}


@pytest.mark.parametrize(
    ("account", "repo_id", "may"),
    [
        ({}, "me/a", True),
        ({}, "a", True),
        ({"orgs": [{"name": "lab", "roleInOrg": "write"}]}, "lab/a", True),
        ({"orgs": [{"name": "lab", "roleInOrg": "read"}]}, "lab/a", False),
        ({"auth": fine_grained("repo.write")}, "me/a", True),
        ({"auth": fine_grained("repo.content.read")}, "me/a", False),
        ({"auth": fine_grained("repo.write", name="me/a")}, "me/a", True),
        ({"auth": fine_grained("repo.write", name="me/a")}, "me/b", False),
    ],
)
def test_who_may_push(monkeypatch, account, repo_id, may):
    monkeypatch.setattr(HfApi, "whoami", lambda self: {"name": "me", **account})
    if may:
        check_push(repo_id)
    else:
        with pytest.raises(HubError, match="cannot"):
            check_push(repo_id)


# what cannot be pulled


@pytest.mark.parametrize(
    ("name", "revision", "said"),
    [
        ("me/nothing", None, "no folder here has that name.* no such repository"),
        ("runs/imdb/step", None, "neither a folder here nor a Hub id"),
        (REPO, "v9", "no such branch, tag or commit"),
        (REPO, "0" * 40, "no such branch, tag or commit"),
        (REPO, "../../x", "is not a revision"),
        (REPO, "", "is not a revision"),
    ],
)
def test_what_is_not_there(folder, name, revision, said):
    push_checkpoint(folder, REPO)
    with pytest.raises(HubError, match=said):
        fetch_checkpoint(name, revision)


def test_a_gated_repository(folder, monkeypatch):
    push_checkpoint(folder, REPO)
    api().update_repo_settings(REPO, gated="auto")
    monkeypatch.setenv("HF_TOKEN", READ_TOKEN)
    with pytest.raises(HubError, match="it is gated"):
        fetch_checkpoint(REPO)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["config.json", "pytorch_model.bin"], r"has only pytorch_model\.bin"),
        (["config.json"], "no weights at all"),
        (["model.safetensors"], r"no config\.json"),
    ],
)
def test_a_repository_without_a_checkpoint(plan, names, said):
    api().create_repo(REPO)
    for name in names:
        api().upload_file(path_or_fileobj=b"{}", path_in_repo=name, repo_id=REPO)
    with pytest.raises(HubError, match=said):
        fetch_checkpoint(REPO)
    assert plan.count(("GET", ".*/resolve/.*")) == 0


def test_weights_of_an_unknown_family_are_not_fetched(folder, plan, tmp_path):
    api().create_repo(REPO)
    other = make_checkpoint(tmp_path / "other", model_type="gpt2")
    api().upload_folder(folder_path=other, repo_id=REPO)
    with pytest.raises(CheckpointError, match="model_type is 'gpt2'"):
        fetch_checkpoint(REPO)
    assert plan.count(("GET", r".*/config\.json")) == 1
    assert plan.count(("GET", ".*/model.safetensors")) == 0


def test_other_files_are_not_fetched(folder):
    push_checkpoint(folder, REPO)
    for name in (
        "pytorch_model.bin",
        "modeling.py",
        "onnx/config.json",
        "model-00001-of-00001.safetensors",
    ):
        api().upload_file(path_or_fileobj=b"no", path_in_repo=name, repo_id=REPO)
    assert contents(fetch_checkpoint(REPO).folder) == contents(folder)


# folders


def test_a_folder_is_itself(folder):
    assert fetch_checkpoint(folder).folder == folder
    with pytest.raises(HubError, match="is a folder: leave it out"):
        fetch_checkpoint(folder, "main")
    with pytest.raises(HubError, match="is a file; expected the folder"):
        fetch_checkpoint(folder / "config.json")


def test_demo_is_the_bundled_checkpoint(folder, monkeypatch):
    monkeypatch.setattr(pull, "BUNDLED_FOLDER", folder)
    assert fetch_checkpoint("demo").folder == folder


# off line


@pytest.mark.parametrize("status", [None, 503])
def test_a_cached_copy_serves_when_the_hub_is_away(folder, plan, naps, caplog, status):
    published = push_checkpoint(folder, REPO)
    fetch_checkpoint(REPO)
    plan.add(LOOK_UP, Fault(status), times=100)
    plan.add(("GET", f"/api/models/{REPO}/revision/main"), Fault(status), times=100)
    with caplog.at_level(logging.WARNING, "mlm.hub"):
        fetched = fetch_checkpoint(REPO)
    assert (fetched.commit, contents(fetched.folder)) == (published.commit, contents(folder))
    assert "using the cached copy" in caplog.text
    assert naps == []


def test_what_a_visitor_asks_for_is_asked_as_the_visitor(folder, tmp_path, monkeypatch):
    push_checkpoint(folder, REPO, private=True)
    monkeypatch.chdir(tmp_path)
    (tmp_path / REPO).mkdir(parents=True)  # a folder here is not meant
    fetch_checkpoint(tmp_path / "run")
    fetched = fetch_from_hub(REPO)  # with this machine's token, into its cache
    for token in (False, "hf_of_nobody"):
        apart = Access(token, tmp_path / "apart")
        with pytest.raises(HubError, match=r"no such repository|does not know the token") as caught:
            fetch_from_hub(REPO, access=apart)
        assert "hf_of" not in repr(apart) + str(caught.value)
    theirs = fetch_from_hub(REPO, access=Access(READ_TOKEN, tmp_path / "apart"))
    assert contents(theirs.folder) == contents(fetched.folder)
    assert theirs.folder.is_relative_to(tmp_path / "apart")


def test_nothing_of_a_visitors_model_stays(tiny_checkpoint_folder, tmp_path, monkeypatch):
    push_checkpoint(tiny_checkpoint_folder, REPO, private=True)
    FillMask.from_pretrained(tiny_checkpoint_folder)  # libraries make folders when first imported
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = sorted(tmp_path.rglob("*"))
    model = FillMask.from_hub(REPO, READ_TOKEN)
    assert model("I watched this [MASK].") and model.name == REPO
    assert sorted(tmp_path.rglob("*")) == before


def test_off_line_the_cache_is_all_there_is(folder, plan, monkeypatch):
    push_checkpoint(folder, REPO)
    fetch_checkpoint(REPO)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    plan.requests.clear()
    assert contents(fetch_checkpoint(REPO).folder) == contents(folder)
    for name, revision in ((REPO, "v1"), ("me/other", None)):
        with pytest.raises(HubError, match="HF_HUB_OFFLINE is set, and neither"):
            fetch_checkpoint(name, revision)
    with pytest.raises(HubError, match="nothing can be pushed"):
        push_checkpoint(folder, REPO)
    assert plan.requests == []


@pytest.fixture
def read_only_cache(tmp_path, monkeypatch):
    """The cache takes no new folder, which each new file would need. (root may write anywhere.)"""
    make, cache = os.mkdir, str(tmp_path / "cache")

    def refuse(path, *given, **options):
        if str(path).startswith(cache):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return make(path, *given, **options)

    return lambda: monkeypatch.setattr(os, "mkdir", refuse)


def test_a_whole_commit_in_a_read_only_cache_is_answered_from(folder, tmp_path, read_only_cache):
    commit = push_checkpoint(folder, REPO, tag="v1").commit
    fetched = fetch_checkpoint(REPO)
    shutil.rmtree(fetched.folder.parents[1] / "refs")  # as if it had been fetched by its commit
    read_only_cache()
    for revision in (None, "v1", commit):
        assert fetch_checkpoint(REPO, revision) == fetched


def test_the_cached_copy_serves_where_the_cache_takes_no_newer_one(
    folder, tmp_path, read_only_cache, caplog, plan
):
    push_checkpoint(folder, REPO)
    fetched = fetch_checkpoint(REPO)
    push_checkpoint(make_checkpoint(tmp_path / "run2", seed=1), REPO)
    read_only_cache()
    assert fetch_checkpoint(REPO) == fetched
    (said,) = [record.getMessage() for record in caplog.records]
    cache = str(tmp_path / "cache")
    assert f"the cache {cache!r} cannot be written (Read-only file system)" in said
    assert said.endswith(f"; using the cached copy of {REPO} at {fetched.commit}")


def test_a_cache_that_takes_nothing_and_has_nothing_is_one_line(folder, read_only_cache):
    push_checkpoint(folder, REPO)
    read_only_cache()
    with pytest.raises(HubError, match=r"cannot be written \(.*\); name another folder as HF_HUB"):
        fetch_checkpoint(REPO)


def test_no_proxy_is_asked_for_a_hub_on_this_machine(folder, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # where nobody listens
    close_session()  # a client reads the variables when it is made
    assert push_checkpoint(folder, REPO).commit == fetch_checkpoint(REPO).commit


def test_a_hub_that_a_proxy_makes_unreachable_names_the_variable(monkeypatch, naps):
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    monkeypatch.setenv("ALL_PROXY", "http://user:secret@127.0.0.1:9")
    close_session()
    with pytest.raises(HubUnreachableError) as caught:
        fetch_checkpoint(REPO)
    assert str(caught.value).endswith(
        "http://hub.invalid cannot be reached (ConnectError); check the connection, HF_ENDPOINT "
        "and the proxy that ALL_PROXY names"
    )


def test_a_socks_proxy_without_its_package_is_one_line_and_the_cache_answers(
    folder, monkeypatch, naps, caplog
):
    push_checkpoint(folder, REPO)
    fetched = fetch_checkpoint(REPO)
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:9")
    monkeypatch.setattr("mlm.backend.proxies.find_spec", lambda name: None)
    with pytest.raises(HubUnreachableError, match=r"HTTPS_PROXY names a SOCKS proxy, .* socksio"):
        push_checkpoint(folder, REPO)
    assert fetch_checkpoint(REPO) == fetched
    assert "HTTPS_PROXY names a SOCKS proxy" in caplog.text
    assert naps == []  # another attempt would not help


def test_a_cached_commit_asks_nobody(folder, plan):
    commit = push_checkpoint(folder, REPO).commit
    fetch_checkpoint(REPO, commit)
    plan.requests.clear()
    assert fetch_checkpoint(REPO, commit).commit == commit
    assert plan.requests == []


def test_no_copy_and_no_hub(monkeypatch, naps):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(HubUnreachableError, match=r"127\.0\.0\.1:1 cannot be reached \(ConnectErr"):
        fetch_checkpoint(REPO)
    assert naps == [1, 2]


def test_a_download_that_breaks_off_is_tried_again(folder, plan, naps):
    push_checkpoint(folder, REPO)
    plan.add(("GET", r".*/resolve/.*/model\.safetensors"), Fault(None))
    plan.add(("GET", ".*/tree/.*"), Fault(503))
    assert contents(fetch_checkpoint(REPO).folder) == contents(folder)


# secrets


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        (CREATE, Fault(400, {"X-Error-Message": f"Bearer {TOKEN} is not liked"})),
        (CREATE, Fault(400, {"X-Error-Message": "hf_somebodyelses is not liked"})),
        (LOOK_UP, Fault(None)),
        (COMMIT, Fault(403, {"X-Error-Message": TOKEN})),
        (CALLS_OF_A_PUSH[5], Fault(500)),
    ],
)
def test_no_token_in_logs_and_errors(folder, plan, naps, caplog, call, fault):
    plan.add(call, fault, times=100)
    with caplog.at_level(logging.DEBUG), pytest.raises(HubError) as caught:
        push_checkpoint(folder, REPO)
    lines = [record.getMessage() for record in caplog.records if "httpcore" not in record.name]
    trace = "".join(traceback.format_exception(caught.value))
    assert lines  # httpcore's own log quotes the Hub's answer, not the request
    assert "hf_" not in "".join(lines) + trace
    assert "\n" not in str(caught.value)


def test_no_token_in_any_file(folder, tmp_path, monkeypatch, hub):
    push_checkpoint(folder, REPO, private=True, tag="v1")
    fetch_checkpoint(REPO)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert [path for path in files if TOKEN.encode() in path.read_bytes()] == []


def test_no_token_is_taken_as_an_argument():
    """Every user of a machine can read argument lists, and a shell records them."""
    root = ROOT
    sources = [path.read_text(encoding="utf-8") for path in (root / "scripts").rglob("*.py")]
    assert [s for s in sources if re.search(r"""["']--\w*token["']""", s)] == []
    names = {field.name for field in dataclasses.fields(TrainingConfig)}
    assert [name for name in names if name.endswith("token")] == []


# the script

PUSH_SCRIPT = ROOT / "scripts" / "push.py"


def test_the_push_script(folder):
    (folder / "README.md").unlink()
    command = [sys.executable, PUSH_SCRIPT, folder, REPO, "--private", "--commit_message", "mine"]
    command += ["--tag", "v1"]
    environment = os.environ | {"HF_HUB_DISABLE_XET": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    head = api().model_info(REPO)
    assert done.stdout == f"{api().endpoint}/{REPO} is at commit {head.sha}, tag v1\n"
    assert f"pushing to {REPO}, which does not exist yet and will be private\n" in done.stderr
    assert TOKEN not in done.stdout + done.stderr
    assert tags() == {"v1": head.sha}
    assert (head.private, history()) == (True, ["mine", "initial commit"])
    text = (folder / "README.md").read_text()
    assert text.startswith("---\nlibrary_name: transformers")
    assert f'model="{REPO}"' in text


def test_the_push_script_says_no_in_one_line(folder, tmp_path, capsys):
    main = runpy.run_path(str(PUSH_SCRIPT))["main"]
    empty = tmp_path / "empty"
    empty.mkdir()
    for where, repo_id in ((folder, "you/reviews"), (tmp_path / "none", REPO), (empty, REPO)):
        assert main([str(where), repo_id]) == 2
        *first, said = capsys.readouterr().err.splitlines()
        assert said.startswith("error: ")
        assert first == [f"publishing {where} as {repo_id}"] * (where == folder)
    assert list(empty.iterdir()) == []
