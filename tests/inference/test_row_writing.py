"""The CSV of filled rows: its content, no formulas, and the way back through the reader."""

import csv
import io

import pytest

from mlm.inference.fill_mask import FillMask
from mlm.inference.masked_text import MAX_CHARACTERS
from mlm.inference.row_filling import RowResult, fill_rows
from mlm.inference.row_reading import Row, read_rows, rows_of
from mlm.inference.row_writing import COLUMNS, to_csv
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


def read_back(results) -> list[dict[str, str]]:
    """Write the CSV and return its lines by column."""
    rows = csv.DictReader(io.StringIO(to_csv(results).decode("utf-8-sig"), newline=""))
    assert tuple(rows.fieldnames) == COLUMNS
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
    assert table.rows == [Row(2, SENTENCE), Row(3, "the ___")]


def test_a_cell_as_large_as_the_file_may_be_is_one_bad_row(fill, file):
    path = file("a.csv", f"text\n{'x' * 900_000} [MASK]\n{SENTENCE}\n")
    first, second = fill_all(fill, read_rows(path, "text").rows)
    assert f"at most {MAX_CHARACTERS:,} are read" in first.error
    assert second.filling.as_pipeline() == fill(SENTENCE, 3)
