"""Train a tokenizer of one of three kinds on texts, as a `transformers` fast tokenizer."""

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from mlm.data.tokens.tokenizer_training.alphabet import Alphabet
from mlm.data.tokens.tokenizer_training.backends import (
    SPECIAL_TOKENS,
    UNKNOWN_ID,
    complete,
    mask_token,
    new_backend,
    split_raw,
    words_of,
)
from mlm.data.tokens.tokenizer_training.bpe import BYTES, train_byte_level
from mlm.data.tokens.tokenizer_training.script import type_for_texts
from mlm.data.tokens.tokenizer_training.unigram import train_unigram
from mlm.data.tokens.tokenizer_training.word_counts import count_words
from mlm.data.tokens.tokenizer_training.wordpiece import train_wordpiece
from mlm.errors import ConfigError, CorpusError

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from tokenizers.models import Model
    from transformers import PreTrainedTokenizerFast

MANY_UNKNOWN = 0.01  # share of [UNK] from which it is a warning
SIZES = 1000  # suggested vocabulary sizes are multiples of this
SHARE_OF_WORDS = 0.2  # of a suggested vocabulary, besides its characters


def train_tokenizer(
    texts: Iterable[str],
    vocab_size: int,
    *,
    tokenizer_type: str = "auto",
    cased: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> "PreTrainedTokenizerFast":
    """Return a tokenizer of at most `vocab_size` entries, special tokens first.

    The same texts give the same tokenizer. They are read once; memory grows with the number of
    distinct words, up to a limit.

    Args:
        texts: clean texts.
        vocab_size: number of entries.
        tokenizer_type: wordpiece, bpe (byte-level), unigram, or auto, which is unigram for texts
            mostly in scripts without spaces, such as Thai or Japanese, and wordpiece for others.
        cased: keep capitals; else they are lower-cased. Accents are kept in any case.
        report: gets lines about the tokenizer, with the share of [UNK] in the texts.

    Raises:
        ConfigError: the vocabulary is too small for the special tokens and one character.
        CorpusError: the texts contain no word.
    """
    kind = tokenizer_type
    if kind == "auto":
        kind, texts = type_for_texts(texts)
        if kind != "wordpiece":
            report(
                f"--tokenizer_type auto is {kind} here: most letters of the texts are of scripts "
                "without spaces between words"
            )
    _check_size(vocab_size, kind)
    backend = new_backend(kind, cased=cased)
    words = count_words(texts, partial(split_raw, kind), partial(words_of, backend))
    if not words.counts:
        raise CorpusError(
            "The texts contain no word to train a tokenizer on: give a --train_file with words."
        )
    model, alphabet = _train_model(kind, words.counts, vocab_size)
    complete(backend, kind, model)
    if words.left_out:
        report(words.line())
    for line in _describe(backend, kind, words.counts, cased, alphabet, vocab_size):
        report(line)
    return _as_transformers(backend, kind, cased)


def _check_size(vocab_size: int, kind: str) -> None:
    least = len(SPECIAL_TOKENS) + (BYTES if kind == "bpe" else 2)
    if vocab_size < least:
        needed = f"{BYTES} single bytes" if kind == "bpe" else "some characters"
        raise ConfigError(
            f"vocab_size is {vocab_size}, but {len(SPECIAL_TOKENS)} special tokens and {needed} "
            "must fit: give a few thousand."
        )


def _train_model(
    kind: str, counts: Counter[str], vocab_size: int
) -> "tuple[Model, Alphabet | None]":
    """Return the trained model, and its alphabet if that can lack characters."""
    if kind == "bpe":
        return train_byte_level(counts, vocab_size), None
    return (train_wordpiece if kind == "wordpiece" else train_unigram)(counts, vocab_size)


def _as_transformers(backend: "Tokenizer", kind: str, cased: bool) -> "PreTrainedTokenizerFast":
    from transformers import PreTrainedTokenizerFast

    pad, unk, cls, sep, _ = SPECIAL_TOKENS
    make_tokenizer: Callable[..., PreTrainedTokenizerFast] = (
        PreTrainedTokenizerFast  # not annotated
    )
    # For classes of transformers that go by these settings and not by tokenizer.json.
    settings = {"do_lower_case": not cased, "strip_accents": False} if kind == "wordpiece" else {}
    return make_tokenizer(
        tokenizer_object=backend,
        model_input_names=["input_ids", "attention_mask"],  # ModernBERT takes no token_type_ids
        pad_token=pad,
        unk_token=unk,
        cls_token=cls,
        sep_token=sep,
        mask_token=mask_token(kind),
        **settings,
    )


# Lines for the user -------------------------------------------------------------------------------


def unknown_share(model: "Model", counts: Counter[str]) -> float:
    """Return the share of [UNK] among the tokens of the words."""
    tokens = unknown = 0
    for word, count in counts.items():
        pieces = model.tokenize(word)
        tokens += count * len(pieces)
        unknown += count * sum(piece.id == UNKNOWN_ID for piece in pieces)
    return unknown / tokens


def _describe(
    backend: "Tokenizer",
    kind: str,
    counts: Counter[str],
    cased: bool,
    alphabet: Alphabet | None,
    vocab_size: int,
) -> list[str]:
    """Return a line about the tokenizer, and a warning if it does not know the texts."""
    single = f", {len(alphabet.characters):,} of them characters" if alphabet else ""
    share = unknown_share(backend.model, counts)
    lines = [
        f"tokenizer: {kind}, {'cased' if cased else 'lower-cased'}, "
        f"{backend.get_vocab_size():,} entries{single}; {share:.2%} of the tokens of the training "
        "texts are [UNK]"
    ]
    if share > MANY_UNKNOWN and alphabet:
        lines.append(f"warning: {share:.1%} [UNK]: {_way_out(alphabet, vocab_size)}")
    return lines


def _way_out(alphabet: Alphabet, vocab_size: int) -> str:
    other = "--tokenizer_type bpe, which knows every character"
    if alphabet.needed <= vocab_size - len(SPECIAL_TOKENS):
        return f"give {other}"
    enough = alphabet.needed / (1 - SHARE_OF_WORDS)
    size = SIZES * (int(enough) // SIZES + 1)
    return (
        f"{vocab_size:,} entries are too few for the characters of these texts; give --vocab_size "
        f"{size}, or {other}"
    )
