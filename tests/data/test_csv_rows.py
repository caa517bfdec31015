"""Rows of CSV and TSV files: nothing is cut, shifted or swallowed in silence."""

import csv
import io

import pytest

from mlm.data.texts.csv_rows import read_csv, read_tsv
from mlm.data.texts.text_column import Chosen, choose_column


def read(content: str, reader=read_csv, column: str | None = "text") -> tuple[list[str], list[str]]:
    """Return the texts and the notes."""
    notes: list[str] = []

    def choose(columns):
        return Chosen((choose_column(column, columns, "a.csv"),))

    rows = reader(io.StringIO(content, newline=""), choose, notes.append)
    return [text for (text,) in rows], notes


def test_other_separators_are_found_and_said():
    content = "id;text;stars\n1;The soup, warm and salty;4\n2;Boats waited;5\n"
    texts = ["The soup, warm and salty", "Boats waited"]
    assert read(content) == (texts, ["fields are separated by semicolons"])
    assert read(f"sep=;\r\n{content}") == (
        texts,
        ["fields are separated by semicolons", "the first line, sep=, is skipped"],
    )
    assert read("text\tid\nhello, you\t1\n") == (["hello, you"], ["fields are separated by tabs"])
    assert read("text\tid\nhello, you\t1\n", read_tsv) == (["hello, you"], [])


@pytest.mark.parametrize("surplus", [",and more", ",,,and more", ",a,b,c,d"])
@pytest.mark.parametrize("row", [1, 2, 999, 1000, 1001, 2001])
def test_a_row_with_too_many_fields_is_refused_wherever_it_is(row, surplus):
    # Up to pandas 3.0.3, row 1,001 was cut after its second field, and row 1 with a warning.
    rows = [f"row {number} of words,1" for number in range(1, 2101)]
    rows[row - 1] += surplus
    with pytest.raises(ValueError, match=r"(more|has 6) fields.* its header.* 2; quote fields"):
        read("\n".join(["text,label", *rows]))


def test_rows_with_fewer_fields_have_no_text():
    assert read("id,text\n1,hello\n2\n3,there\n") == (["hello", "", "there"], [])


def test_text_after_nul_is_kept():
    content = 'text,label\n"before\x00after",1\nplain\x00 words,0\n'
    assert read(content) == (["beforeafter", "plain words"], ["2 NUL characters removed"])


def test_carriage_returns_within_rows_are_spaces():
    assert read("id,text\n1,one\rtwo\n2,three\r\n") == (
        ["one two", "three"],
        ["1 carriage return within rows read as spaces"],
    )
    assert read("id,text\r1,one\r2,three\r") == (["one", "three"], [])


def test_a_carriage_return_at_the_end_of_a_block_is_kept_with_its_newline(monkeypatch):
    monkeypatch.setattr("mlm.data.texts.csv_rows._SAMPLE", 14)
    assert read("id,text\r\n1,two\r\n2,three\r\n") == (["two", "three"], [])


def test_files_that_were_joined():
    content = "\ufefftext,label\nsome words,1\n\ufefftext,label\nother words,0\n"
    assert read(content) == (
        ["some words", "other words"],
        [
            "1 repeated header between the rows dropped",
            "2 byte order marks within the file dropped",
        ],
    )


def test_a_separator_at_the_end_of_rows():
    note = "rows end with a separator; the empty field after it is ignored"
    assert read("text,label\nThe soup,1,\nBoats,0,\n") == (["The soup", "Boats"], [note])
    assert read("text,label\nThe soup,1,,\nBoats,0,,\n") == (["The soup", "Boats"], [note])


def test_row_numbers_without_a_name():
    assert read("text,label\n0,The soup,1\n1,Boats,0\n") == (
        ["The soup", "Boats"],
        ["its first column has no name; it is taken for row numbers"],
    )
    assert read(",text\n0,The soup\n1,Boats\n") == (["The soup", "Boats"], [])
    with pytest.raises(ValueError, match="more fields than its header, which has 2"):
        read("text,label\nhello, you,1\nthe soup, warm,0\n")


@pytest.mark.parametrize("header", ["id,text", "stars,text"])
@pytest.mark.parametrize("text", ["Well done, this was good", "'Well done, this was good'"])
def test_a_text_with_a_comma_is_not_cut_by_taking_its_number_for_that_of_the_row(header, text):
    with pytest.raises(ValueError, match="more fields than its header, which has 2; quote fields"):
        read("\n".join([header, *(f"{number},{text}" for number in range(5))]))


def test_a_number_of_a_known_name_is_not_that_of_the_row():
    with pytest.raises(ValueError, match="more fields than its header, which has 2; quote fields"):
        read("ID,text\n1,Well done,this was good\n2,Boats,they waited\n")


def test_numbers_that_repeat_are_not_those_of_rows():
    with pytest.raises(ValueError, match="more fields than its header, which has 1"):
        read("text\n10,000 men went\n10,000 came\n5,000 left\n")


def test_spaces_between_separator_and_quote():
    content = 'id, text, n\n1, "Well done, this was good", 3\n2, "Boats waited, too", 4\n'
    assert read(content) == (
        ["Well done, this was good", "Boats waited, too"],
        ["spaces between a separator and a quote are skipped"],
    )
    assert read('id,text\n1,"He said, ""no"", twice"\n') == (['He said, "no", twice'], [])


def test_rows_that_are_wider_than_a_header_with_their_separator_are_refused():
    with pytest.raises(ValueError, match="has 2; quote fields that hold semicolons"):
        read("label;text\npos;Good; yes; indeed\nneg;Bad\npos;So; so\n", column=None)


def test_a_title_above_the_column_names():
    advice = "if its first line is a title, delete the lines above .* rename it to .txt"
    with pytest.raises(ValueError, match=f"its header, which has 1; {advice}"):
        read("My export\n\nid,text\n1,Boats waited\n")


def test_backslash_escapes():
    content = 'text,label\n"She said \\"hi\\", and left",1\n"plain",0\n'
    assert read(content) == (['She said "hi", and left', "plain"], [r"quotes are escaped as \""])


def test_stray_quotes_of_tab_separated_values():
    content = 'id\ttext\n1\tone\n2\t"Open quote\n3\tthree\n4\t"Again open\n5\tfive\n'
    texts = ["one", '"Open quote', "three", '"Again open', "five"]
    note = "its quotes do not enclose fields; they are read as characters"
    assert read(content, read_tsv) == (texts, [note])
    assert read(content.replace("\t", ",")) == (texts, [note])


def test_a_field_that_swallowed_rows_is_said():
    rows = ["1,one", '2,"Open quote', "3,three", '4,closed" here', '5,"a, b"', "6,six"]
    texts, notes = read("\n".join(["id,text", *rows]))
    assert len(texts) == 4
    (note,) = notes
    assert note.startswith("1 field holds what looks like whole rows (the first in row 2 below")


def test_lines_of_a_text_are_not_taken_for_rows():
    content = 'id,text\n1,"Dear you,\nnice, though slow\nbye"\n2,"a, b"\n'
    assert read(content)[1] == []


def test_a_header_that_names_the_column_twice():
    with pytest.raises(ValueError, match="its header names 'text' more than once"):
        read("text,text\na,b\n")
    assert read("id,id,text\n1,2,b c\n", column=None)[0] == ["b c"]


def test_a_header_alone_and_nothing_at_all():
    assert read("id,text\n") == ([], [])
    for content in ("", "\n\n"):
        with pytest.raises(ValueError, match="it is empty"):
            read(content)


@pytest.mark.parametrize("content", ["sep=;\n", '"\n'])
def test_no_line_names_the_columns(content):
    with pytest.raises(ValueError, match="no line names its columns"):
        read(content)


def test_a_separator_that_is_not_known():
    with pytest.raises(ValueError, match=r"its first line is 'sep=:', .* expected one of commas"):
        read("sep=:\nid:text\n1:hello there\n", column=None)


def test_what_pythons_csv_module_reads_is_read():
    rows = [["id", "text"]] + [
        [str(number), f'he said "no {number}",\nthen, "yes"{" " * (number % 3)}x']
        for number in range(2500)
    ]
    content = io.StringIO(newline="")
    csv.writer(content).writerows(rows)
    assert read(content.getvalue()) == ([text for _, text in rows[1:]], [])
