"""The CSV of filled rows: its content, no formulas, and the way back through the reader."""

import csv
import io
import json

import pytest

from mlm.inference.fill_mask import FillMask
from mlm.inference.masked_text import MAX_CHARACTERS
from mlm.inference.row_filling import RowResult, fill_rows
from mlm.inference.row_reading import Row, read_rows, rows_of
from mlm.inference.row_writing import COLUMNS, JsonWriter, to_csv
from tests.support.fake_checkpoint import fake_checkpoint

SENTENCE = "I have watched this [MASK] and it was awesome."


@pytest.fixture
def fill() -> FillMask:
    return FillMask(fake_checkpoint(), "fake")


@pytest.fixture
def file(tmp_path):
    """Return file(name, content), which writes a file and returns its path."""

    def write(name: str, content: str | bytes):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def fill_all(model: FillMask, rows, top_k: int = 3) -> list[RowResult]:
    return list(fill_rows(model, rows, top_k))


def read_back(results, others=(), separator=",") -> list[dict[str, str]]:
    """Write the CSV and return its lines by column."""
    content = to_csv(results, others, separator).decode("utf-8-sig")
    rows = csv.DictReader(io.StringIO(content, newline=""), delimiter=separator)
    assert len(rows.fieldnames) == len(set(rows.fieldnames)) == len(COLUMNS) + len(others)
    assert [name for name in rows.fieldnames if name in COLUMNS] == list(COLUMNS)
    return list(rows)


def test_the_csv_holds_the_results(fill):
    texts = [SENTENCE, 'a "quoted",\r\n[MASK] line\r[mask] \0 é', "no gap"]
    results = fill_all(fill, rows_of(texts), 2)
    lines = read_back(results)
    assert len(lines) == 2 + 4 + 1
    for line in lines[:6]:
        result = results[int(line["row"]) - 1]
        candidate = result.filling.masks[int(line["mask"]) - 1][int(line["rank"]) - 1]
        assert line["text"] == result.text == texts[result.number - 1]
        assert float(line["score"]) == candidate.score
        assert (line["word"], line["sequence"]) == (candidate.word, candidate.sequence)
        assert line["error"] == ""
        assert line["note"] == (result.filling.note or "")
    assert lines[6] == dict.fromkeys(COLUMNS, "") | {
        "row": "3",
        "text": "no gap",
        "error": results[2].error,
    }


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
def test_no_cell_is_a_formula(sign):
    fill = FillMask(fake_checkpoint(liked={"'": 30.0, "un": 20.0}), "fake")
    text = f"{sign}HYPERLINK(A1) [MASK]"
    bad = f"{sign}cmd|' /C calc'!A0"
    for line in read_back(fill_all(fill, [*rows_of([text, bad]), Row(3, "", bad)], 2)):
        assert not any(cell.startswith(sign) for cell in line.values())
        assert line["text"] in (f"'{text}", f"'{bad}", "")


def test_an_empty_csv_has_its_header_and_half_a_character_is_a_question_mark(fill):
    assert to_csv([]).decode("utf-8-sig") == ",".join(COLUMNS) + "\r\n"
    assert read_back(fill_all(fill, rows_of(["a \ud800"])))[0]["text"] == "a ?"


def test_a_written_csv_can_be_read_and_filled_again(fill, file):
    path = file("filled.csv", to_csv(fill_all(fill, rows_of([SENTENCE, "the ___"]), 1)))
    table = read_rows(path)
    assert table.column == "text"
    assert [row[:2] for row in table.rows] == [(2, SENTENCE), (3, "the ___")]
    again = read_back(fill_all(fill, table.rows, 1), table.others)
    assert (again[0]["word"], again[0]["input_word"]) == ("movie", "movie")


def test_a_cell_as_large_as_the_file_may_be_is_one_bad_row(fill, file):
    path = file("a.csv", f"text\n{'x' * 900_000} [MASK]\n{SENTENCE}\n")
    first, second = fill_all(fill, read_rows(path, "text").rows)
    assert f"at most {MAX_CHARACTERS:,} are read" in first.error
    assert second.filling.as_pipeline() == fill(SENTENCE, 3)


HARMFUL = [
    "It is [MASK];=cmd|' /C calc'!A0;",
    'It is [MASK],"=1+1"',
    "It is [MASK]\n=1+1",
    "It is [MASK]|+1",
    "It is [MASK]\t@A1",
    "It is [MASK]; =1+1",
    " =1+1 [MASK]",
]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_no_reading_of_the_csv_begins_a_cell_with_a_formula(fill, separator):
    rows = [Row(i, text, None, (text,)) for i, text in enumerate(HARMFUL)]
    content = to_csv(fill_all(fill, rows, 2), ["=name"], separator).decode("utf-8-sig")
    for other in ",;\t|":
        for cells in csv.reader(io.StringIO(content, newline=""), delimiter=other):
            assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
            assert not [cell for cell in cells if cell.lstrip(" ").startswith("=")]


def test_prose_is_not_changed(fill):
    text = "Well, - it was [MASK]; good-natured, 5 - 3 = 2, a+b, me@example.org: =)"
    (line, *_) = read_back(fill_all(fill, rows_of([text]), 1))
    assert line["text"] == text


def test_other_columns_are_carried_over_with_the_separator_that_came_in(fill, file):
    path = file("a.csv", "id;sentence;word\n7;It was [MASK], really.;x\n8;no gap;y\n")
    table = read_rows(path)
    lines = read_back(fill_all(fill, table.rows, 1), table.others, table.separator)
    assert [(line["id"], line["input_word"]) for line in lines] == [("7", "x"), ("8", "y")]
    assert lines[0]["sequence"] == "It was movie, really."
    assert "no mask" in lines[1]["error"]


def test_json_lines_hold_the_results(fill):
    rows = [Row(2, SENTENCE, None, ("a",)), Row(3, "no gap", None, ("b",)), Row(4, "🎬 ___ _ ___")]
    stream = io.StringIO()
    writer = JsonWriter(stream, ["id"])
    results = fill_all(fill, [*rows[:2], rows[2]._replace(others=("c",))], 2)
    for result in results:
        writer.write(result)
    good, bad, two = map(json.loads, stream.getvalue().splitlines())
    assert good == {
        "row": 2,
        "text": SENTENCE,
        "masks": [fill(SENTENCE, 2)],
        "note": None,
        "error": None,
        "columns": {"id": "a"},
    }
    assert (bad["masks"], bad["columns"]) == ([], {"id": "b"}) and "no mask" in bad["error"]
    assert two["masks"] == fill("🎬 ___ _ ___", 2) and "___ was read as [MASK]." in two["note"]
