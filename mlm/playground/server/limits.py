"""ASGI middleware that refuses requests before Gradio: size of bodies, rate of requests, addresses.

    page.launch(..., app_kwargs={"middleware": [Middleware(BodyLimit), Middleware(RateLimit)]})

Pure ASGI, without Gradio. A refusal is JSON of one sentence, {"detail": "..."}, as Gradio's own
refusals are.
"""

import ipaddress
import json
import math
import os
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

API = "/gradio_api"
MAX_BODY = 262_144  # bytes; a text has at most 20,000 characters, a call of /batch more
MAX_UPLOAD = 1_100_000  # bytes; a file of 1,000,000 bytes and the form around it
MAX_QUERY = 32_768  # bytes; the page's own links have at most 8,000
MAX_VISITORS = 10_000  # with a bucket in memory
# Tokens that a request takes, by its path; any other takes 1. An upload fills the disk, a batch is
# up to 200 questions.
COSTS = {"/upload": 6, "/call/batch": 5, "/run/batch": 5}
ENDPOINTS = ("fill_mask", "compare", "score", "batch")
CLASSIFY = "classify"  # the endpoint of a page with a classifier
UNNAMED_ENDPOINT = "predict"  # the name under which the page calls its events by number
CALL_PATH = re.compile(r"/(call|run|api)(/v2)?/(?P<name>[^/]+)(/.*)?")  # a call, or its answer


class _BodyTooLargeError(Exception):
    """The body received so far is larger than the limit."""


class BodyLimit:
    """Middleware that answers 413 to a body over the limit, without reading or storing it whole.

    A body that declares its length is refused at once, any other while it is read.

    Args:
        app: the application behind this one.
        max_bytes: limit for a body.
        uploads: path below /gradio_api -> a limit of its own, in bytes.
    """

    def __init__(
        self, app: App, max_bytes: int = MAX_BODY, uploads: Mapping[str, int] | None = None
    ):
        self.app, self.max_bytes = app, max_bytes
        self.uploads = {"/upload": MAX_UPLOAD} if uploads is None else uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it with status 413."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        max_bytes = self.uploads.get(api_path(scope) or "", self.max_bytes)
        if _content_length(scope) > max_bytes:
            await refuse(send, 413, _too_large(max_bytes))
            return
        body = _BodyCounter(receive, send, max_bytes)
        try:
            await self.app(scope, body.receive, body.send)
        except _BodyTooLargeError:
            await body.refuse()


class RateLimit:
    """Middleware that answers 429, with the seconds to wait, to a visitor who asks too often.

    A token bucket for each visitor: it holds up to `burst` tokens and gains `per_minute` a minute.
    Every request to /gradio_api that is not a GET takes one token, or as many as COSTS says; pages,
    files and streams of answers are free. Requests from this machine are not limited. Buckets are
    kept for MAX_VISITORS; then the one that was unused for longest is dropped.

    Args:
        app: the application behind this one.
        per_minute: tokens gained per minute.
        burst: size of a bucket.
        clock: returns seconds that never decrease.
    """

    def __init__(
        self,
        app: App,
        per_minute: float = 120,
        burst: int = 30,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.app, self.per_second, self.burst, self.clock = app, per_minute / 60, burst, clock
        # visitor -> (tokens, time of the last change), the least recently used first
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it with status 429."""
        visitor = visitor_key(scope) if _is_limited(scope) else None
        cost = COSTS.get(api_path(scope) or "", 1) if visitor else 0
        wait = self._take_tokens(visitor, min(cost, self.burst)) if visitor else 0.0
        if wait > 0:
            seconds = math.ceil(wait)
            message = f"You ask faster than this page answers: wait {seconds} s and ask again."
            await refuse(send, 429, message, [(b"retry-after", str(seconds).encode())])
        else:
            await self.app(scope, receive, send)

    def _take_tokens(self, visitor: str, cost: int) -> float:
        """Take `cost` tokens and return 0, or take none and return the seconds to wait."""
        now = self.clock()
        tokens, then = self._buckets.pop(visitor, (float(self.burst), now))
        tokens = min(self.burst, tokens + (now - then) * self.per_second)
        allowed = tokens >= cost
        self._buckets[visitor] = (tokens - cost if allowed else tokens, now)
        if len(self._buckets) > MAX_VISITORS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (cost - tokens) / self.per_second


class AddressCheck:
    """Middleware that answers 404 for an unknown endpoint and 414 for a query that is too long."""

    def __init__(self, app: App, endpoints: Sequence[str] = ENDPOINTS):
        self.app, self.endpoints = app, endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it with status 404 or 414."""
        call = CALL_PATH.fullmatch(api_path(scope) or "") if scope["type"] == "http" else None
        if len(scope.get("query_string", b"")) > MAX_QUERY:
            await refuse(send, 414, "This address is too long: open the page without its query.")
        elif call and call["name"] not in (*self.endpoints, UNNAMED_ENDPOINT):
            names = ", ".join(f"/{name}" for name in self.endpoints)
            message = f"This page has no endpoint with that name; the endpoints are {names}."
            await refuse(send, 404, message)
        else:
            await self.app(scope, receive, send)


def visitor_key(scope: Scope) -> str | None:
    """Return the visitor's IPv4 address, or the /64 network of an IPv6 address (one household).

    None for this machine itself, and for a connection without an address. The address is the one
    that the server reports: uvicorn takes it from X-Forwarded-For if the connection comes from this
    machine or from an address in FORWARDED_ALLOW_IPS, which must therefore name a reverse proxy on
    another machine.

    On a Space, connections come from a proxy in its private network, which uvicorn does not know.
    There the last public address in X-Forwarded-For counts: entries after it are internal proxies,
    entries before it can be forged by the visitor.
    """
    client = scope.get("client")
    if not client:
        return None
    address = _parse_address(client[0])
    if is_on_space() and not (address and address.is_global):
        forwarded = (_parse_address(entry) for entry in reversed(_forwarded_for(scope)))
        address = next((each for each in forwarded if each and each.is_global), address)
    if address is None:
        return str(client[0])[:64]
    if address.is_loopback:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def is_on_space() -> bool:
    """Return whether this runs on a Hugging Face Space, behind its proxy."""
    return bool(os.environ.get("SPACE_ID"))


def _forwarded_for(scope: Scope) -> list[str]:
    values = [value for name, value in scope["headers"] if name.lower() == b"x-forwarded-for"]
    return b",".join(values).decode("latin-1").split(",")[-20:]


def _parse_address(entry: object) -> IPAddress | None:
    """Parse `1.2.3.4`, `1.2.3.4:56`, `2001:db8::1` or `[2001:db8::1]:56`; None if it is neither."""
    text = str(entry).strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        # The integer drops the zone (fe80::1%eth0), which has a meaning on this machine only.
        return address.ipv4_mapped or ipaddress.IPv6Address(int(address))
    return address


def _is_limited(scope: Scope) -> bool:
    """Return whether the rate limit applies to a request."""
    is_write = scope["type"] == "http" and scope["method"] not in ("GET", "HEAD", "OPTIONS")
    return is_write and api_path(scope) is not None


def api_path(scope: Scope) -> str | None:
    """Return `/upload` for `/gradio_api/upload`, with any prefix of a reverse proxy removed."""
    _, api, path = str(scope.get("path", "")).partition(f"{API}/")
    return f"/{path.rstrip('/')}" if api else None


def _content_length(scope: Scope) -> int:
    """Return the value of Content-Length, 0 if it is absent or not a number."""
    for name, value in scope["headers"]:
        if name.lower() == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0


class _BodyCounter:
    """Counts the bytes of one request on the way to the application, and checks its response.

    From the first byte over the limit, reading the body raises an error in the application. FastAPI
    turns that into a 400; the response is replaced by a 413, unless it has already started.
    """

    def __init__(self, receive: Receive, send: Send, max_bytes: int):
        self._receive, self._send, self._max_bytes = receive, send, max_bytes
        self._received, self._has_started, self._is_refused = 0, False, False

    async def receive(self) -> Message:
        message = await self._receive()
        self._received += len(message.get("body") or b"")
        if self._received > self._max_bytes:
            raise _BodyTooLargeError
        return message

    async def send(self, message: Message) -> None:
        if self._received > self._max_bytes and not self._has_started:
            await self.refuse()
        elif not self._is_refused:
            self._has_started = True
            await self._send(message)

    async def refuse(self) -> None:
        """Send the 413, unless it or any other response has already started."""
        if not self._has_started and not self._is_refused:
            self._is_refused = True
            await refuse(self._send, 413, _too_large(self._max_bytes))


def _too_large(max_bytes: int) -> str:
    return f"The request is larger than {max_bytes:,} bytes, the limit of this page: send less."


async def refuse(
    send: Send, status: int, message: str, headers: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    """Answer a request with a status and a sentence."""
    body = json.dumps({"detail": message}).encode()
    all_headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        # The rest of the body is not read, so the connection cannot be reused.
        (b"connection", b"close"),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": all_headers})
    await send({"type": "http.response.body", "body": body})
