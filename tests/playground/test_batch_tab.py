"""The Batch tab and its endpoint without a browser: HTML, files, errors."""

import csv
import io
import json
from pathlib import Path
from threading import Event

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from mlm.errors import InputError
from mlm.inference.fill_mask import FillMask
from mlm.inference.filling import Candidate, Filling
from mlm.inference.row_filling import RowResult, fill_rows
from mlm.inference.row_reading import MAX_ROWS, Row, rows_of
from mlm.playground.choice import Choice
from mlm.playground.models import Models
from mlm.playground.server.limits import MAX_BODY
from mlm.playground.tabs import batch_html, batch_tab
from mlm.playground.tabs.batch_html import MAX_SENTENCE, SHOWN_ROWS
from tests.support.fake_checkpoint import fake_checkpoint
from tests.support.parsed_html import Tags

pytest_plugins = ["tests.support.served_page"]
SENTENCE = "I have watched this [MASK] and it was awesome."
ATTACK = "<img src=x onerror=alert(1)>\"'&"


@pytest.fixture(scope="module")
def model() -> FillMask:
    return FillMask(fake_checkpoint(), "me/fake", "0123456789abcdef")


@pytest.fixture(scope="module")
def choice(model) -> Choice:
    return Choice(Models.of([model]))


@pytest.fixture
def upload(tmp_path):
    """upload(name, content) -> the file as Gradio passes it."""

    def write(name: str, content: str) -> dict:
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        return {"path": str(path), "orig_name": name}

    return write


def answers(choice, file=None, column=None, lines="", top_k=3, *name) -> list[tuple[str, dict]]:
    """Return all updates of the page, with the CSV read while it exists."""
    updates = []
    for html, download in batch_tab.answers(choice, None, file, column, lines, top_k, *name):
        path = download.get("value")
        content = Path(path).read_bytes() if path else None
        updates.append((html, {**download, "content": content}))
    return updates


# rendering


def test_a_table_of_the_first_rows_and_errors_in_theirs(model):
    texts = [SENTENCE, "no gap", "The ___ was ___."]
    results = list(fill_rows(model, rows_of(texts), 7))
    tags = Tags(batch_html.answer(model, results, 3, 0.1))
    assert tags.seen.count("tr") == 4
    assert tags.seen.count("li") == 3 * batch_html.SHOWN_WORDS
    assert "I have watched this movie and it was awesome." in tags.text
    assert "The movie was movie." in tags.text
    assert "The text has no mask" in tags.text
    assert "2 rows filled; 1 could not be, and says why." in tags.text
    assert "has an apostrophe in front" in tags.text


def test_only_the_first_rows_are_shown(model):
    results = list(fill_rows(model, rows_of(["a [MASK]"] * (SHOWN_ROWS + 5)), 1))
    tags = Tags(batch_html.answer(model, results, len(results), 0.1))
    assert tags.seen.count("tr") == SHOWN_ROWS + 1
    assert "The first 100 rows are shown; the CSV has all 105." in tags.text


def test_the_progress_is_shown(model):
    html = batch_html.answer(model, list(fill_rows(model, rows_of(["a [MASK]"]), 1)), 500, None)
    tags = Tags(html)
    assert "1 of 500 rows" in tags.text and 'value="1" max="500"' in html
    assert "apostrophe" not in tags.text


def test_no_text_of_a_visitor_or_a_model_is_markup():
    model = FillMask(fake_checkpoint(), ATTACK)
    text = f"{ATTACK} [MASK] {ATTACK}"
    span = (text.index("[MASK]"), text.index("[MASK]") + 6)
    word = Candidate(0.5, (7,), ATTACK, f"{ATTACK} ", ATTACK, f" {ATTACK}", False)
    results = [
        RowResult(1, text, Filling(text, [span], None, [[word]])),
        RowResult(2, ATTACK, None, ATTACK),
    ]
    tags = Tags(batch_html.answer(model, results, 2, 0.1))
    assert "img" not in tags.seen
    assert f"{ATTACK} {ATTACK} {ATTACK}" in tags.text


def test_the_sentence_is_the_one_that_the_best_words_make(model):
    joined = FillMask(fake_checkpoint(liked={"##ing": 30.0}), "fake")
    texts = ["He was watch [MASK] it.", "a,___ b", "[MASK]", SENTENCE]
    for one in (model, joined):
        for result in fill_rows(one, rows_of(texts), 1):
            expected = result.filling.masks[0][0].sequence
            assert Tags(batch_html._sentence(result)).text == expected


@pytest.mark.parametrize(
    "text",
    ["xylophone" * 400 + " [MASK]", "[MASK] " + "x" * 5000, "[MASK] x " * 30, " " * 9000 + "___"],
)
def test_a_long_sentence_is_cut(model, text):
    (result,) = fill_rows(model, [Row(1, text)], 1)
    assert result.filling is not None
    assert len(Tags(batch_html._sentence(result)).text) < MAX_SENTENCE + 20


# a file that is uploaded


def test_a_file_brings_its_columns(upload):
    column, lines, html = batch_tab.update_columns(upload("a.csv", "id,text\n1,a ___\n"))
    assert column.choices == [("id", "id"), ("text", "text")]
    assert (column.value, column.visible, lines.visible, html) == ("text", True, False, "")
    column, lines, html = batch_tab.update_columns(upload("a.txt", "a ___\n"))
    assert (column.visible, lines.visible, html) == (False, False, "")
    column, lines, html = batch_tab.update_columns(None)
    assert (column.visible, lines.visible, html) == (False, True, "")


@pytest.mark.parametrize(
    "file", [7, {}, {"path": None}, {"path": "a\0.csv"}, {"path": "/etc/passwd"}, {"path": "x.csv"}]
)
def test_a_value_that_is_not_a_file_is_a_notice(choice, file):
    assert 'role="alert"' in batch_tab.update_columns(file)[2]
    ((html, download),) = answers(choice, file)
    assert 'role="alert"' in html and download["visible"] is False


# filling


def test_a_file_is_filled_in_steps_and_offered_as_a_csv_at_last(choice, model, upload):
    rows = "".join(f"{i},row {i} ___\n" for i in range(70))
    updates = answers(choice, upload("my reviews.csv", f"id,text\n{rows}"), "text")
    assert [html.count("<tr>") - 1 for html, _ in updates] == [-1, 32, 64, 70]
    assert "64 of 70 rows" in updates[2][0] and "70 rows filled." in updates[3][0]
    assert [download["visible"] for _, download in updates] == [False, False, False, True]
    path = Path(updates[-1][1]["value"])
    assert path.name == "my reviews-filled.csv" and not path.exists()
    lines = list(csv.DictReader(io.StringIO(updates[-1][1]["content"].decode("utf-8-sig"))))
    assert len(lines) == 70 * 3
    assert [lines[0][key] for key in ("row", "text", "rank")] == ["2", "row 0 ___", "1"]
    assert float(lines[0]["score"]) == model("row 0 ___")[0]["score"]


def test_lines_are_filled_without_a_file(choice, upload):
    html, download = answers(choice, None, None, "a ___\n\nno gap")[-1]
    assert "1 row filled; 1 could not be" in html
    assert Path(download["value"]).name == "sentences-filled.csv"
    html, _ = answers(choice, upload("a.txt", "great ___"), None, "soup ___")[-1]
    assert "great " in html and "soup " not in html


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lines": ""}, "No sentences found"),
        ({"lines": None}, "of type NoneType"),
        ({"lines": "[MASK] " * 9000}, "63,000 characters; at most 50,000 are read here"),
        ({"lines": "[MASK]\n" * (MAX_ROWS + 1)}, "more than 1,000 rows"),
        ({"top_k": 51}, "whole number from 1 to 50"),
        ({"top_k": "many"}, "whole number from 1 to 50"),
        ({"top_k": None}, "whole number from 1 to 50"),
        ({"column": "nothing"}, "no column &#x27;nothing&#x27;"),
        ({"column": ["text"]}, "The column must be the name of a column"),
    ],
)
def test_what_cannot_be_filled_is_a_notice(choice, upload, changes, message):
    given = {"lines": "a ___", "column": "text", "top_k": 3} | changes
    file = upload("a.csv", "text\na ___\n") if "column" in changes else None
    ((html, _),) = answers(choice, file, given["column"], given["lines"], given["top_k"])
    assert message in html and 'role="alert"' in html


def test_a_model_that_is_being_loaded_is_waited_for_and_another_is_refused(model):
    gate = Event()
    slow = Choice(Models(["me/slow"], lambda name: gate.wait() and model))
    updates = batch_tab.answers(slow, None, None, None, "a ___", 1)
    assert "Loading" in next(updates)[0]
    gate.set()
    assert "1 row filled" in list(updates)[-1][0]
    assert "answers with its own model only" in answers(slow, None, None, "a ___", 1, "x/y")[0][0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("../../x y-1_é.csv", "x y-1_é-filled.csv"),
        ('";\r\n.csv', "sentences-filled.csv"),
        ("a" * 200 + ".csv", "a" * 60 + "-filled.csv"),
    ],
)
def test_the_name_of_the_csv(name, expected):
    assert batch_tab._csv_name({"path": f"/tmp/{name}"}) == expected


# the endpoint


def test_each_text_gets_its_words_or_its_error(model):
    texts = [SENTENCE, "no gap", "[MASK] [MASK]", 7]
    first, second, third, fourth = batch_tab.answer_texts(model, texts, 3)
    assert first == model(SENTENCE, 3) and third == model("[MASK] [MASK]", 3)
    assert "no mask" in second["error"] and "of type int" in fourth["error"]
    assert json.loads(json.dumps([first, second])) == [first, second]
    assert batch_tab.answer_texts(model, [], 3.0) == []


@pytest.mark.parametrize(
    ("texts", "top_k", "message"),
    [
        ("[MASK]", 5, "texts is of type str; expected a list"),
        (None, 5, "of type NoneType"),
        ({"a": 1}, 5, "of type dict"),
        (["[MASK]"] * 201, 5, "201 texts; at most 200"),
        (["[MASK]"], 0, "whole number from 1 to 50"),
    ],
)
def test_an_invalid_call_is_refused(model, texts, top_k, message):
    with pytest.raises(InputError, match=message):
        batch_tab.answer_texts(model, texts, top_k)


@pytest.fixture(scope="module")
def client(pages) -> Client:
    connected = Client(pages.single, verbose=False)
    yield connected
    connected.close()


def test_the_real_client_gets_what_fill_mask_gives(client, model):
    texts = [SENTENCE, "no gap"]
    first, second = client.predict(texts, 2, api_name="/batch")
    assert first == model(SENTENCE, 2) and "no mask" in second["error"]
    assert len(client.predict([SENTENCE], api_name="/batch")[0]) == 5
    with pytest.raises(AppError, match="201 texts; at most 200"):
        client.predict(["[MASK]"] * 201, api_name="/batch")


def test_a_file_that_was_not_uploaded_is_not_read(pages):
    """Private events are only hidden: anyone can call them, with any path or address."""
    config = httpx.get(f"{pages.single}/config").json()
    file = next(
        c["id"] for c in config["components"] if c["props"].get("elem_id") == "mlm-batch-file"
    )
    event = next(d for d in config["dependencies"] if d["inputs"] == [file])
    meta = {"_type": "gradio.FileData"}
    for path in ("/etc/passwd", "pyproject.toml"):
        body = {
            "data": [{"path": path, "meta": meta}],
            "fn_index": event["id"],
            "session_hash": "s",
        }
        joined = httpx.post(f"{pages.single}/gradio_api/queue/join", json=body)
        assert joined.status_code == 200
        text = httpx.get(f"{pages.single}/gradio_api/queue/data?session_hash=s", timeout=30).text
        assert '"success":false' in text.replace(" ", "")
        assert "root:" not in text and "Traceback" not in text


def test_the_longest_pasted_text_passes_the_limits():
    pasted = json.dumps({"data": [None, None, "🎬" * batch_tab.MAX_PASTED, 5]}, ensure_ascii=False)
    assert len(pasted.encode()) + 1000 < MAX_BODY
