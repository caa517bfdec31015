"""mlm.playground.server.icon_link: the front page's head, and nothing else."""

import asyncio

import pytest

from mlm.playground.server.icon_link import ICON, MANIFEST, HeadLinks

PAGE = b"<head>" + MANIFEST + b"</head>"
OTHER = b"<head>" + ICON + b"</head>"


def answered(path: str, method: str = "GET", root_path: str = "") -> tuple[dict, bytes, int]:
    """Headers, body and the number of pieces, of a page that comes in two."""

    async def app(scope, receive, send):
        headers = [(b"Content-Length", str(len(PAGE)).encode()), (b"content-type", b"text/html")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": PAGE[:9], "more_body": True})
        await send({"type": "http.response.body", "body": PAGE[9:]})

    async def send(message):
        sent.append(message)

    sent = []
    scope = {"type": "http", "method": method, "path": path, "root_path": root_path}
    asyncio.run(HeadLinks(app)(scope, None, send))
    headers = {name.lower(): value for name, value in sent[0]["headers"]}
    return headers, b"".join(message["body"] for message in sent[1:]), len(sent) - 1


@pytest.mark.parametrize(("path", "root"), [("/", ""), ("/", "/fill"), ("/fill/", "/fill")])
def test_the_front_page_names_its_icon_and_no_manifest(path, root):
    headers, body, pieces = answered(path, root_path=root)
    assert body == OTHER and pieces == 1
    assert int(headers[b"content-length"]) == len(OTHER)
    assert headers[b"content-type"] == b"text/html"


@pytest.mark.parametrize(("path", "method"), [("/gradio_api/file=x", "GET"), ("/", "HEAD")])
def test_anything_else_goes_through_piece_by_piece(path, method):
    _, body, pieces = answered(path, method)
    assert body == PAGE and pieces == 2


def test_what_is_no_request_is_passed_on():
    async def app(scope, receive, send):
        seen.append(scope["type"])

    seen = []
    asyncio.run(HeadLinks(app)({"type": "lifespan"}, None, None))
    assert seen == ["lifespan"]
