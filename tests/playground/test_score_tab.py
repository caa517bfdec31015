"""The Score tab and its endpoint without a browser: HTML and errors."""

import re

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from mlm.errors import InputError
from mlm.inference.fill_mask import FillMask
from mlm.inference.scoring import Guess, ScoredWord, TextScore
from mlm.playground.models import Models
from mlm.playground.tabs import score_html, score_tab
from mlm.playground.tabs.score_html import ScoreColumn
from tests.support.fake_checkpoint import byte_level_tokenizer, fake_checkpoint
from tests.support.parsed_html import Elements

pytest_plugins = ["tests.support.served_page"]
TEXT = "I have watched this film, watching 🎬."
ATTACK = "<img src=x onerror=alert(1)>\"'&"


@pytest.fixture(scope="module")
def model() -> FillMask:
    return FillMask(fake_checkpoint(), "me/fake")


@pytest.fixture(scope="module")
def models(model) -> Models:
    return Models.of([model])


def word(text: str, log_probability: float | None, start: int = 0) -> ScoredWord:
    unknown = log_probability is None
    guesses = [Guess("movie", 0.25), Guess("film", 0.125)]
    return ScoredWord(text, start, start + len(text), 1, log_probability, guesses, unknown)


def score_of(text: str, log_probability: float = -1.0) -> TextScore:
    return TextScore(text, [word(text, log_probability)], None)


def test_every_word_is_shaded_and_focusable_and_has_its_card(models):
    elements = Elements(score_tab.answer_html(models, TEXT))
    words = ["I", "have", "watched", "this", "film", ",", "watching", "🎬", "."]
    assert elements.texts(tabindex="0") == words
    cards = {e.attrs["id"]: e.text for e in elements.found if e.attrs.get("role") == "tooltip"}
    described = [
        e.attrs["aria-describedby"] for e in elements.found if e.attrs.get("tabindex") == "0"
    ]
    assert described == list(cards)
    for written, card in zip(words, cards.values(), strict=True):
        assert card.startswith(f"{written} ") and "The model would have written: " in card
        assert card.count("\xa0%") == (3 if written == "🎬" else 4)
    assert "in 2 pieces" in cards["mlm-card-0-6"]
    assert "not in the model’s vocabulary" in cards["mlm-card-0-7"]
    assert "🎬" in elements.texts(role="status")[0]


def test_the_text_between_the_words_is_kept(models):
    text = "  I\n\nhave <b>\t& film "
    html = score_tab.answer_html(models, text)
    shown = re.search(r'dir="auto">(.*?)</p><p class="mlm-card-hint"', html, re.DOTALL)[1]
    without_cards = re.sub(r'<span class="mlm-card" .*?</span></span></span>', "</span>", shown)
    (written,) = Elements(f"<p>{without_cards}</p>").texts("p")
    assert written == text


@pytest.mark.parametrize(
    ("log_probability", "shade"),
    [(0.0, 0), (-0.69, 0), (-0.70, 1), (-2.30, 1), (-2.31, 2), (-4.60, 2), (-4.61, 3),
     (-6.90, 3), (-6.91, 4), (-1e9, 4)],
)  # fmt: skip
def test_shades_are_absolute(model, log_probability, shade):
    elements = Elements(score_html.shaded_text(score_of("film", log_probability), 0))
    assert elements.texts(class_=f"mlm-shade-{shade}") == ["film"]


def test_an_unknown_word_has_its_own_look():
    score = TextScore("a b", [word("a", -1.0), word("b", None, 2)], "b was left out")
    assert Elements(score_html.shaded_text(score, 0)).texts(class_="mlm-shade-unknown") == ["b"]
    rows = Elements(score_html.table(score)).texts("tr")
    assert rows[2].startswith("bnot in its vocabularymovie")


def test_the_table_has_the_contents_of_the_cards(model, models):
    score = score_tab.ask_model(model, TEXT)
    elements = Elements(score_tab.answer_html(models, TEXT))
    assert len(elements.texts("tr")) == len(score.words) + 1
    assert elements.texts("th", scope="row") == [word.text for word in score.words]
    assert elements.texts("th", scope="col")[0] == "Word" and len(elements.texts("caption")) == 1
    film = score.words[4]
    row = elements.texts("tr")[5]
    assert row.startswith("film") and f"{100 * film.probability:.1f}\xa0%" in row
    assert all(guess.word in row for guess in film.guesses)


def test_the_numbers_of_the_whole_text_are_explained(models, model):
    score = score_tab.ask_model(model, TEXT)
    perplexity, likelihood = Elements(score_tab.answer_html(models, TEXT)).texts("dd")
    assert perplexity.startswith(f"{score_html.format_perplexity(score.perplexity)} At each token")
    assert likelihood.startswith(f"−{-score.pseudo_log_likelihood:.1f}\xa0nats")
    assert f"its {score.num_tokens} tokens" in likelihood


def test_two_texts_are_shown_side_by_side_below_the_verdict(models, model):
    elements = Elements(score_tab.answer_html(models, "the movie", "the end film show"))
    assert elements.texts("article")[0].startswith("First text")
    assert elements.texts("article")[1].startswith("Second text")
    first, second = (score_tab.ask_model(model, t) for t in ("the movie", "the end film show"))
    better = "first" if first.perplexity < second.perplexity else "second"
    verdict = elements.texts(class_="mlm-verdict")[0]
    assert f"finds the {better} text more natural" in verdict
    assert "2 tokens and 4 tokens" in verdict and "compared by their perplexity" in verdict
    ids = [e.attrs["id"] for e in elements.found if "id" in e.attrs]
    assert len(ids) == len(set(ids)) == 6


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (
            score_of("a", -1.0),
            score_of("b", -2.0),
            "the first text more natural: a pseudo-perplexity",
        ),
        (score_of("a", -2.0), score_of("b", -1.0), "the second text more natural"),
        (score_of("a", -1.0), score_of("a", -1.0), "both texts equally natural"),
        (score_of("a", -1.0), score_of("b", -2.0), "Both have 1 token,"),
        (score_of("a"), TextScore("a b", [word("a", -1), word("b", None, 2)], "b"), "do not count"),
    ],
)
def test_verdicts(one, other, expected):
    texts = [ScoreColumn("First text", one, 0.1), ScoreColumn("Second text", other, 0.1)]
    assert expected in Elements(score_html.verdict(texts)).texts("div")[0]


def test_a_single_text_gets_no_verdict():
    assert score_html.verdict([ScoreColumn("", score_of("a"), 0.1)]) == ""
    columns = [ScoreColumn("", score_of("a"), 0.1), ScoreColumn("", "refused", 0.1)]
    assert score_html.verdict(columns) == ""


@pytest.mark.parametrize("other", ["", " \n", None])
def test_an_empty_second_text_is_ignored(models, other):
    elements = Elements(score_tab.answer_html(models, "the movie", other))
    assert len(elements.texts("article")) == 1 and elements.texts(class_="mlm-verdict") == []


def test_an_error_of_one_text_takes_its_place(models):
    elements = Elements(score_tab.answer_html(models, "the movie", "the ___"))
    assert len(elements.texts("article")) == 2 and elements.texts(class_="mlm-verdict") == []
    assert (
        "mask in it" in elements.texts(role="alert")[0] and len(elements.texts(role="alert")) == 1
    )


@pytest.mark.parametrize(
    ("text", "other", "message"),
    [
        ("", "", "empty"),
        ("the [MASK]", "", "mask in it"),
        (None, "", "NoneType"),
        ({"a": 1}, ["b"], "type dict; .* type list"),
        ("the ___", "the ___", "^[^.]*mask in it[^.]*[.]$"),
        ("the movie " * 100, "", "202 tokens"),
    ],
)
def test_what_cannot_be_scored_is_one_notice(models, text, other, message):
    with pytest.raises(InputError, match=message):
        score_tab.answer_html(models, text, other)


def test_no_text_of_a_visitor_or_a_model_is_markup():
    word = ScoredWord(ATTACK, 3, 3 + len(ATTACK), 1, -1.0, [Guess(ATTACK, 0.5)])
    score = TextScore(f"<b>{ATTACK}</b>", [word], ATTACK)
    model = FillMask(fake_checkpoint(), ATTACK)
    texts = [
        ScoreColumn(ATTACK, score, 0.1),
        ScoreColumn(ATTACK, ATTACK, 0.1),
        ScoreColumn(ATTACK, score, 0.1),
    ]
    elements = Elements(score_html.answer(model, texts))
    assert elements.texts("img") == []
    assert ATTACK in elements.texts(tabindex="0")[0] and ATTACK in elements.texts(role="alert")[0]


def test_a_very_long_word_is_cut_on_its_card_only():
    score = score_of("x" * 5000)
    html = score_html.shaded_text(score, 0)
    assert html.count("x") < 5000 + 100 and "x" * 5000 in html


def test_a_word_of_white_space_is_named():
    score = TextScore("a", [ScoredWord("a", 0, 1, 1, -1.0, [Guess(" ", 0.5)])], None)
    assert "(space)" in score_html.shaded_text(score, 0) and "(space)" in score_html.table(score)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1.0, "1.0"),
        (9.57, "9.6"),
        (812.4, "812"),
        (12_400.4, "12,400"),
        (1e300, "more than 10,000,000"),
    ],
)
def test_perplexities(value, shown):
    assert score_html.format_perplexity(value) == shown


def test_the_text_of_a_byte_level_model_is_shown_in_whole_words():
    models = Models.of([FillMask(fake_checkpoint(byte_level_tokenizer(), {}), "bpe")])
    elements = Elements(score_tab.answer_html(models, "the movie, سلام 电影"))
    assert elements.texts(tabindex="0") == ["the", "movie", ",", "سلام", "电", "影"]


def test_the_served_page_has_the_tab_and_its_look(pages):
    config = httpx.get(f"{pages.single}/config").text
    assert '"mlm-score-text"' in config and ".mlm-card" in config


def test_the_real_client_gets_what_the_model_gives(pages, model):
    client = Client(pages.single, verbose=False)
    assert client.predict(TEXT, api_name="/score") == score_tab.ask_model(model, TEXT).as_dict()
    for text in ("the [MASK]", "", None, "the " * 300):
        with pytest.raises(AppError, match=r"mask in it|empty|NoneType|302 tokens"):
            client.predict(text, api_name="/score")
