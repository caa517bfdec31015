"""mlm.playground.server.favicon: it rewrites the head of the front page, and nothing else."""

import asyncio

import pytest

from mlm.playground.server.favicon import ICON, MANIFEST, FaviconLink

PAGE = b"<head>" + MANIFEST + b"</head>"
REWRITTEN = b"<head>" + ICON + b"</head>"


def request(path: str, method: str = "GET", root_path: str = "") -> tuple[dict, bytes, int]:
    """Return headers, body and number of pieces of a response that the app sends in two pieces."""

    async def app(scope, receive, send):
        headers = [(b"Content-Length", str(len(PAGE)).encode()), (b"content-type", b"text/html")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": PAGE[:9], "more_body": True})
        await send({"type": "http.response.body", "body": PAGE[9:]})

    async def send(message):
        sent.append(message)

    sent = []
    scope = {"type": "http", "method": method, "path": path, "root_path": root_path}
    asyncio.run(FaviconLink(app)(scope, None, send))
    headers = {name.lower(): value for name, value in sent[0]["headers"]}
    return headers, b"".join(message["body"] for message in sent[1:]), len(sent) - 1


@pytest.mark.parametrize(("path", "root"), [("/", ""), ("/", "/fill"), ("/fill/", "/fill")])
def test_the_front_page_names_its_icon_and_no_manifest(path, root):
    headers, body, pieces = request(path, root_path=root)
    assert body == REWRITTEN and pieces == 1
    assert int(headers[b"content-length"]) == len(REWRITTEN)
    assert headers[b"content-type"] == b"text/html"


@pytest.mark.parametrize(("path", "method"), [("/gradio_api/file=x", "GET"), ("/", "HEAD")])
def test_any_other_response_passes_in_pieces(path, method):
    _, body, pieces = request(path, method)
    assert body == PAGE and pieces == 2


def test_other_messages_than_requests_are_passed_on():
    async def app(scope, receive, send):
        seen.append(scope["type"])

    seen = []
    asyncio.run(FaviconLink(app)({"type": "lifespan"}, None, None))
    assert seen == ["lifespan"]
