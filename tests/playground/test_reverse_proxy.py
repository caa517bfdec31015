"""`python app.py --root_path /fill` behind a real nginx with the recipe's configuration.

The tests are skipped without nginx, which `make test-programs` installs.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest
from gradio_client import Client

from mlm.playground.server.limits import RateLimit
from tests.support.page_actions import BARS, fill, wait_for_text
from tests.support.places import ROOT
from tests.support.started_space import free_port

pytest_plugins = ["tests.support.real_browser"]
RECIPE = ROOT / "scripts" / "recipes" / "nginx.conf"
SENTENCE = "I have watched this [MASK] and it was awesome."
SITE = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        {location}
        location / {{ return 404; }}
    }}
}}
"""


class Site(NamedTuple):
    """The address at which nginx serves the page, and the log of its requests."""

    url: str
    log: Path

    @property
    def paths(self) -> set[str]:
        """The paths of all requests, without queries."""
        found = re.findall(r'"(?:GET|POST|HEAD) (\S+)', self.log.read_text())
        return {path.partition("?")[0] for path in found}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The page with the bundled model, at /fill/ of a site that nginx serves."""
    folder, app_port, port = tmp_path_factory.mktemp("nginx"), free_port(), free_port()
    location = RECIPE.read_text().replace("127.0.0.1:7860", f"127.0.0.1:{app_port}")
    site = SITE.format(folder=folder, port=port, location=location)
    (folder / "nginx.conf").write_text(site)
    own = {"GRADIO_SERVER_PORT": str(app_port), "GRADIO_SERVER_NAME": "127.0.0.1"}
    app = [sys.executable, str(ROOT / "app.py"), "--root_path", "/fill"]
    proxy = [nginx(), "-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf"]
    with (
        subprocess.Popen(app, env={**os.environ, **own, "MLM_MODEL": "demo"}) as page,
        subprocess.Popen(proxy) as served,
    ):
        try:
            url = f"http://127.0.0.1:{port}/fill/"
            wait_until_served(url)
            yield Site(url, folder / "access.log")
        finally:
            served.terminate()
            page.terminate()


def nginx() -> str:
    found = shutil.which("nginx", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    if found is None:
        pytest.skip("nginx is not installed; `make test-programs` installs it")
    return found


def wait_until_served(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise TimeoutError(f"nothing at {url}")


def test_a_visitor_asks_and_copies_a_link(visit, site):
    host = urlsplit(site.url).netloc
    page = visit(site.url.rstrip("/"))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    failed = []
    page.on("response", lambda answer: failed.append(answer.url) if answer.status >= 400 else None)
    fill(page, "The ___ was great.")
    wait_for_text(page, "The movie was great.")
    assert page.locator(BARS).count() == 5
    page.click("#mlm-link")
    page.locator("#mlm-link", has_text="Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(site.url + "?") and "text=The+___+was+great." in copied
    other = visit(site.url.rstrip("/"), query=copied.partition("?")[2])
    wait_for_text(other, "The movie was great.")
    assert page.hosts == other.hosts == {host}
    assert failed == page.complaints == other.complaints == []
    assert {path for path in site.paths if not path.startswith("/fill/")} == set()
    assert "/fill/theme.css" in site.paths


def test_a_file_goes_up_and_comes_down(visit, site, tmp_path):
    table = tmp_path / "rows.csv"
    table.write_text("review\nI have watched this [MASK]\n", encoding="utf-8")
    page = visit(site.url.rstrip("/"), query="tab=batch", ready="#mlm-batch-file")
    page.set_input_files("#mlm-batch-file input[type=file]", table)
    page.locator("#mlm-batch-column input").wait_for()
    page.click("#mlm-batch")
    page.get_by_text("1 row filled").wait_for()
    with page.expect_download() as download:
        page.click("#mlm-batch-csv")
    assert "I have watched this movie" in download.value.path().read_text(encoding="utf-8-sig")
    assert download.value.url.startswith(site.url)


def test_the_examples_for_programs_name_the_address_below_the_path(visit, site):
    page = visit(site.url.rstrip("/"))
    page.get_by_text("Use via API").click()
    page.get_by_text(site.url.rstrip("/")).first.wait_for()


def test_a_program_asks(site):
    client = Client(site.url, verbose=False)
    words = client.predict(SENTENCE, 5, api_name="/fill_mask")
    assert words[0]["token_str"].strip() == "movie"


def test_the_path_without_its_slash_leads_there(site):
    answer = httpx.get(site.url.rstrip("/"))
    assert answer.status_code == 301 and answer.headers["Location"] == site.url


def test_visitors_are_counted_by_the_address_that_the_proxy_saw(site):
    """A visitor over the limit is refused; other visitors and this machine are not."""
    burst = RateLimit(None).burst
    answers = [status_of_question(site, "203.0.113.7") for _ in range(4 * burst)]
    assert 429 not in answers[:burst]
    assert 429 in answers
    assert status_of_question(site, "198.51.100.9") != 429
    assert status_of_question(site, None) != 429


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has many loopback addresses")
def test_a_forged_address_does_not_count(site):
    """127.0.0.5 claims to be another visitor, and still counts as 127.0.0.5."""
    answers = {status_of_question(site, "192.0.2.1", "127.0.0.5") for _ in range(40)}
    assert 429 not in answers


def status_of_question(site: Site, forwarded: str | None, source: str = "127.0.0.1") -> int:
    """Return the status of a question without a model, sent as by a proxy in front of nginx."""
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    with httpx.Client(transport=httpx.HTTPTransport(local_address=source)) as client:
        call = f"{site.url}gradio_api/queue/join"
        return client.post(call, json={}, headers=headers).status_code
