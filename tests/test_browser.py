"""The page as a visitor meets it: a real Chromium, typed into and clicked at."""

import re
import shutil
from urllib.parse import urlsplit

import pytest

pytest_plugins = ["served_page"]

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
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="NO CHROMIUM ON THIS MACHINE: THE PAGE WAS NOT TRIED IN A BROWSER"
)
SENTENCE = "#mlm-sentence textarea"
BARS = ".mlm-bars li"


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser):
    """visit(address, width, theme) -> a page that is ready, whose every request is kept."""
    contexts = []

    def open_page(address: str, width: int = 1280, theme: str = "light"):
        context = browser.new_context(viewport={"width": width, "height": 800})
        contexts.append(context)
        page = context.new_page()
        page.hosts, page.complaints = set(), []
        page.on("request", lambda request: page.hosts.add(urlsplit(request.url).netloc))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.goto(f"{address}/?__theme={theme}")
        page.wait_for_selector(BARS)
        return page

    yield open_page
    for context in contexts:
        context.close()


def fill(page, text: str) -> None:
    page.fill(SENTENCE, text)
    page.press(SENTENCE, "Enter")


def wait_for_text(page, text: str) -> None:
    page.locator("#mlm-answer", has_text=text).wait_for()


def mask_selection(page, text: str, start: int, end: int) -> str:
    """The text after a press of the mask button with these characters selected."""
    page.fill(SENTENCE, text)
    page.eval_on_selector(SENTENCE, f"area => area.setSelectionRange({start}, {end})")
    page.click("#mlm-mask")
    page.wait_for_function(
        "([selector, text]) => document.querySelector(selector).value !== text",
        arg=[SENTENCE, text],
    )
    return page.input_value(SENTENCE)


def test_a_newcomer_sees_what_it_is_with_an_answer_already_there(visit, pages):
    page = visit(pages.single)
    assert page.inner_text("h1") == "Which word is missing?"
    assert page.inner_text(".mlm-sentence") == "I have watched this movie and it was awesome."
    assert "me/fake" in page.inner_text(".mlm-who")
    assert page.locator(BARS).count() == 5
    assert page.complaints == []


def test_enter_fills(visit, pages):
    page = visit(pages.single)
    fill(page, "The END of this ___ was great!")
    wait_for_text(page, "The END of this movie was great!")
    assert "___ was read as [MASK]." in page.inner_text("#mlm-answer")
    widths = page.eval_on_selector_all(
        ".mlm-track", "all => all.map(t => t.firstElementChild.offsetWidth / t.offsetWidth)"
    )
    shares = [float(s.split()[0]) / 100 for s in page.locator(".mlm-percent").all_inner_texts()]
    assert len(widths) == 6
    assert widths == pytest.approx(shares, abs=0.01)  # an absolute scale, to the eye as well


def test_the_button_fills_with_as_many_words_as_asked_for(visit, pages):
    page = visit(pages.single)
    page.fill("#mlm-top-k input[type=number]", "12")
    page.click("#mlm-fill")
    page.wait_for_function(f"document.querySelectorAll('{BARS}').length === 12")


def test_an_example_is_filled_by_a_click(visit, pages):
    page = visit(pages.single)
    page.get_by_text("The [MASK] was great, but the [MASK] was terrible.").click()
    wait_for_text(page, "Mask 2 of 2")
    assert page.input_value(SENTENCE) == "The [MASK] was great, but the [MASK] was terrible."


@pytest.mark.parametrize(
    ("text", "start", "end", "expected"),
    [
        ("I like this film.", 12, 16, "I like this [MASK]."),  # a word, selected
        ("I like this film.", 11, 16, "I like this [MASK]."),  # and with the space before it
        ("I like this film.", 14, 14, "I like this [MASK]."),  # the cursor stands in it
        ("I like", 6, 6, "I like [MASK]"),  # the cursor stands behind a word
        ("I like  films", 7, 7, "I like [MASK] films"),
        ("C'était très bon", 8, 12, "C'était [MASK] bon"),
        ("a [MASK] and film", 13, 17, "a [MASK] and [MASK]"),
    ],
)
def test_the_mask_button(visit, pages, text, start, end, expected):
    page = visit(pages.single)
    assert mask_selection(page, text, start, end) == expected
    page.wait_for_function(f"document.activeElement === document.querySelector('{SENTENCE}')")


def test_a_mask_is_not_masked_again(visit, pages):
    page = visit(pages.single)
    page.fill(SENTENCE, "a [MASK] b")
    page.eval_on_selector(SENTENCE, "area => area.setSelectionRange(4, 4)")
    page.click("#mlm-mask")
    page.wait_for_timeout(300)
    assert page.input_value(SENTENCE) == "a [MASK] b"


def test_mask_and_enter_work_from_the_keyboard_alone(visit, pages):
    page = visit(pages.single)
    page.fill(SENTENCE, "I have watched this story again")
    page.press(SENTENCE, "Control+Shift+ArrowLeft")  # selects "again"
    page.press(SENTENCE, "Tab")
    page.keyboard.press("Enter")  # on the mask button
    page.wait_for_function(f"document.querySelector('{SENTENCE}').value.endsWith('[MASK]')")
    page.wait_for_function(f"document.activeElement === document.querySelector('{SENTENCE}')")
    page.keyboard.press("Enter")
    wait_for_text(page, "I have watched this story movie")


def test_a_refusal_stands_where_the_answer_would(visit, pages):
    page = visit(pages.single)
    fill(page, "Nothing is missing here.")
    notice = page.get_by_role("alert").filter(has_text="There is no mask in the text")
    notice.wait_for()
    assert page.locator(BARS).count() == 0
    fill(page, "Now [MASK] is.")
    wait_for_text(page, "Now movie is.")


def test_markup_stays_text(visit, pages):
    page = visit(pages.single)
    fill(page, "<img src=x onerror='document.title=1'> <b>[MASK]</b>")
    wait_for_text(page, "<img src=x onerror='document.title=1'> <b>movie</b>")
    assert page.locator("#mlm-answer img").count() == 0
    assert page.title() == "Which word is missing?"


def test_two_models_stand_side_by_side_before_and_after(visit, pages):
    page = visit(pages.double)
    columns = page.locator(".mlm-column")
    assert columns.count() == 2
    before, after = columns.nth(0), columns.nth(1)
    assert re.match(r"Before\s+me/fake", before.inner_text())
    assert re.match(r"After\s+me/recipes\s+revision 9f3c2ab", after.inner_text())
    assert "this movie and" in before.inner_text() and "this soup and" in after.inner_text()
    page.wait_for_function(  # both in one look: the page may still be settling
        "new Set([...document.querySelectorAll('.mlm-column')]"
        ".map(column => column.getBoundingClientRect().top)).size === 1"
    )


@pytest.mark.parametrize("address", ["single", "double"])
def test_no_other_host_is_asked_for_anything(visit, pages, address):
    address = getattr(pages, address)
    page = visit(address)
    fill(page, "A ___ for all.")
    wait_for_text(page, " for all.")
    page.get_by_text("Use via API").click()
    page.wait_for_timeout(1000)
    assert page.hosts == {urlsplit(address).netloc}
    assert page.complaints == []


@pytest.mark.parametrize("address", ["single", "double"])
def test_a_phone_needs_no_sideways_scrolling(visit, pages, address):
    page = visit(getattr(pages, address), width=390, theme="dark")
    fill(page, "[MASK] " + "Donaudampfschifffahrt" * 8 + " سلام ___ 电影 🎬")
    wait_for_text(page, "Mask 2 of 2")
    page.wait_for_function("document.documentElement.scrollWidth === 390")  # once it has settled
    page.wait_for_function(f"({WIDER_THAN_THE_PHONE})().length === 0")


# The examples alone may: they are a row that is swiped.
WIDER_THAN_THE_PHONE = """() => [...document.querySelectorAll("body *")]
  .filter((node) => node.scrollWidth > innerWidth && !node.matches("#mlm-ask .gallery"))
  .map((node) => node.outerHTML.slice(0, 80))"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(visit, pages, theme):
    page = visit(pages.double, theme=theme)
    fill(page, "The ___ was [MASK].")
    wait_for_text(page, "Mask 2 of 2")
    page.wait_for_timeout(500)  # colours fade in
    ratios = page.evaluate(CONTRASTS)
    assert len(ratios) > 60
    assert [entry for entry in ratios if entry["ratio"] < 4.5] == []


# For each visible text of the page: the contrast with the first opaque background behind it.
CONTRASTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const colour = rgba(getComputedStyle(node).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || ["SCRIPT", "STYLE"].includes(parent.tagName)) continue;
    if (!parent.checkVisibility({opacityProperty: true})) continue;
    const [a, b] = [rgba(getComputedStyle(parent).color), behind(parent)].map(light);
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    found.push({text: walker.currentNode.data.trim().slice(0, 40), ratio});
  }
  return found;
}"""
