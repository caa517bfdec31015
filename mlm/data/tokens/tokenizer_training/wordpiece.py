"""Train the vocabulary of a WordPiece tokenizer, as BERT's, on counted words."""

from collections import Counter
from typing import TYPE_CHECKING

from mlm.data.tokens.tokenizer_training.alphabet import MIN_FREQUENCY, Alphabet, choose_alphabet
from mlm.data.tokens.tokenizer_training.backends import INNER_PREFIX, SPECIAL_TOKENS
from mlm.data.tokens.tokenizer_training.word_counts import repeat_words

if TYPE_CHECKING:
    from tokenizers.models import WordPiece

# Characters; BERT's 100 make [UNK] of a Thai clause. Time grows with the square of the length.
LONGEST_WORD = 512


def train_wordpiece(counts: Counter[str], vocab_size: int) -> "tuple[WordPiece, Alphabet]":
    """Return the model for these word counts, and its alphabet.

    The trainer of `tokenizers` numbers inner characters in the order of a hash table that differs
    from run to run, and breaks ties by these numbers. Passed as "special" tokens, their order is
    fixed.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers
    from tokenizers.trainers import WordPieceTrainer

    inside: set[str] = set()
    for word in counts:
        inside.update(word[1:])
    alphabet = choose_alphabet(
        counts, vocab_size - len(SPECIAL_TOKENS), lambda character: 1 + (character in inside)
    )
    inner = [INNER_PREFIX + character for character in alphabet.characters if character in inside]
    trainer = WordPieceTrainer(
        vocab_size=vocab_size,
        min_frequency=MIN_FREQUENCY,
        special_tokens=[*SPECIAL_TOKENS, *inner],
        initial_alphabet=alphabet.characters,
        limit_alphabet=len(alphabet.characters),
        continuing_subword_prefix=INNER_PREFIX,
        show_progress=False,
    )
    backend = Tokenizer(models.WordPiece({}, unk_token=SPECIAL_TOKENS[1]))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.train_from_iterator(repeat_words(counts), trainer)
    model = models.WordPiece(
        backend.get_vocab(),
        unk_token=SPECIAL_TOKENS[1],
        max_input_chars_per_word=LONGEST_WORD,
        continuing_subword_prefix=INNER_PREFIX,
    )
    return model, alphabet
