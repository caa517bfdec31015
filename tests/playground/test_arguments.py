"""Arguments of calls over plain HTTP: defaults are taken, wrong names and numbers are said."""

import json

import httpx
import pytest

from mlm.inference.fill_mask import FillMask
from mlm.playground.server.arguments import complete
from tests.support.fake_checkpoint import fake_checkpoint
from tests.support.raw_calls import call_endpoint

pytest_plugins = ["tests.support.served_page"]

PARAMETERS = [
    {"parameter_name": "text", "parameter_has_default": False},
    {"parameter_name": "top_k", "parameter_has_default": True, "parameter_default": 5},
]


@pytest.mark.parametrize(
    ("call", "completed"),
    [
        ({"data": ["a"]}, {"data": ["a", 5]}),
        ({"data": ["a", 3]}, {"data": ["a", 3]}),
        ({"data": ["a", None]}, {"data": ["a", None]}),
        ({"text": "a"}, {"text": "a", "top_k": 5}),
        ({"data": ["a"], "session_hash": "x"}, {"data": ["a", 5], "session_hash": "x"}),
        ([1], [1]),
        (None, None),
    ],
)
def test_a_call_gets_the_defaults_it_lacks(call, completed):
    assert json.loads(complete(json.dumps(call).encode(), PARAMETERS)) == completed


def test_what_is_not_json_is_left_to_gradio():
    assert complete(b"{", PARAMETERS) == b"{"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"data": []}, "the argument 'text' is missing"),
        ({"top_k": 3}, "the argument 'text' is missing"),
        ({"txt": "a"}, "'txt' is not an argument; it takes text, top_k"),
        ({"text": "a", "k": 1}, "'k' is not an argument"),
        ({"data": ["a", 1, 2]}, "3 arguments are given; it takes text, top_k"),
    ],
)
def test_wrong_arguments_are_said(call, message):
    with pytest.raises(ValueError, match=message):
        complete(json.dumps(call).encode(), PARAMETERS)


def test_a_served_endpoint_takes_its_defaults_by_every_protocol(pages):
    expected = FillMask(fake_checkpoint(), "me/fake")("It was [MASK].", 5)
    status, stream = call_endpoint(pages.single, ["It was [MASK]."])
    assert status == 200
    assert json.loads(stream.removeprefix("event: complete\ndata: "))[0] == expected
    call = f"{pages.single}/gradio_api/call"
    begun = httpx.post(f"{call}/v2/fill_mask", json={"text": "It was [MASK]."})
    answer = httpx.get(f"{call}/v2/fill_mask/{begun.json()['event_id']}", timeout=60)
    assert json.loads(answer.text.removeprefix("event: complete\ndata: "))[0] == expected
    wrong = httpx.post(f"{call}/v2/fill_mask", json={"txt": "It was [MASK]."})
    assert wrong.status_code == 422
    assert wrong.json() == {"detail": "/fill_mask: 'txt' is not an argument; it takes text, top_k."}
    assert call_endpoint(pages.single, [])[0] == 422
