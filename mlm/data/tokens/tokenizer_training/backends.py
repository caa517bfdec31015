"""The parts of a tokenizer around its vocabulary, for each kind of tokenizer.

All kinds bring texts into Unicode form NFC and keep accents and vowel signs.
"""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import AddedToken, Tokenizer
    from tokenizers.models import Model

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")  # ids 0 to 4 of a trained tokenizer
UNKNOWN_ID = SPECIAL_TOKENS.index("[UNK]")
INNER_PREFIX = "##"  # WordPiece's prefix of a piece that continues a word
SPACE_MARK = "▁"  # a Unigram model's space before a word
# GPT-2's, with marks as part of words: without them it splits Hindi and Thai at each vowel sign.
BPE_WORDS = r" ?[\p{L}\p{M}]+| ?\p{N}+| ?[^\s\p{L}\p{M}\p{N}]+|\s+(?!\S)|\s+"
_RAW_WORD = re.compile(r" ?\S+")


def new_backend(kind: str, *, cased: bool) -> "Tokenizer":
    """Return a tokenizer with an empty vocabulary that normalizes, splits and decodes."""
    from tokenizers import Tokenizer

    make = {"wordpiece": _wordpiece, "bpe": _bpe, "unigram": _unigram}[kind]
    backend: Tokenizer = make(cased)
    return backend


def complete(backend: "Tokenizer", kind: str, model: "Model") -> None:
    """Give a backend its trained model, the special tokens, and [CLS] and [SEP] around a text."""
    from tokenizers import processors

    backend.model = model
    *others, _ = SPECIAL_TOKENS
    backend.add_special_tokens([*others, mask_token(kind)])
    vocabulary = backend.get_vocab()
    _, _, cls, sep, _ = SPECIAL_TOKENS
    backend.post_processor = processors.TemplateProcessing(
        single=f"{cls}:0 $A:0 {sep}:0",
        pair=f"{cls}:0 $A:0 {sep}:0 $B:1 {sep}:1",
        special_tokens=[(cls, vocabulary[cls]), (sep, vocabulary[sep])],
    )


def mask_token(kind: str) -> "AddedToken":
    """Return the mask; where tokens include the space before them, the mask does so too."""
    from tokenizers import AddedToken

    return AddedToken(SPECIAL_TOKENS[-1], lstrip=kind != "wordpiece", special=True)


def split_raw(kind: str, text: str) -> list[str]:
    """Split a clean text at its spaces; byte-level BPE tells a word with one before it."""
    return _RAW_WORD.findall(text) if kind == "bpe" else text.split()


def words_of(backend: "Tokenizer", raw: str) -> list[str]:
    """Return what a backend makes of a raw word, as its vocabulary is to spell it."""
    normal = backend.normalizer.normalize_str(raw)
    return [word for word, _ in backend.pre_tokenizer.pre_tokenize_str(normal)]


def _wordpiece(cased: bool) -> "Tokenizer":
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    backend = Tokenizer(models.WordPiece({}, unk_token=SPECIAL_TOKENS[1]))
    bert = normalizers.BertNormalizer(lowercase=not cased, strip_accents=False)
    backend.normalizer = normalizers.Sequence([normalizers.NFC(), bert])
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece(prefix=INNER_PREFIX)
    return backend


def _bpe(cased: bool) -> "Tokenizer":
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    backend = Tokenizer(models.BPE())
    lower = [] if cased else [normalizers.Lowercase()]
    backend.normalizer = normalizers.Sequence([normalizers.NFC(), *lower])
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(BPE_WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    return backend


def _unigram(cased: bool) -> "Tokenizer":
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    backend = Tokenizer(models.Unigram())
    lower = [] if cased else [normalizers.Lowercase()]
    spaces = normalizers.Replace(Regex(r"\s+"), " ")
    backend.normalizer = normalizers.Sequence([normalizers.NFC(), *lower, spaces])
    # "first": only the text's first word gets a space, not what follows a mask.
    metaspace = pre_tokenizers.Metaspace(SPACE_MARK, prepend_scheme="first")
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [metaspace, pre_tokenizers.Punctuation("isolated")]
    )
    backend.decoder = decoders.Metaspace(SPACE_MARK, prepend_scheme="first")
    return backend
