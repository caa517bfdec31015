"""`mlm classify`: texts to labels in the terminal, files of texts to CSV."""

import csv
import io
import json
from pathlib import Path

import pytest

from mlm.checkpoint.task import Task
from mlm.commands.classify import main
from mlm.inference.classifier import Classifier
from tests.support.small_classifiers import TAGS, save_classifier

TEXT = "The quick brown film jumps over the lazy movie."
LONG = "judge my vow, the film and the movie, " * 3
OF_SENTIMENT, OF_TAGS = (("--model_name_or_path", name) for name in ("SENTIMENT", "TAGS"))


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """Signs of life, which come with time, are not a part of what these tests look at."""
    monkeypatch.setattr("mlm.terminal.progress.PATIENCE", 10_000.0)


@pytest.fixture(scope="module")
def sentiment(tmp_path_factory) -> str:
    return str(save_classifier(tmp_path_factory.mktemp("sentiment")))


@pytest.fixture(scope="module")
def tags(tmp_path_factory) -> str:
    return str(save_classifier(tmp_path_factory.mktemp("tags"), task=TAGS))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> str:
    record = {"task": {"truncation": "head", "max_seq_length": 32, "is_of_pairs": True}}
    return str(save_classifier(tmp_path_factory.mktemp("pairs"), training=record))


def classify(model: str, *arguments: object) -> int:
    return main([*map(str, arguments), "--model_name_or_path", model])


def rows_of_csv(content: bytes, separator: str = ",") -> list[dict[str, str]]:
    text = io.StringIO(content.decode("utf-8-sig"))
    return list(csv.DictReader(text, delimiter=separator))


def test_each_text_has_its_labels_with_their_probabilities(sentiment, capsys):
    assert classify(sentiment, TEXT, LONG, "--top_k", 2) == 0
    lines = capsys.readouterr().out.splitlines()
    best, second, _ = Classifier.from_pretrained(sentiment)(TEXT)
    assert lines[:3] == [
        TEXT,
        f"{best['score']:7.1%}  {best['label']}",
        f"{second['score']:7.1%}  {second['label']}",
    ]
    assert lines[3] == LONG and "tokens were left out" in lines[6]


def test_words_have_a_line_for_each_entity(tags, capsys):
    assert classify(tags, TEXT, "--aggregation_strategy", "simple") == 0
    first, *lines = capsys.readouterr().out.splitlines()
    found = Classifier.from_pretrained(tags)(TEXT, aggregation_strategy="simple")
    assert first == TEXT
    assert lines == [
        f"{each['score']:7.1%}  {each['entity_group']}  {TEXT[each['start'] : each['end']]}"
        for each in found
    ]


def test_a_regression_has_its_value(tmp_path, capsys):
    model = str(save_classifier(tmp_path, task=Task("regression", ("stars",))))
    assert classify(model, TEXT) == 0
    value = Classifier.from_pretrained(model)(TEXT)[0]["score"]
    assert capsys.readouterr().out.splitlines()[1] == f"{value:10.4g}  stars"


def test_json_has_the_answers_of_the_api(sentiment, pairs, tmp_path, capsys):
    assert classify(sentiment, TEXT, LONG, "--json") == 0
    one, two = map(json.loads, capsys.readouterr().out.splitlines())
    classifier = Classifier.from_pretrained(sentiment)
    labels = classifier([TEXT, LONG])  # together, as there: alone, the last digit may differ
    assert one == {"text": TEXT, "labels": labels[0], "note": None}
    assert two["labels"] == labels[1] and "left out" in two["note"]
    assert classify(pairs, "one", "--text_pair", "other", "--json") == 0
    pair = {"text": "one", "text_pair": "other"}
    expected = Classifier.from_pretrained(pairs)(pair)
    assert json.loads(capsys.readouterr().out) == {**pair, "labels": expected, "note": None}
    given, written = tmp_path / "given.txt", tmp_path / "labels.jsonl"
    given.write_text(f"{TEXT}\n\n{LONG}\n", encoding="utf-8")
    assert classify(sentiment, given, "--json", "--output", written, "--top_k", 1) == 0
    first, third = map(json.loads, written.read_text(encoding="utf-8").splitlines())
    assert first["labels"] == one["labels"][:1] and (first["row"], third["row"]) == (1, 3)


def test_a_file_becomes_a_csv_and_what_is_left_out_is_said(sentiment, tmp_path, capsys):
    given, written = tmp_path / "given.csv", tmp_path / "labels.csv"
    given.write_text(f'id,review,label\n1,"{TEXT}",x\n2,,y\n3,=1+1 of it,z\n', encoding="utf-8")
    assert classify(sentiment, given, "--output", written) == 0
    rows = rows_of_csv(written.read_bytes())
    scores = ["score_bad", "score_good", "score_neither nor"]
    added = ["text", "label", "score", *scores, "note", "error"]
    assert list(rows[0]) == ["row", "id", "input_label", *added]
    assert [(row["row"], row["id"], row["input_label"]) for row in rows] == [
        ("2", "1", "x"),
        ("3", "2", "y"),
        ("4", "3", "z"),
    ]
    expected = Classifier.from_pretrained(sentiment)(TEXT)
    assert rows[0]["label"] == expected[0]["label"]
    assert float(rows[0]["score"]) == expected[0]["score"]
    assert {name: float(rows[0][name]) for name in scores} == {
        f"score_{each['label']}": each["score"] for each in expected
    }
    assert (rows[1]["label"], rows[1]["error"]) == ("", "The row has no text in this column.")
    assert rows[2]["text"] == "'=1+1 of it"
    assert capsys.readouterr().err.splitlines() == [
        "3 rows of column 'review'; 1 without labels, the first in row 3: The row has no text in "
        "this column.",
        "its column 'label' is called 'input_label' in the result",
        f"written to {written}",
    ]


def test_a_file_of_pairs_names_both_columns(pairs, tmp_path, capsys):
    given, written = tmp_path / "given.tsv", tmp_path / "labels.tsv"
    given.write_text("n\ta\tb\n1\tthe quick\tbrown film\n", encoding="utf-8")
    assert classify(pairs, given, "--text_column_names", "a", "b", "--output", written) == 0
    (row,) = rows_of_csv(written.read_bytes(), "\t")
    assert list(row)[:4] == ["row", "n", "text", "text_pair"]
    pair = {"text": "the quick", "text_pair": "brown film"}
    assert float(row["score"]) == Classifier.from_pretrained(pairs)(pair)[0]["score"]
    assert capsys.readouterr().err.startswith("1 row of columns 'a' and 'b'\n")
    assert classify(pairs, given) == 2
    assert "was trained on pairs of texts; name their two columns" in capsys.readouterr().err


def test_a_file_has_a_line_for_each_entity_and_one_for_none(tags, tmp_path, capsysbinary):
    given = tmp_path / "given.txt"
    given.write_text(f"{TEXT}\n{TEXT}\n", encoding="utf-8")
    assert classify(tags, given) == 0
    rows = rows_of_csv(capsysbinary.readouterr().out)
    found = Classifier.from_pretrained(tags)(TEXT)
    assert [(row["row"], row["label"], row["start"], row["end"]) for row in rows] == [
        (number, each["entity_group"], str(each["start"]), str(each["end"]))
        for number in "12"
        for each in found
    ]
    assert rows[0]["words"] == TEXT[found[0]["start"] : found[0]["end"]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give a text, or a file: mlm classify reviews.csv"),
        (["a.txt", "--aggregation_strategy", "max", *OF_SENTIMENT], "is for classifiers of words"),
        (["a.txt", "--aggregation_strategy", "best", *OF_TAGS], "expected one of none, simple"),
        (["a.txt", "--json", "--top_k", "2", *OF_TAGS], "top_k is for classifiers of whole texts"),
        (["no_text.csv", "--text_column_names", "a", "b", *OF_TAGS], "name one column, not a and"),
        ([TEXT, "x.csv"], "either texts or one file; here are"),
        ([TEXT, "--text_column", "x"], "--text_column goes with a file"),
        ([TEXT, "--text_column_names", "x", "y"], "--text_column_names goes with a file"),
        (["x.csv", "--text_column_names", "x", "y", "z"], "--text_column_names has 3 names"),
        (["x.csv", "--text_column", "x", "--text_column_names", "x"], "either --text_column or"),
        ([TEXT, TEXT, "--text_pair", "x"], "--text_pair goes with one text"),
        ([TEXT, "--top_k", "0"], "--top_k is 0"),
        (["x.csv", "--top_k", "2"], "--top_k goes with texts or with --json"),
        (["absent.csv"], "the file 'absent.csv' does not exist: check"),
        ([TEXT, "--output", "no/such/y.csv"], "folder does not exist"),
        (
            [TEXT, "--model_name_or_path", "MASKED_LM"],
            "is not a classifier: its config.json names BertForMaskedLM; train one from it first",
        ),
        ([TEXT, "--engine", "abacus", "--model_name_or_path", "SENTIMENT"], "abacus"),
        ([TEXT, "--aggregation_strategy", "max", "--model_name_or_path", "SENTIMENT"], "of words"),
        (["no_text.csv", "--model_name_or_path", "SENTIMENT"], "no column is clearly the text"),
        (["no_text.csv", "--text_column", "c", "--model_name_or_path", "SENTIMENT"], "column 'c'"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    arguments, said, sentiment, tags, tiny_bert_folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Path("no_text.csv").write_text("a,b\n1,2\n")
    Path("a.txt").write_text(f"{TEXT}\n")
    models = {"SENTIMENT": sentiment, "TAGS": tags, "MASKED_LM": str(tiny_bert_folder)}
    assert main([models.get(each, each) for each in arguments]) == 2
    out, refusal = capsys.readouterr()
    assert out == ""
    assert refusal.startswith("error: ") and refusal.count("\n") == 1
    assert said in refusal
