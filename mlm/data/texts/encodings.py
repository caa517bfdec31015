"""Decode the bytes of text files: which codec, and what becomes of bytes that it does not know.

codec = Codec.of("ISO-8859-1")                 # Windows-1252, as in browsers
text = codec.decode(stream, "replace")
for line in text: ...
text.invalid, text.example                     # 2, "caf\ufffd au lait"
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from mlm.errors import CorpusError

_LATIN_1 = "iso8859-1"
_BOMS = {  # in this order: UTF-32's begins with UTF-16's
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_ESCAPED = re.compile("[\udc00-\udcff]")  # invalid bytes as lone surrogates, which are not text
_EXAMPLE = 15  # characters on each side of the first invalid byte


@dataclass(frozen=True)
class Codec:
    """Encoding of a file: Python's name, and the error handler of its undefined bytes."""

    name: str
    errors: str = "strict"

    @classmethod
    def of(cls, encoding: str | None) -> Codec:
        """Return the codec of a user's encoding; None is UTF-8.

        ISO-8859-1 is read as Windows-1252, as browsers do: nobody writes the control characters
        in which they differ. Source: https://encoding.spec.whatwg.org/#names-and-labels

        Raises:
            CorpusError: the text encoding is unknown.
        """
        encoding = "utf-8" if encoding is None else encoding
        try:
            "".encode(encoding)
            name = codecs.lookup(encoding).name
        except (LookupError, ValueError):
            raise CorpusError(
                f"--encoding {encoding or repr(encoding)} is not known: use utf-8, cp1252, utf-16, "
                "gbk, ..."
            ) from None
        if name in (_LATIN_1, "cp1252"):
            return cls("cp1252", "mlm.c1_controls")
        return cls("utf-8-sig" if name == "utf-8" else name)

    def encode(self, text: str) -> bytes:
        """Return the bytes; raise UnicodeEncodeError."""
        return text.encode(self.name, self.errors)

    def decode(self, stream: IO[bytes], encoding_errors: str) -> DecodedText | io.TextIOWrapper:
        """Return a stream of characters with its line ends; `strict` raises UnicodeDecodeError."""
        strict = encoding_errors == "strict" or self.errors != "strict"
        errors = self.errors if strict else "mlm.escape"
        text = io.TextIOWrapper(stream, self.name, errors=errors, newline="")
        return text if strict else DecodedText(text, "\ufffd" * (encoding_errors == "replace"))


def is_latin_1(encoding: str | None) -> bool:
    """Return whether the encoding is one that is read as another."""
    return encoding is not None and codecs.lookup(encoding).name == _LATIN_1


def encoding_of_bom(head: bytes) -> str | None:
    """Return "utf-8", "utf-16" or "utf-32" if the first bytes are its byte order mark."""
    return next((name for mark, name in _BOMS.items() if head.startswith(mark)), None)


def encoding_of_zeros(head: bytes) -> str | None:
    """Return UTF-16 with its byte order if nearly every second byte is zero, as in Latin script."""
    pairs = len(head) // 2
    if pairs < 4:
        return None
    if head[1::2].count(0) > 0.7 * pairs and head[0::2].count(0) < 0.1 * pairs:
        return "utf-16-le"
    if head[0::2].count(0) > 0.7 * pairs and head[1::2].count(0) < 0.1 * pairs:
        return "utf-16-be"
    return None


def has_japanese_escapes(head: bytes) -> bool:
    """Return whether the first bytes switch to Japanese characters, as ISO-2022-JP does."""
    return b"\x1b$B" in head or b"\x1b$@" in head


class DecodedText:
    """Characters of a file, with invalid bytes replaced or left out, and counted.

    invalid: number of the invalid sequences so far; example: the first one and its neighbours.
    """

    def __init__(self, stream: io.TextIOWrapper, replacement: str) -> None:
        self._stream, self._replacement = stream, replacement
        self.invalid = 0
        self.example = ""

    def read(self, size: int = -1) -> str:
        """Return at most `size` characters."""
        return self._replace(self._stream.read(size))

    def __iter__(self) -> Iterator[str]:
        return map(self._replace, self._stream)

    def _replace(self, text: str) -> str:
        first = None if text.isascii() else _ESCAPED.search(text)
        if first is None:
            return text
        if not self.invalid:
            around = text[max(0, first.start() - _EXAMPLE) : first.end() + _EXAMPLE]
            self.example = " ".join(_ESCAPED.sub("\ufffd", around).split())
        replaced, count = _ESCAPED.subn(self._replacement, text)
        self.invalid += count
        return replaced


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Return one lone surrogate for an invalid sequence, where `replace` has one U+FFFD."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return chr(0xDC00 + error.object[error.start]), error.end


def _c1_controls(error: UnicodeError) -> tuple[str | bytes, int]:
    """Map the five bytes that Windows-1252 leaves undefined to U+0081 ..., as browsers do."""
    if isinstance(error, UnicodeDecodeError):
        return error.object[error.start : error.end].decode("latin-1"), error.end
    if isinstance(error, UnicodeEncodeError):
        undefined = error.object[error.start : error.end]
        if all("\x80" <= character <= "\x9f" for character in undefined):
            return undefined.encode("latin-1"), error.end
    raise error


codecs.register_error("mlm.escape", _escape)
codecs.register_error("mlm.c1_controls", _c1_controls)
