"""mlm.data.texts: reading files, choosing the column, cleaning, duplicates and messages."""

import gzip
import json
import os
import re
import sqlite3
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlm.data.texts.clean_text import clean_text
from mlm.data.texts.cleaning import read_texts
from mlm.data.texts.seen_texts import SeenTexts, text_digest
from mlm.data.texts.text_files import expand_files, file_identity
from mlm.data.texts.text_report import TextReport
from mlm.errors import CorpusError
from tests.support.places import SHARED

IMDB = SHARED / "data" / "imdb"
TEXTS = ["A fine film.", 'She said "no", twice.', "Line one line two", "Crème brûlée"]


def read(*files, report=None, **settings):
    report = TextReport() if report is None else report
    return list(read_texts([str(file) for file in files], report=report, **settings))


def report_of(*files, **settings) -> TextReport:
    report = TextReport()
    read(*files, report=report, **settings)
    return report


@pytest.fixture
def write(tmp_path):
    """Return a function that writes text or bytes to a temporary file and returns its path."""

    def write_file(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_file


# Formats ------------------------------------------------------------------------------------------


CSV = (
    'id,text\n1,A fine film.\n2,"She said ""no"", twice."\n3,"Line one\nline two"\n4,Crème brûlée\n'
)


def write_format(folder: Path, suffix: str) -> Path:
    path = folder / f"reviews{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.table({"id": [1, 2, 3, 4], "text": TEXTS}), path)
    elif suffix == ".jsonl":
        lines = [json.dumps({"id": number, "text": text}) for number, text in enumerate(TEXTS)]
        path.write_text("\n".join(lines) + "\n\n")
    elif suffix == ".txt":
        path.write_text("\n\n".join(TEXTS))
    else:
        separator = "\t" if suffix == ".tsv" else ","
        path.write_text(re.sub(r"^(id|\d),", rf"\1{separator}", CSV, flags=re.MULTILINE))
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet", ".txt"])
def test_every_format_gives_the_same_texts(tmp_path, suffix):
    path = write_format(tmp_path, suffix)
    assert read(path) == TEXTS
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read(packed) == TEXTS


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_system(write, end):
    content = f'text,stars{end}"one{end}two, ""three""",5{end}four,1{end}'
    assert read(write("a.csv", content)) == ['one two, "three"', "four"]
    assert read(write("a.txt", f"one{end}{end}two")) == ["one", "two"]


def test_values_are_texts_not_numbers_or_missing_values(write):
    path = write("a.csv", "text,stars\nNA,1\nnull,2\n007,3\n,4\nshort\n")
    assert read(path) == ["NA", "null", "007", "short"]


def test_byte_order_mark_is_not_part_of_the_first_column(write):
    path = write("a.csv", "text,n\nhello,1\n".encode("utf-8-sig"))
    assert read(path, text_column="text") == ["hello"]
    assert read(path, text_column="text", encoding="UTF8") == ["hello"]


def test_rows_beyond_the_first_thousand_are_read(write):
    texts = [f"text {number}" for number in range(2500)]
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    assert read(write("a.jsonl", lines)) == texts
    assert read(write("a.csv", "text\n" + "\n".join(texts))) == texts


def test_parquet_of_dictionaries_and_nulls(tmp_path):
    column = pa.array(["one", None, "two", "one"]).dictionary_encode()
    pq.write_table(pa.table({"text": column}), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet") == ["one", "two"]


def test_json_null_and_nan_are_empty_rows_and_numbers_are_as_written(write):
    lines = ['{"text": NaN}', '{"text": null}', "{}", '{"text": true}', '{"text": 12}']
    report = report_of(write("a.jsonl", "\n".join(lines)), text_column="text")
    assert (report.rows, report.empty) == (5, 3)
    assert read(write("a.jsonl", "\n".join(lines)), text_column="text") == ["true", "12"]


def test_parquet_with_repeated_names(tmp_path):
    table = pa.table([["hello there"], ["a"], ["b"]], names=["text", "index", "index"])
    pq.write_table(table, tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet") == ["hello there"]
    pq.write_table(pa.table([["a b"], ["c d"]], names=["text", "text"]), tmp_path / "b.parquet")
    with pytest.raises(CorpusError, match="several columns are called 'text': rename the others"):
        read(tmp_path / "b.parquet")


def test_an_unexpected_error_of_a_parser_is_one_line(write, monkeypatch):
    def fail(stream, choose, note):
        raise AttributeError("no such\npart")
        yield

    monkeypatch.setattr("mlm.data.texts.text_files.reader_of", lambda url: fail)
    with pytest.raises(CorpusError, match=r"cannot be read: AttributeError: no such part$"):
        read(write("a.csv", "text\nhello\n"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", "[" * 100_000, "line 1: its values are nested too deeply"),
        ("a.jsonl", '{"text": ' + "1" * 5000 + "}", "line 1: .*integer string conversion"),
        ("a.json", '[\n{"text": "ok"}]', r"of a list make lines with pandas.read_json"),
        ("a.csv", "text,n\nhello, world,1\nx,2\n", "more fields than its header"),
        (
            "a.csv",
            "text,n\nx,2\nhello, world,1\n",
            "more fields than its header, which has 2; quote",
        ),
        (
            "a.csv",
            'text\nok\n"never closed\n',
            "quote that opens in row 2 below the header is never closed",
        ),
        ("a.csv", "", "it is empty; give a file"),
        ("a.jsonl", '{"text": "ok"}\n{"text": \n', "line 2"),
        ("a.json", '[{"text": "ok"}]', "line 1 holds a list; expected an object per line"),
        ("a.jsonl", '{"text": {"de": "ja"}}\n', "'text' holds a dict"),
        ("a.parquet", "text\n", "cannot be read"),
        ("a.csv.gz", "text\nnot gzip\n", "is not compressed by gzip, as its name says"),
        ("a.csv.gz", gzip.compress(b"text\n" + b"word\n" * 9999)[:-9], "cut short"),
    ],
)
def test_files_that_do_not_match_their_suffix(write, name, content, message):
    with pytest.raises(CorpusError, match=message) as error:
        read(write(name, content), text_column="text")
    assert name in str(error.value)
    assert "\n" not in str(error.value)


# File names ---------------------------------------------------------------------------------------


def test_files_keep_their_order_and_globs_are_sorted(write, tmp_path):
    for name in ("b.txt", "a.txt", "c.txt"):
        write(name, name[0])
    assert read(tmp_path / "c.txt", tmp_path / "*.txt") == ["c", "a", "b"]


def test_hidden_files_are_left_out_as_in_a_shell(write, tmp_path):
    write("a.txt", "hello")
    hidden = write("._a.txt", "Mac OS X")
    (tmp_path / ".cache").mkdir()
    write(".cache/b.txt", "cached")
    assert read(tmp_path / "*.txt") == read(tmp_path / "**" / "*.txt") == ["hello"]
    assert read(hidden) == ["Mac OS X"]
    assert read(tmp_path / "._*.txt") == ["Mac OS X"]
    assert read(tmp_path / ".cache" / "*.txt") == ["cached"]


def test_a_name_with_brackets_is_a_file_before_it_is_a_pattern(write):
    assert read(write("a[1].txt", "hello")) == ["hello"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing.csv", "no such file"),
        ("*.tsv", "matches no file"),
        ("", "is a folder"),
        ("a.xyz", r"no known format; known are \.csv"),
        ("a.docx", r"\.docx is not a format that is read: save it as plain text"),
        ("a.XLSX", r"\.xlsx is not a format that is read: save it as “CSV UTF-8”"),
        ("a.tar.gz", r"\.tar is not a format that is read: unpack it"),
        ("a.csv.zst", r"\.zst is not a format that is read: decompress it, or use \.gz"),
        ("archive.zip", r"if it is CSV, rename it to archive\.csv\.zip"),
    ],
)
def test_files_that_cannot_be_found(write, tmp_path, name, message):
    if name.startswith("a"):
        write(name, "x")
    with pytest.raises(CorpusError, match=message) as error:
        expand_files([str(tmp_path / name)])
    assert str(tmp_path / name).rstrip("/") in str(error.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes")
def test_a_pipe_and_an_empty_name(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(CorpusError, match=r"pipe\.csv is a pipe or a device.*write it to a file"):
        expand_files([str(tmp_path / "pipe.csv")])
    with pytest.raises(CorpusError, match="a file's name is empty"):
        expand_files([""])


def test_an_error_is_one_line_whatever_the_name(tmp_path):
    with pytest.raises(CorpusError) as error:
        expand_files([str(tmp_path / "a\nb.csv")])
    assert str(error.value).endswith("a b.csv: no such file: check the path")


def test_no_file_at_all():
    with pytest.raises(CorpusError, match="--train_file"):
        expand_files([])


def test_an_unknown_kind_of_url():
    with pytest.raises(CorpusError, match="gopher"):
        expand_files(["gopher://reviews/a.csv"])


def test_the_identity_changes_with_the_content_and_omits_the_folder(write):
    path = write("a.txt", "one")
    before = file_identity(str(path))
    assert (before["name"], before["size"]) == ("a.txt", 3)
    path.write_text("two")
    assert file_identity(str(path))["sha256"] != before["sha256"]


def test_urls_are_read_through_fsspec():
    with fsspec.open("memory://reviews/a.csv.gz", "wb") as stream:
        stream.write(gzip.compress(CSV.encode()))
    assert read("memory://reviews/*.csv.gz") == TEXTS
    with pytest.raises(CorpusError, match="no such file"):
        read("memory://reviews/b.csv")


@pytest.fixture
def dataset_hub(tmp_path, monkeypatch):
    """Serve a local Hub with the dataset me/reviews for `hf://` addresses."""
    from huggingface_hub import HfApi, HfFileSystem, __version__
    from huggingface_hub.utils import close_session

    from mlm.hub.local import LocalHub

    if __version__.startswith("1."):
        pytest.skip("this HfFileSystem takes no settings of fsspec's, so no other address either")

    with LocalHub(tmp_path / "hub", token="hf_local") as hub:
        monkeypatch.setitem(fsspec.config.conf, "hf", {"endpoint": hub.url, "token": "hf_local"})
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        api = HfApi(endpoint=hub.url, token="hf_local")
        api.create_repo("me/reviews", repo_type="dataset")
        for name, content in (("a.csv", CSV), ("b.csv", "text\nlast\n")):
            api.upload_file(
                path_or_fileobj=content.encode(),
                path_in_repo=f"data/{name}",
                repo_id="me/reviews",
                repo_type="dataset",
            )
        yield
        HfFileSystem.clear_instance_cache()
        close_session()


def test_datasets_of_the_hub(dataset_hub):
    assert read("hf://datasets/me/reviews/data/*.csv") == [*TEXTS, "last"]
    identity = file_identity("hf://datasets/me/reviews/data/b.csv")
    assert identity["name"] == "hf://datasets/me/reviews/data/b.csv"
    with pytest.raises(CorpusError, match="no such file"):
        read("hf://datasets/me/nothing/a.csv")


# The text column ----------------------------------------------------------------------------------


LONG = "a much longer text than any title would ever be"


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        ("id,text", "1,hello", "hello"),
        ("title,Review", "hello,short", "short"),
        ("sentence,text", "no,yes", "yes"),
        ("id,words", "12,hello there", "hello there"),
        ("user,words", "a0f3-77,hello there", "hello there"),
        ("id,words", "ab,今天天气很好", "今天天气很好"),
        ("day,words", "2020-01-31 10:00:00,hello there", "hello there"),
        ("comment,post", f"ok,{LONG}", LONG),
        ("title,words", f"short,{LONG}", LONG),
    ],
)
def test_the_obvious_text_column_is_found(write, header, row, expected):
    assert read(write("a.csv", f"{header}\n{row}\n")) == [expected]


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("first,second", "hello you,dear world", "first, second: name one with --text_column"),
        ("id,toxic", "b0,0.5", "id, toxic: name one with --text_column, or leave this file out"),
        ("id,label", "b0,toxic", "id, label: name one with --text_column"),
        ('id,"la\nbel"', "b0,toxic", "id, la bel: name one with --text_column"),
        ("id,stars", "1,2", "id, stars: name one with --text_column"),
        ("text,TEXT", "hello,world", "text, TEXT: name one"),
        ("1,hello this is a review", f"2,{LONG}", "looks like data"),
        ("0;so it was, 50", "1;and, too", "looks like data"),
        ("Survey 2024,,", f"7,{LONG},3", "has no name .* delete lines above the column names"),
    ],
)
def test_no_column_is_guessed(write, header, row, message):
    with pytest.raises(CorpusError, match=message):
        read(write("a.csv", f"{header}\n{row}\n"))


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_a_missing_column_is_answered_with_the_existing_ones(tmp_path, suffix):
    path = write_format(tmp_path, suffix)
    with pytest.raises(CorpusError, match="no column 'review'; its columns are id, text"):
        read(path, text_column="review")


def test_plain_text_that_looks_like_a_table_is_said(write):
    rows = [f"{number}\tThe soup was warm\t4" for number in range(10)]
    assert report_of(write("a.txt", "\n".join(rows))).remarks() == [
        "a.txt: each line is a text, but they look like rows of 3 columns separated by tabs; "
        "to read one column, rename it to .tsv"
    ]
    assert report_of(write("a.txt", "\n".join([*rows, "without"]))).remarks() == []


def test_a_column_of_numbers_in_parquet_is_refused(tmp_path):
    with pytest.raises(CorpusError, match="'id' is of type int64"):
        read(write_format(tmp_path, ".parquet"), text_column="id")


def test_the_report_says_which_column_was_read(write):
    report = report_of(write("a.csv", "id,words\n1,hello there\n"))
    assert report.summary().startswith("1 row") and "(column words)" in report.summary()


def test_a_known_name_without_prose_loses_and_that_is_said(write):
    rows = [f"ok {number},{LONG} {number}" for number in range(4)]
    path = write("mods.csv", "\n".join(["comment,post", *rows]))
    assert read(path)[0] == f"{LONG} 0"
    (note,) = report_of(path).remarks()
    assert note.startswith("mods.csv: column 'post' is read, because 'comment' holds 4 characters")
    assert read(path, text_column="comment")[0] == "ok 0"


def test_files_that_do_not_agree_in_the_column_are_refused(write):
    first = write("a.csv", "id,text\n1,hello there\n")
    second = write("b.csv", f"review,note\n{LONG},x\n")
    with pytest.raises(CorpusError, match=r"a\.csv seem to be in column 'text', .*'review'"):
        read(first, second)
    both = write("c.csv", "text,review\none two,three four\n")
    assert read(first, both) == ["hello there", "one two"]


def test_competition_folders_are_not_trained_on_by_their_ids(write, tmp_path):
    write("train.csv", "id,comment_text\na0,the soup was warm\na1,the rain fell\n")
    write("sample_submission.csv", "id,toxic\nb0,0.5\nb1,0.5\n")
    with pytest.raises(CorpusError, match=r"sample_submission\.csv: no column is clearly the text"):
        read(tmp_path / "*.csv")
    with pytest.raises(CorpusError, match=r"has no column 'comment_text'.*leave this file out"):
        read(tmp_path / "*.csv", text_column="comment_text")


@pytest.mark.parametrize(
    ("suffix", "settings", "message"),
    [
        (".txt", {"text_column": "text"}, "plain text has no columns"),
        (".parquet", {"encoding": "cp1252"}, "Parquet is always UTF-8"),
        (".csv", {"encoding": "latin-99"}, "latin-99 is not known"),
        (".csv", {"encoding": "rot13"}, "rot13 is not known"),
        (".parquet", {"encoding_errors": "ignore"}, "Parquet is always UTF-8"),
        (".csv", {"encoding_errors": "skip"}, "'skip'; expected one of strict, replace, ignore"),
        (".csv", {"clean_html": "maybe"}, "'maybe'; expected one of auto, yes, no"),
    ],
)
def test_a_setting_is_not_ignored(tmp_path, suffix, settings, message):
    with pytest.raises(CorpusError, match=message):
        read(write_format(tmp_path, suffix), **settings)


# Encodings ----------------------------------------------------------------------------------------


def test_bytes_that_are_not_utf8_are_located(write):
    content = b"text\n" + b"plain words\n" * 200_000 + "caf\u00e9\n".encode("cp1252")
    with pytest.raises(CorpusError) as error:
        read(write("a.csv", content))
    message = str(error.value)
    assert f"byte 0xe9 at offset {content.index(0xE9):,}" in message
    assert "a.csv" in message and "cp1252 (“café”)" in message


def test_a_character_cut_at_the_end_is_located(write):
    with pytest.raises(CorpusError, match="byte 0xc3 at offset 8"):
        read(write("a.txt", b"one\ntwo \xc3"))


def test_utf16_with_a_byte_order_mark_is_read_and_said(write):
    path = write("a.txt", "café".encode("utf-16"))
    assert read(path) == read(path, encoding="utf-16") == ["café"]
    assert report_of(path).remarks() == ["a.txt: read as UTF-16, as its byte order mark says"]


@pytest.mark.parametrize(("marked", "name"), [("utf-8-sig", "UTF-8"), ("utf-16", "UTF-16")])
def test_a_byte_order_mark_overrules_the_encoding_that_is_given_for_all_files(write, marked, name):
    old = write("old.csv", "id;text\n1;Müller war da\n".encode("cp1252"))
    new = write("new.csv", "id;text\n2;Köln ist schön\n".encode(marked))
    report = TextReport()
    assert read(old, new, encoding="cp1252", report=report) == ["Müller war da", "Köln ist schön"]
    note = f"new.csv: read as {name}, as its byte order mark says, not as cp1252"
    assert note in report.remarks()
    assert report_of(write("a.txt", "é".encode("utf-8-sig"))).remarks() == []


def test_a_wrong_encoding_points_to_utf8(write):
    path = write("a.txt", "“quoted”".encode())
    with pytest.raises(CorpusError, match=r"is not CP932.*valid UTF-8: leave --encoding out"):
        read(path, encoding="cp932")


def test_a_mostly_utf8_file_can_be_read_without_its_invalid_bytes(write):
    path = write("a.txt", "crème brûlée à la carte\n".encode() * 9 + b"un caf\xc3 noir\n")
    with pytest.raises(CorpusError, match=r"all but 1 of its 3\d char.*--encoding_errors replace"):
        read(path)
    for errors, text, done in (
        ("replace", "un caf\ufffd noir", "replaced by U+FFFD"),
        ("ignore", "un caf noir", "left out"),
    ):
        report = TextReport()
        assert read(path, encoding_errors=errors, report=report)[-1] == text
        assert report.remarks() == [
            f"a.txt: 1 invalid byte sequence {done}, the first in “un caf\ufffd noir”"
        ]


def test_utf8_read_as_latin_1_gives_a_warning(write):
    path = write("a.csv", "text\nplain\ncrème\nbrûlée\n")
    report = TextReport()
    assert read(path, encoding="ISO-8859-1", report=report) == ["plain", "crÃ¨me", "brÃ»lÃ©e"]
    (warning,) = report.warnings
    assert "2 of the 2 rows of a.csv with accents look like UTF-8 read as ISO-8859-1" in warning
    assert warning.endswith("leave --encoding out")


def test_texts_that_were_damaged_before_they_came_here_are_said(write):
    damaged = "crème brûlée".encode().decode("cp1252")
    (warning,) = report_of(write("a.txt", f"plain\n{damaged}\n")).warnings
    assert "1 of the 1 rows of a.txt with accents look like UTF-8 that was read as" in warning
    assert report_of(write("a.txt", "caf\ufffd\nplain")).remarks() == [
        "U+FFFD, which stands for a character that was lost, is in 1 text"
    ]


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("crème".encode("latin-1"), "ISO-8859-1"),
        ("crème “brûlée” – 今天".encode(), None),
        ("crème".encode(), "utf-8"),
        ("crème".encode("utf-16"), "utf-16"),
        (b"plain", "ISO-8859-1"),
    ],
)
def test_a_correct_encoding_gives_no_warning(write, content, encoding):
    assert report_of(write("a.txt", content), encoding=encoding).warnings == []


# Cleaning -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "clean", "had_html"),
    [
        ("one<br /><br/>two<BR>three", "one two three", True),
        ("<p class='x'>one</p><p>two</p>", "one two", True),
        ("a <i>very</i> good un<b>believ</b>able film", "a very good unbelievable film", True),
        ('<a href="https://example.org/?a=1">here</a>', "here", True),
        ("fish &amp; chips&#8230; &eacute;t&eacute;", "fish & chips… été", True),
        ("well <grin> it is 3 < 4 and 5 > 4", "well <grin> it is 3 < 4 and 5 > 4", False),
        ("x <b and c> y, I <3 it", "x <b and c> y, I <3 it", False),
        ("AT&T, R&D; black&white &copy2", "AT&T, R&D; black&white &copy2", False),
        (" a\u00a0b\t\tc\r\nd\u2003e ", "a b c d e", False),
        ("a\x00b\x07c \x1f d\x9f\ufeff", "abc d", False),
        ("half \ud83d a pair", "half a pair", False),
        ("naïve 日本語 👍", "naïve 日本語 👍", False),
        ("<br />\u00a0", "", True),
    ],
)
def test_clean_text(raw, clean, had_html):
    assert clean_text(raw)[:2] == (clean, had_html)
    assert clean.encode().decode() == clean


def test_empty_and_repeated_texts_are_dropped_and_counted(write):
    first = write("a.txt", "one\n\n \ntwo<br />three\none\n")
    second = write("b.txt", "two  three\nfour\n")
    report = TextReport()
    assert read(first, second, report=report) == ["one", "two three", "four"]
    assert report.summary() == (
        "7 rows read from 2 files: 2 empty and 2 repeated dropped, 1 with HTML cleaned"
    )


def test_control_characters_are_counted(write):
    report = report_of(write("a.txt", "one\x96 two\x96\nthree\x07\nfour\n"))
    assert report.remarks() == ["3 control characters (most often U+0096) removed from 2 texts"]


def test_escaped_tags_are_kept_counted_and_removed_on_demand(write):
    path = write("a.txt", "Use the &lt;br&gt; tag\n2 &lt; 3\n")
    assert read(path) == ["Use the &lt;br&gt; tag", "2 < 3"]
    assert report_of(path).remarks() == [
        "escaped tags such as &lt;br&gt; kept in 1 text; --clean_html yes removes them"
    ]
    assert read(path, clean_html="yes") == ["Use the tag", "2 < 3"]
    assert read(path, clean_html="no") == ["Use the &lt;br&gt; tag", "2 &lt; 3"]
    assert report_of(path, clean_html="no").remarks() == []


def test_held_out_texts_are_dropped_and_counted_apart(write):
    path, report = write("a.txt", "one\ntwo\ntwo\n"), TextReport()
    with SeenTexts() as held_out:
        held_out.add(text_digest("one"))
        texts = read_texts([str(path)], report=report, held_out=held_out)
        assert list(texts) == ["two"]
    assert (report.held_out, report.repeated) == (1, 1)


def test_seen_texts_spill_to_disk_and_stay_right():
    digests = [text_digest(str(number)) for number in range(300_000)]  # more than the cache holds
    with SeenTexts() as seen:
        assert all(seen.add(digest) for digest in digests)
        assert not any(seen.add(digest) for digest in digests[::1000])
        assert digests[7] in seen and text_digest("other") not in seen


def test_a_full_temporary_disk_is_named():
    with SeenTexts() as seen:
        seen._database.execute("PRAGMA max_page_count=3")  # SQLite's own "disk is full"
        with pytest.raises(CorpusError, match="SQLITE_TMPDIR"):
            for number in range(10_000):
                seen.add(text_digest(str(number)))


def test_the_stream_reads_no_further_than_needed(write):
    path = write("a.txt", "".join(f"text {number}\n" for number in range(10_000)))
    report = TextReport()
    texts = read_texts([str(path)], report=report)
    assert [next(texts), next(texts)] == ["text 0", "text 1"]
    assert report.rows == 2
    texts.close()


def test_closed_sets_are_closed():
    with SeenTexts() as seen:
        seen.add(b"x")
    with pytest.raises(sqlite3.ProgrammingError):
        seen.add(b"y")


@pytest.mark.skipif(not IMDB.is_dir(), reason="the reviews of ../shared/data/imdb are absent")
def test_the_tutorials_file_is_read_as_in_the_tutorial_with_a_warning():
    report = TextReport()
    path = IMDB / "imdb_tr.csv"
    texts = read(path, encoding="ISO-8859-1", report=report)
    assert (report.rows, len(texts), report.repeated) == (25_000, 24_903, 97)
    assert not any("<br" in text for text in texts)
    assert "1,956 of the 2,347 rows of imdb_tr.csv" in report.warnings[0]
    with pytest.raises(CorpusError, match="byte 0xc2 at offset 204,502"):
        read(path)
