"""Tests of mlm.hub.space.settings: variables, secrets and hardware of a Space."""

import pytest

from mlm.errors import ConfigError
from mlm.hub.space.settings import (
    SpaceSettings,
    check_apart,
    checked_hardware,
    space_secrets,
    space_variables,
)


@pytest.fixture(autouse=True)
def no_limit_of_ours(monkeypatch):
    monkeypatch.delenv("MLM_MAX_CHECKPOINT_GB", raising=False)


def test_the_models_are_a_variable_and_others_stand_beside_it():
    given = ["MLM_ALLOW_OWNERS=me,google-bert", "EMPTY="]
    assert space_variables(["me/a@12", "demo"], given) == {
        "MLM_MODEL": "me/a@12,demo",
        "MLM_ALLOW_OWNERS": "me,google-bert",
        "EMPTY": "",
    }


def test_a_limit_that_was_raised_here_is_raised_there(monkeypatch):
    monkeypatch.setenv("MLM_MAX_CHECKPOINT_GB", "9")
    assert space_variables(["me/large"], [])["MLM_MAX_CHECKPOINT_GB"] == "9"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("NOTHING", "NOTHING' has no value; expected NAME=VALUE"),
        ("MLM_MODEL=demo", "what --model says"),
        ("A-B=1", "'A-B' is not a variable's name"),
        ("=1", "'' is not a variable's name"),
        ("KEY=hf_abcdefgh", "looks like a token.*--secret KEY"),
    ],
)
def test_variables_that_cannot_be(given, message):
    with pytest.raises(ConfigError, match=message) as refused:
        space_variables(["demo"], [given])
    assert "hf_abcdefgh" not in str(refused.value)


def test_a_secret_is_taken_from_the_environment():
    environment = {"HF_TOKEN": "mine", "SPACE_HF_TOKEN": "read", "OTHER": "o"}
    assert space_secrets(["HF_TOKEN", "OTHER"], environment) == {"HF_TOKEN": "read", "OTHER": "o"}


def test_a_secret_without_a_value_is_refused():
    with pytest.raises(ConfigError, match="set SPACE_KEY or KEY in your environment"):
        space_secrets(["KEY"], {"KEY": ""})


def test_a_value_on_the_command_line_is_refused_and_not_repeated():
    with pytest.raises(ConfigError, match="'KEY' is not a variable's name") as refused:
        space_secrets(["KEY=tell-nobody"], {})
    assert "tell-nobody" not in str(refused.value)


def test_settings_do_not_show_a_secret():
    assert "tell-nobody" not in repr(SpaceSettings({"A": "1"}, {"KEY": "tell-nobody"}))


def test_visitors_sign_in_where_they_may_choose():
    assert SpaceSettings({"MLM_ALLOW_OWNERS": "me"}).sign_in
    assert not SpaceSettings({"MLM_ALLOW_OWNERS": ""}).sign_in and not SpaceSettings({}).sign_in


def test_a_name_is_a_variables_or_a_secrets():
    with pytest.raises(ConfigError, match="A is both a variable and a secret"):
        check_apart(SpaceSettings({"A": "1"}, {"A": "2"}))
    check_apart(SpaceSettings({"A": "1"}, {"B": "2"}))


def test_hardware_that_the_page_would_not_use_is_refused():
    assert [checked_hardware(name) for name in (None, "cpu-basic")] == [None, "cpu-basic"]
    with pytest.raises(ConfigError, match=r"'zero-a10g'.*expected cpu-basic or cpu-upgrade"):
        checked_hardware("zero-a10g")
