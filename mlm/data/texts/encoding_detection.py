"""Explain bytes that cannot be decoded: where they are, the likely encodings, and what to do."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from mlm.data.texts.containers import Member
from mlm.errors import CorpusError, one_line

_BLOCK = 1 << 20  # bytes
_SAMPLE = 1 << 16  # bytes of lines to detect an encoding by
_LONGEST_LINE = 1 << 12
_FEW = 256
_SHOWN = 24  # characters of an example
# Encodings of the web, the usual one before those that read the same bytes in the same way.
# Source: https://encoding.spec.whatwg.org/#names-and-labels
_USUAL = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258"),
    *("gbk", "gb18030", "big5", "cp932", "euc_jp", "iso2022_jp", "cp949", "cp874"),
    *("koi8_r", "koi8_u", "cp866", "mac_roman", "mac_cyrillic"),
    *(f"iso8859_{part}" for part in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)),
)
_LATIN = {  # those of Latin script beside cp1252
    *("cp1250", "cp1254", "cp1257", "cp1258", "mac_roman"),
    *(f"iso8859_{part}" for part in (2, 3, 4, 10, 13, 14, 15, 16)),
}
_WESTERN = set("àâäáãåæçèéêëìíîïñòóôõöøœùúûüýÿßÀÂÄÁÅÆÇÈÉÊËÎÑÓÔÖØŒÚÛÜ«»“”‘’„–—…€°§")
_NAMES = {"cp932": "shift_jis", "cp949": "euc_kr"}
_CLOSE = 0.1  # difference in charset-normalizer's measure of disorder that decides nothing


def decoding_error(member: Member, codec: str) -> CorpusError:
    """Return the error that names the first bad byte, its offset and the setting that may help."""
    name = codec.removesuffix("-sig")
    where = _first_bad_byte(member, name)
    advice = _advice_for_utf8(member) if name == "utf-8" else _advice_for_others(member, name)
    return CorpusError(f"{member} is not {name.upper()}: {where}; {advice}")


def utf16_error(member: Member, encoding: str) -> CorpusError:
    """Return the error for bytes that look like UTF-16 without a byte order mark."""
    (example,) = _examples([member.head().decode(encoding, "replace")])
    order = "little" if encoding.endswith("le") else "big"
    return CorpusError(
        f"{member} is not UTF-8: every second byte is zero; it looks like {order}-endian UTF-16 "
        f"({example}): give --encoding {encoding}"
    )


def iso_2022_error(member: Member) -> CorpusError:
    """Return the error for bytes that are valid UTF-8, but look like ISO-2022-JP."""
    (example,) = _examples([member.head().decode("iso2022_jp", "replace")])
    return CorpusError(
        f"{member} has the escape sequences of ISO-2022-JP ({example}): give --encoding iso2022_jp"
    )


def _first_bad_byte(member: Member, codec: str) -> str:
    decoder = codecs.getincrementaldecoder(codec)()
    read, block = 0, b"-"
    with member.open() as stream:
        while block:
            block = stream.read(_BLOCK)
            read += len(block)
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                # error.object begins with the bytes that the decoder kept of the previous block.
                offset = read - len(error.object) + error.start
                return f"byte 0x{error.object[error.start]:02x} at offset {offset:,}"
            except UnicodeError as error:  # UTF-16 without a byte order mark
                return one_line(error) or type(error).__name__
    return "bytes that cannot be decoded"


def _advice_for_utf8(member: Member) -> str:
    """Return the advice; a few invalid bytes alone do not suggest another encoding."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    invalid = accented = 0
    with member.open() as stream:
        while block := stream.read(_BLOCK):
            text = decoder.decode(block)
            invalid += text.count("\ufffd")
            accented += len(text) - len(text.encode("ascii", "ignore"))
    invalid += decoder.decode(b"", final=True).count("\ufffd")
    if accented > 2 * invalid:
        return (
            f"all but {invalid:,} of its {accented:,} characters beyond ASCII are valid, so give "
            "--encoding_errors replace (or ignore), which says what is lost"
        )
    return _likely_encodings(member, "utf-8")


def _advice_for_others(member: Member, codec: str) -> str:
    try:
        with member.open() as stream:
            decoder = codecs.getincrementaldecoder("utf-8")()
            while block := stream.read(_BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return f"leave --encoding out for UTF-8; else {_likely_encodings(member, codec)}"
    return "it is valid UTF-8: leave --encoding out"


def _likely_encodings(member: Member, codec: str) -> str:
    """Return what the undecodable lines look like in the likely encodings."""
    sample = b"\n".join(_undecodable_lines(member, codec))
    names = _detect_encodings(sample)
    examples = _examples([sample.decode(name, "replace") for name in names])
    found = [
        f"{_NAMES.get(name, name)} ({example})"
        for name, example in zip(names, examples, strict=True)
    ]
    if not found:
        return "no encoding fits well: give its own as --encoding, or --encoding_errors replace"
    if len(found) == 1:
        return f"it looks like {found[0]}: give --encoding {found[0].split()[0]}"
    return f"it may be {', '.join(found[:-1])} or {found[-1]}: give the right one as --encoding"


def _undecodable_lines(member: Member, codec: str) -> Iterator[bytes]:
    size = 0
    with member.open() as stream:
        while size < _SAMPLE and (line := stream.readline(_LONGEST_LINE)):
            try:
                line.decode(codec)
            except UnicodeError:
                size += len(line)
                yield line.rstrip(b"\r\n")


def _detect_encodings(sample: bytes) -> list[str]:
    """Return at most three likely encodings, each of which reads the bytes differently."""
    from charset_normalizer import from_bytes

    ranked: dict[str, float] = {}
    few = len(sample) < _FEW  # bytes, whose letters are too few to be counted
    for match in from_bytes((sample + b"\n") * 4 if few else sample, cp_isolation=list(_USUAL)):
        usual = next(name for name in _USUAL if name in match.could_be_from_charset)
        ranked.setdefault(usual, match.chaos)
    if ranked.keys() <= _LATIN and _is_western(sample):
        # Many accents in short texts, as French has, are disorder to charset-normalizer.
        ranked["cp1252"] = min(ranked.values(), default=0.0)
    best = min(ranked.values(), default=0.0)
    # cp1252 is by far the most frequent one, and short texts do not tell it from its relatives.
    close = [name for name, chaos in ranked.items() if chaos <= best + _CLOSE or name == "cp1252"]
    return sorted(close, key=lambda name: name != "cp1252")[:3]


def _is_western(sample: bytes) -> bool:
    """Return whether the characters beyond ASCII are mostly those of Western Europe in cp1252."""
    try:
        beyond = [character for character in sample.decode("cp1252") if not character.isascii()]
    except UnicodeDecodeError:
        return False
    return 2 * sum(character in _WESTERN for character in beyond) > len(beyond)


def _examples(texts: list[str]) -> list[str]:
    """Return the part of each text where they begin to differ, or a single one leaves ASCII."""
    differ = (at for at, characters in enumerate(zip(*texts, strict=False)) if _tell(characters))
    start = max(0, next(differ, 0) - _SHOWN // 3)
    return [f"“{' '.join(text[start : start + _SHOWN].split())}”" for text in texts]


def _tell(characters: tuple[str, ...]) -> bool:
    """Return whether characters at one place tell candidates apart."""
    return len(set(characters)) > 1 if len(characters) > 1 else not characters[0].isascii()
