"""mlm.playground.server.limits: bodies, visitors and addresses that Gradio never sees."""

import asyncio
import json

import httpx
import pytest

from mlm.playground.server import limits
from mlm.playground.server.limits import AddressCheck, BodyLimit, RateLimit, visitor_key

pytest_plugins = ["tests.support.served_page"]


def scope(path: str = "/gradio_api/call/fill_mask", **changes) -> dict:
    basic = {
        "type": "http",
        "method": "POST",
        "path": path,
        "headers": [],
        "client": ("1.2.3.4", 9),
    }
    return basic | changes


def request(app, to: dict, *body: bytes) -> tuple[int, dict, bytes]:
    """Send a request whose body comes in pieces; return (status, headers, body) of the response."""
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
    answer = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], dict(sent[0]["headers"]), answer


async def reader(scope, receive, send):
    """An app that reads a whole body and answers with its size."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message["body"]), message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


async def never(scope, receive, send):
    raise AssertionError("the request should have been refused")


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


# bodies


def test_a_body_with_a_content_length_over_the_limit_is_not_read():
    app = BodyLimit(never, max_bytes=10)
    status, _, body = request(app, scope(headers=[(b"content-length", b"11")]))
    assert status == 413
    assert "larger than 10 bytes" in json.loads(body)["detail"]


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"5")], [(b"content-length", b"x")]])
def test_a_body_larger_than_its_content_length_is_cut_off(headers):
    app = BodyLimit(reader, max_bytes=10)
    assert request(app, scope(headers=headers), b"12345", b"67890", b"1")[0] == 413
    assert request(app, scope(headers=headers), b"12345", b"67890")[::2] == (200, b"10")


def test_an_upload_may_be_larger():
    app = BodyLimit(reader, max_bytes=10, uploads={"/upload": 20})
    assert request(app, scope("/gradio_api/upload"), b"x" * 20)[0] == 200
    assert request(app, scope("/gradio_api/upload"), b"x" * 21)[0] == 413


def test_a_response_that_has_started_is_not_followed_by_a_refusal():
    async def hasty(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await receive()

    assert request(BodyLimit(hasty, max_bytes=1), scope(), b"12")[0] == 200


@pytest.mark.parametrize("dropped", [False, True])
def test_a_cut_off_body_is_a_413_whatever_the_app_answers(dropped):
    async def careful(scope, receive, send):
        """Behaves as FastAPI, which turns any error of a body into a 400."""
        try:
            await reader(scope, receive, send)
        except Exception:
            if not dropped:
                await send({"type": "http.response.start", "status": 400, "headers": []})
                await send({"type": "http.response.body", "body": b"no body"})
            raise

    status, headers, body = request(BodyLimit(careful, max_bytes=10), scope(), b"123456", b"123456")
    assert status == 413 and headers[b"connection"] == b"close"
    assert "larger than 10 bytes" in json.loads(body)["detail"]


def test_an_error_of_the_app_passes():
    async def fail(scope, receive, send):
        await receive()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        request(BodyLimit(fail), scope(), b"1")


def test_a_content_length_of_many_digits_is_refused():
    app = BodyLimit(never, max_bytes=10)
    assert request(app, scope(headers=[(b"content-length", b"9" * 9000)]))[0] == 413


def test_an_endless_body_is_not_stored():
    async def endless():
        nonlocal pieces
        pieces += 1
        return {"type": "http.request", "body": b"x" * 1000, "more_body": True}

    async def send(message):
        sent.append(message)

    pieces, sent = 0, []
    asyncio.run(BodyLimit(reader)(scope(), endless, send))
    assert pieces == limits.MAX_BODY // 1000 + 1
    assert sent[0]["status"] == 413


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
    app = RateLimit(reader, per_minute=60, burst=3, clock=clock)
    assert [request(app, scope())[0] for _ in range(5)] == [200, 200, 200, 429, 429]
    assert request(app, scope(client=("5.6.7.8", 1)))[0] == 200
    status, headers, body = request(app, scope())
    assert (status, headers[b"retry-after"]) == (429, b"1")
    assert "wait 1 s" in json.loads(body)["detail"]
    clock.now += 1.0
    assert [request(app, scope())[0] for _ in range(2)] == [200, 429]
    clock.now += 1e6  # a long pause is not saved up
    assert [request(app, scope())[0] for _ in range(4)] == [200, 200, 200, 429]


def test_only_writes_to_the_api_are_limited():
    app = RateLimit(reader, burst=1, clock=Clock())
    assert [request(app, scope(method="GET"))[0] for _ in range(5)] == [200] * 5
    assert [request(app, scope("/theme.css"))[0] for _ in range(5)] == [200] * 5
    assert [request(app, scope(client=("127.0.0.1", 1)))[0] for _ in range(5)] == [200] * 5
    assert [request(app, scope(client=None))[0] for _ in range(5)] == [200] * 5
    assert [request(app, scope())[0] for _ in range(2)] == [200, 429]


def test_only_so_many_visitors_are_remembered(monkeypatch):
    monkeypatch.setattr(limits, "MAX_VISITORS", 10)
    app = RateLimit(reader, burst=1, clock=Clock())
    for i in range(30):
        assert request(app, scope(client=(f"9.9.9.{i}", 1)))[0] == 200
    assert len(app._buckets) == 10


def test_an_upload_counts_as_several_questions():
    app = RateLimit(reader, per_minute=60, burst=13, clock=Clock())
    upload = scope("/gradio_api/upload")
    assert [request(app, upload)[0] for _ in range(3)] == [200, 200, 429]
    assert request(app, upload)[1][b"retry-after"] == b"5"
    assert [request(app, scope())[0] for _ in range(2)] == [200, 429]
    small = RateLimit(reader, per_minute=60, burst=2, clock=Clock())
    assert [request(small, upload)[0] for _ in range(2)] == [200, 429]


def test_one_ordinary_visitor_is_never_refused():
    """The page is opened, then a question is asked every 1.5 seconds for an hour."""
    clock = Clock()
    app = RateLimit(reader, clock=clock)
    opening = [request(app, scope("/gradio_api/queue/join"))[0] for _ in range(5)]
    asking = []
    for _ in range(2400):
        clock.now += 1.5
        asking.append(request(app, scope("/gradio_api/queue/join"))[0])
    assert {*opening, *asking} == {200}


def test_a_clock_that_stops_or_goes_back_adds_no_tokens():
    clock = Clock()
    app = RateLimit(reader, per_minute=60, burst=2, clock=clock)
    assert [request(app, scope())[0] for _ in range(3)] == [200, 200, 429]
    clock.now -= 50.0
    assert request(app, scope())[0] == 429


@pytest.mark.parametrize(
    ("client", "forwarded", "visitor"),
    [
        ("1.2.3.4", b"", "1.2.3.4"),
        ("1.2.3.4", b"9.9.9.9", "1.2.3.4"),
        ("2001:db8::1", b"", "2001:db8::/64"),
        ("2001:db8::ffff:1", b"", "2001:db8::/64"),
        ("::ffff:1.2.3.4", b"", "1.2.3.4"),
        ("fe80::1%eth0", b"", "fe80::/64"),
        ("::1", b"", None),
        ("127.0.0.9", b"", None),
        ("unix socket", b"", "unix socket"),
    ],
)
def test_a_visitor_is_an_address(client, forwarded, visitor, monkeypatch):
    monkeypatch.delenv("SPACE_ID", raising=False)
    headers = [(b"x-forwarded-for", forwarded)]
    assert visitor_key(scope(client=(client, 1), headers=headers)) == visitor


@pytest.mark.parametrize(
    ("forwarded", "visitor"),
    [(b"9.9.9.9, 10.0.0.1", "9.9.9.9"), (b"", "10.1.2.3"), (b"x" * 500, "10.1.2.3")],
)
def test_on_a_space_the_proxy_names_the_visitor(forwarded, visitor, monkeypatch):
    monkeypatch.setenv("SPACE_ID", "me/space")
    headers = [(b"x-forwarded-for", forwarded)]
    assert visitor_key(scope(client=("10.1.2.3", 1), headers=headers)) == visitor


# before the real page


def from_(address: str) -> dict[str, str]:
    """Return the headers of a visitor from an address, as a proxy on this machine sends them."""
    return {"X-Forwarded-For": address}


POSTS = ("call/fill_mask", "queue/join", "cancel", "reset", "run/fill_mask", "upload")


@pytest.mark.parametrize("path", POSTS)
def test_every_route_is_behind_the_limits(pages, path):
    url = f"{pages.single}/gradio_api/{path}"
    visitor = from_(f"203.0.113.{POSTS.index(path)}")
    size = limits.MAX_UPLOAD if path == "upload" else limits.MAX_BODY

    def chunks():
        for _ in range(size // 50_000 + 1):
            yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.csv"\r\n\r\n'
            yield b"x" * 50_000 + b"\r\n"

    visitor["Content-Type"] = (
        f"{'multipart/form-data' if path == 'upload' else 'text/x'}; boundary=x"
    )
    for body in (b"x" * (size + 1), chunks()):
        response = httpx.post(url, content=body, headers=visitor, timeout=30)
        assert response.status_code == 413
        assert f"larger than {size:,} bytes" in response.json()["detail"]
    with httpx.Client(headers=visitor) as client:  # one connection is faster than the refill
        responses = []
        while len(responses) < 300 and (not responses or responses[-1].status_code != 429):
            responses.append(client.post(url, content=b"x"))
    last = responses[-1]
    assert len(responses) > 4 and last.status_code == 429
    assert 1 <= int(last.headers["retry-after"]) <= 6
    assert httpx.get(pages.single, headers=visitor).status_code == 200
    assert httpx.post(url, content=b"x", headers=from_("198.51.100.7")).status_code != 429


def test_a_file_of_the_batch_tab_passes_and_a_larger_one_does_not(pages):
    url = f"{pages.single}/gradio_api/upload"
    for size, status in ((1_000_000, 200), (1_050_000, 413), (1_200_000, 413)):
        files = {"files": ("a.csv", b"x" * size)}
        response = httpx.post(url, files=files, headers=from_("203.0.113.200"), timeout=30)
        assert response.status_code == status


# names


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/gradio_api/call/fill_mask", 200),
        ("/gradio_api/call/v2/batch", 200),
        ("/a/proxy/gradio_api/run/score", 200),
        ("/gradio_api/call/compare/0123", 200),
        ("/gradio_api/queue/join", 200),
        ("/gradio_api/run/predict", 200),
        ("/gradio_api/call/nonsense", 404),
        ("/gradio_api/call/v2/nonsense", 404),
        ("/gradio_api/api/nonsense/", 404),
        ("/gradio_api/run/nonsense/0123", 404),
        ("/", 200),
    ],
)
def test_an_unknown_endpoint_is_answered_with_the_known_ones(path, status):
    answered, _, body = request(AddressCheck(reader), scope(path))
    assert answered == status
    assert (b"the endpoints are /fill_mask, /compare, /score, /batch" in body) == (status == 404)


def test_the_names_are_those_of_the_page(pages):
    info = httpx.get(f"{pages.single}/gradio_api/info").json()
    assert set(info["named_endpoints"]) == {f"/{name}" for name in limits.ENDPOINTS}
    response = httpx.post(f"{pages.single}/gradio_api/call/nonsense", json={"data": []})
    assert response.status_code == 404 and "/fill_mask" in response.json()["detail"]


def test_an_address_too_long_for_gradio_is_refused(pages):
    response = httpx.get(f"{pages.single}/", params={"tab": "fill", "text": "电" * 3700})
    assert response.status_code == 414 and "too long" in response.json()["detail"]
    assert httpx.get(f"{pages.single}/", params={"tab": "fill", "text": "电" * 3500}).is_success
