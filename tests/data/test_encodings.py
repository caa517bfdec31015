"""Decoding: codecs of users' names, and what becomes of invalid bytes."""

import codecs
import io

import pytest

from mlm.data.texts.encodings import (
    Codec,
    DecodedText,
    encoding_of_bom,
    encoding_of_zeros,
    is_latin_1,
)
from mlm.errors import CorpusError


def decode(data: bytes, encoding: str | None, errors: str = "strict"):
    return Codec.of(encoding).decode(io.BytesIO(data), errors)


@pytest.mark.parametrize("name", ["ISO-8859-1", "latin-1", "cp1252", "windows-1252"])
def test_latin_1_is_windows_1252_as_in_browsers(name):
    data = bytes(range(256))
    text = decode(data, name).read()
    assert (text[0x92], text[0x80], text[0xE9]) == ("’", "€", "é")
    assert text[0x81] == "\x81"  # undefined in Windows-1252
    assert Codec.of(name).encode(text) == data


def test_which_names_are_latin_1():
    assert is_latin_1("latin1") and not is_latin_1("cp1252") and not is_latin_1(None)


@pytest.mark.parametrize("name", ["latin-99", "rot13", "base64", "''"])
def test_unknown_encodings(name):
    with pytest.raises(CorpusError, match=f"{name} is not known"):
        Codec.of(name.strip("'"))


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        (None, b"caf\xc3 a\xf0\x9f b\xff\xfe"),
        ("gbk", "今天".encode("gbk") + b"\xff\x30 ok"),
        ("utf-16-le", "ab".encode("utf-16-le") + b"\x00\xd8" + "c".encode("utf-16-le")),
        ("ascii", b"caf\xe9"),
    ],
)
def test_invalid_bytes_are_replaced_as_python_does(encoding, data):
    name = encoding or "utf-8"
    for errors in ("replace", "ignore"):
        stream = decode(data, encoding, errors)
        assert isinstance(stream, DecodedText)
        assert stream.read() == data.decode(name, errors)
        assert stream.invalid == data.decode(name, "replace").count("\ufffd")
    with pytest.raises(UnicodeDecodeError):
        decode(data, encoding).read()


def test_the_first_invalid_byte_is_shown_with_its_neighbours():
    stream = decode(b"one\ntwo caf\xc3 noir\n\xff\n", None, "ignore")
    assert list(stream) == ["one\n", "two caf noir\n", "\n"]
    assert (stream.invalid, stream.example) == (2, "two caf\ufffd noir")


def test_signs_of_utf16():
    assert encoding_of_bom("a".encode("utf-16")) == "utf-16"
    assert encoding_of_bom(codecs.BOM_UTF32_LE + b"a\0\0\0") == "utf-32"
    assert encoding_of_bom(b"text") is None
    text = "id\ttext\n1\tWörter stehen hier\n"
    assert encoding_of_zeros(text.encode("utf-16-le")) == "utf-16-le"
    assert encoding_of_zeros(text.encode("utf-16-be")) == "utf-16-be"
    assert encoding_of_zeros(text.encode()) is None
    assert encoding_of_zeros(b"a\0b\0") is None  # too short to tell
