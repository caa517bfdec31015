"""A real Chromium, once for each module, and pages in it; a plugin for `pytest_plugins`."""

import shutil
from urllib.parse import urlsplit

import pytest

from tests.support.page_actions import BARS

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Clear what earlier tests have stored when a page is opened, but not when it is reloaded.
FORGET = "sessionStorage.forgotten ??= (localStorage.clear(), true);"


@pytest.fixture(scope="module")  # as long as it is open, nothing else can run an event loop
def browser():
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed; `make test-programs` installs it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def context(browser):
    """One context for all pages, so that their files are fetched and compiled once."""
    context = browser.new_context()
    context.add_init_script(FORGET)
    yield context
    context.close()


@pytest.fixture
def visit(context):
    """visit(address, width, theme, query, ready) -> a page, once the selector `ready` is there.

    The page records the hosts of its requests in `hosts` and its errors in `complaints`.
    """
    pages = []

    def open_page(
        address: str,
        width: int = 1280,
        theme: str = "light",
        query: str = "",
        ready: str = BARS,
    ):
        page = context.new_page()
        pages.append(page)
        page.set_viewport_size({"width": width, "height": 800})
        page.hosts, page.complaints = set(), []
        page.on("request", lambda request: page.hosts.add(urlsplit(request.url).netloc))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.goto(f"{address}/?__theme={theme}&{query}")
        page.wait_for_selector(ready)
        return page

    yield open_page
    for page in pages:
        page.close()
