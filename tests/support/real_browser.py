"""A real Chromium, once a module; a plugin for `pytest_plugins`."""

import shutil

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
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
# What earlier pages kept is gone when one is opened, not when it is loaded again.
FORGET = "sessionStorage.forgotten ??= (localStorage.clear(), true);"


@pytest.fixture(scope="module")  # while it is there, nothing else can have an event loop
def browser():
    if CHROMIUM is None:
        pytest.skip("NO CHROMIUM ON THIS MACHINE: THE PAGE WAS NOT TRIED IN A BROWSER")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def context(browser):
    """One for all pages: what they load is fetched and compiled once."""
    context = browser.new_context()
    context.add_init_script(FORGET)
    yield context
    context.close()
