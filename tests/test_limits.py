"""Bodies and visitors that are refused before Gradio sees them."""

import asyncio
import json

import pytest

from mlm.playground import limits
from mlm.playground.limits import BodyLimit, RateLimit, visitor_of


def scope(path: str = "/gradio_api/call/fill_mask", **changes) -> dict:
    basic = {
        "type": "http",
        "method": "POST",
        "path": path,
        "headers": [],
        "client": ("1.2.3.4", 9),
    }
    return basic | changes


def asked(app, to: dict, *body: bytes) -> tuple[int, dict, bytes]:
    """(status, headers, body) of the answer to one request, its body in pieces."""
    pieces = [
        {"type": "http.request", "body": piece, "more_body": i < len(body) - 1}
        for i, piece in enumerate(body or (b"",))
    ]
    sent = []

    async def receive():
        return pieces.pop(0)

    async def send(message):
        sent.append(message)

    asyncio.run(app(to, receive, send))
    told = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], dict(sent[0]["headers"]), told


async def reader(scope, receive, send):
    """An app that reads all of a body and says how much it was."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message["body"]), message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


async def never(scope, receive, send):
    raise AssertionError("the request was to be refused before")


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


# bodies


def test_a_body_that_says_that_it_is_too_large_is_not_read():
    app = BodyLimit(never, most=10)
    status, _, told = asked(app, scope(headers=[(b"content-length", b"11")]))
    assert status == 413
    assert "larger than 10 bytes" in json.loads(told)["detail"]


@pytest.mark.parametrize("said", [[], [(b"content-length", b"5")], [(b"content-length", b"x")]])
def test_a_body_that_is_larger_than_it_says_is_cut_off(said):
    app = BodyLimit(reader, most=10)
    assert asked(app, scope(headers=said), b"12345", b"67890", b"1")[0] == 413
    assert asked(app, scope(headers=said), b"12345", b"67890")[::2] == (200, b"10")


def test_an_upload_may_be_larger():
    app = BodyLimit(reader, most=10, uploads={"/upload": 20})
    assert asked(app, scope("/gradio_api/upload"), b"x" * 20)[0] == 200
    assert asked(app, scope("/gradio_api/upload"), b"x" * 21)[0] == 413


def test_an_answer_that_has_begun_is_not_answered_twice():
    async def hasty(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await receive()

    assert asked(BodyLimit(hasty, most=1), scope(), b"12")[0] == 200


def test_what_is_not_http_passes():
    passed = []

    async def app(scope, receive, send):
        passed.append(scope["type"])

    for limit in (BodyLimit(app), RateLimit(app)):
        asyncio.run(limit({"type": "lifespan"}, None, None))
    assert passed == ["lifespan"] * 2


# visitors


def test_who_asks_too_often_waits_and_others_do_not():
    clock = Clock()
    app = RateLimit(reader, a_minute=60, burst=3, clock=clock)
    assert [asked(app, scope())[0] for _ in range(5)] == [200, 200, 200, 429, 429]
    assert asked(app, scope(client=("5.6.7.8", 1)))[0] == 200
    status, headers, told = asked(app, scope())
    assert (status, headers[b"retry-after"]) == (429, b"1")
    assert "wait 1 s" in json.loads(told)["detail"]
    clock.now += 1.0
    assert [asked(app, scope())[0] for _ in range(2)] == [200, 429]
    clock.now += 1e6  # a long pause is not saved up
    assert [asked(app, scope())[0] for _ in range(4)] == [200, 200, 200, 429]


def test_only_questions_are_counted():
    app = RateLimit(reader, burst=1, clock=Clock())
    assert [asked(app, scope(method="GET"))[0] for _ in range(5)] == [200] * 5
    assert [asked(app, scope("/theme.css"))[0] for _ in range(5)] == [200] * 5
    assert [asked(app, scope(client=("127.0.0.1", 1)))[0] for _ in range(5)] == [200] * 5
    assert [asked(app, scope(client=None))[0] for _ in range(5)] == [200] * 5
    assert [asked(app, scope())[0] for _ in range(2)] == [200, 429]


def test_only_so_many_visitors_are_remembered(monkeypatch):
    monkeypatch.setattr(limits, "MOST_VISITORS", 10)
    app = RateLimit(reader, burst=1, clock=Clock())
    for i in range(30):
        assert asked(app, scope(client=(f"9.9.9.{i}", 1)))[0] == 200
    assert len(app._left) == 10


@pytest.mark.parametrize(
    ("client", "forwarded", "visitor"),
    [
        ("1.2.3.4", b"", "1.2.3.4"),
        ("1.2.3.4", b"9.9.9.9", "1.2.3.4"),
        ("2001:db8::1", b"", "2001:db8::/64"),
        ("2001:db8::ffff:1", b"", "2001:db8::/64"),
        ("::1", b"", None),
        ("unix socket", b"", "unix socket"),
    ],
)
def test_a_visitor_is_an_address(client, forwarded, visitor, monkeypatch):
    monkeypatch.delenv("SPACE_ID", raising=False)
    headers = [(b"x-forwarded-for", forwarded)]
    assert visitor_of(scope(client=(client, 1), headers=headers)) == visitor


@pytest.mark.parametrize(
    ("forwarded", "visitor"),
    [(b"9.9.9.9, 10.0.0.1", "9.9.9.9"), (b"", "10.1.2.3"), (b"x" * 500, "x" * 64)],
)
def test_on_a_space_the_proxy_names_the_visitor(forwarded, visitor, monkeypatch):
    monkeypatch.setenv("SPACE_ID", "me/space")
    headers = [(b"x-forwarded-for", forwarded)]
    assert visitor_of(scope(client=("10.1.2.3", 1), headers=headers)) == visitor
