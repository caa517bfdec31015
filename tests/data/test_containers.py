"""First bytes decide what a file is: compression, entries of zips, and what is not text."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile

import pytest

from mlm.data.texts.cleaning import read_texts
from mlm.data.texts.text_report import TextReport
from mlm.errors import CorpusError

CSV = b"id,text\n1,The soup was warm\n2,Boats waited there\n"
TEXTS = ["The soup was warm", "Boats waited there"]


@pytest.fixture
def read(tmp_path):
    """Return a function from a name and its bytes to the texts and the remarks."""

    def read_content(name: str, content: bytes) -> tuple[list[str], list[str]]:
        (tmp_path / name).write_bytes(content)
        report = TextReport()
        return list(read_texts([str(tmp_path / name)], report=report)), report.remarks()

    return read_content


def zipped(*entries: tuple[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return content.getvalue()


PACKED = {
    "gzip": gzip.compress(CSV),
    "bz2": bz2.compress(CSV),
    "xz": lzma.compress(CSV),
    "zip": zipped(("a.csv", CSV)),
}


@pytest.mark.parametrize(
    ("suffix", "kind"), [(".gz", "gzip"), (".bz2", "bz2"), (".xz", "xz"), (".zip", "zip")]
)
def test_compressed_files_are_read_whatever_their_name(read, suffix, kind):
    assert read(f"a.csv{suffix}", PACKED[kind]) == (TEXTS, [])
    note = f"a.csv: decompressed: it is a {kind} file, whatever its name"
    assert read("a.csv", PACKED[kind]) == (TEXTS, [note])


def test_a_wrong_suffix_of_compression(read):
    texts, notes = read("a.csv.gz", PACKED["bz2"])
    assert (texts, notes) == (
        TEXTS,
        ["a.csv.gz: decompressed: it is a bz2 file, whatever its name"],
    )


def test_errors_and_notes_name_the_entry(read):
    wide = b"id,text\n1,more, words here\n"
    other = b"id,review\n1,other words here\n"
    for content, message in (
        (wide, r"a\.csv\.zip: b\.csv cannot be read: row 1 below the header"),
        (other, r"a\.csv\.zip: a\.csv seem .* those of .*a\.csv\.zip: b\.csv in 'review'"),
        (b"id,label\n1,good\n", r"a\.csv\.zip: b\.csv: no column is clearly the text"),
    ):
        with pytest.raises(CorpusError, match=message):
            read("a.csv.zip", zipped(("a.csv", CSV), ("b.csv", content)))
    notes = read("a.csv.zip", zipped(("a.csv", CSV), ("b.csv", b"id;text\n3;Rain fell\n")))[1]
    assert notes[-1] == "a.csv.zip: b.csv: fields are separated by semicolons"


def test_a_tar_archive_is_refused(read):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("a.csv"), io.BytesIO(b""))
    with pytest.raises(CorpusError, match=r"a\.csv\.gz is a tar archive: unpack it"):
        read("a.csv.gz", content.getvalue())


def test_all_entries_of_the_format_are_read(read):
    more = b"id,text\n3,Rain fell on town\n"
    content = zipped(
        ("__MACOSX/._a.csv", b"\x00\x05\x16\x07"),
        ("data/", b""),
        ("README.txt", b"About these\n"),
        (".hidden.csv", more),
        ("data/a.csv", CSV),
        ("data/b.CSV", more),
    )
    texts, notes = read("reviews.csv.zip", content)
    assert texts == [*TEXTS, "Rain fell on town"]
    assert notes == [
        "reviews.csv.zip: 2 files in it are read",
        "reviews.csv.zip: README.txt in it skipped, expected .csv",
    ]


def test_entries_have_to_agree_in_the_column(read):
    other = b"id,review\n3,Rain fell on town\n"
    with pytest.raises(CorpusError, match="do not agree"):
        read("a.csv.zip", zipped(("a.csv", CSV), ("b.csv", other)))


def encrypted(content: bytes) -> bytes:
    """Return a zip of one entry whose headers say that it is encrypted."""
    data = bytearray(content)
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.index(signature) + flags
        data[at : at + 2] = struct.pack("<H", 1)
    return bytes(data)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv.zip", encrypted(PACKED["zip"]), "is encrypted: unpack it"),
        ("a.csv.zip", zipped(), "holds no files, expected files that end in .csv"),
        ("a.csv.zip", zipped(("a.txt", b"x"), ("b.md", b"y")), "holds a.txt, b.md, expected"),
        ("a.csv.zip", CSV, "is not compressed by zip, as its name says"),
        ("a.csv.zip", PACKED["zip"][:-30], "cut short or damaged"),
        ("a.csv.xz", CSV, "is not compressed by xz"),
        ("a.csv.xz", PACKED["xz"][:-20], "cut short or damaged"),
        ("a.csv.gz", b"", "is empty"),
        ("a.csv", zipped(("[Content_Types].xml", b""), ("xl/workbook.xml", b"")), "a workbook"),
        ("a.csv", zipped(("mimetype", b"x"), ("content.xml", b"")), "read_excel"),
        ("a.csv", b"PK\x03\x04\x14\x00\x06\x00\x08\x00" + b"\x01" * 99, "save it as “CSV UTF-8”"),
        ("a.csv", b"\xd0\xcf\x11\xe0" + b"\x00" * 99, "old Office document"),
        ("a.csv", b"PAR1" + b"\x00" * 99, "is a Parquet file: rename it"),
        ("a.txt", b"%PDF-1.7\n", "is a PDF"),
        ("a.txt", b"\x89PNG\r\n\x1a\n", "is an image: give a file of texts"),
        ("a.csv", b"\n<!DOCTYPE html><html>", "is a web page"),
        ("a.parquet", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("a.csv.zip", zipped(("a.csv", b"%PDF-1.7\n")), "a.csv.zip: a.csv is a PDF"),
    ],
)
def test_what_is_not_text_is_refused_in_one_line(read, name, content, message):
    with pytest.raises(CorpusError, match=message) as error:
        read(name, content)
    assert name in str(error.value) and "\n" not in str(error.value)
