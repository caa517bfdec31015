"""Replace the link to the manifest in the front page's head by one to the icon.

Gradio's page links its manifest at the root of the site and has no icon link, so that browsers
request /favicon.ico at the root too. Neither exists there if a reverse proxy serves the page below
a path such as /fill/. The manifest is not needed (`pwa` is off); the icon link is relative. Pure
ASGI, without Gradio.
"""

from mlm.playground.server.limits import App, Message, Receive, Scope, Send

MANIFEST = b'<link rel="manifest" href="/manifest.json" />'
ICON = b'<link rel="icon" href="favicon.ico" />'


class FaviconLink:
    """ASGI middleware that links the icon in place of the manifest on the front page."""

    def __init__(self, app: App):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; rewrite the response if it is the front page."""
        if scope["type"] == "http" and scope["method"] == "GET" and _is_front_page(scope):
            send = _HeadRewriter(send).send
        await self.app(scope, receive, send)


def _is_front_page(scope: Scope) -> bool:
    path, root = (str(scope.get(name, "")).rstrip("/") for name in ("path", "root_path"))
    return path in ("", root)


class _HeadRewriter:
    """Collects a response, because its length changes, and sends it rewritten."""

    def __init__(self, send: Send):
        self._send = send
        self._start: Message = {}
        self._body = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._body += message.get("body") or b""
        if message.get("more_body"):
            return
        body = self._body.replace(MANIFEST, ICON)
        headers = [(k, v) for k, v in self._start["headers"] if k.lower() != b"content-length"]
        headers.append((b"content-length", str(len(body)).encode()))
        await self._send({**self._start, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})
