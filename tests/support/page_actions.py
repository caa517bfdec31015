"""Selectors of the Fill tab, and what a visitor does there in a browser."""

SENTENCE = "#mlm-sentence textarea"
BARS = ".mlm-bars li"


def fill(page, text: str) -> None:
    """Enter a sentence and press Enter."""
    page.fill(SENTENCE, text)
    page.press(SENTENCE, "Enter")


def wait_for_text(page, text: str) -> None:
    """Wait until the answer holds a text."""
    page.locator("#mlm-answer", has_text=text).wait_for()
