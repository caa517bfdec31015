"""Choose the kind of tokenizer by the script of the texts."""

import re
from collections.abc import Iterable, Iterator
from itertools import chain

SAMPLE_CHARACTERS = 1_000_000  # from the beginning of the texts
# Thai, Lao, Myanmar with its extensions, Khmer, and Japanese kana. Tibetan marks its syllables.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\ua9e0-\ua9ff\uaa60-\uaa7f\u3041-\u30ff]"
)
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]")
_JAPANESE = 0.1  # share of kana; with fewer, Han characters are taken for Chinese


def type_for_texts(texts: Iterable[str]) -> tuple[str, Iterator[str]]:
    """Return "unigram" or "wordpiece" by the first texts, and a stream of all texts.

    WordPiece needs spaces between words, or Chinese characters, each of which it takes for a word.
    """
    stream = iter(texts)
    sample = list(_first_characters(stream, SAMPLE_CHARACTERS))
    kind = "unigram" if _is_mostly_unspaced(sample) else "wordpiece"
    return kind, chain(sample, stream)


def has_unspaced_script(word: str) -> bool:
    """Return whether a word has characters of a script that puts no spaces between words."""
    return bool(_UNSPACED.search(word) or _HAN.search(word))


def _first_characters(texts: Iterator[str], most: int) -> Iterator[str]:
    characters = 0
    for text in texts:
        yield text
        characters += len(text)
        if characters >= most:
            return


def _is_mostly_unspaced(texts: list[str]) -> bool:
    """Return whether most characters, spaces apart, are of scripts that WordPiece cannot split."""
    unspaced = sum(len(_UNSPACED.findall(text)) for text in texts)
    han = sum(len(_HAN.findall(text)) for text in texts)
    if unspaced > _JAPANESE * (unspaced + han):
        unspaced += han
    return 2 * unspaced > sum(len(text) - text.count(" ") for text in texts)
