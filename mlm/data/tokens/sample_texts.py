"""Show a few texts of a token store as the model sees them: decoded from their ids."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import numpy as np

from mlm.data.tokens.token_store import TokenSplit

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_COLUMNS = 76  # of a terminal, for a text
_TOKENS = 80  # more than fill a line


def sample_lines(
    split: TokenSplit, tokenizer: PreTrainedTokenizerFast, count: int = 3
) -> list[str]:
    """Return a heading and the beginning of `count` documents, spread evenly over a side."""
    documents = len(split.offsets) - 1
    count = min(count, documents)
    chosen = (number * documents // count for number in range(count))
    texts = [_decode(split, document, tokenizer) for document in chosen]
    heading = f"{len(texts)} of the texts" if len(texts) > 1 else "a text"
    return [
        f"{heading} as the model sees {'them' if len(texts) > 1 else 'it'}:",
        *(f"  {text}" for text in texts),
    ]


def _decode(split: TokenSplit, document: int, tokenizer: PreTrainedTokenizerFast) -> str:
    start, end = (int(offset) for offset in split.offsets[document : document + 2])
    end -= 1  # the separator
    cut = end - start > _TOKENS
    if start == end:
        return ""
    (ids,) = split.tokens[np.arange(start, min(end, start + _TOKENS))[None]]
    text = str(tokenizer.decode(ids.tolist(), clean_up_tokenization_spaces=False))
    if cut:  # perhaps within a character of several byte tokens
        text = text.rstrip("\ufffd")
    return shorten(text, _COLUMNS, cut=cut)


def shorten(text: str, columns: int, *, cut: bool = False) -> str:
    """Return the text, or its beginning and "..." if it is wider than so many columns, or `cut`.

    A character of Chinese, Japanese or Korean takes two columns, a combining mark none.
    """
    text = " ".join(text.split())
    width = 0
    for at, character in enumerate(text):
        width += _width(character)
        if width > columns - 3 and (cut or sum(map(_width, text)) > columns):
            return f"{text[:at].rstrip()}..."
    return f"{text}..." if cut else text


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
