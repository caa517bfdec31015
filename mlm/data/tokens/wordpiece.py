"""Train a lower-casing WordPiece tokenizer, as BERT's, on texts."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from mlm.errors import ConfigError, CorpusError

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")  # ids 0 to 4 of a trained tokenizer
INNER_PREFIX = "##"  # WordPiece's prefix of a piece that continues a word
MIN_FREQUENCY = 2
MAX_ALPHABET = 1000
# A rarer character would take two entries of the vocabulary and be too rare to learn.
MIN_CHARACTER_SHARE = 1e-7


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> "PreTrainedTokenizerFast":
    """Return a lower-casing WordPiece tokenizer of at most `vocab_size` entries.

    The same texts give the same tokenizer. They are read once; memory grows only with the number of
    distinct words.

    Raises:
        ConfigError: the vocabulary is too small for the special tokens and one character.
        CorpusError: the texts contain no word.
    """
    from transformers import PreTrainedTokenizerFast

    if vocab_size < len(SPECIAL_TOKENS) + 2:
        raise ConfigError(
            f"vocab_size is {vocab_size}, but {len(SPECIAL_TOKENS)} special tokens and some "
            "characters must fit: give a few thousand."
        )
    counts = _count_words(texts)
    if not counts:
        raise CorpusError(
            "The texts contain no word to train a tokenizer on: give a --train_file with words."
        )
    pad, unk, cls, sep, mask = SPECIAL_TOKENS
    make_tokenizer: Callable[..., PreTrainedTokenizerFast] = (
        PreTrainedTokenizerFast  # not annotated
    )
    return make_tokenizer(
        tokenizer_object=_bert_backend(_train_wordpiece(counts, vocab_size)),
        do_lower_case=True,
        model_input_names=["input_ids", "attention_mask"],  # ModernBERT takes no token_type_ids
        pad_token=pad,
        unk_token=unk,
        cls_token=cls,
        sep_token=sep,
        mask_token=mask,
    )


def _count_words(texts: Iterable[str]) -> Counter[str]:
    """Return the count of each word, with the texts normalised and split as BERT does."""
    raw: Counter[str] = Counter()
    for text in texts:
        raw.update(text.split())
    backend = _bert_backend({})
    counts: Counter[str] = Counter()
    for word, count in raw.items():
        normal = backend.normalizer.normalize_str(word)
        for piece, _ in backend.pre_tokenizer.pre_tokenize_str(normal):
            counts[piece] += count
    return counts


def _train_wordpiece(counts: Counter[str], vocab_size: int) -> dict[str, int]:
    """Return the vocabulary, token to id, that WordPiece training gives for these word counts.

    The trainer of `tokenizers` numbers inner characters in the order of a hash table that differs
    from run to run, and breaks ties by these numbers. Passed as "special" tokens, their order is
    fixed.
    """
    from tokenizers.trainers import WordPieceTrainer

    first, inner = _alphabet(counts, (vocab_size - len(SPECIAL_TOKENS)) // 2)
    trainer = WordPieceTrainer(
        vocab_size=vocab_size,
        min_frequency=MIN_FREQUENCY,
        special_tokens=[*SPECIAL_TOKENS, *(INNER_PREFIX + character for character in inner)],
        initial_alphabet=first,
        limit_alphabet=len(first),
        continuing_subword_prefix=INNER_PREFIX,
        show_progress=False,
    )
    backend = _bert_backend({})
    backend.train_from_iterator(_repeat_words(counts), trainer)
    return backend.get_vocab()


def _alphabet(counts: Counter[str], limit: int) -> tuple[list[str], list[str]]:
    """Return the characters to keep, ascending, and those of them that occur inside words."""
    occurrences: Counter[str] = Counter()
    inside: set[str] = set()
    for word, count in counts.items():
        inside.update(word[1:])
        for character in word:
            occurrences[character] += count
    rarest = max(MIN_FREQUENCY, MIN_CHARACTER_SHARE * occurrences.total())
    common = [character for character, count in occurrences.items() if count >= rarest]
    common.sort(key=lambda character: (-occurrences[character], character))
    kept = sorted(common[: min(limit, MAX_ALPHABET)])
    return kept, [character for character in kept if character in inside]


def _repeat_words(counts: Counter[str], most: int = 100_000) -> Iterator[str]:
    """Yield every word as often as it was counted: the trainer takes texts, not counts."""
    for word, count in counts.items():
        for start in range(0, count, most):
            yield f"{word} " * min(most, count - start)


def _bert_backend(vocabulary: dict[str, int]) -> "Tokenizer":
    """Return BERT's lower-casing tokenizer of a WordPiece vocabulary, empty before training."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    _, unk, cls, sep, _ = SPECIAL_TOKENS
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token=unk))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece(prefix=INNER_PREFIX)
    if vocabulary:
        backend.add_special_tokens(list(SPECIAL_TOKENS))
        backend.post_processor = processors.TemplateProcessing(
            single=f"{cls}:0 $A:0 {sep}:0",
            pair=f"{cls}:0 $A:0 {sep}:0 $B:1 {sep}:1",
            special_tokens=[(cls, vocabulary[cls]), (sep, vocabulary[sep])],
        )
    return backend
