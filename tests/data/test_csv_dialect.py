"""Finding the separator, the quotes and Excel's first line of a table."""

import io

import pytest

from mlm.data.texts.csv_dialect import Dialect, find_dialect


def rows_of(content: str, usual: str = ",") -> list[list[str]]:
    return list(find_dialect(content, usual).reader(io.StringIO(content, newline="")))


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_separator_is_found(separator, end):
    lines = ["id,text,stars", "1,Warm and salty soup,4", "2,Boats waited,5"]
    content = end.join(lines).replace(",", separator) + end
    assert find_dialect(content).separator == separator
    assert rows_of(content)[1] == ["1", "Warm and salty soup", "4"]


@pytest.mark.parametrize(
    ("content", "separator"),
    [
        ("id;price;text\n1;3,50;good, cheap\n2;4,00;fine, too\n", ";"),
        ("id,text\n1,one; two; three\n2,a | b\n", ","),
        ("id,text|note\n1,hello\n2,there\n", ","),
        ("text\nhello; there\nyou; too\n", ","),  # one column
        ("id;text, or note\n1;hello\n2;there, you\n3;here\n", ";"),
        ("text,n\nhello, world,1\nx,2\n", ","),
        ("id;text\n1;foo", ";"),
        ("", ","),
    ],
)
def test_content_decides(content, separator):
    assert find_dialect(content).separator == separator


def test_tabs_are_usual_where_the_name_says_so():
    assert find_dialect("text,note\tid\nhello, you\t1\n", "\t").separator == "\t"
    assert find_dialect("id,text\n1,hello\n", "\t").separator == ","


@pytest.mark.parametrize("line", ["sep=;\n", '"sep=;"\r\n', "\ufeffSEP=;\n", '\ufeff"sep=;"\n'])
def test_excels_first_line_is_used_and_skipped(line):
    content = f"{line}id;text\n1;one, two, three\n"
    assert find_dialect(content) == Dialect(";", sep_line=True)
    assert rows_of(content) == [["id", "text"], ["1", "one, two, three"]]


def test_stray_quotes_of_tab_separated_values_are_characters():
    content = 'id\ttext\n1\tone\n2\t"Open quote\n3\tthree\n4\t"Again open\n5\tfive\n'
    assert [row[1] for row in rows_of(content, "\t")[1:]] == [
        "one",
        '"Open quote',
        "three",
        '"Again open',
        "five",
    ]


def test_stray_quotes_of_a_csv_with_a_row_a_line_are_characters():
    content = 'id,text\n1,one\n2,"Open quote\n3,three\n4,"Again open\n5,five\n'
    assert len(rows_of(content)) == 6
    closed_at_an_end = 'id,text\n2,"Open quote\n3,three\n4,closed"\n5,five\n'
    assert len(rows_of(closed_at_an_end)) == 5


@pytest.mark.parametrize("usual", [",", "\t"])
def test_real_quotes_are_removed(usual):
    content = 'id,text\n1,"She said ""no"", twice"\n2,"Line one\nline two"\n3,"Ends ""here"""\n'
    rows = rows_of(content.replace(",", usual), usual)
    assert rows[1:] == [
        ["1", f'She said "no"{usual} twice'],
        ["2", "Line one\nline two"],
        ["3", 'Ends "here"'],
    ]


def test_tab_separated_values_with_all_fields_quoted():
    assert rows_of('"id"\t"text"\n"1"\t"hello there"\n', "\t")[1] == ["1", "hello there"]
    assert rows_of('id\ttext\n1\t"Great film"\n', "\t")[1] == ["1", '"Great film"']


def test_backslash_before_quotes():
    content = 'text,label\n"She said \\"hi\\", and left",1\n"plain words",0\n'
    assert find_dialect(content).escape
    assert rows_of(content)[1] == ['She said "hi", and left', "1"]
    ends_in_a_backslash = 'text,label\n"the folder C:\\",1\n'
    assert rows_of(ends_in_a_backslash)[1] == ["the folder C:\\", "1"]


def test_a_sample_that_ends_within_a_row():
    sample = 'id;text\n1;one\n2;"tw'
    assert find_dialect(sample, whole=False) == Dialect(";")


def test_what_is_unusual_is_said():
    assert Dialect().notes(",") == []
    assert Dialect("\t").notes("\t") == []
    assert Dialect(";", sep_line=True, escape=True).notes(",") == [
        "fields are separated by semicolons",
        "the first line, sep=, is skipped",
        r"quotes are escaped as \"",
    ]
