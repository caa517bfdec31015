"""The plan of a Space: what matters as text, everything but secrets as JSON."""

import hashlib
import json
import re

import pytest

from mlm.commands.space_report import SpacePlan, plan_json, plan_text
from mlm.hub.space.files import SpaceModel
from mlm.hub.space.settings import SpaceSettings

VARIABLES = {"MLM_MODEL": "demo", "MLM_ALLOW_OWNERS": "me"}


@pytest.fixture
def files(tmp_path):
    names = ("README.md", "app.py", "mlm/a.py", "mlm/b/c.py")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"# {name}\n" * 50_000, encoding="utf-8")
    return {name: tmp_path / name for name in names}


def plan(files, **settings) -> SpacePlan:
    secrets = {"HF_TOKEN": "tell-nobody"}
    return SpacePlan(
        "me/page", [SpaceModel("demo")], SpaceSettings(VARIABLES, secrets, **settings), files
    )


def rows(text: str) -> dict[str, str]:
    lines = [re.split(r" {2,}", line, maxsplit=1) for line in text.splitlines() if line]
    return {row[0]: row[1] for row in lines if len(row) == 2 and row[0]}


def test_what_matters_comes_first_and_no_hash(files):
    text = plan_text(plan(files, hardware="cpu-upgrade", private=True))
    assert list(rows(text))[:5] == ["Space", "model", "hardware", "visibility", "account"]
    shown = rows(text)
    assert (shown["Space"], shown["model"], shown["hardware"]) == ("me/page", "demo", "cpu-upgrade")
    assert shown["visibility"].startswith("private") and "PRO" in shown["account"]
    assert shown["files"] == "4, 2.2 MB: README.md, app.py, mlm/ (2)"
    assert shown["secret"] == "HF_TOKEN" and "tell-nobody" not in text
    assert not re.search(r"[0-9a-f]{40}", text)
    assert max(map(len, text.splitlines())) <= 80


def test_a_public_space_is_called_public(files):
    assert rows(plan_text(plan(files)))["visibility"].startswith("public")


def test_json_has_each_file_with_its_hash(files):
    content = json.loads(plan_json(plan(files)))
    assert [file["path"] for file in content["files"]] == list(files)
    first = files["README.md"].read_bytes()
    assert content["files"][0]["sha256"] == hashlib.sha256(first).hexdigest()
    assert content["size"] == sum(file["size"] for file in content["files"])
    assert (content["private"], content["sign_in"], content["secrets"]) == (
        False,
        True,
        ["HF_TOKEN"],
    )
