"""The examples of docs/api.md for programs that ask the page."""

import re

from tests.support.places import ROOT

PAGE = ROOT / "docs" / "api.md"


def example(language: str, url: str) -> str:
    """Return the example in a language, with the address of the page under test."""
    section = PAGE.read_text(encoding="utf-8").split("## Over HTTP")[1]
    block = re.search(f"```{language}\n(.*?)```", section, re.S)[1]
    assert "http://127.0.0.1:7860" in block
    return block.replace("http://127.0.0.1:7860", url)
