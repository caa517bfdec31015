"""Report how often the added words occur in the training texts."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from mlm.checkpoint.tokenizer import encode_texts
from mlm.data.tokens.token_store import TokenArray

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

NAMED = 5  # words in a line
TOKENS_AT_ONCE = 1 << 22


def report_added_words(
    tokenizer: "PreTrainedTokenizerFast", words: Sequence[str], tokens: TokenArray
) -> Iterator[str]:
    """Yield a line with the occurrences of the words, and a warning if some do not occur.

    Args:
        tokenizer: with the words added.
        words: of the user's list.
        tokens: (N,) ids of the training texts; may be memory-mapped.
    """
    names = _ids_of_added(tokenizer, words)
    counts = _count(tokens, list(names))
    known = len(words) - len(names)
    already = f"; {known:,} of the list need no token of their own" if known else ""
    yield (
        f"--add_words_file: words added: {len(names):,}, their occurrences in the training texts: "
        f"{sum(counts.values()):,}{_most_frequent(names, counts)}{already}"
    )
    absent = [name for index, name in names.items() if not counts[index]]
    if absent:
        yield (
            f"warning: {len(absent):,} of the added words never occur in the training texts and "
            f"will not be learned: {_listed(absent)}"
        )


def _ids_of_added(tokenizer: "PreTrainedTokenizerFast", words: Sequence[str]) -> dict[int, str]:
    """Map the id of each added word to its first spelling in the list."""
    added = tokenizer.added_tokens_decoder
    names: dict[int, str] = {}
    for word, ids in zip(words, encode_texts(tokenizer, [f" {w}" for w in words]), strict=True):
        if len(ids) == 1 and ids[0] in added and not added[ids[0]].special:
            names.setdefault(ids[0], word)
    return names


def _count(tokens: TokenArray, ids: list[int]) -> dict[int, int]:
    """Return how often each id occurs among (N,) tokens."""
    counts = np.zeros(max(ids, default=0) + 1, np.int64)
    for start in range(0, len(tokens), TOKENS_AT_ONCE):
        some = np.arange(start, min(start + TOKENS_AT_ONCE, len(tokens)))
        found = np.bincount(tokens[some], minlength=len(counts))
        counts += found[: len(counts)]
    return {index: int(counts[index]) for index in ids}


def _most_frequent(names: dict[int, str], counts: dict[int, int]) -> str:
    """Return the words that occur most, with their counts, in brackets; "" if none occurs."""
    order = sorted((index for index in names if counts[index]), key=lambda index: -counts[index])
    listed = _listed([f"{names[index]} {counts[index]:,}" for index in order])
    return f" ({listed})" if order else ""


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(islice(names, NAMED)) + more
