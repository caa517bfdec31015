"""The variables that Gradio reads: checked, and set, before it is imported."""

import os
from pathlib import Path

import pytest

from mlm.backend import proxies
from mlm.errors import ConfigError
from mlm.playground.server import environment
from mlm.playground.server.environment import prepare_environment, with_slash


@pytest.fixture(autouse=True)
def variables(monkeypatch, tmp_path):
    """An environment of the test's own, with an empty folder for temporary files."""
    monkeypatch.setattr(os, "environ", {"PATH": ""})
    monkeypatch.setattr(environment.tempfile, "tempdir", str(tmp_path))


def test_loopback_is_reached_without_a_proxy():
    os.environ |= {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "example.org, localhost"}
    prepare_environment()
    assert os.environ["NO_PROXY"] == "example.org,localhost,127.0.0.1,::1"
    assert os.environ["no_proxy"] == os.environ["NO_PROXY"]


@pytest.mark.parametrize("name", ["ALL_PROXY", "https_proxy"])
def test_a_socks_proxy_without_its_package_is_named(monkeypatch, name):
    monkeypatch.setattr(proxies, "find_spec", lambda package: None)
    os.environ[name] = "socks5://me:secret@127.0.0.1:9"
    with pytest.raises(
        ConfigError, match=f"^{name} names a SOCKS proxy.*pip install socksio"
    ) as error:
        prepare_environment()
    assert "secret" not in str(error.value)
    monkeypatch.setattr(proxies, "find_spec", lambda package: object())
    prepare_environment()


@pytest.mark.parametrize("inside", [False, True])
def test_a_folder_of_another_user_is_not_used(monkeypatch, tmp_path, inside):
    prepare_environment()
    assert "GRADIO_TEMP_DIR" not in os.environ
    foreign = tmp_path / "gradio" / "vibe_edit_history" if inside else tmp_path / "gradio"
    foreign.mkdir(parents=True)
    monkeypatch.setattr(os, "access", lambda path, mode: path != foreign)
    prepare_environment()
    own = os.environ["GRADIO_TEMP_DIR"]
    assert Path(own).parent == tmp_path and own != str(tmp_path / "gradio")
    prepare_environment()
    assert os.environ["GRADIO_TEMP_DIR"] == own


@pytest.mark.parametrize(
    ("given", "used"),
    [("fill", "/fill"), ("/fill", "/fill"), ("https://a.org/fill", "https://a.org/fill")],
)
def test_the_path_behind_a_proxy_has_a_slash(given, used):
    assert with_slash(given) == used
    os.environ["GRADIO_ROOT_PATH"] = given
    prepare_environment()
    assert os.environ["GRADIO_ROOT_PATH"] == used
