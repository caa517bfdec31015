"""Below a path of a site, as /fill/, the page's head is to ask for nothing outside it.

Gradio's page names its manifest from the root of the site, and no icon, which browsers then look
for at the root too. The manifest is of no use here (`pwa` is off); the icon is named beside the
page. Pure ASGI, no Gradio, as limits.py.
"""

from mlm.playground.server.limits import App, Message, Receive, Scope, Send

MANIFEST = b'<link rel="manifest" href="/manifest.json" />'
ICON = b'<link rel="icon" href="favicon.ico" />'


class HeadLinks:
    """Puts the link to the icon where Gradio's page has the one to its manifest."""

    def __init__(self, app: App):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "GET" and _is_front_page(scope):
            await self.app(scope, receive, _Whole(send).send)
        else:
            await self.app(scope, receive, send)


def _is_front_page(scope: Scope) -> bool:
    path, root = (str(scope.get(name, "")).rstrip("/") for name in ("path", "root_path"))
    return path in ("", root)


class _Whole:
    """An answer kept until all of it is there, so that its length can be told anew."""

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
