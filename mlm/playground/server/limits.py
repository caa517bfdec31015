"""What stands before the page: limits on bodies, on how often a visitor may ask, and on what.

    page.launch(..., app_kwargs={"middleware": [Middleware(BodyLimit), Middleware(RateLimit)]})

Pure ASGI, no Gradio. What is refused is told why in one sentence of JSON, {"detail": "..."}, as
Gradio's own refusals are.
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

API = "/gradio_api"
MOST_BODY = 262_144  # bytes; a text has at most 20,000 characters, a call of /batch some more
MOST_UPLOAD = 1_100_000  # a file of 1,000,000 bytes and what a form puts around it
MOST_QUERY = 32_768  # bytes; a link of the page's own has 8,000
MOST_VISITORS = 10_000  # that are remembered
# Questions that a request counts as: one fills the disk, one asks up to a hundred. Any other is 1.
COSTS = {"/upload": 6, "/call/batch": 5, "/run/batch": 5}
ENDPOINTS = ("fill_mask", "compare", "score", "batch")
PAGES_OWN = "predict"  # by which the page calls what has a number and no name
CALL = re.compile(r"/(call|run|api)(/v2)?/(?P<name>[^/]+)(/.*)?")  # a call by name, or its answer


class _TooLarge(Exception):
    """The stream has brought more than the limit."""


class BodyLimit:
    """Refuses a request whose body is too large with 413, before it is read or while it comes.

    Nothing is kept: what the application is given is counted on its way.

    Args:
        most: bytes of a body.
        uploads: path below /gradio_api -> its own limit in bytes.
    """

    def __init__(self, app: App, most: int = MOST_BODY, uploads: Mapping[str, int] | None = None):
        self.app, self.most = app, most
        self.uploads = {"/upload": MOST_UPLOAD} if uploads is None else uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        most = self.uploads.get(_below_api(scope) or "", self.most)
        if _announced(scope) > most:
            await _refuse(send, 413, _too_large(most))
            return
        body = _CountedBody(receive, send, most)
        try:
            await self.app(scope, body.receive, body.send)
        except _TooLarge:
            await body.refuse()


class RateLimit:
    """Refuses a visitor who asks too often with 429 and the seconds to wait.

    Each has a bucket of `burst` tokens that `a_minute` tokens a minute go into. Every POST below
    /gradio_api takes one, or what COSTS says. Reading is free: the page, its files, the streams
    with the answers. Who asks from this machine itself is not limited. MOST_VISITORS are
    remembered; beyond them who has asked nothing for longest is forgotten.

    Args:
        clock: seconds that never go back.
    """

    def __init__(
        self,
        app: App,
        a_minute: float = 120,
        burst: int = 30,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.app, self.a_second, self.burst, self.clock = app, a_minute / 60, burst, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, at what time

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        visitor = visitor_of(scope) if _is_question(scope) else None
        cost = COSTS.get(_below_api(scope) or "", 1) if visitor else 0
        wait = self._wait(visitor, min(cost, self.burst)) if visitor else 0.0
        if wait > 0:
            seconds = math.ceil(wait)
            message = f"You ask faster than this page answers: wait {seconds} s and ask again."
            await _refuse(send, 429, message, [(b"retry-after", str(seconds).encode())])
        else:
            await self.app(scope, receive, send)

    def _wait(self, visitor: str, cost: int) -> float:
        """Seconds until the visitor may ask; 0 where they may now, which takes the tokens."""
        now = self.clock()
        tokens, then = self._left.pop(visitor, (float(self.burst), now))
        tokens = min(self.burst, tokens + (now - then) * self.a_second)
        allowed = tokens >= cost
        self._left[visitor] = (tokens - cost if allowed else tokens, now)
        if len(self._left) > MOST_VISITORS:
            self._left.popitem(last=False)
        return 0.0 if allowed else (cost - tokens) / self.a_second


class KnownAddresses:
    """Answers 404 for an endpoint that the page does not have, 414 for an address too long."""

    def __init__(self, app: App):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        called = CALL.fullmatch(_below_api(scope) or "") if scope["type"] == "http" else None
        if len(scope.get("query_string", b"")) > MOST_QUERY:
            await _refuse(send, 414, "This address is too long for a link: open the page without.")
        elif called and called["name"] not in (*ENDPOINTS, PAGES_OWN):
            known = ", ".join(f"/{name}" for name in ENDPOINTS)
            message = f"There is no endpoint of that name; there are {known}."
            await _refuse(send, 404, message)
        else:
            await self.app(scope, receive, send)


def visitor_of(scope: Scope) -> str | None:
    """Who asks: an IPv4 address or the /64 of an IPv6 address, which one house has as a whole.

    None for this machine itself, and where there is no address at all. The address is the one that
    the server gives: uvicorn takes it from X-Forwarded-For where the connection comes from this
    machine or from an address in FORWARDED_ALLOW_IPS, so that is to name a reverse proxy's.

    On a Space every connection comes from a proxy of its private network, which uvicorn does not
    know. There the last public address in X-Forwarded-For counts: what stands behind it are proxies
    inside, and what stands before it a visitor may have made up.
    """
    client = scope.get("client")
    if not client:
        return None
    own = _address(client[0])
    if on_a_space() and not (own and own.is_global):
        forwarded = (_address(entry) for entry in reversed(_forwarded(scope)))
        own = next((each for each in forwarded if each and each.is_global), own)
    if own is None:
        return str(client[0])[:64]
    if own.is_loopback:
        return None
    if isinstance(own, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((own, 64), strict=False))
    return str(own)


def on_a_space() -> bool:
    """Whether this is a Hugging Face Space, where a proxy stands before the page."""
    return bool(os.environ.get("SPACE_ID"))


def _forwarded(scope: Scope) -> list[str]:
    values = [value for name, value in scope["headers"] if name.lower() == b"x-forwarded-for"]
    return b",".join(values).decode("latin-1").split(",")[-20:]


def _address(entry: Any) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """`1.2.3.4`, `1.2.3.4:56`, `2001:db8::1` or `[2001:db8::1]:56`."""
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
        # Without a zone (fe80::1%eth0), which is no part of the address for anyone else.
        return address.ipv4_mapped or ipaddress.IPv6Address(int(address))
    return address


def _is_question(scope: Scope) -> bool:
    asks = scope["type"] == "http" and scope["method"] not in ("GET", "HEAD", "OPTIONS")
    return asks and _below_api(scope) is not None


def _below_api(scope: Scope) -> str | None:
    """`/upload` of `/gradio_api/upload`, whatever a reverse proxy has put before it."""
    _, api, path = str(scope.get("path", "")).partition(f"{API}/")
    return f"/{path.rstrip('/')}" if api else None


def _announced(scope: Scope) -> int:
    """What Content-Length says; 0 where it says nothing that is a number."""
    for name, value in scope["headers"]:
        if name.lower() == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0


class _CountedBody:
    """A request on its way to the application and the answer on its way back.

    From the byte on that is too many, the application gets an error for the body; whatever it makes
    of that (FastAPI makes a 400 of it), the visitor is told that the body is too large.
    """

    def __init__(self, receive: Receive, send: Send, most: int):
        self._receive, self._send, self.most = receive, send, most
        self._come, self._answering, self._refused = 0, False, False

    async def receive(self) -> Message:
        message = await self._receive()
        self._come += len(message.get("body") or b"")
        if self._come > self.most:
            raise _TooLarge
        return message

    async def send(self, message: Message) -> None:
        if self._come > self.most and not self._answering:
            await self.refuse()
        elif not self._refused:
            self._answering = True
            await self._send(message)

    async def refuse(self) -> None:
        """Say so, unless that or anything else was said before."""
        if not self._answering and not self._refused:
            self._refused = True
            await _refuse(self._send, 413, _too_large(self.most))


def _too_large(most: int) -> str:
    return f"The request is larger than {most:,} bytes, the most that is read here: send less."


async def _refuse(
    send: Send, status: int, message: str, headers: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    body = json.dumps({"detail": message}).encode()
    about = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        # What is left of the body is not read, so that the connection is of no further use.
        (b"connection", b"close"),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": about})
    await send({"type": "http.response.body", "body": body})
