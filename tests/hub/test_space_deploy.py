"""Tests of deploying a Space, by module and script, to the local Hub with the real client."""

import hashlib
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlm.commands import space as script
from mlm.errors import CheckpointError, ConfigError, HubError
from mlm.hub import HubUnreachableError, fetch_checkpoint, push_checkpoint
from mlm.hub.local import Fault
from mlm.hub.local.store import Change, RepoFacts, RepoStore
from mlm.hub.space.deploy import (
    check_settings,
    deploy_space,
    space_model,
    space_models,
    wait_until_running,
)
from mlm.hub.space.files import SpaceModel, lay_out
from mlm.hub.space.settings import SpaceSettings
from tests.support.places import ROOT
from tests.support.served_hub import TOKEN, Plan, api, served_hub
from tests.support.sweeps import sweep

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload:DeprecationWarning")
SPACE, MODEL = "me/playground", "me/reviews"
SETTINGS = SpaceSettings({"MLM_MODEL": "demo"}, {"KEY": "tell-nobody"}, "cpu-upgrade")
CALLS = [  # every request that changes or checks something, as (method, address)
    ("GET", "/api/whoami-v2"),
    ("POST", "/api/repos/create"),
    ("GET", f"/api/spaces/{SPACE}"),
    ("GET", f"/api/spaces/{SPACE}/variables"),
    ("POST", f"/api/spaces/{SPACE}/variables"),
    ("POST", f"/api/spaces/{SPACE}/secrets"),
    ("GET", f"/api/spaces/{SPACE}/runtime"),
    ("POST", f"/api/spaces/{SPACE}/hardware"),
    ("POST", "/api/validate-yaml"),
    ("POST", f"/api/spaces/{SPACE}/preupload/main"),
    ("POST", f"/spaces/{SPACE}.git/info/lfs/objects/batch"),
    ("PUT", "/lfs/[0-9a-f]+"),
    ("POST", f"/api/spaces/{SPACE}/commit/main"),
    ("POST", f"/api/spaces/{SPACE}/paths-info/.*"),
]
CREATE, SECRET, COMMIT = CALLS[1], CALLS[5], CALLS[12]


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
def files(tmp_path) -> dict[str, Path]:
    """The files of a Space of the bundled model."""
    return lay_out(tmp_path / "space", [SpaceModel("demo")], "cpu-basic")


@pytest.fixture
def model(tiny_checkpoint_folder) -> str:
    """Push a checkpoint to the Hub; its commit."""
    return push_checkpoint(tiny_checkpoint_folder, MODEL).commit


def on_hub(commit: str | None = None) -> dict[str, bytes]:
    """Return every file of the Space as the Hub serves it, except the Hub's own."""
    names = api().list_repo_files(SPACE, repo_type="space", revision=commit)
    return {
        name: Path(api().hf_hub_download(SPACE, name, repo_type="space")).read_bytes()
        for name in names
        if name != ".gitattributes"
    }


def stored_facts(tmp_path: Path) -> RepoFacts:
    """Return what the local Hub stores of the Space besides its files."""
    return RepoStore(tmp_path / "hub").facts("spaces", SPACE)


def history() -> list[str]:
    return [commit.title for commit in api().list_repo_commits(SPACE, repo_type="space")]


# deploying


def test_a_space_is_made_with_its_settings_and_its_files_in_one_commit(files, tmp_path):
    published = deploy_space(SPACE, files, SETTINGS)
    assert on_hub() == {name: path.read_bytes() for name, path in files.items()}
    assert history() == [f"The page, {len(files)} files", "initial commit"]
    facts = stored_facts(tmp_path)
    assert facts["sdk"] == "gradio" and facts["hardware"] == "cpu-upgrade" and not facts["private"]
    assert facts["variables"] == {"MLM_MODEL": {"key": "MLM_MODEL", "value": "demo"}}
    assert facts["secrets"] == {"KEY": hashlib.sha256(b"tell-nobody").hexdigest()}
    assert published.commit == api().space_info(SPACE).sha
    assert published.url == f"{os.environ['HF_ENDPOINT']}/spaces/{SPACE}"


def test_the_settings_are_there_before_the_files_that_are_built(files, plan):
    deploy_space(SPACE, files, SETTINGS)
    order = [plan.requests.index(call) for call in (CREATE, CALLS[4], SECRET, COMMIT)]
    assert order == sorted(order)


def test_the_same_again_changes_nothing(files, plan):
    first = deploy_space(SPACE, files, SETTINGS)
    plan.requests.clear()
    assert deploy_space(SPACE, files, SETTINGS) == first
    assert plan.count(CREATE) == plan.count(CALLS[4]) == plan.count(CALLS[7]) == 0
    assert len(history()) == 2


def test_an_update_brings_files_variables_and_hardware_to_what_they_are_to_be(files, tmp_path):
    old = tmp_path / "old.py"
    old.write_text("# of an older page\n")
    deploy_space(SPACE, {**files, "mlm/old.py": old}, SETTINGS)
    api().add_space_variable(SPACE, "THEIRS", "kept")
    api().upload_file(
        path_or_fileobj=b"x", path_in_repo="notes.txt", repo_id=SPACE, repo_type="space"
    )
    deploy_space(SPACE, files, SpaceSettings({"MLM_MODEL": "me/a"}, {}, "cpu-basic"))
    assert set(on_hub()) == {*files, "notes.txt"}
    facts = stored_facts(tmp_path)
    assert {v["key"]: v["value"] for v in facts["variables"].values()} == {
        "MLM_MODEL": "me/a",
        "THEIRS": "kept",
    }
    assert facts["hardware"] == "cpu-basic" and "KEY" in facts["secrets"]
    assert len(history()) == 4


def test_hardware_that_is_not_named_stays(files, tmp_path):
    deploy_space(SPACE, files, SETTINGS)
    deploy_space(SPACE, files, SpaceSettings({"MLM_MODEL": "demo"}))
    assert stored_facts(tmp_path)["hardware"] == "cpu-upgrade"


def test_a_private_space_is_private_and_no_public_one_is_used_for_it(files, tmp_path):
    settings = SpaceSettings({"MLM_MODEL": "demo"}, private=True)
    deploy_space(SPACE, files, settings)
    assert stored_facts(tmp_path)["private"]
    deploy_space(SPACE, files, settings)
    api().update_repo_settings(SPACE, private=False, repo_type="space")
    with pytest.raises(HubError, match="exists and is public: make it private"):
        deploy_space(SPACE, files, settings)


def test_a_space_of_something_else_is_left_alone(files):
    api().create_repo(SPACE, repo_type="space", space_sdk="gradio")
    api().upload_file(
        path_or_fileobj=b"print()", path_in_repo="app.py", repo_id=SPACE, repo_type="space"
    )
    with pytest.raises(HubError, match=r"a Space of something else \(it has app.py\)"):
        deploy_space(SPACE, files, SETTINGS)
    assert on_hub() == {"app.py": b"print()"}


@pytest.mark.parametrize(
    ("repo_id", "message"),
    [
        ("playground", "does not say whose Space it is"),
        ("them/playground", "expected a name under me/"),
        ("me/a b", "neither a folder here nor a Hub id"),
    ],
)
def test_a_name_that_cannot_be_written_to(files, repo_id, message):
    with pytest.raises(HubError, match=message):
        deploy_space(repo_id, files, SETTINGS)


# waiting


def change_at_request(plan: Plan, tmp_path: Path, number: int, **facts) -> None:
    """Change the Space's facts just before the answer to its n-th runtime request."""
    store = RepoStore(tmp_path / "hub")
    if number > 1:
        plan.add(CALLS[6], None, times=number - 1)
    plan.add(CALLS[6], None, do=lambda: store.update_facts("spaces", SPACE, **facts))


def test_a_space_is_waited_for(files, plan, naps, tmp_path):
    published = deploy_space(SPACE, files, SpaceSettings({}))
    change_at_request(plan, tmp_path, 3, stage="RUNNING")
    wait_until_running(published)
    assert naps == [5.0, 5.0]


def test_what_ran_before_is_not_what_is_waited_for(files, plan, naps, tmp_path):
    published = deploy_space(SPACE, files, SpaceSettings({}))
    change_at_request(plan, tmp_path, 1, stage="RUNNING", started="0" * 40)
    change_at_request(plan, tmp_path, 2, started=published.commit)
    wait_until_running(published)
    assert len(naps) == 2


def test_a_space_that_does_not_start_is_told_with_its_log(files, plan, naps, tmp_path):
    published = deploy_space(SPACE, files, SpaceSettings({}))
    with pytest.raises(HubError, match="is still BUILDING after 0 minutes"):
        wait_until_running(published, minutes=0)
    change_at_request(plan, tmp_path, 2, stage="BUILD_ERROR")
    with pytest.raises(HubError, match=r"not run but is BUILD_ERROR; its log: .*\?logs=build"):
        wait_until_running(published)


# faults


@pytest.mark.parametrize("status", sweep([408, 429, 500, 503, None], quick=[503]))
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_every_call_is_tried_again(files, plan, naps, tmp_path, status, after):
    api().create_repo(SPACE, repo_type="space", space_sdk="gradio", space_hardware="cpu-basic")
    for call in CALLS:
        plan.add(call, Fault(status, after=after))
    deploy_space(SPACE, files, SETTINGS)
    assert on_hub() == {name: path.read_bytes() for name, path in files.items()}
    assert stored_facts(tmp_path)["hardware"] == "cpu-upgrade"
    assert history() == [f"The page, {len(files)} files", "initial commit"]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_making_the_space_is_tried_again(files, plan, naps, after):
    plan.add(CREATE, Fault(503, after=after))
    deploy_space(SPACE, files, SETTINGS)
    assert plan.count(CREATE) == 2 and len(history()) == 2


def test_a_hub_that_stays_away_is_told(files, plan, naps):
    plan.add(COMMIT, Fault(503), times=99)
    with pytest.raises(HubUnreachableError, match=f"could not commit to {SPACE}: .* answered 503"):
        deploy_space(SPACE, files, SETTINGS)
    assert history() == ["initial commit"]


def test_somebody_elses_commit_meanwhile_is_not_overwritten(files, plan, tmp_path):
    store = RepoStore(tmp_path / "hub")
    theirs = Change("theirs", "", "you", {"app.py": store.small_file(b"print()")})
    plan.add(COMMIT, None, do=lambda: store.commit("spaces", SPACE, "main", theirs))
    with pytest.raises(HubError, match="changed by someone else during this deployment"):
        deploy_space(SPACE, files, SETTINGS)
    assert history() == ["theirs", "initial commit"]


def test_files_that_did_not_arrive_as_they_are_here_are_named(files, monkeypatch):
    def other(*_, **__):
        return ["app.py"]

    monkeypatch.setattr("mlm.hub.commit.differences", other)
    with pytest.raises(HubError, match=r"has app.py not as here: deploy again"):
        deploy_space(SPACE, files, SETTINGS)


def test_a_free_account_is_told_what_the_hub_says(files, plan):
    said = (
        "Static Spaces are free for everyone, but hosting Gradio and Docker Spaces on free "
        "cpu-basic requires a PRO subscription. Subscribe at https://huggingface.co/pro"
    )
    plan.add(CREATE, Fault(402, {"X-Error-Message": said}), times=9)
    with pytest.raises(
        HubError, match=r"requires a PRO subscription\. Subscribe at https"
    ) as caught:
        deploy_space(SPACE, files, SETTINGS)
    assert "\n" not in str(caught.value)


def test_a_secret_that_the_hub_repeats_is_not_told(files, plan, caplog):
    caplog.set_level(logging.INFO)
    said = {"X-Error-Message": "tell-nobody is too short"}
    plan.add(SECRET, Fault(400, said))
    with pytest.raises(
        HubError, match=r"set KEY of me/playground: .*\*\*\* is too short"
    ) as caught:
        deploy_space(SPACE, files, SETTINGS)
    assert "tell-nobody" not in str(caught.value) + caplog.text
    assert caught.value.__suppress_context__


# models


def test_a_model_is_pinned_to_its_commit_and_its_files_are_named(model, tiny_checkpoint_folder):
    pinned = space_model(MODEL)
    assert pinned.name == f"{MODEL}@{model}"
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(pinned.files)
    assert pinned.preload.split() == [MODEL, ",".join(pinned.files), model]


def test_a_revision_can_be_named(model, tiny_bert_folder):
    push_checkpoint(tiny_bert_folder, MODEL)
    assert space_model(MODEL).commit != model
    assert space_model(f"{MODEL}@{model}").commit == model
    assert space_model(f"{MODEL}@{model}") == space_model(space_model(f"{MODEL}@{model}").name)


def test_the_page_can_be_told_a_commit(model, tiny_bert_folder):
    push_checkpoint(tiny_bert_folder, MODEL)
    assert fetch_checkpoint(f"{MODEL}@{model}").commit == model
    assert fetch_checkpoint(MODEL).commit != model


@pytest.mark.parametrize("name", [f"{MODEL}@", f"{MODEL}@a@b", f"{MODEL}@no-such"])
def test_a_revision_that_is_none_is_refused(model, name):
    for look in (fetch_checkpoint, space_model):
        with pytest.raises(HubError):
            look(name)


def test_models_are_named_as_mlm_model_names_them(model):
    assert [each.name for each in space_models(f"{MODEL} , demo")] == [f"{MODEL}@{model}", "demo"]
    assert space_models(" ") == [SpaceModel("demo")]


def test_a_model_that_the_page_could_not_load_is_refused(tmp_path, model):
    api().upload_file(path_or_fileobj=b"{}", path_in_repo="config.json", repo_id=MODEL)
    with pytest.raises(CheckpointError):
        space_model(MODEL)


def test_a_folder_is_no_model_for_a_space(tiny_checkpoint_folder):
    with pytest.raises(HubError, match=r"publish it with `mlm push`"):
        space_model(str(tiny_checkpoint_folder))


@pytest.mark.parametrize("closed", [{"private": True}, {"gated": "auto"}])
def test_a_model_that_is_not_open_needs_a_token_of_the_spaces_own(model, closed, tmp_path):
    RepoStore(tmp_path / "hub").update_facts("models", MODEL, **closed)
    models = space_models(MODEL)
    assert models[0].files == ()
    with pytest.raises(HubError, match="set SPACE_HF_TOKEN and say --secret HF_TOKEN"):
        check_settings(SpaceSettings({}), models)
    check_settings(SpaceSettings({}, {"HF_TOKEN": "hf_another"}), models)


def test_the_token_that_writes_is_not_given_to_a_space():
    with pytest.raises(HubError, match="would be the token that writes to your account") as caught:
        check_settings(SpaceSettings({}, {"HF_TOKEN": TOKEN}), [])
    assert TOKEN not in str(caught.value)
    with pytest.raises(ConfigError, match="both"):
        check_settings(SpaceSettings({"A": "1"}, {"A": "1"}), [])


# the script


def test_the_script_deploys(model, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("SPACE_KEY", "tell-nobody")
    arguments = [SPACE, "--model", MODEL, "--secret", "KEY", "--variable", "MLM_ALLOW_OWNERS=me"]
    assert script.main(arguments) == 0
    RepoStore(tmp_path / "hub").update_facts("spaces", SPACE, stage="RUNTIME_ERROR")
    assert script.main([*arguments, "--wait"]) == 2
    facts = stored_facts(tmp_path)
    assert facts["variables"]["MLM_MODEL"]["value"] == f"{MODEL}@{model}"
    assert facts["secrets"] == {"KEY": hashlib.sha256(b"tell-nobody").hexdigest()}
    readme = on_hub()["README.md"].decode()
    assert f"preload_from_hub:\n- {MODEL} " in readme and "hf_oauth: true" in readme
    printed = capsys.readouterr()
    assert f"/spaces/{SPACE} is at commit {api().space_info(SPACE).sha}" in printed.out
    assert "is RUNTIME_ERROR" in printed.err


def test_a_dry_run_lists_all_and_sends_nothing(model, plan, capsys, monkeypatch):
    monkeypatch.setenv("KEY", "tell-nobody")
    plan.requests.clear()
    assert script.main([SPACE, "--model", MODEL, "--secret", "KEY", "--dry_run"]) == 0
    assert {method for method, _ in plan.requests} <= {"GET", "HEAD"}
    assert not [path for _, path in plan.requests if SPACE in path]
    out = capsys.readouterr().out
    for words in ("app.py, requirements.txt, mlm/", f"{MODEL}@{model}", "secret      KEY\n"):
        assert words in out
    assert script.main([SPACE, "--model", MODEL, "--secret", "KEY", "--dry_run", "--json"]) == 0
    written = capsys.readouterr().out
    plan = json.loads(written)
    assert plan["models"] == [f"{MODEL}@{model}"] and plan["secrets"] == ["KEY"]
    assert "tell-nobody" not in out + written and "mlm/bundled" not in written


def test_a_dry_run_of_the_bundled_model_needs_neither_hub_nor_token():
    environment = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9"}
    environment.pop("HF_TOKEN")
    command = [sys.executable, "scripts/deploy_space.py", SPACE, "--dry_run"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "\nmodel       demo\n" in done.stdout and "nothing was sent" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--hardware", "t4-small"], "expected cpu-basic or cpu-upgrade"),
        (["--secret", "NOT_THERE"], "set SPACE_NOT_THERE or NOT_THERE"),
        (["--model", "me/none"], "no such repository"),
        (["--variable", "X"], "expected NAME=VALUE"),
    ],
)
def test_what_cannot_work_is_told_in_one_line_before_anything_is_made(
    capsys, plan, arguments, message
):
    assert script.main([SPACE, *arguments]) == 2
    *first, error = capsys.readouterr().err.splitlines()
    assert message in error and first in ([], [f"deploying the Space {SPACE}"])
    assert plan.count(CREATE) == 0


def test_no_secret_stands_where_the_local_hub_keeps_things(files, tmp_path):
    deploy_space(SPACE, files, SETTINGS)
    texts = [p.read_text() for p in (tmp_path / "hub" / "spaces").rglob("*.json")]
    assert texts and "tell-nobody" not in json.dumps(texts)
