"""Bodies and visitors that are refused before Gradio sees them."""

import asyncio
import json

import httpx
import pytest

from mlm.playground.server import limits
from mlm.playground.server.limits import BodyLimit, KnownAddresses, RateLimit, visitor_of

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


@pytest.mark.parametrize("dropped", [False, True])
def test_a_cut_off_body_is_told_whatever_the_app_makes_of_it(dropped):
    async def careful(scope, receive, send):
        """As FastAPI, which turns any error of a body into a 400."""
        try:
            await reader(scope, receive, send)
        except Exception:
            if not dropped:
                await send({"type": "http.response.start", "status": 400, "headers": []})
                await send({"type": "http.response.body", "body": b"no body"})
            raise

    status, headers, told = asked(BodyLimit(careful, most=10), scope(), b"123456", b"123456")
    assert status == 413 and headers[b"connection"] == b"close"
    assert "larger than 10 bytes" in json.loads(told)["detail"]


def test_an_error_of_the_app_is_its_own():
    async def broken(scope, receive, send):
        await receive()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asked(BodyLimit(broken), scope(), b"1")


def test_the_longest_length_is_no_trouble():
    app = BodyLimit(never, most=10)
    assert asked(app, scope(headers=[(b"content-length", b"9" * 9000)]))[0] == 413


def test_a_body_without_an_end_is_not_kept():
    async def endless():
        nonlocal come
        come += 1
        return {"type": "http.request", "body": b"x" * 1000, "more_body": True}

    async def send(message):
        sent.append(message)

    come, sent = 0, []
    asyncio.run(BodyLimit(reader)(scope(), endless, send))
    assert come == limits.MOST_BODY // 1000 + 1
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


def test_an_upload_counts_as_several_questions():
    app = RateLimit(reader, a_minute=60, burst=13, clock=Clock())
    upload = scope("/gradio_api/upload")
    assert [asked(app, upload)[0] for _ in range(3)] == [200, 200, 429]
    assert asked(app, upload)[1][b"retry-after"] == b"5"
    assert [asked(app, scope())[0] for _ in range(2)] == [200, 429]
    small = RateLimit(reader, a_minute=60, burst=2, clock=Clock())
    assert [asked(small, upload)[0] for _ in range(2)] == [200, 429]


def test_one_ordinary_visitor_is_never_refused():
    """A page that opens, then a question every second and a half for an hour."""
    clock = Clock()
    app = RateLimit(reader, clock=clock)
    opening = [asked(app, scope("/gradio_api/queue/join"))[0] for _ in range(5)]
    asking = []
    for _ in range(2400):
        clock.now += 1.5
        asking.append(asked(app, scope("/gradio_api/queue/join"))[0])
    assert {*opening, *asking} == {200}


def test_a_clock_that_stands_still_or_jumps_back_gives_nothing_away():
    clock = Clock()
    app = RateLimit(reader, a_minute=60, burst=2, clock=clock)
    assert [asked(app, scope())[0] for _ in range(3)] == [200, 200, 429]
    clock.now -= 50.0
    assert asked(app, scope())[0] == 429


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
    assert visitor_of(scope(client=(client, 1), headers=headers)) == visitor


@pytest.mark.parametrize(
    ("forwarded", "visitor"),
    [(b"9.9.9.9, 10.0.0.1", "9.9.9.9"), (b"", "10.1.2.3"), (b"x" * 500, "10.1.2.3")],
)
def test_on_a_space_the_proxy_names_the_visitor(forwarded, visitor, monkeypatch):
    monkeypatch.setenv("SPACE_ID", "me/space")
    headers = [(b"x-forwarded-for", forwarded)]
    assert visitor_of(scope(client=("10.1.2.3", 1), headers=headers)) == visitor


# before the real page


def from_(address: str) -> dict[str, str]:
    """A visitor from there: uvicorn believes it of a proxy on this machine."""
    return {"X-Forwarded-For": address}


POSTS = ("call/fill_mask", "queue/join", "cancel", "reset", "run/fill_mask", "upload")


@pytest.mark.parametrize("path", POSTS)
def test_every_route_is_behind_the_limits(pages, path):
    url = f"{pages.single}/gradio_api/{path}"
    visitor = from_(f"203.0.113.{POSTS.index(path)}")
    size = limits.MOST_UPLOAD if path == "upload" else limits.MOST_BODY

    def chunks():
        for _ in range(size // 50_000 + 1):
            yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.csv"\r\n\r\n'
            yield b"x" * 50_000 + b"\r\n"

    visitor["Content-Type"] = (
        f"{'multipart/form-data' if path == 'upload' else 'text/x'}; boundary=x"
    )
    for body in (b"x" * (size + 1), chunks()):
        told = httpx.post(url, content=body, headers=visitor, timeout=30)
        assert told.status_code == 413
        assert f"larger than {size:,} bytes" in told.json()["detail"]
    with httpx.Client(headers=visitor) as client:  # one connection asks faster than tokens come
        answers = []
        while len(answers) < 300 and (not answers or answers[-1].status_code != 429):
            answers.append(client.post(url, content=b"x"))
    told = answers[-1]
    assert len(answers) > 4 and told.status_code == 429
    assert 1 <= int(told.headers["retry-after"]) <= 6
    assert httpx.get(pages.single, headers=visitor).status_code == 200
    assert httpx.post(url, content=b"x", headers=from_("198.51.100.7")).status_code != 429


def test_a_file_of_the_batch_tab_passes_and_a_larger_one_does_not(pages):
    url = f"{pages.single}/gradio_api/upload"
    for size, status in ((1_000_000, 200), (1_050_000, 413), (1_200_000, 413)):
        files = {"files": ("a.csv", b"x" * size)}
        told = httpx.post(url, files=files, headers=from_("203.0.113.200"), timeout=30)
        assert told.status_code == status


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
def test_a_name_that_is_not_there_is_told_which_are(path, status):
    answered, _, told = asked(KnownAddresses(reader), scope(path))
    assert answered == status
    assert (b"there are /fill_mask, /compare, /score, /batch" in told) == (status == 404)


def test_the_names_are_those_of_the_page(pages):
    info = httpx.get(f"{pages.single}/gradio_api/info").json()
    assert set(info["named_endpoints"]) == {f"/{name}" for name in limits.ENDPOINTS}
    told = httpx.post(f"{pages.single}/gradio_api/call/nonsense", json={"data": []})
    assert told.status_code == 404 and "/fill_mask" in told.json()["detail"]


def test_an_address_that_gradio_would_break_on(pages):
    told = httpx.get(f"{pages.single}/", params={"tab": "fill", "text": "电" * 3700})
    assert told.status_code == 414 and "too long" in told.json()["detail"]
    assert httpx.get(f"{pages.single}/", params={"tab": "fill", "text": "电" * 3500}).is_success
