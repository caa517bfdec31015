"""TokenFacts: what batches and masking need to know of a tokenizer, as plain numbers and arrays."""

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

# Entries that vocabularies keep free for later use: no text holds them.
PLACEHOLDER = re.compile(
    r"\[unused_?\d+\]|<unused_?\d+>|madeupword\d+|<(/?s|unk)>NOTUSED"  # the last: CamemBERT's
)


@dataclass(frozen=True, eq=False)
class TokenFacts:
    """What batches and masking need to know of a tokenizer."""

    cls_id: int
    sep_id: int
    pad_id: int
    mask_id: int
    vocab_size: int  # one more than the highest id
    special_ids: np.ndarray  # (S,) int64, ascending: never chosen, never drawn
    random_word_ids: np.ndarray  # (R,) int32, ascending: what a random word is drawn from
    word_starts: np.ndarray  # (V,) bool, True where an id begins a word

    @classmethod
    def of(cls, tokenizer: "PreTrainedTokenizerFast") -> "TokenFacts":
        """The facts of one tokenizer. Raises CheckpointError where a special token is missing."""
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
    """(S,) int64, ascending: the ids that are never chosen for prediction."""
    added = tokenizer.added_tokens_decoder
    special = {index for index, token in added.items() if token.special}
    return np.array(sorted(special | set(tokenizer.all_special_ids)), np.int64)


def random_word_ids(tokenizer: "PreTrainedTokenizerFast") -> np.ndarray:
    """(R,) int32, ascending: every id but the special ones and the placeholders for later use."""
    vocabulary = tokenizer.get_vocab()
    words = {index for token, index in vocabulary.items() if not PLACEHOLDER.fullmatch(token)}
    return np.array(sorted(words - set(special_ids(tokenizer).tolist())), np.int32)


def word_starts(tokenizer: "PreTrainedTokenizerFast") -> np.ndarray:
    """(V,) bool: True where an id begins a word.

    WordPiece: no "##" before it. Byte-level BPE and SentencePiece: it begins with a space or with
    punctuation. Special and added tokens are words of their own, ids without a token too.

    Raises:
        CheckpointError: a tokenizer that marks the ends of words, or nothing.
    """
    starts = np.ones(vocab_size_of(tokenizer), np.bool_)
    begins_word = _word_start_rule(tokenizer.backend_tokenizer)
    added = tokenizer.added_tokens_decoder
    for token, index in tokenizer.get_vocab().items():
        if index not in added:
            starts[index] = begins_word(token)
    return starts


def _word_start_rule(backend: "Tokenizer") -> Callable[[str], bool]:
    """A function from a token to whether it begins a word, for this kind of tokenizer."""
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
        f"A {model.get('type')} tokenizer that marks no word beginnings is not supported: use one "
        "of WordPiece, byte-level BPE or SentencePiece."
    )


def _begins_word(text: str) -> bool:
    """False where a letter, mark, digit or part of a character comes first."""
    return not text or not (text[0] == "\ufffd" or unicodedata.category(text[0])[0] in "LMN")
