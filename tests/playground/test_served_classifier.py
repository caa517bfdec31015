"""A classifier beside the page's models: the endpoint /classify, over HTTP on loopback."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mlm.errors import CheckpointError, ConfigError
from mlm.hub.pull import is_classifier
from mlm.inference.classifier import Classifier
from mlm.playground import page, serve
from mlm.playground.served_classifier import ServedClassifier, split_names
from tests.support.places import ROOT
from tests.support.raw_calls import call_endpoint
from tests.support.small_classifiers import TAGS, save_classifier
from tests.support.started_space import free_port

TEXT = "The quick brown film jumps over the lazy movie."
CLIENT = """
import json, sys
from gradio_client import Client
client = Client(sys.argv[1], verbose=False)
ask = lambda *given: client.predict(*given, api_name="/classify")
print(json.dumps([ask(sys.argv[2]), ask("one", "other")]))
"""


@pytest.fixture(scope="module")
def sentiment(tmp_path_factory) -> Path:
    return save_classifier(tmp_path_factory.mktemp("served") / "sentiment")


@pytest.fixture(scope="module")
def address(sentiment, tiny_bert_folder):
    """Serve a masked LM and a classifier in a process of their own."""
    port = free_port()
    environment = {**os.environ, "GRADIO_SERVER_PORT": str(port), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "mlm", "serve", str(tiny_bert_folder), str(sentiment)]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE) as server:
        try:
            found = f"http://127.0.0.1:{port}"
            assert any(found.encode() in line for line in server.stdout)
            yield found
        finally:
            server.terminate()


def answer(stream: str):
    return json.loads(stream.removeprefix("event: complete\ndata: "))[0]


def test_programs_get_the_labels_of_the_classifier(address, sentiment):
    command = [sys.executable, "-c", CLIENT, address, TEXT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    classifier = Classifier.from_pretrained(sentiment, dtype="int8")
    pair = {"text": "one", "text_pair": "other"}
    assert json.loads(done.stdout.splitlines()[-1]) == [classifier(TEXT), classifier(pair)]


def test_plain_http_has_the_defaults_and_the_limits_of_the_other_endpoints(address, sentiment):
    expected = Classifier.from_pretrained(sentiment, dtype="int8")(TEXT)
    assert answer(call_endpoint(address, [TEXT], "classify")[1]) == expected
    refused = call_endpoint(address, ["a" * 20_001], "classify")[1]
    assert "20,001 characters; at most 20,000 are read" in refused
    assert "of type int" in call_endpoint(address, [7], "classify")[1]
    status, said = call_endpoint(address, [TEXT], "classified")
    assert status == 404 and "/score, /batch, /classify." in said


def test_the_masked_model_answers_as_ever(address):
    words = answer(call_endpoint(address, ["I watched this ___.", 2])[1])
    assert len(words) == 2 and set(words[0]) == {"score", "token", "token_str", "sequence"}


def test_alone_it_is_served_beside_the_bundled_model(sentiment, monkeypatch, capsys):
    def build(models, owners, load, classifier):
        given.append((models.names, classifier.model.name))
        return SimpleNamespace(launch=launch)

    def launch(**options):
        raise OSError("no port")

    given: list[object] = []
    monkeypatch.setattr(page, "build_playground", build)
    assert serve.main([str(sentiment)]) == 2
    assert given == [(["demo"], "/".join(sentiment.parts[-2:]))]
    assert (
        f"{sentiment} is a classifier: it answers programs at /classify; the page shows demo, "
        "because it needs a masked language model"
    ) in capsys.readouterr().err


def test_one_classifier_is_enough(sentiment):
    names = ["demo", str(sentiment), str(sentiment)]
    with pytest.raises(ConfigError, match="name only one of them"):
        split_names(names, is_classifier)
    assert split_names(names[:2], is_classifier) == (["demo"], str(sentiment))


def test_a_classifier_that_cannot_be_loaded_says_so_to_who_asks(tiny_bert_folder):
    served = ServedClassifier(str(tiny_bert_folder), Classifier.from_pretrained)
    with pytest.raises(CheckpointError, match="is not a classifier"):
        _ = served.model


def test_one_of_words_answers_with_entities(tmp_path):
    served = ServedClassifier(str(save_classifier(tmp_path, task=TAGS)), Classifier.from_pretrained)
    assert set(served.model(TEXT)[0]) == {"entity_group", "score", "word", "start", "end"}
