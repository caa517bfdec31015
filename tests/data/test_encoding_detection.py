"""Errors of undecodable files name the likely encodings, and what a line looks like in them."""

import pytest

from mlm.data.texts.cleaning import read_texts
from mlm.data.texts.text_report import TextReport
from mlm.errors import CorpusError

SENTENCES = {
    "cp1252": "I don’t think it’s worth €5 – “never”",
    "cp1251": "Сегодня хорошая погода и мы идём к морю",
    "koi8_r": "Сегодня хорошая погода и мы идём к морю",
    "gbk": "今天天气很好我们去海边吃饭",
    "big5": "今天天氣很好我們去海邊吃飯",
    "shift_jis": "今日は天気がいいので海へ行きました",
    "euc_kr": "오늘은 날씨가 좋아서 우리는 바다에 갔습니다",
    "cp1253": "Σήμερα ο καιρός είναι πολύ καλός",
}


def read(path, **settings):
    return list(read_texts([str(path)], report=TextReport(), **settings))


@pytest.mark.parametrize("encoding", SENTENCES)
def test_the_advice_names_the_encoding_and_works(tmp_path, encoding):
    path = tmp_path / "a.txt"
    text = SENTENCES[encoding]
    path.write_bytes(b"plain words\n" * 3000 + f"{text}\n".encode(encoding))
    with pytest.raises(CorpusError, match=r"a\.txt is not UTF-8: byte 0x.. at offset") as error:
        read(path)
    advice = str(error.value).split("; ", 1)[1]
    assert advice.startswith(("it looks like", "it may be")) and f"{encoding} (“" in advice
    assert text[:8].split()[0] in advice and "--encoding" in advice
    assert read(path, encoding=encoding)[-1] == text


def test_western_text_is_windows_1252_before_its_relatives(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("Une très bonne soupe à l’ancienne, déjà goûtée\n".encode("cp1252"))
    with pytest.raises(CorpusError, match=r"(looks like|may be) cp1252 \(“Une très bonne soupe"):
        read(path)


def test_many_accents_do_not_rule_windows_1252_out(tmp_path):
    path = tmp_path / "a.csv"
    rows = [f"{number},Ça coûte 5 € où déjà l’été à Noël\n" for number in range(30)]
    path.write_bytes("".join(["id,text\n", *rows]).encode("cp1252"))
    with pytest.raises(CorpusError, match=r"(looks like|may be) cp1252 \(“0,Ça coûte 5 €"):
        read(path)


def test_japanese_in_seven_bits(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(f"{SENTENCES['shift_jis']}\n".encode("iso2022_jp"))
    with pytest.raises(CorpusError, match=r"ISO-2022-JP \(“今日は.*: give --encoding iso2022_jp"):
        read(path)
    assert read(path, encoding="iso2022_jp") == [SENTENCES["shift_jis"]]


def test_utf16_without_a_byte_order_mark(tmp_path):
    path = tmp_path / "a.tsv"
    for words in ("Wörter stehen hier", "plain words stand"):  # the latter is valid UTF-8, too
        path.write_bytes(f"id\ttext\n1\t{words}\n".encode("utf-16-le"))
        with pytest.raises(CorpusError, match=r"little-endian UTF-16 .*--encoding utf-16-le"):
            read(path)
        assert read(path, encoding="utf-16-le") == [words]


def test_a_wrong_encoding_of_another_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(f"{SENTENCES['cp1251']}\n".encode("cp1251"))
    with pytest.raises(
        CorpusError, match=r"is not BIG5: .*leave --encoding out.*else .* cp1251 \("
    ):
        read(path, encoding="big5")


def test_bytes_of_a_compressed_file_are_located_decompressed(tmp_path):
    import bz2

    path = tmp_path / "a.csv.bz2"
    path.write_bytes(bz2.compress("text\ncafé à la crème\n".encode() * 9 + b"caf\xe9\n"))
    with pytest.raises(CorpusError, match=r"byte 0xe9 at offset 21\d; all but 1 .*errors replace"):
        read(path)
    assert read(path, encoding_errors="replace")[-1] == "caf\ufffd"
