"""Word boundaries among tokens: one definition for masks, evaluation and scores.

In scripts with spaces, a word begins where the tokenizer marks it. In scripts without spaces
(Chinese, Japanese, Thai, Lao, Khmer, Burmese, Tibetan), a word is a character with its marks, as
each Chinese character is in BERT; a token of several characters is one word, because the model
predicts it at once. Characters are read across tokens: byte-level BPE may need three for one.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from mlm.checkpoint.tokenizer import vocab_size_of
from mlm.errors import CheckpointError

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

# Unicode blocks of the scripts without spaces, first and last code point; their letters count.
UNSPACED_BLOCKS = (
    (0x0E00, 0x0FFF),  # Thai, Lao, Tibetan
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # ideographic iteration mark, closing mark and zero
    (0x3040, 0x312F),  # Hiragana, Katakana, Bopomofo
    (0x31A0, 0x31BF),  # Bopomofo, extended
    (0x31F0, 0x31FF),  # Katakana, extended
    (0x3400, 0x4DBF),  # Han, extension A
    (0x4E00, 0x9FFF),  # Han
    (0xA9E0, 0xA9FF),  # Myanmar, extended
    (0xAA60, 0xAA7F),
    (0xF900, 0xFAFF),  # Han, compatibility
    (0xFF66, 0xFF9F),  # Katakana, half width
    (0x1AFF0, 0x1B16F),  # Kana, supplementary
    (0x20000, 0x323AF),  # Han, extensions B to H
)
# Letters that extend a character, by UAX 29: Thai and Lao AM, half-width voicing marks of Katakana.
EXTENDING_LETTERS = "\u0e33\u0eb3\uff9e\uff9f"
STACKERS = "\u1039\u17d2"  # Myanmar and Khmer: the next letter is written below this one
MARKED_PLANES = ((0, 0x1FFFF), (0xE0100, 0xE01EF))  # outside of these, no character is a mark
PLAIN, SPACE, UNSPACED, MARK, STACKER = range(5)  # kinds of characters; a MARK or more extends
BYTE = re.compile(r"<0x([0-9A-F]{2})>")  # SentencePiece's token of a byte ("byte fallback")
NO_TEXT = b"\0"  # stands for a special token, which separates words


@dataclass(frozen=True, eq=False)
class WordBoundaries:
    """The word boundaries of a tokenizer's ids, as arrays.

    Attributes:
        marked: (V,) bool, True where an id is marked as the beginning of a word.
        spelled: (N,) uint8, the UTF-8 bytes of all tokens in a row, one or more for each.
        offsets: (V + 1,) int64; id i is spelled[offsets[i] : offsets[i + 1]].
    """

    marked: np.ndarray
    spelled: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, tokenizer: "PreTrainedTokenizerFast") -> "WordBoundaries":
        """Return the boundaries of a tokenizer.

        Added tokens and ids without a token are words of their own.

        Raises:
            CheckpointError: the tokenizer does not mark where words begin.
        """
        size = vocab_size_of(tokenizer)
        marked, spelled = np.ones(size, np.bool_), [NO_TEXT] * size
        begins_word, utf8 = _marks_and_bytes(tokenizer.backend_tokenizer)
        added = tokenizer.added_tokens_decoder
        for token, index in tokenizer.get_vocab().items():
            if index not in added:
                marked[index], spelled[index] = begins_word(token), utf8(token)
            elif not added[index].special:
                spelled[index] = token.encode()
        return cls.from_spellings(marked, spelled)

    @classmethod
    def from_spellings(cls, marked: np.ndarray, spelled: Iterable[bytes]) -> "WordBoundaries":
        """Return the boundaries of tokens with these marks (V,) and UTF-8 bytes."""
        tokens = [token or NO_TEXT for token in spelled]
        offsets = np.cumsum([0, *map(len, tokens)], dtype=np.int64)
        return cls(marked, np.frombuffer(b"".join(tokens), np.uint8), offsets)

    def starts(self, input_ids: np.ndarray) -> np.ndarray:
        """Return whether each token begins a word: (B, T) ids to (B, T) bool."""
        first, previous, base = self._characters_around(input_ids)
        # Letter by letter in an unspaced script, which also ends where another script begins. A
        # token of white space is one word with the token behind it.
        own = (first == UNSPACED) & (previous != SPACE) | (base == UNSPACED)
        starts: np.ndarray = self.marked[input_ids] | own & (first < MARK) & (previous != STACKER)
        starts[:, :1] = True
        return starts

    def unspaced(self, input_ids: np.ndarray) -> np.ndarray:
        """Return whether each token begins with a letter of an unspaced script: (B, T) bool."""
        unspaced: np.ndarray = self._characters_around(input_ids)[0] == UNSPACED
        return unspaced

    @cached_property
    def starts_alone(self) -> np.ndarray:
        """(V,) bool, True where an id begins a word if it follows a letter of another script."""
        ids = np.arange(len(self.marked))
        first = self._characters_around(ids[:, None])[0][:, 0]
        starts: np.ndarray = self.marked | (first == UNSPACED)
        return starts

    def _characters_around(self, input_ids: np.ndarray) -> np.ndarray:
        """Return the kinds of three characters for each token: (3, B, T).

        They are its first character, the one before it, and the last one before it that is not a
        mark. The first is a MARK if the token begins inside a character.
        """
        ids = input_ids.ravel()
        lengths = np.diff(self.offsets)[ids]
        begins = lengths.cumsum() - lengths
        rows = np.repeat(self.offsets[ids] - begins, lengths) + np.arange(lengths.sum())
        stream = self.spelled[rows]
        is_first_byte = (stream & 0xC0) != 0x80
        kinds = np.append(_kinds_of(stream, is_first_byte), np.uint8(PLAIN))  # [-1]: before all
        bases = np.maximum.accumulate(np.where(kinds < MARK, np.arange(len(kinds)), 0))
        number = is_first_byte.cumsum()[begins] - 1  # of the character at the token's beginning
        first = np.where(is_first_byte[begins], kinds[number], MARK)
        before = np.maximum(number, 0) - 1
        around = [first, kinds[before], kinds[bases[before]]]
        return np.stack(around).reshape(3, *input_ids.shape)


def _kinds_of(stream: np.ndarray, is_first_byte: np.ndarray) -> np.ndarray:
    """Return the kind of each character of UTF-8 bytes: (N,) uint8 to (characters,) uint8.

    Characters that lack bytes, as at the end of a sequence, get any kind.
    """
    first = np.flatnonzero(is_first_byte)
    padded = np.append(stream, np.zeros(3, np.uint8)).astype(np.uint32)
    lead = padded[first]
    size = 1 + (lead >= 0xC0) + (lead >= 0xE0) + (lead >= 0xF0)
    points = lead & np.array([0, 0x7F, 0x1F, 0x0F, 0x07], np.uint32)[size]
    for k in (1, 2, 3):
        points = np.where(size > k, points << 6 | padded[first + k] & 0x3F, points)
    kinds: np.ndarray = character_kinds()[np.minimum(points, 0x10FFFF)]
    return kinds


@lru_cache(maxsize=1)
def character_kinds() -> np.ndarray:
    """Return the kind of every code point: (0x110000,) uint8."""
    kinds = np.zeros(0x110000, np.uint8)
    for first, last in UNSPACED_BLOCKS:
        for point in range(first, last + 1):
            if unicodedata.category(chr(point)) in ("Lo", "Lm", "Nl"):
                kinds[point] = UNSPACED
    for first, last in MARKED_PLANES:
        for point in range(first, last + 1):
            if unicodedata.category(chr(point))[0] == "M":
                kinds[point] = MARK
    kinds[ord(" ")] = SPACE
    kinds[[ord(letter) for letter in EXTENDING_LETTERS]] = MARK
    kinds[[ord(letter) for letter in STACKERS]] = STACKER
    return kinds


def begins_unspaced(text: str) -> bool:
    """Return True if the first character of a text is a letter of an unspaced script."""
    return bool(text) and bool(character_kinds()[ord(text[0])] == UNSPACED)


def ends_unspaced(text: str) -> bool:
    """Return True if the last character of a text, marks left out, is of an unspaced script."""
    kinds = character_kinds()[[ord(letter) for letter in text]]
    bases = kinds[kinds < MARK]
    return bool(len(bases)) and bool(bases[-1] == UNSPACED)


def _marks_and_bytes(
    backend: "Tokenizer",
) -> tuple[Callable[[str], bool], Callable[[str], bytes]]:
    """Return two functions of a token: whether it is marked as a beginning, and its UTF-8 bytes.

    A WordPiece token begins a word if it has no "##" prefix, a token of byte-level BPE or
    SentencePiece if it begins with a space or punctuation.
    """
    content = json.loads(backend.to_str())
    model = content["model"]
    prefix = model.get("continuing_subword_prefix")
    if prefix:
        return lambda token: not token.startswith(prefix), lambda t: t.removeprefix(prefix).encode()
    if model.get("type") == "WordLevel":
        return lambda token: True, str.encode
    layout = json.dumps([content["pre_tokenizer"], content["normalizer"], content["decoder"]])
    if "ByteLevel" in layout:
        byte_of = byte_alphabet()
        return (
            lambda token: _begins_word(backend.decoder.decode([token])),
            lambda token: bytes(byte_of.get(letter, 0) for letter in token),
        )
    if "Metaspace" in layout or "▁" in layout:
        return (
            lambda token: not BYTE.fullmatch(token) and _begins_word(token.replace("▁", " ")),
            _sentencepiece_bytes,
        )
    raise CheckpointError(
        f"A {model.get('type')} tokenizer that does not mark where words begin is not supported: "
        "use one of WordPiece, byte-level BPE or SentencePiece."
    )


def _sentencepiece_bytes(token: str) -> bytes:
    byte = BYTE.fullmatch(token)
    return bytes([int(byte[1], 16)]) if byte else token.replace("▁", " ").encode()


def byte_alphabet() -> dict[str, int]:
    """Return the byte behind each letter of byte-level BPE.

    Printable bytes of Latin-1 stand for themselves, the others for letters from U+0100, in order.
    """
    from tokenizers.pre_tokenizers import ByteLevel

    letters = sorted(ByteLevel.alphabet())
    own = [ord(letter) for letter in letters if ord(letter) < 0x100]
    others = sorted(set(range(0x100)) - set(own))
    return dict(zip(letters, [*own, *others], strict=True))


def _begins_word(text: str) -> bool:
    """Return whether a decoded token begins with a space or punctuation, or is empty.

    U+FFFD is the decoded fragment of a character, which continues a word.
    """
    return not text or not (text[0] == "\ufffd" or unicodedata.category(text[0])[0] in "LMN")
