"""The page as a visitor uses it, in a real Chromium."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import axe_playwright_python
import pytest

from mlm.inference.fill_mask import FillMask
from tests.support.api_examples import example
from tests.support.fake_checkpoint import fake_checkpoint
from tests.support.page_actions import BARS, SENTENCE, fill, wait_for_text
from tests.support.sweeps import slow, sweep

pytest_plugins = ["tests.support.real_browser", "tests.support.served_page"]

TWO_SENTENCES = "tab=compare&text=this+___&other=the+___+.&k=2"
LONG = "Donaudampfschifffahrt" * 6
TABS = {  # of each tab a query that fills it, and a selector that is there then
    "fill": (f"text=The+___+was+___+{LONG}+سلام+电影+🎬", ".mlm-joint-answers li"),
    "compare": (f"tab=compare&text=this+___+{LONG}&other=the+___+.&k=2", ".mlm-pairs li"),
    "score": (f"tab=score&text=this+movie+{LONG}+سلام&other=the+film", ".mlm-shade[tabindex]"),
    "learn": (f"tab=learn&rate=50&text=this+movie+{LONG}+سلام+was+awesome", ".mlm-chosen"),
    "batch": ("tab=batch", "#mlm-batch-file"),
}


def axe_core() -> str:
    """Return the source of the accessibility checker, which runs inside the page."""
    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


def words(page, pressed: bool | None = None) -> list[str]:
    """Return the texts of the buttons below the sentence: all, or only (un)pressed ones."""
    which = "" if pressed is None else f'[aria-pressed="{str(pressed).lower()}"]'
    return page.locator(f"#mlm-words button{which}").all_inner_texts()


def sentence(page) -> str:
    return page.input_value(SENTENCE)


def click_word(page, word: str) -> None:
    page.get_by_role("button", name=word, exact=True).first.click()


def test_a_new_visitor_sees_a_title_and_an_answer(visit, pages):
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
    assert widths == pytest.approx(shares, abs=0.01)  # an absolute scale on screen as well


def test_the_button_fills_with_the_chosen_number_of_words(visit, pages):
    page = visit(pages.single)
    page.fill("#mlm-top-k input[type=number]", "12")
    page.click("#mlm-fill")
    page.wait_for_function(f"document.querySelectorAll('{BARS}').length === 12")


def test_an_example_is_filled_by_a_click(visit, pages):
    page = visit(pages.single)
    page.get_by_text("The [MASK] was great, but the [MASK] was terrible.").click()
    wait_for_text(page, "Mask 2 of 2")
    assert page.input_value(SENTENCE) == "The [MASK] was great, but the [MASK] was terrible."


def test_a_click_hides_a_word_and_another_restores_it(visit, pages):
    page = visit(pages.single)
    page.fill(SENTENCE, "The END of this was great!")
    page.locator("#mlm-words button", has_text="END").wait_for()
    assert words(page) == ["The", "END", "of", "this", "was", "great"]
    click_word(page, "END")
    click_word(page, "great")
    assert sentence(page) == "The [MASK] of this was [MASK]!"
    assert words(page, pressed=True) == ["END", "great"]
    click_word(page, "END")
    assert sentence(page) == "The END of this was [MASK]!"
    click_word(page, "great")
    assert sentence(page) == "The END of this was great!"
    click_word(page, "this")
    page.click("#mlm-fill")
    wait_for_text(page, "The END of movie was great!")


@pytest.mark.parametrize(
    ("text", "word", "expected"),
    [
        ("C'était très bon", "très", "C'était [MASK] bon"),
        slow("C'était très bon", "C'était", "[MASK] très bon"),
        slow("a well-known story", "well-known", "a [MASK] story"),
        ("我看了这部电影", "电影", "我看了这部[MASK]"),
        slow("我看了这部电影 and it's good", "电影", "我看了这部[MASK] and it's good"),
        ("هذا الفيلم رائع", "الفيلم", "هذا [MASK] رائع"),
        ("so 🎬 good", "good", "so 🎬 [MASK]"),
        slow("a ___ and film", "film", "a ___ and ___"),
        slow("for _ in [MASK] film ^_^", "film", "for _ in [MASK] [MASK] ^_^"),
        slow("snake_case is a word", "word", "snake_case is a [MASK]"),
    ],
)
def test_words_of_any_script_are_hidden_by_a_click(visit, pages, text, word, expected):
    page = visit(pages.single)
    page.fill(SENTENCE, text)
    page.locator("#mlm-words button", has_text=word).first.wait_for()
    click_word(page, word)
    assert sentence(page) == expected


def test_a_mask_that_was_typed_has_no_word_to_restore(visit, pages):
    page = visit(pages.single)
    page.fill(SENTENCE, "a _ and _ b")
    page.locator("#mlm-words button:disabled").first.wait_for()
    assert words(page, pressed=True) == ["[MASK]", "[MASK]"]
    assert page.locator("#mlm-words button:disabled").count() == 2
    page.fill(SENTENCE, "no gap any more")
    page.locator("#mlm-words button", has_text="more").wait_for()
    assert words(page, pressed=True) == []


def test_hiding_and_filling_work_by_keyboard(visit, pages):
    page = visit(pages.single)
    page.fill(SENTENCE, "I have watched this story again")
    page.locator("#mlm-words button", has_text="story").wait_for()
    page.focus(SENTENCE)
    for _ in range(5):
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert sentence(page) == "I have watched this [MASK] again"
    page.keyboard.press("Enter")  # the word still has the focus
    assert sentence(page) == "I have watched this story again"
    page.keyboard.press("Enter")
    page.focus(SENTENCE)
    page.keyboard.press("Enter")
    wait_for_text(page, "I have watched this movie again")


def test_several_gaps_are_filled_together_and_one_by_one(visit, pages):
    page = visit(pages.single)
    fill(page, "The ___ was ___ .")
    page.get_by_role("heading", name="All gaps together").wait_for()
    assert page.get_by_role("heading", name="Mask 2 of 2").count() == 1


def test_only_among_and_longer_words(visit, pages):
    page = visit(pages.single)
    page.click("#mlm-more button")
    page.fill("#mlm-only textarea", "soup, watchable")
    page.press("#mlm-only textarea", "Enter")
    page.locator(".mlm-given", has_text="of these").first.wait_for()
    assert page.locator(BARS).count() == 2
    page.fill("#mlm-only textarea", "")
    page.check("#mlm-longer input")
    page.get_by_role("heading", name="Longer words").wait_for()


def test_a_link_restores_what_is_on_screen(visit, pages):
    page = visit(pages.single)
    page.fill("#mlm-top-k input[type=number]", "3")
    fill(page, "Étienne & the ___ — 100 %?")
    wait_for_text(page, "Étienne & the movie — 100 %?")
    page.wait_for_function("location.search.includes('tab=fill')")
    other = visit(pages.single, query=page.url.partition("?")[2])
    wait_for_text(other, "Étienne & the movie — 100 %?")
    assert sentence(other) == "Étienne & the ___ — 100 %?"
    assert other.locator(BARS).count() == 3
    assert "mlm-fill" not in other.url


def test_a_link_opens_the_accordions_of_its_values(visit, pages):
    page = visit(pages.single, query="text=this+___&only=movie,film", ready=BARS)
    page.locator("#mlm-only textarea").wait_for()
    page = visit(pages.single, query="tab=score&text=this+movie&other=the+film", ready=".mlm-shade")
    page.locator("#mlm-score-other textarea").wait_for()


def test_a_link_to_a_comparison(visit, pages):
    page = visit(pages.single, query=TWO_SENTENCES, ready=".mlm-pairs li")
    assert page.locator(".mlm-pairs li").count() == 4
    assert page.get_by_role("tab", name="Compare").get_attribute("aria-selected") == "true"


def test_a_word_of_a_scored_text_shows_its_card(visit, pages):
    page = visit(
        pages.single, query="tab=score&text=this+movie+again", ready=".mlm-shade[tabindex]"
    )
    word = page.locator(".mlm-shade[tabindex]", has_text="movie")
    card = page.locator("#mlm-card-0-1")
    assert not card.is_visible()
    word.hover()
    card.wait_for(state="visible")
    page.mouse.move(0, 0)
    card.wait_for(state="hidden")
    word.focus()
    card.wait_for(state="visible")
    assert "The model would have written" in card.inner_text()
    page.fill("#mlm-score-text textarea", "the end")
    page.press("#mlm-score-text textarea", "Enter")
    page.locator(".mlm-shade[tabindex]", has_text="end").wait_for()


def test_another_draw_chooses_other_tokens(visit, pages):
    query = "tab=learn&rate=50&seed=5&text=I+have+watched+this+movie+again+and+it+was+awesome"
    page = visit(pages.single, query=query, ready=".mlm-chosen")
    first = page.locator(".mlm-tiles").inner_text()
    page.click("#mlm-learn")
    page.wait_for_function("location.search.includes('seed=6')")
    page.wait_for_function(
        "first => document.querySelector('.mlm-tiles').innerText !== first", arg=first
    )
    assert page.locator(".mlm-fate").count() > 3


def test_a_file_of_sentences_is_filled_row_by_row(visit, pages, tmp_path):
    table = tmp_path / "rows.csv"
    table.write_text("id,review\n1,I have watched this [MASK]\n2,no gap\n", encoding="utf-8")
    page = visit(pages.single, query="tab=batch", ready="#mlm-batch-file")
    page.set_input_files("#mlm-batch-file input[type=file]", table)
    page.locator("#mlm-batch-column input").wait_for()
    page.click("#mlm-batch")
    page.get_by_text("1 row filled; 1 could not be, and says why.").wait_for()
    with page.expect_download() as download:
        page.click("#mlm-batch-csv")
    written = download.value.path().read_text(encoding="utf-8-sig")
    assert download.value.suggested_filename == "rows-filled.csv"
    assert "I have watched this movie" in written and "The text has no mask" in written


def test_the_link_button_copies_the_address(visit, pages):
    page = visit(pages.single)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    fill(page, "Copy this ___ .")
    wait_for_text(page, "Copy this movie .")
    page.click("#mlm-link")
    page.locator("#mlm-link", has_text="Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert "tab=fill&text=Copy+this+___+.&k=5" in copied
    page.locator("#mlm-link", has_text="Copy a link").wait_for()


def copied_link(page) -> str:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click("#mlm-link")
    page.locator("#mlm-link", has_text="Copied").wait_for()
    return page.evaluate("navigator.clipboard.readText()")


@pytest.mark.parametrize(
    ("query", "ready"),
    [
        ("tab=fill&text=A+_+film&k=3&only=good%2Cbad", BARS),
        ("tab=score&text=this+movie", ".mlm-shade[tabindex]"),
        ("tab=learn&text=this+movie+was+good&rate=50&seed=7", "#mlm-lesson article"),
        ("tab=batch&k=9", "#mlm-batch-file"),
    ],
)
def test_a_link_that_was_opened_is_copied_whole(visit, pages, query, ready):
    page = visit(pages.single, query=query, ready=ready)
    assert copied_link(page).partition("?")[2].endswith(query)


def test_an_answer_of_another_tab_does_not_change_the_link(visit, pages):
    page = visit(pages.single)
    page.evaluate("mlm.remember('score', ['text'], ['of another tab'])")
    assert "score" not in page.url and "tab=fill" in copied_link(page)
    page.get_by_role("tab", name="Score").click()
    page.wait_for_url("**tab=score&text=of+another+tab")


def test_a_text_too_long_for_a_link(visit, pages):
    page = visit(pages.single)
    fill(page, "电影 " * 1000 + "[MASK]")
    wait_for_text(page, "tokens")
    page.click("#mlm-link")
    page.locator("#mlm-link", has_text="Too long for a link").wait_for()
    assert len(page.url) < 200
    page.reload()
    page.wait_for_selector(BARS)


def test_a_hidden_word_stays_with_its_sentence(visit, pages):
    page = visit(pages.single)
    page.fill(SENTENCE, "I love cats and dogs")
    click_word(page, "cats")
    page.fill(SENTENCE, "So I love [MASK] and dogs")  # the same gap in a longer text
    page.locator("#mlm-words button", has_text="So").wait_for()
    assert words(page, pressed=True) == ["cats"]
    page.fill(SENTENCE, "We eat [MASK] soup")
    page.locator("#mlm-words button", has_text="soup").wait_for()
    assert words(page, pressed=True) == ["[MASK]"]


def test_neighbouring_words_are_restored_in_any_order(visit, pages):
    page = visit(pages.single)
    page.fill(SENTENCE, "the very good film")
    for word in ("good", "very", "good"):
        click_word(page, word)
    assert sentence(page) == "the [MASK] good film"
    assert words(page, pressed=True) == ["very"]


def test_how_it_learns_begins_with_the_draw_in_its_field(visit, pages):
    page = visit(pages.single)
    page.get_by_role("tab", name="How it learns").click()
    page.wait_for_selector("#mlm-lesson article")
    assert page.input_value("#mlm-learn-seed input") == "1"
    page.click("#mlm-learn")
    page.wait_for_function("document.querySelector('#mlm-learn-seed input').value === '2'")
    page.fill("#mlm-learn-seed input", "4294967295")
    page.click("#mlm-learn")
    page.wait_for_function("document.querySelector('#mlm-learn-seed input').value === '0'")


def test_a_batch_that_is_stopped_says_so(visit, pages):
    """The model is too fast to be stopped, so the test puts an unfinished answer on the page."""
    page = visit(pages.single, query="tab=batch", ready="#mlm-batch-lines textarea")
    unfinished = '<div class="mlm-progress">64 of 600 rows</div><table></table>'
    page.evaluate(
        "html => document.querySelector('#mlm-batch-answer').innerHTML = html", unfinished
    )
    page.click("#mlm-batch-stop")
    page.get_by_text("Stopped. The rows filled so far are below").wait_for()


def test_a_slider_answers_to_keys(visit, pages):
    page = visit(pages.single)
    page.focus("#mlm-top-k input[type=range]")
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"document.querySelectorAll('{BARS}').length === 6")
    page.fill("#mlm-top-k input[type=number]", "8")
    page.keyboard.press("Enter")
    page.wait_for_function(f"document.querySelectorAll('{BARS}').length === 8")


def test_an_emptied_second_sentence_is_part_of_the_link(visit, pages):
    page = visit(pages.double, query="tab=compare&text=this+_&other=", ready="#mlm-first")
    page.wait_for_selector(".mlm-pairs li")
    assert page.input_value("#mlm-second textarea") == ""
    assert "other=" in copied_link(page)


def test_the_last_sentences_are_kept_in_the_browser_until_they_are_forgotten(visit, pages):
    page = visit(pages.single)
    for number in range(10):
        fill(page, f"Keep {number} ___")
        wait_for_text(page, f"Keep {number} movie")
    chips = page.locator("#mlm-recent button:not(.mlm-forget)")
    page.wait_for_function("document.querySelectorAll('#mlm-recent button').length === 9")
    assert chips.first.inner_text() == "Keep 9 ___"
    page.reload()
    page.locator("#mlm-recent .mlm-forget").wait_for()
    chips.nth(1).click()
    wait_for_text(page, "Keep 8 movie")
    page.click("#mlm-recent .mlm-forget")
    assert chips.count() == 0
    assert page.evaluate("localStorage.getItem('mlm-recent')") is None


def test_an_error_takes_the_place_of_the_answer(visit, pages):
    page = visit(pages.single)
    fill(page, "Nothing is missing here.")
    notice = page.get_by_role("alert").filter(has_text="The text has no mask")
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


def test_two_models_are_shown_side_by_side_as_before_and_after(visit, pages):
    page = visit(pages.double)
    columns = page.locator(".mlm-column")
    assert columns.count() == 2
    before, after = columns.nth(0), columns.nth(1)
    assert re.match(r"Before\s+me/fake", before.inner_text())
    assert re.match(r"After\s+me/recipes\s+revision 9f3c2ab", after.inner_text())
    assert "this movie and" in before.inner_text() and "this soup and" in after.inner_text()
    page.wait_for_function(  # compared at one moment, because the layout may still change
        "new Set([...document.querySelectorAll('.mlm-column')]"
        ".map(column => column.getBoundingClientRect().top)).size === 1"
    )


def test_the_example_in_javascript_gets_what_fill_mask_gives(visit, pages):
    page = visit(pages.single)
    program = example("js", pages.single)
    words = page.evaluate(f"async () => {{ {program} return words; }}")
    assert words == FillMask(fake_checkpoint(), "me/fake")("I have watched this [MASK].", 5)


@pytest.mark.parametrize(
    ("width", "tab", "theme"),
    [
        *((390, tab, "dark") for tab in TABS),
        (1280, "fill", "light"),
        *(slow(1280, tab, "light") for tab in TABS if tab != "fill"),
        *(slow(1280, tab, "dark") for tab in TABS),
        *(slow(390, tab, "light") for tab in TABS),
    ],
)
def test_axe_finds_nothing_of_level_a_or_aa(visit, pages, width, tab, theme):
    query, ready = TABS[tab]
    page = visit(pages.single, width=width, theme=theme, query=query, ready=ready)
    page.wait_for_timeout(500)  # colours fade in
    page.evaluate(axe_core())
    found = page.evaluate(
        "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']})"
    )
    assert len(found["passes"]) > 10
    assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found["violations"]] == []


@pytest.mark.parametrize("address", ["single", "double"])
def test_no_other_host_gets_a_request(visit, pages, address):
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
    fill(page, "[MASK] " + "Donaudampfschifffahrt" * 8 + " سلام [MASK] 电影 🎬")
    wait_for_text(page, "Mask 2 of 2")
    page.wait_for_function(
        "document.documentElement.scrollWidth === 390"
    )  # once the layout is final
    page.wait_for_function(f"({WIDER_THAN_THE_PHONE})().length === 0")


@pytest.mark.parametrize("theme", sweep(["light", "dark"], quick=["light"]))
@pytest.mark.parametrize("tab", TABS)
def test_no_tab_is_wider_than_a_phone(visit, pages, tab, theme):
    query, ready = TABS[tab]
    page = visit(pages.single, width=390, theme=theme, query=query, ready=ready)
    page.wait_for_function("document.documentElement.scrollWidth === 390")
    page.wait_for_function(f"({WIDER_THAN_THE_PHONE})().length === 0")


# Except the examples, which are a row to be swiped.
WIDER_THAN_THE_PHONE = """() => [...document.querySelectorAll("body *")]
  .filter((node) => node.scrollWidth > innerWidth && !node.matches(".mlm-ask .gallery"))
  .map((node) => node.outerHTML.slice(0, 80))"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_enough_contrast(visit, pages, theme):
    page = visit(pages.double, theme=theme)
    fill(page, "The [MASK] was [MASK].")
    wait_for_text(page, "Mask 2 of 2")
    page.wait_for_timeout(500)  # colours fade in
    ratios = page.evaluate(CONTRASTS)
    assert len(ratios) > 60
    assert [entry for entry in ratios if entry["ratio"] < 4.5] == []


# For each visible text of the page, its contrast with the first opaque background behind it.
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
