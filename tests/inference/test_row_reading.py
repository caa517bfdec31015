"""Rows of files: separators, quotes, the text column, limits; a bad row stops no other."""

import pytest

from mlm.errors import InputError
from mlm.inference.csv_records import MAX_LINE
from mlm.inference.row_reading import (
    MAX_BYTES,
    MAX_ROWS,
    Row,
    open_rows,
    read_rows,
    rows_of_lines,
)


@pytest.fixture
def file(tmp_path):
    """Return file(name, content), which writes a file and returns its path."""

    def write(name: str, content: str | bytes):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


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
    assert table.rows == [
        Row(2, f'a{sign} "b" [MASK]', None, ("1",)),
        Row(4, "two\nlines ___", None, ("2",)),
    ]
    assert table.others == ["id"]


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


def test_a_first_row_with_a_mask_is_not_a_header(file):
    table = read_rows(file("a.csv", "1,the [MASK]\n2,a ___\n"))
    assert [row[:2] for row in table.rows] == [(1, "the [MASK]"), (2, "a ___")]
    assert not table.has_header


@pytest.mark.parametrize(
    ("content", "columns", "column"),
    [
        ("_,sentence\n1,It was [MASK].\n", ["_", "sentence"], "sentence"),
        ("id,___\n1,It was [MASK].\n", ["id", "___"], "___"),
        ("id,race___1,text\n1,0,It was [MASK].\n", ["id", "race___1", "text"], "text"),
    ],
)
def test_underscores_in_a_header_are_names(file, content, columns, column):
    table = read_rows(file("a.csv", content))
    assert (table.columns, table.has_header) == (columns, True)
    assert table.column == column
    assert [row[:2] for row in table.rows] == [(2, "It was [MASK].")]


@pytest.mark.parametrize(
    ("content", "separator"),
    [
        ("sep=;\nid;sentence\n1;It was [MASK], really.\n2;So [MASK].\n", ";"),
        ('sep=,\nid,sentence\n1,"It was [MASK], really."\n2,So [MASK].\n', ","),
        ('\ufeff"sep=;"\r\nid;sentence\r\n1;It was [MASK], really.\r\n2;So [MASK].\r\n', ";"),
        ("id|sentence\n1|It was [MASK], really.\n2|So [MASK].\n", "|"),
        ("id;sentence\n1;It was [MASK], really.\n2;So [MASK].\n", ";"),
    ],
)
def test_the_separator_and_the_line_about_it_are_no_text(file, content, separator):
    table = read_rows(file("a.csv", content))
    assert (table.columns, table.column) == (["id", "sentence"], "sentence")
    assert table.separator == separator
    assert table.rows == [
        Row(2, "It was [MASK], really.", None, ("1",)),
        Row(3, "So [MASK].", None, ("2",)),
    ]


def test_a_long_file_is_read_as_its_rows_are_asked_for(file):
    content = "id,text\n" + "".join(f"{i},row {i} [MASK]\n" for i in range(5000))
    with open_rows(file("a.csv", content)) as table:
        assert [next(table.rows).number for _ in range(3)] == [2, 3, 4]
        *_, last = table.rows
        assert last == Row(5001, "row 4999 [MASK]", None, ("4999",))


def test_a_line_that_is_not_utf_8_further_on_is_one_bad_row(file):
    lines = [f"row {i} [MASK]".encode() for i in range(MAX_BYTES // 10)]
    lines[-2] = b"caf\xe9 [MASK]"
    for name, header in (("a.txt", []), ("a.csv", [b"text"])):
        with open_rows(file(name, b"\n".join(header + lines))) as table:
            bad = [row for row in table.rows if row.error]
        assert [row.number for row in bad] == [len(lines) - 1 + len(header)]
        assert bad[0].error == "The row is not in UTF-8 (byte 0xe9): save the file as UTF-8."


def test_a_line_without_an_end_does_not_fill_the_memory(file):
    path = file("a.txt", b"x" * (3 * MAX_LINE) + b"\nthe [MASK]\n" + b"y" * MAX_LINE)
    with open_rows(path) as table:
        rows = [(row.number, len(row.text)) for row in table.rows]
    assert rows == [(1, MAX_LINE), (2, len("the [MASK]")), (3, MAX_LINE)]


def test_the_text_column_can_be_chosen(file):
    path = file("a.csv", "id,text,other\n1,a ___,b ___\n")
    assert read_rows(path, "other").rows == [Row(2, "b ___", None, ("1", "a ___"))]
    with pytest.raises(InputError, match="no column 'nothing'; the columns are 'id', 'text'"):
        read_rows(path, "nothing")


def test_a_bad_row_has_its_error(file):
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


def test_a_missing_quote_costs_only_its_row(file):
    rows = [f'"row {i} ___",{i}' for i in range(2, 150)]
    rows[0] = '"Open ___,2'
    read = read_rows(file("a.csv", "\n".join(["text,n", *rows]))).rows
    assert [row.number for row in read if row.error] == [2]
    assert [row.text for row in read[1:]] == [f"row {i} ___" for i in range(3, 150)]


def test_a_cell_of_several_lines_is_one_row(file):
    read = read_rows(file("a.csv", 'text,n\n"one\ntwo ___",1\nthree ___,2\n')).rows
    assert [row[:2] for row in read] == [(2, "one\ntwo ___"), (3, "three ___")]


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


def test_a_sign_inside_texts_only_is_not_the_separator(file):
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
        ("a.txt", " \n\n", "No sentences found"),
        ("a.csv", "text\n", "No sentences found"),
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


def test_a_missing_file_is_named_without_its_folder(tmp_path):
    with pytest.raises(InputError, match=r"The file 'a\.csv' cannot be opened") as error:
        read_rows(tmp_path / "a.csv")
    assert str(tmp_path) not in str(error.value)


def test_as_many_rows_as_allowed_are_read(file):
    assert len(read_rows(file("a.csv", "t\n" + "[MASK]\n" * MAX_ROWS)).rows) == MAX_ROWS
    assert len(read_rows(file("a.txt", "[MASK]\n" * MAX_ROWS)).rows) == MAX_ROWS


@pytest.mark.parametrize(
    "lines", [None, 7, ["[MASK]"], "x" * (MAX_BYTES + 1), "", "[MASK]\n" * 1001]
)
def test_lines_that_are_refused(lines):
    with pytest.raises(InputError):
        rows_of_lines(lines)


def test_the_separator_of_a_long_file_is_found_by_its_beginning(file):
    content = "id;text\n" + "".join(f"{i};é, row {i}, [MASK]\n" for i in range(9000))
    with open_rows(file("a.csv", content)) as table:
        assert table.separator == ";"
        assert {row.text.split(",")[0] for row in table.rows} == {"é"}
