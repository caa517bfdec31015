"""Facts about a tokenizer as plain numbers and arrays: special ids, random words, word boundaries.

Batching and masking use them instead of the tokenizer, which they need not load.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlm.checkpoint.tokenizer import check_special_tokens, vocab_size_of
from mlm.data.tokens.word_boundaries import WordBoundaries

if TYPE_CHECKING:
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
    words: WordBoundaries  # where words begin

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
            words=WordBoundaries.of(tokenizer),
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
