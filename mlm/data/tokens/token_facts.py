"""Facts about a tokenizer as plain numbers and arrays: special ids, random words, word starts.

Batching and masking use them instead of the tokenizer, which they need not load.
"""

import json
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlm.checkpoint.tokenizer import check_special_tokens, vocab_size_of
from mlm.errors import CheckpointError

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

# Entries that vocabularies reserve for later use; they do not occur in texts.
PLACEHOLDER = re.compile(
    r"\[unused_?\d+\]|<unused_?\d+>|madeupword\d+|<(/?s|unk)>NOTUSED"  # the last: CamemBERT's
)


@dataclass(frozen=True, eq=False)
class TokenFacts:
    """Facts about a tokenizer that batching and masking need."""

    cls_id: int
    sep_id: int
    pad_id: int
    mask_id: int
    vocab_size: int  # one more than the highest id
    special_ids: np.ndarray  # (S,) int64, ascending: never a target or a random word
    random_word_ids: np.ndarray  # (R,) int32, ascending: the ids that random words are drawn from
    word_starts: np.ndarray  # (V,) bool, True where an id begins a word

    @classmethod
    def of(cls, tokenizer: "PreTrainedTokenizerFast") -> "TokenFacts":
        """Return the facts of a tokenizer. Raises CheckpointError if a special token is missing."""
        check_special_tokens(tokenizer, "the tokenizer")
        return cls(
            cls_id=tokenizer.cls_token_id,
            sep_id=tokenizer.sep_token_id,
            pad_id=tokenizer.pad_token_id,
            mask_id=tokenizer.mask_token_id,
            vocab_size=vocab_size_of(tokenizer),
            special_ids=special_ids(tokenizer),
            random_word_ids=random_word_ids(tokenizer),
            word_starts=word_starts(tokenizer),
        )


def special_ids(tokenizer: "PreTrainedTokenizerFast") -> np.ndarray:
    """Return the ids that are never chosen for prediction: (S,) int64, ascending."""
    added = tokenizer.added_tokens_decoder
    special = {index for index, token in added.items() if token.special}
    return np.array(sorted(special | set(tokenizer.all_special_ids)), np.int64)


def random_word_ids(tokenizer: "PreTrainedTokenizerFast") -> np.ndarray:
    """Return every id except special ones and reserved placeholders: (R,) int32, ascending."""
    vocabulary = tokenizer.get_vocab()
    words = {index for token, index in vocabulary.items() if not PLACEHOLDER.fullmatch(token)}
    return np.array(sorted(words - set(special_ids(tokenizer).tolist())), np.int32)


def word_starts(tokenizer: "PreTrainedTokenizerFast") -> np.ndarray:
    """Return whether each id begins a word: (V,) bool.

    A WordPiece token does if it has no "##" prefix, a token of byte-level BPE or SentencePiece if
    it begins with a space or punctuation. Special tokens, added tokens and ids without a token are
    words of their own.

    Raises:
        CheckpointError: the tokenizer does not mark where words begin.
    """
    starts = np.ones(vocab_size_of(tokenizer), np.bool_)
    begins_word = _word_start_rule(tokenizer.backend_tokenizer)
    added = tokenizer.added_tokens_decoder
    for token, index in tokenizer.get_vocab().items():
        if index not in added:
            starts[index] = begins_word(token)
    return starts


def _word_start_rule(backend: "Tokenizer") -> Callable[[str], bool]:
    """Return the predicate for tokens that begin a word, for this kind of tokenizer."""
    content = json.loads(backend.to_str())
    model = content["model"]
    prefix = model.get("continuing_subword_prefix")
    if prefix:
        return lambda token: not token.startswith(prefix)
    if model.get("type") == "WordLevel":
        return lambda token: True
    layout = json.dumps([content["pre_tokenizer"], content["normalizer"], content["decoder"]])
    if "ByteLevel" in layout:
        return lambda token: _begins_word(backend.decoder.decode([token]))
    if "Metaspace" in layout or "▁" in layout:
        return lambda token: _begins_word(token.replace("▁", " "))
    raise CheckpointError(
        f"A {model.get('type')} tokenizer that does not mark where words begin is not supported: "
        "use one of WordPiece, byte-level BPE or SentencePiece."
    )


def _begins_word(text: str) -> bool:
    """Return whether a decoded token begins with a space or punctuation, or is empty.

    U+FFFD is the decoded fragment of a character, which continues a word.
    """
    return not text or not (text[0] == "\ufffd" or unicodedata.category(text[0])[0] in "LMN")
