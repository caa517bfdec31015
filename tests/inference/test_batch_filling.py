"""Files of masked sentences: read, filled row by row, written; bad rows stop nothing."""

import csv
import io

import pytest

from mlm.errors import InputError
from mlm.inference import batch_filling
from mlm.inference.batch_filling import (
    COLUMNS,
    MAX_BYTES,
    MAX_ROWS,
    Row,
    fill_rows,
    read_rows,
    rows_of,
    rows_of_lines,
    to_csv,
)
from mlm.inference.fill_mask import FillMask
from mlm.inference.masked_text import MAX_CHARACTERS
from tests.support.fake_checkpoint import fake_checkpoint

SENTENCE = "I have watched this [MASK] and it was awesome."


@pytest.fixture
def fill() -> FillMask:
    return FillMask(fake_checkpoint(), "fake")


@pytest.fixture
def file(tmp_path):
    """file(name, content) -> its path."""

    def write(name: str, content: str | bytes):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def filled(model: FillMask, rows, top_k: int = 3) -> list:
    return list(fill_rows(model, rows, top_k))


def written(results) -> list[dict[str, str]]:
    """A CSV as a reader has it, without the apostrophes that keep formulas from running."""
    rows = csv.DictReader(io.StringIO(to_csv(results).decode("utf-8-sig"), newline=""))
    assert tuple(rows.fieldnames) == COLUMNS
    return list(rows)


# reading


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_text_file_is_one_sentence_a_line(file, mark, end):
    content = mark + f"a [MASK]{end}{end}é ___{end}c\u2028[MASK]\x85d".encode()
    table = read_rows(file("a.TXT", content))
    assert (table.columns, table.column) == ([], None)
    assert table.rows == [Row(1, "a [MASK]"), Row(3, "é ___"), Row(4, "c\u2028[MASK]\x85d")]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize(("name", "sign"), [("a.csv", ","), ("a.tsv", "\t")])
def test_a_table_is_read_with_its_quotes(file, mark, name, sign):
    lines = [
        f"id{sign}review",
        f'1{sign}"a{sign} ""b"" [MASK]"',
        f"{sign}",
        f'2{sign}"two\nlines ___"',
    ]
    table = read_rows(file(name, mark + "\n".join(lines).encode()))
    assert (table.columns, table.column) == (["id", "review"], "review")
    assert table.rows == [Row(2, f'a{sign} "b" [MASK]'), Row(4, "two\nlines ___")]


@pytest.mark.parametrize(
    ("content", "columns", "column"),
    [
        (
            "text,masked\nlong words here,a ___\nmore words here,b ___\n",
            ["text", "masked"],
            "masked",
        ),
        ("a,b\n___ x,y\nz,___ z\nz,___ z\n", ["a", "b"], "b"),
        ("id,text\n1,no gap\n2,none\n", ["id", "text"], "text"),
        ("a,a,,b\nx,[MASK],z,1\n", ["a", "a (2)", "column 3", "b"], "a (2)"),
        ("1,the [MASK]\n2,a ___\n", ["column 1", "column 2"], "column 2"),
        ("[MASK]\n", ["column 1"], "column 1"),
    ],
)
def test_the_text_column_is_the_one_with_the_masks(file, content, columns, column):
    table = read_rows(file("a.csv", content))
    assert (table.columns, table.column) == (columns, column)


def test_a_first_row_with_a_mask_is_no_header(file):
    table = read_rows(file("a.csv", "1,the [MASK]\n2,a ___\n"))
    assert table.rows == [Row(1, "the [MASK]"), Row(2, "a ___")]


def test_the_text_column_can_be_chosen(file):
    path = file("a.csv", "id,text,other\n1,a ___,b ___\n")
    assert read_rows(path, "other").rows == [Row(2, "b ___")]
    with pytest.raises(InputError, match="no column 'nothing'; the columns are 'id', 'text'"):
        read_rows(path, "nothing")


def test_a_bad_row_is_told_in_its_place(file):
    content = (
        "id,text\n1,a ___\n2,one, two ___\n3\n"
        '4,"good" ___ x\n5,"so "good" ___"\n6,b ___,,\n7,"never closed ___\n8,c ___\n'
    )
    rows = read_rows(file("a.csv", content)).rows
    assert [row.number for row in rows] == [2, 3, 4, 5, 6, 7, 8, 9]
    assert [row.number for row in rows if row.error is None] == [2, 7, 9]
    assert "3 cells and the file 2 columns: put quotes" in rows[1].error
    assert "no text in this column" in rows[2].error
    assert all("quotes do not match" in rows[i].error for i in (3, 4, 6))


def test_a_forgotten_quote_costs_its_row_alone(file):
    rows = [f'"row {i} ___",{i}' for i in range(2, 150)]
    rows[0] = '"Open ___,2'
    read = read_rows(file("a.csv", "\n".join(["text,n", *rows]))).rows
    assert [row.number for row in read if row.error] == [2]
    assert [row.text for row in read[1:]] == [f"row {i} ___" for i in range(3, 150)]


def test_a_cell_of_several_lines_is_one_row(file):
    read = read_rows(file("a.csv", 'text,n\n"one\ntwo ___",1\nthree ___,2\n')).rows
    assert read == [Row(2, "one\ntwo ___"), Row(3, "three ___")]


@pytest.mark.parametrize(
    "content",
    [
        "id;text\n1;A ___ film, they say\n2;The ___ was bad, and long, too\n",
        "id\ttext\n1\tA ___ film, they say\n2\tThe ___ was bad, and long, too\n",
        'id,text\n1,"A ___ film, they say"\n2,"The ___ was bad, and long, too"\n',
        "1;A ___ film, they say\n2;The ___ was bad, and long, too\n",
    ],
)
def test_the_separator_is_the_files_own(file, content):
    texts = [row.text for row in read_rows(file("a.csv", content)).rows]
    assert texts == ["A ___ film, they say", "The ___ was bad, and long, too"]


def test_a_separator_that_only_texts_hold_is_none(file):
    rows = read_rows(file("a.csv", "text\nA ___ film; good\nThe ___; bad; long\n")).rows
    assert [row.text for row in rows] == ["A ___ film; good", "The ___; bad; long"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xlsx", "x", r"called 'a.xlsx'; expected a name that ends in .csv, .tsv or .txt"),
        ("a", "x", "called 'a'"),
        ("a.csv", b"text\n\xff [MASK]", r"not in UTF-8 \(byte 0xff at offset 5\): save it as"),
        ("a.txt", "the [MASK]".encode("utf-16"), r"not in UTF-8 \(byte 0xff at offset 0\)"),
        ("a.txt", b"x" * (MAX_BYTES + 1), "more than 1,000,000 bytes"),
        ("a.txt", "[MASK]\n" * (MAX_ROWS + 1), "more than 1,000 rows; .* split the file"),
        ("a.csv", "t\n" + "[MASK]\n" * (MAX_ROWS + 1), "more than 1,000 rows"),
        ("a.csv", "[MASK]\n" * (MAX_ROWS + 1), "more than 1,000 rows"),
        ("a.txt", " \n\n", "no sentence in it"),
        ("a.csv", "text\n", "no sentence in it"),
        ("a.csv", "", "no first row"),
        ("a.csv", '"', "no first row"),
        ("a.csv", "," * 5000 + "\n", "no first row"),
        ("a.csv", "a," * 200 + "\n", "201 columns; at most 100"),
        ("a.csv", "a,b\n1,2\n", "No column holds a mask: write .* in one of 'a', 'b'"),
    ],
)
def test_a_file_that_cannot_be_read_gets_one_line(file, name, content, message):
    with pytest.raises(InputError, match=message) as error:
        read_rows(file(name, content))
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_told_without_its_folder(tmp_path):
    with pytest.raises(InputError, match=r"The file 'a\.csv' cannot be opened") as error:
        read_rows(tmp_path / "a.csv")
    assert str(tmp_path) not in str(error.value)


def test_the_largest_that_is_allowed_is_read(file):
    assert len(read_rows(file("a.csv", "t\n" + "[MASK]\n" * MAX_ROWS)).rows) == MAX_ROWS
    assert len(read_rows(file("a.txt", "[MASK]\n" * MAX_ROWS)).rows) == MAX_ROWS


@pytest.mark.parametrize(
    "lines", [None, 7, ["[MASK]"], "x" * (MAX_BYTES + 1), "", "[MASK]\n" * 1001]
)
def test_lines_that_are_none(lines):
    with pytest.raises(InputError):
        rows_of_lines(lines)


# filling


def test_rows_are_filled_as_each_alone(fill):
    texts = [SENTENCE, "[MASK] and ___", "the [MASK]"] * 30
    results = filled(fill, rows_of(texts))
    assert [result.number for result in results] == list(range(1, 91))
    assert [result.filling.as_pipeline() for result in results] == [fill(t, 3) for t in texts]
    assert {result.error for result in results} == {None}


def test_only_the_bad_rows_get_an_error(fill):
    texts = [SENTENCE, "no gap", None, "[MASK] \ud800", "x" * 900_000, "[MASK] " * 40, SENTENCE]
    results = filled(fill, [*rows_of(texts), Row(8, "", "unreadable"), Row(9, "a\0 [MASK]\0")])
    assert [result.number for result in results if result.filling] == [1, 7, 9]
    found = ["no mask", "NoneType", "surrogate", "900,000 characters", "40 masks", "unreadable"]
    for result, message in zip([*results[1:6], results[7]], found, strict=True):
        assert message in result.error
    assert results[0].filling.as_pipeline() == results[6].filling.as_pipeline() == fill(SENTENCE, 3)


def test_no_rows_are_no_results_and_no_more_words_are_given_than_there_are(fill):
    assert filled(fill, []) == []
    assert len(filled(fill, rows_of([SENTENCE]), 10**6)[0].filling.masks[0]) == fill.vocab_size


def test_the_model_is_asked_about_many_rows_at_once_and_few_masks(fill):
    filled(fill, rows_of([SENTENCE] * 64))
    assert [shape[0] for shape in fill.checkpoint.model.shapes] == [32, 32]
    asked = []
    answer = fill.answer
    fill.answer = lambda texts, *more, **options: (
        asked.append(sum(text.count("[MASK]") for text in texts)) or answer(texts, *more, **options)
    )
    filled(fill, rows_of(["[MASK] " * 30] * 5 + ["[MASK]"] * 10))
    assert asked == [60, 60, 40]


def test_an_answer_that_would_be_huge_is_refused_row_by_row(fill, monkeypatch):
    monkeypatch.setattr(batch_filling, "MAX_ANSWER", 3 * len(SENTENCE) * 3 + 3 * len("[MASK]"))
    results = filled(fill, rows_of([SENTENCE, "[MASK]", SENTENCE, SENTENCE, SENTENCE, "no gap"]))
    assert [result.number for result in results if result.filling] == [1, 2, 3, 4]
    assert "ask for fewer words or fewer rows" in results[4].error
    assert "no mask" in results[5].error


def test_results_come_before_all_rows_are_filled(fill):
    results = fill_rows(fill, rows_of([SENTENCE] * 100), 1)
    next(results)
    assert len(fill.checkpoint.model.shapes) == 1


# writing


def test_the_csv_says_what_the_results_say(fill):
    texts = [SENTENCE, 'a "quoted",\r\n[MASK] line\r___ \0 é', "no gap"]
    results = filled(fill, rows_of(texts), 2)
    lines = written(results)
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
    for line in written(filled(fill, [*rows_of([text, bad]), Row(3, "", bad)], 2)):
        assert not any(cell.startswith(sign) for cell in line.values())
        assert line["text"] in (f"'{text}", f"'{bad}", "")


def test_a_csv_of_nothing_has_its_header_and_half_a_character_is_a_question_mark(fill):
    assert to_csv([]).decode("utf-8-sig") == ",".join(COLUMNS) + "\r\n"
    assert written(filled(fill, rows_of(["a \ud800"])))[0]["text"] == "a ?"


def test_what_was_written_can_be_read_and_filled_again(fill, file):
    path = file("filled.csv", to_csv(filled(fill, rows_of([SENTENCE, "the ___"]), 1)))
    table = read_rows(path)
    assert table.column == "text"
    assert table.rows == [Row(2, SENTENCE), Row(3, "the ___")]


def test_a_cell_as_large_as_the_file_may_be_is_one_bad_row(fill, file):
    path = file("a.csv", f"text\n{'x' * 900_000} [MASK]\n{SENTENCE}\n")
    first, second = filled(fill, read_rows(path, "text").rows)
    assert f"at most {MAX_CHARACTERS:,} are read" in first.error
    assert second.filling.as_pipeline() == fill(SENTENCE, 3)
