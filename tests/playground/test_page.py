"""The page without a browser: its HTML, and its endpoints by the real client and by raw HTTP."""

import re
from threading import Event

import gradio as gr
import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from mlm.checkpoint.record import curve_svg
from mlm.errors import InputError, UserError
from mlm.inference.comparison import Comparison, Difference, compare_texts
from mlm.inference.fill_mask import FillMask
from mlm.inference.filling import Candidate, Filling, JointFilling
from mlm.inference.masked_example import mask_example
from mlm.playground import links
from mlm.playground.choice import MAX_OTHERS, Choice, allowed_owners
from mlm.playground.models import Models
from mlm.playground.tabs import compare_html, compare_tab, fill_html, fill_tab, learn_tab, render
from mlm.playground.tabs.tab import Tab
from tests.support.fake_checkpoint import fake_checkpoint
from tests.support.parsed_html import Tags
from tests.support.places import ROOT
from tests.support.raw_calls import call_endpoint

pytest_plugins = ["tests.support.served_page"]
SENTENCE = "I have watched this [MASK] and it was awesome."


@pytest.fixture(scope="module")
def model() -> FillMask:
    return FillMask(fake_checkpoint(), "me/fake", "0123456789abcdef")


@pytest.fixture(scope="module")
def url(pages) -> str:
    return pages.single


def fill_html_of(model: FillMask, text: str, top_k: int = 5, **options) -> str:
    return fill_tab.answer_html([(model, "")], text, top_k, **options)


# rendering


def test_an_answer_shows_words_percentages_and_the_rest(model):
    tags = Tags(fill_html_of(model, SENTENCE, 3))
    assert tags.seen.count("li") == 3
    shares = [float(share) for share in re.findall(r"([\d.]+)\xa0%", tags.text)]
    assert len(shares) == 4 and sum(shares) == pytest.approx(100, abs=0.2)
    assert "everything else" in tags.text
    assert "revision 0123456 · 5.3 M parameters · Keras, float32 · answered in" in tags.text
    assert "I have watched this movie and it was awesome." in tags.text


def test_bars_are_on_an_absolute_scale(model):
    html = fill_html_of(model, SENTENCE, 50)
    widths = [float(width) for width in re.findall(r"width:([\d.]+)%", html)]
    scores = [candidate["score"] for candidate in model(SENTENCE, 50)]
    assert widths[:-1] == pytest.approx([100 * score for score in scores], abs=0.001)
    assert widths[-1] == pytest.approx(100 * (1 - sum(scores)), abs=0.001)


def test_no_text_of_a_visitor_or_a_model_is_markup():
    attack = "<img src=x onerror=alert(1)>\"'&"
    model = FillMask(fake_checkpoint(), attack)
    candidate = Candidate(
        0.5, (7,), attack, f"{attack} a ", attack, f" {attack}", False, also=(attack,)
    )
    text = f"{attack} a [MASK] {attack}"
    span = (text.index("[MASK]"), text.index("[MASK]") + len("[MASK]"))
    filling = Filling(text, [span], attack, [[candidate]])
    joint = JointFilling(0.5, [attack], [0.5], [attack, attack, attack])
    many = {"joint": [joint], "longer": [[candidate]]}
    column = fill_html.Column(model, attack, filling, 0.1, **many)
    among = fill_html.Column(model, attack, filling, 0.1, has_targets=True)
    differences = Comparison([Difference(attack, 0.1, None)], [Difference(attack, 0.1, 0.05)])
    for html in (
        fill_html.answer([column, among]),
        compare_html.answer([differences] * 2, attack, attack, attack),
        render.problem(attack),
        render.waiting([attack], 3.0),
        render.note(attack),
    ):
        tags = Tags(html)
        assert "img" not in tags.seen
        assert attack in tags.text


def test_several_masks_get_a_panel_each_and_fillings_that_go_together(model):
    html = fill_html_of(model, "The <MASK> was <mask>.", 2)
    tags = Tags(html)
    assert "Mask 1 of 2, the others open" in tags.text and "Mask 2 of 2" in tags.text
    assert tags.seen.count("ol") == 3
    assert "<MASK> and <mask> were read as [MASK]." in tags.text
    assert "All gaps together" in tags.text
    best = model.fill_jointly("The <MASK> was <mask>.")[0]
    headline = re.search('<p class="mlm-sentence".*?</p>', html)[0]
    assert Tags(headline).text == best.sequence


def test_more_masks_than_are_filled_together_are_filled_one_by_one(model):
    tags = Tags(fill_html_of(model, "___ " * 9, 2))
    assert "All gaps together" not in tags.text and "Mask 9 of 9" in tags.text


def test_words_are_chosen_among_those_of_the_visitor(model):
    html = fill_html_of(model, SENTENCE, 5, only="soup, film،  watchable ,")
    tags = Tags(html)
    scores = {c["token_str"]: c["score"] for c in model(SENTENCE, targets=["soup", "film"])}
    assert tags.seen.count("li") == 3 and "everything else" not in tags.text
    assert html.count("of these") == 3
    film = next(item for item in html.split("<li>")[1:] if ">film<" in item)
    assert render.percent(scores["film"]) in film
    total = sum(c["score"] for c in model(SENTENCE, targets=["soup", "film", "watchable"]))
    assert f"{render.percent(scores['film'] / total)} of these" in film


def test_shares_are_of_all_the_words_that_were_named(model):
    tags = Tags(fill_html_of(model, SENTENCE, 1, only="movie, film, 🙂, FILMing"))
    shares = re.findall(r"([\d.]+)\xa0% of these", tags.text)
    assert len(shares) == 3 and sum(map(float, shares)) == pytest.approx(100, abs=0.2)
    assert "FILMing" in tags.text and "compare such words among themselves" in tags.text
    assert "Left out because the model has no pieces for them: 🙂." in tags.text


def test_longer_words_have_a_list_of_their_own(model):
    tags = Tags(fill_html_of(model, SENTENCE, 3, longer=True))
    assert "Longer words" in tags.text and tags.seen.count("li") == 5  # one is below 0.1 %
    assert "Longer words" not in fill_html_of(model, SENTENCE, 3)
    assert "at most 4: hide fewer" in fill_html_of(model, "___ " * 5, 3, longer=True)


@pytest.mark.parametrize("only", [5, ["a"], "a," * 60, "x" * 5001, "\ud800"])
def test_invalid_words_to_choose_among_are_refused(model, only):
    assert 'role="alert"' in fill_html_of(model, SENTENCE, 5, only=only)


def test_a_continuation_is_shown_joined():
    model = FillMask(fake_checkpoint(liked={"##ing": 30.0}), "fake")
    tags = Tags(fill_html_of(model, "He was watch [MASK] it.", 1))
    assert tags.text.count("He was watch ing it.") == 2
    assert "##" not in tags.text


@pytest.mark.parametrize(
    ("score", "shown"),
    [
        (1.0, "100.0&nbsp;%"),
        (0.4612, "46.1&nbsp;%"),
        (0.0004, "0.04&nbsp;%"),
        (1e-9, "&lt;&nbsp;0.01&nbsp;%"),
        (0.0, "0.00&nbsp;%"),
    ],
)
def test_percentages(score, shown):
    assert render.percent(score) == shown


@pytest.mark.parametrize(
    ("number", "shown"), [(5_312_345, "5.3 M"), (1.2e9, "1.2 B"), (4100, "4.1 k"), (12, "12")]
)
def test_sizes(number, shown):
    assert render.parameters(number) == shown


def test_a_long_text_is_cut_next_to_the_word_at_a_space():
    before, after = render.excerpt("word " * 40, " word" * 40, 24)
    assert before == "… word word word word word "[: len(before)] and before.endswith("word ")
    assert after.startswith(" word") and after.endswith(" …")
    assert len(before) <= 27 and len(after) <= 27


def test_the_same_error_of_all_models_is_shown_once(model):
    html = fill_tab.answer_html([(model, "Before"), (model, "After")], "no gap", 5)
    assert html.count('role="alert"') == 1
    assert "write [MASK] or ___ in place of a word" in html


def test_an_error_of_one_model_is_shown_beside_the_answer_of_the_other(model):
    short = FillMask(fake_checkpoint(max_length=8), "short")
    tags = Tags(fill_tab.answer_html([(model, ""), (short, "")], SENTENCE, 2))
    assert tags.seen.count("article") == 2
    assert "12 tokens and short reads 8" in tags.text and "movie" in tags.text


def test_the_base_model_is_shown_left_of_the_adapted_one(model):
    base = FillMask(fake_checkpoint(), "me/base")
    adapted = FillMask(fake_checkpoint(), "me/adapted")
    adapted.training = {"config": {"model_name_or_path": "me/base"}}
    assert fill_tab.side_by_side([adapted, base]) == [(base, "Before"), (adapted, "After")]
    adapted.training = {"config": {"model_name_or_path": "base"}}  # a folder
    assert fill_tab.side_by_side([adapted, base]) == [(base, "Before"), (adapted, "After")]
    assert fill_tab.side_by_side([adapted, model]) == [(adapted, ""), (model, "")]
    assert fill_tab.side_by_side([adapted]) == [(adapted, "")]


@pytest.mark.parametrize(
    "training", [{"config": "me/fake"}, {"config": ["me/fake"]}, {"config": 7}]
)
def test_a_training_record_of_another_type_is_ignored(model, training):
    odd = FillMask(fake_checkpoint(), "me/odd")
    odd.training = training
    assert fill_tab.side_by_side([odd, model]) == [(odd, ""), (model, "")]


def test_a_model_is_named_with_its_commit_size_licence_and_page(model):
    named = FillMask(fake_checkpoint(), "me/<b>", "0123456789abcdef")
    named.url, named.licence = 'https://hub.test/me/"x"/tree/0123', "apache-2.0 <b>"
    html = render.model_header(named)
    assert 'href="https://hub.test/me/&quot;x&quot;/tree/0123"' in html
    assert Tags(html).seen.count("a") == 1 and "b" not in Tags(html).seen
    assert (
        "revision 0123456 · 5.3 M parameters · Keras, float32 · licence apache-2.0 <b>"
        in Tags(html).text
    )
    named.url = "javascript:alert(1)"
    assert "href" not in render.model_header(named) and "href" not in render.model_header(model)


# comparing


def test_two_models_are_compared_and_two_sentences(model):
    liked = {"soup": 9.0, "movie": 2.0}
    other = FillMask(fake_checkpoint(liked=liked), "me/other")
    models = Models.of([model, other])
    tags = Tags(compare_tab.answer_html(models, SENTENCE, "", 3))
    assert "me/fake" in tags.text and "me/other" in tags.text
    rose, fell = tags.text.split("What fell")
    assert "soup" in rose and "movie" in fell and "pp" in fell
    tags = Tags(compare_tab.answer_html(models, "he ___", "she ___", 3))
    assert "he ___" in tags.text and "she ___" in tags.text


def test_a_comparison_without_a_second_side_is_refused(model):
    alone = Models.of([model])
    with pytest.raises(InputError, match=r"one model here.*: give a second sentence"):
        compare_tab.answer_html(alone, SENTENCE, " ", 3)
    with pytest.raises(InputError, match="of type NoneType"):
        compare_tab.answer_html(alone, SENTENCE, None, 3)


# how it learns


def test_a_sentence_is_drawn_from_its_tokens_to_its_loss(model):
    html = learn_tab.answer_html(Models.of([model]), "I have watched this movie again .", 50, 1)
    tags = Tags(html)
    example = mask_example(
        *(model.predictor, model.vocabulary, model.token_facts),
        "I have watched this movie again .",
        seed=1,
        mlm_probability=0.5,
    )
    assert len(example.predictions) in (3, 4)
    assert html.count("mlm-tile mlm-chosen") == len(example.predictions)
    assert len(re.findall('class="mlm-tile[ "]', html)) == len(example.tokens)
    assert f"{example.loss:.2f}" in tags.text and "Guessing blindly" in tags.text
    assert tags.seen.count("tr") == 1 + len(example.predictions)
    assert "comes without a record" in tags.text


def test_a_draw_that_chose_nothing_says_so(model):
    html = learn_tab.answer_html(Models.of([model]), "this movie", 0, 1)
    assert "This draw chose none" in html


@pytest.mark.parametrize(
    ("rate", "seed"), [(15, -1), (15, 2**32), (15, 0.5), (None, 1), ("15", 1), (101, 1), (15, None)]
)
def test_an_invalid_draw_is_refused(model, rate, seed):
    with pytest.raises(InputError, match="whole number from 0"):
        learn_tab.answer_html(Models.of([model]), "this movie", rate, seed)


def test_the_models_own_curve_and_figures():
    trained = FillMask(fake_checkpoint(), "me/trained")
    trained.training = {
        "loss_curve": [[10, 5.5], [20, 4.25], [30, float("nan")], "x"],
        "validation_curve": [[0, 6.0], [20, 4.5]],
        "metrics": {
            "before": {"perplexity": 403.4, "top1": 0.01, "top5": None},
            "after": {"perplexity": 90.0, "top1": 0.25, "top5": 0.5},
        },
    }
    html = learn_tab.answer_html(Models.of([trained]), "this movie", 15, 1)
    tags = Tags(html)
    assert tags.seen.count("polyline") == 2 and tags.seen.count("circle") == 2
    assert "from 6.00 at step 0 to 4.50 at 20" in tags.text
    assert "403.4" in tags.text and "25.0%" in tags.text and "first five" not in tags.text


@pytest.mark.parametrize(
    "training",
    [
        None,
        [],
        {"loss_curve": 5},
        {"metrics": {"before": [], "after": {}}},
        {"validation_curve": [[0]]},
    ],
)
def test_a_damaged_record_has_no_curve(training):
    odd = FillMask(fake_checkpoint(), "me/odd")
    odd.training = training
    html = learn_tab.answer_html(Models.of([odd]), "this movie", 15, 1)
    assert "comes without a record" in html


@pytest.mark.parametrize(
    "losses", [(1.0, 1.0), (0.0, 1e-9), (9.06, 2.99), (1e6, 2.0), (0.31, 0.3), (-5.0, 3.0)]
)
def test_every_point_of_a_curve_is_between_the_axes(losses):
    svg = curve_svg.training_curve([], [[i, loss] for i, loss in enumerate(losses)])
    points = re.search('points="([^"]*)"', svg)[1].split()
    for point in points:
        x, y = map(float, point.split(","))
        assert curve_svg.LEFT <= x <= curve_svg.WIDTH - curve_svg.RIGHT
        assert curve_svg.TOP <= y <= curve_svg.HEIGHT - curve_svg.BOTTOM
    assert not re.search(r"\d\.\d{6}", svg)


# links


def tab_of(model, name: str) -> Tab:
    text, number, flag = gr.Textbox("own"), gr.Slider(1, 50, 5, step=1), gr.Checkbox()
    inputs = {"text": text, "k": number, "longer": flag}
    return Tab(name, Choice(Models.of([model])), None, inputs, gr.HTML(), lambda *v: f"{name} {v}")


@pytest.mark.parametrize(
    ("query", "tab", "values"),
    [
        ({}, "fill", ["own", 5, False]),
        ({"tab": "score", "text": "hello", "k": "7", "longer": "1"}, "score", ["hello", 7, True]),
        ({"tab": "<script>", "k": "0", "longer": "x"}, "fill", ["own", 5, False]),
        ({"k": "51"}, "fill", ["own", 5, False]),
        ({"k": "9" * 5000}, "fill", ["own", 5, False]),
        ({"k": "\u0663", "text": "x" * 30_000}, "fill", ["own", 5, False]),
        ({"tab": "score", "text": ""}, "score", ["", 5, False]),
    ],
)
def test_a_link_restores_its_valid_values_only(model, query, tab, values):
    state = links.read(query, [tab_of(model, "fill"), tab_of(model, "score")])
    assert (state.tab.name, list(state.values.values())) == (tab, values)


def test_a_link_updates_only_the_inputs_that_it_changes(model):
    tab = tab_of(model, "fill")
    updates = []
    for query in ({}, {"k": "7", "text": "own"}):
        first = next(links.answers(links.read(query, [tab]), [tab]))
        updates.append([value for value in first if value != gr.skip()][1:])  # [0]: the tab
    assert updates == [[], [7]]


# models that are being loaded


def test_the_page_names_the_models_that_are_being_loaded(model):
    gate = Event()
    models = Models(["me/large"], lambda name: gate.wait() and model)
    tab = Tab("fill", Choice(models), None, {}, gr.HTML(), lambda models: models.main.name)
    answers = tab.answers(None)
    assert "Loading" in (first := next(answers)) and "me/large" in first
    gate.set()
    assert list(answers)[-1] == "me/fake"


def test_a_model_that_cannot_be_loaded_is_a_notice():
    def fail(name):
        raise UserError(f"{name} does not exist")

    models = Models(["me/none"], fail)
    tab = Tab("fill", Choice(models), None, {}, gr.HTML(), lambda models: models.main.name)
    assert list(tab.answers(None))[-1] == render.problem("me/none does not exist")


# another model


def main_name(choice: Choice, name: str) -> str:
    return choice.models(name).main.name


def recording_loader(loaded: list[str]):
    def load(name: str, token: str | None = None) -> FillMask:
        loaded.append(name)
        return FillMask(fake_checkpoint(), name)

    return load


def test_by_default_no_other_model_can_be_chosen(model, monkeypatch):
    monkeypatch.delenv("MLM_ALLOW_OWNERS", raising=False)
    closed = Choice(Models.of([model]), allowed_owners())
    assert not closed.is_open
    for own in ("", None, " ", "me/fake"):
        assert closed.models(own) is closed.own
    with pytest.raises(InputError, match="answers with its own model only"):
        closed.models("google-bert/bert-base-uncased")


def test_models_of_the_owners_that_are_allowed(model, monkeypatch):
    monkeypatch.setenv("MLM_ALLOW_OWNERS", "me, google-bert ,")
    loaded: list[str] = []
    choice = Choice(Models.of([model]), allowed_owners(), recording_loader(loaded))
    assert main_name(choice, " google-bert/a ") == "google-bert/a"
    assert main_name(choice, "google-bert/a") == "google-bert/a"
    assert loaded == ["google-bert/a"]
    for other in ("you/a", "a", "google-bert", "google-bertx/a", "/google-bert/a", "../me"):
        with pytest.raises(InputError, match="give owner/name of google-bert or me"):
            choice.models(other)
    for invalid in (7, ["me/a"], "me/" + "a" * 300):
        with pytest.raises(InputError, match="id of a repository on the Hub"):
            choice.models(invalid)


def test_a_model_opened_by_one_visitors_token_is_not_for_another(model):
    tokens = []

    def load(name: str, token: str | None) -> FillMask:
        tokens.append(token)
        return FillMask(fake_checkpoint(), name)

    choice = Choice(Models.of([model]), frozenset("*"), load)
    private = choice.models("me/private", "hf_mine")
    assert private.main is choice.models("me/private", "hf_mine").main
    assert choice.models("me/private").main is not private.main
    assert tokens == ["hf_mine", None]


def test_a_single_model_is_compared_with_its_base_model():
    adapted = FillMask(fake_checkpoint(), "me/adapted")
    tried = iter([UserError("the Hub is away"), None])

    def load(name: str, token: str | None) -> FillMask:
        assert (name, token) == ("me/base", None)
        if error := next(tried):
            raise error
        return FillMask(fake_checkpoint(), name)

    choice = Choice(Models.of([adapted]), frozenset(), load)
    assert choice.with_base() is choice.own
    adapted.base_model = "me/base"
    with pytest.raises(InputError, match=r"\(the Hub is away\): give a second sentence"):
        _ = choice.with_base().all
    assert [each.name for each in choice.with_base().all] == ["me/adapted", "me/base"]
    assert choice.with_base() is choice.with_base()
    text = "this [MASK]"
    for other, models in (("", choice.with_base()), ("the [MASK]", choice.own)):
        assert compare_tab.models_for(choice, choice.own, text, other, 3) is models


def test_few_other_models_stay_in_memory(model):
    loaded: list[str] = []
    choice = Choice(Models.of([model]), frozenset("*"), recording_loader(loaded))
    for number in (*range(MAX_OTHERS + 1), MAX_OTHERS, 0):
        assert main_name(choice, f"any/{number}") == f"any/{number}"
    assert loaded == [f"any/{number}" for number in (*range(MAX_OTHERS + 1), 0)]


def test_one_model_is_loaded_at_a_time(model):
    gate = Event()
    choice = Choice(Models.of([model]), frozenset("*"), lambda name, token: gate.wait() and model)
    loading = choice.models("any/slow")
    assert choice.models("any/slow") is loading
    with pytest.raises(InputError, match="being loaded for somebody"):
        choice.models("any/other")
    gate.set()
    assert loading.main is model
    assert choice.models("any/other").main is model


def test_a_model_that_could_not_be_loaded_can_be_tried_again(model):
    answers = iter([UserError("busy"), None])

    def load(name: str, token: str | None = None) -> FillMask:
        error = next(answers)
        if error:
            raise error
        return model

    choice = Choice(Models.of([model]), frozenset("*"), load)
    with pytest.raises(UserError, match="busy"):
        main_name(choice, "any/a")
    assert main_name(choice, "any/a") == "me/fake"


def test_the_pages_own_models_can_be_chosen_by_their_display_names(model, tmp_path):
    demo = FillMask(fake_checkpoint(), "demo")
    loaded = {str(tmp_path / "runs" / "adapted"): model, "demo": demo}
    own = Models(list(loaded), loaded.__getitem__)
    choice = Choice(own, frozenset("*"))
    assert own.display_names == ["runs/adapted", "demo"]  # no folders of this machine
    assert choice.models("demo").main is demo
    assert choice.models("runs/adapted") is choice.models("") is own


# the endpoints


def test_the_real_client_gets_what_fill_mask_gives(url, model):
    client = Client(url, verbose=False)
    assert client.predict(SENTENCE, 3, api_name="/fill_mask") == model(SENTENCE, 3)
    assert client.predict(SENTENCE, api_name="/fill_mask") == model(SENTENCE, 5)
    assert client.predict("[MASK] [MASK]", 2, api_name="/fill_mask") == model("[MASK] [MASK]", 2)
    text = "I have watched this movie again"
    assert client.predict(text, api_name="/score") == model.score(text).as_dict()
    both = "this ___", "the ___ ."
    assert client.predict(*both, 3, api_name="/compare") == [
        mask.as_dict() for mask in compare_texts(model, *both, 3)
    ]
    filled, refused = client.predict([SENTENCE, "no gap"], 3, api_name="/batch")
    assert filled == model(SENTENCE, 3) and "no mask" in refused["error"]
    with pytest.raises(AppError, match=r"no mask: write \[MASK\]"):
        client.predict("no gap", 3, api_name="/fill_mask")
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert list(endpoints) == ["/fill_mask", "/compare", "/score", "/batch"]
    client.close()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (["[MASK]" * 4_000, 5], "24,000 characters"),
        (["[MASK] " * 600, 5], "600 masks"),
        ([None, 5], "of type NoneType"),
        ([{"a": 1}, 5], "of type dict"),
        ([["[MASK]"], 5], "of type list"),
        ([SENTENCE, "many"], "whole number from 1 to 50"),
        ([SENTENCE, None], "whole number from 1 to 50"),
        ([SENTENCE, True], "whole number from 1 to 50"),
        ([SENTENCE, 51], "whole number from 1 to 50"),
        ([SENTENCE, 1e400], "whole number from 1 to 50"),
        (["\ud800 [MASK]", 5], "surrogate"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_raw_http_with_bad_input_gets_a_clean_line(url, data, message):
    status, text = call_endpoint(url, data)
    assert status == 200
    assert text.startswith("event: error")
    assert message in text
    assert "Traceback" not in text and "site-packages" not in text
    assert call_endpoint(url, [SENTENCE, 5.0])[1].startswith("event: complete")  # the next one


def test_thirty_megabytes_are_refused_before_they_are_read(url):
    status, text = call_endpoint(url, ["[MASK]" * 5_000_000, 5])
    assert status == 413 and "larger than 262,144 bytes" in text


@pytest.mark.parametrize("path", ["monitoring", "gradio_api/monitoring", "gradio_api/runs"])
def test_nothing_about_other_visitors_is_served(url, path):
    assert httpx.get(f"{url}/{path}").status_code in (403, 404)


def test_the_queue_cannot_be_bypassed(url):
    response = httpx.post(f"{url}/gradio_api/run/fill_mask", json={"data": [SENTENCE, 5]})
    assert response.status_code == 404


def test_uploads_are_no_larger_than_a_batch(url):
    files = {"files": ("big.csv", b"x" * 1_200_000)}
    assert httpx.post(f"{url}/gradio_api/upload", files=files).status_code == 413


def test_no_address_from_a_visitor_is_downloaded(url):
    """Gradio would download it, of any size, before the page's code sees the value."""
    file = {"path": "https://example.com/large", "meta": {"_type": "gradio.FileData"}}
    for endpoint, data in (("fill_mask", [file, 5]), ("score", [file]), ("batch", [[file], 5])):
        _, text = call_endpoint(url, data, endpoint)
        assert text.startswith("event: error") and "downloads nothing from other addresses" in text


@pytest.mark.parametrize("path", ["/etc/passwd", str(ROOT / "README.md"), "../../etc/passwd"])
def test_no_file_of_the_server_is_read(url, path):
    """Gradio refuses a path in place of an upload, before the page's code runs."""
    config = httpx.get(f"{url}/config").json()
    ids = {c["id"]: c["props"].get("elem_id") for c in config["components"]}
    events = [d for d in config["dependencies"] if "mlm-batch-file" in map(ids.get, d["inputs"])]
    assert len(events) == 2
    for event in events:
        file = {"path": path, "meta": {"_type": "gradio.FileData"}}
        data = [file if ids[i] == "mlm-batch-file" else None for i in event["inputs"]]
        call = {"data": data, "fn_index": event["id"], "session_hash": f"s{event['id']}"}
        assert httpx.post(f"{url}/gradio_api/queue/join", json=call).status_code == 200
        stream = f"{url}/gradio_api/queue/data?session_hash=s{event['id']}"
        text = httpx.get(stream, timeout=60).text
        assert '"success":false' in text and "root" not in text and "Masked" not in text
