"""Train byte-pair encodings on counted words: byte-level BPE, and plain BPE for Unigram's seeds."""

import json
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from mlm.data.tokens.tokenizer_training.alphabet import MIN_FREQUENCY
from mlm.data.tokens.tokenizer_training.backends import SPECIAL_TOKENS
from mlm.data.tokens.tokenizer_training.word_counts import repeat_words

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from tokenizers.models import BPE

BYTES = 256  # entries that byte-level BPE takes for single bytes


class Merges(NamedTuple):
    """A trained plain BPE: its model, and the pairs of tokens in the order of their merges."""

    model: "BPE"
    pairs: list[tuple[str, str]]


def train_byte_level(counts: Counter[str], vocab_size: int) -> "BPE":
    """Return the byte-level model for the counts of words that are spelt in byte-level letters."""
    from tokenizers.pre_tokenizers import ByteLevel

    backend = _train(counts, vocab_size, list(SPECIAL_TOKENS), ByteLevel.alphabet())
    model: BPE = backend.model
    return model


def train_plain(counts: Counter[str], vocab_size: int, alphabet: list[str], longest: int) -> Merges:
    """Return the plain BPE of the words over an alphabet, of tokens up to `longest` characters."""
    backend = _train(counts, vocab_size, [], alphabet, longest=longest)
    merges = json.loads(backend.to_str())["model"]["merges"]
    model: BPE = backend.model
    return Merges(model, [(left, right) for left, right in merges])


def _train(
    counts: Counter[str],
    vocab_size: int,
    special_tokens: list[str],
    alphabet: list[str],
    *,
    longest: int | None = None,
) -> "Tokenizer":
    """Train on the words as they are.

    The alphabet is given, so that no order of a hash table decides on its characters: the trainer
    breaks ties between pairs by their ids.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers
    from tokenizers.trainers import BpeTrainer

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=MIN_FREQUENCY,
        special_tokens=special_tokens,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
        max_token_length=longest,
    )
    backend.train_from_iterator(repeat_words(counts), trainer)
    return backend
