"""Models of a Hub that visitors choose, in a real browser."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlm.hub import push_checkpoint
from tests.support.places import ROOT
from tests.support.served_hub import READ_TOKEN, Plan, served_hub
from tests.support.sign_in_provider import CLIENT_ID, CLIENT_SECRET, SignInProvider
from tests.support.started_space import free_port

pytest_plugins = ["tests.support.real_browser"]
SENTENCE = "I watched this [MASK]."


@pytest.fixture(scope="module")
def space(tmp_path_factory, tiny_checkpoint_folder, tiny_bert_folder):
    """The address of a page with the model me/adapted and sign-in, as a Space serves it.

    Its Hub also has me/base, which the card of me/adapted names, and me/private.
    """
    folder = tmp_path_factory.mktemp("space")
    with (
        pytest.MonkeyPatch.context() as patch,
        served_hub(folder, patch, Plan()),
        SignInProvider(READ_TOKEN) as provider,
    ):
        adapted = shutil.copytree(tiny_checkpoint_folder, folder / "adapted")
        (adapted / "README.md").write_text("---\nbase_model: me/base\n---\n# Adapted\n")
        push_checkpoint(adapted, "me/adapted")
        push_checkpoint(tiny_bert_folder, "me/base")
        push_checkpoint(tiny_checkpoint_folder, "me/private", private=True)
        patch.delenv("HF_TOKEN")
        with SpaceApp(provider, folder / "cwd") as address:
            yield address


class SpaceApp:
    """app.py with the environment of a Space whose README.md says `hf_oauth: true`."""

    def __init__(self, provider: SignInProvider, folder: Path):
        folder.mkdir()
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        own = {
            "SYSTEM": "spaces",
            "SPACE_ID": "me/playground",
            "OAUTH_CLIENT_ID": CLIENT_ID,
            "OAUTH_CLIENT_SECRET": CLIENT_SECRET,
            "OAUTH_SCOPES": "openid profile read-repos",
            "OPENID_PROVIDER_URL": provider.url,
            "AUTHLIB_INSECURE_TRANSPORT": "1",
            "MLM_ALLOW_OWNERS": "me",
            "MLM_MODEL": "me/adapted",
            "GRADIO_SERVER_NAME": "127.0.0.1",
            "GRADIO_SERVER_PORT": str(port),
            "PYTHONUNBUFFERED": "1",
        }
        command = [sys.executable, str(ROOT / "app.py")]
        environment = {**os.environ, **own}
        self.app = subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.PIPE)

    def __enter__(self) -> str:
        assert any(self.address.encode() in line for line in self.app.stdout)
        return self.address

    def __exit__(self, *_: object) -> None:
        self.app.terminate()
        self.app.communicate()


def ask_private(page) -> None:
    """Choose me/private, after the page has answered the question that it asks on its own."""
    page.locator("#mlm-answer .mlm-who", has_text="me/adapted").wait_for()
    page.fill("#mlm-model input, #mlm-model textarea", "me/private")
    page.fill("#mlm-sentence textarea", SENTENCE)
    page.press("#mlm-sentence textarea", "Enter")


@pytest.fixture
def visitor(browser, space):
    """visitor(query) -> the page as a new visitor sees it."""
    contexts = []

    def open_page(query=""):
        contexts.append(browser.new_context())
        page = contexts[-1].new_page()
        page.goto(f"{space}/?{query}")
        return page

    yield open_page
    for context in contexts:
        context.close()


def test_a_single_model_is_compared_with_its_base_model(visitor):
    page = visitor(f"tab=compare&text={SENTENCE}&other=&k=3")
    compared = page.locator("#mlm-compared")
    compared.locator(".mlm-pairs li").first.wait_for()
    assert re.search(r"me/base.*me/adapted", compared.inner_text(), re.DOTALL)


def test_a_link_includes_the_model(visitor):
    page = visitor(f"text={SENTENCE}&model=me/base&k=3")
    page.locator("#mlm-answer .mlm-who", has_text="me/base").wait_for()
    assert page.locator("#mlm-answer .mlm-bars li").count() == 3
    assert page.input_value("#mlm-model input, #mlm-model textarea") == "me/base"


def test_a_private_model_answers_a_visitor_who_has_signed_in(visitor):
    signed_in, stranger = visitor(), visitor()
    ask_private(signed_in)
    signed_in.locator(".mlm-problem", has_text="no such repository").wait_for()
    signed_in.get_by_role("button", name="Sign in for your private models").click()
    signed_in.get_by_role("button", name="Logout (me)").wait_for()
    ask_private(signed_in)
    signed_in.locator("#mlm-answer .mlm-who", has_text="me/private").wait_for()

    ask_private(stranger)
    stranger.locator(".mlm-problem", has_text="no such repository").wait_for()
