"""`mlm models`: the list, by language, as text and as JSON."""

import json

import pytest

from mlm.commands.models import TAKE, main, models_for
from mlm.errors import ConfigError
from mlm.hub.base_models import BASE_MODELS

KNOWN = {model.repo_id for model in BASE_MODELS}


def test_all_models_are_listed_with_what_to_take_and_what_was_not_run(capsys):
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert all(f"{name}\n" in shown or f"{name} *\n" in shown for name in KNOWN)  # to be copied
    assert "    en, 110 million parameters, 438 MB, 512 tokens, apache-2.0" in shown
    assert "law " in shown and "were not run here" in " ".join(shown.split())
    assert max(map(len, shown.splitlines())) <= 80


def test_what_to_take_is_in_the_list():
    names = {name for _, names in TAKE for name in names.replace(",", " ").split() if "/" in name}
    assert names <= KNOWN and len(names) > 8


def test_a_language_gives_its_own_models_first_then_those_of_many(capsys):
    assert main(["--language", "de", "--json"]) == 0
    models = json.loads(capsys.readouterr().out)
    assert [m["repo_id"] for m in models[:2]] == [
        "google-bert/bert-base-german-cased",
        "deepset/gbert-base",
    ]
    assert all("de" in model["languages"] for model in models)
    assert "FacebookAI/xlm-roberta-base" in {model["repo_id"] for model in models}
    assert models[0]["download_mb"] == 436


def test_a_region_is_that_of_its_language():
    assert models_for("pt-BR") == models_for("pt")


@pytest.mark.parametrize(
    ("language", "message"),
    [("Deutsch", "expected an ISO 639 code"), ("tlh", "knows the language 'tlh'")],
)
def test_a_language_without_a_model_is_refused(language, message):
    with pytest.raises(ConfigError, match=message):
        models_for(language)
