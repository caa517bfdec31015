"""What stands before the page: a limit on bodies, and one on how often a visitor may ask.

    page.launch(..., app_kwargs={"middleware": middleware()})

Pure ASGI, no Gradio. What is refused is told why in one sentence of JSON, {"detail": "..."}, as
Gradio's own refusals are.
"""

import ipaddress
import json
import math
import os
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

API = "/gradio_api/"
UPLOAD = "/gradio_api/upload"
MAX_BODY = 200_000  # bytes; a text has at most 20,000 characters
MAX_UPLOAD = 1_100_000  # a file of 1,000,000 bytes and what a form puts around it
VISITORS_KEPT = 10_000


def middleware(**rate: Any) -> list[Any]:
    """What Gradio's `app_kwargs` take, the outermost first; `rate` are settings of RateLimit."""
    from starlette.middleware import Middleware

    return [Middleware(RateLimit, **rate), Middleware(BodyLimit)]


class _TooLarge(Exception):
    """The stream has brought more than the limit."""


class BodyLimit:
    """Refuses a request whose body is too large with 413, before it is read or while it comes.

    Nothing is kept: what the application is given is counted on its way.

    Args:
        max_bytes: of a body.
        upload_paths: path -> its own limit in bytes.
    """

    def __init__(
        self,
        app: App,
        max_bytes: int = MAX_BODY,
        upload_paths: Mapping[str, int] | None = None,
    ):
        self.app, self.max_bytes = app, max_bytes
        self.upload_paths = {UPLOAD: MAX_UPLOAD} if upload_paths is None else upload_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        most = self.upload_paths.get(_path(scope), self.max_bytes)
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

    Each has a bucket of `burst` tokens that `per_minute` tokens a minute go into, and every POST
    below `paths` takes one. Reading is free: the page, its files, the streams with the answers.
    More than `visitors` are not remembered: who has asked nothing for longest is forgotten.

    Args:
        clock: seconds that never go back.
        behind_proxy: whether X-Forwarded-For is believed; see `visitor_of`. None: on a Space it is.
    """

    def __init__(
        self,
        app: App,
        per_minute: float = 120,
        burst: int = 30,
        paths: Sequence[str] = (API,),
        *,
        visitors: int = VISITORS_KEPT,
        clock: Callable[[], float] = time.monotonic,
        behind_proxy: bool | None = None,
    ):
        self.app, self.per_second, self.burst = app, per_minute / 60, burst
        self.paths, self.visitors, self.clock = tuple(paths), visitors, clock
        self.behind_proxy = on_a_space() if behind_proxy is None else behind_proxy
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, at what time

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wait = self._wait(scope) if self._counts(scope) else 0.0
        if wait > 0:
            seconds = math.ceil(wait)
            message = f"You ask faster than this page answers: wait {seconds} s and ask again."
            await _refuse(send, 429, message, [(b"retry-after", str(seconds).encode())])
        else:
            await self.app(scope, receive, send)

    def _counts(self, scope: Scope) -> bool:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            return False
        return _path(scope).startswith(self.paths)

    def _wait(self, scope: Scope) -> float:
        """Seconds until the visitor may ask; 0 where they may now, which takes a token."""
        visitor, now = visitor_of(scope, behind_proxy=self.behind_proxy), self.clock()
        tokens, then = self._buckets.pop(visitor, (float(self.burst), now))
        tokens = min(self.burst, tokens + (now - then) * self.per_second)
        allowed = tokens >= 1
        self._buckets[visitor] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > self.visitors:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - tokens) / self.per_second


def visitor_of(scope: Scope, *, behind_proxy: bool) -> str:
    """Who asks: an IPv4 address, the /64 of an IPv6 address, or "unknown".

    The address is the one that the server gives. uvicorn takes it from X-Forwarded-For where the
    connection comes from this machine itself, and from the addresses in FORWARDED_ALLOW_IPS.

    On a Space every connection comes from a proxy of its private network, which uvicorn does not
    know. There (`behind_proxy`) the last public address in X-Forwarded-For counts: what stands
    after it was put there by proxies inside, and what stands before it a visitor may have made up.
    The whole of an IPv6 /64 is one visitor, because one house has it.
    """
    client = scope.get("client")
    own = _address(client[0]) if client else None
    if behind_proxy and (own is None or not own.is_global):
        forwarded = (_address(entry) for entry in reversed(_forwarded(scope)))
        own = next((each for each in forwarded if each and each.is_global), own)
    if own is None:
        return "unknown"
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
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def _path(scope: Scope) -> str:
    """The path below what a reverse proxy has put before it, without a slash at its end."""
    path, root = str(scope.get("path", "")), str(scope.get("root_path", "")).rstrip("/")
    if root and path.startswith(f"{root}/"):
        path = path[len(root) :]
    return path.rstrip("/") or "/"


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
        self._come, self._answering = 0, False

    async def receive(self) -> Message:
        message = await self._receive()
        self._come += len(message.get("body", b""))
        if self._come > self.most:
            raise _TooLarge
        return message

    async def send(self, message: Message) -> None:
        if self._come > self.most:
            await self.refuse()
        else:
            self._answering = True
            await self._send(message)

    async def refuse(self) -> None:
        """Say so, unless that or anything else was said before."""
        if not self._answering:
            self._answering = True
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
