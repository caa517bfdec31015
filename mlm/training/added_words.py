"""Add words of the domain to a vocabulary; their embeddings start from those of their pieces.

    words = read_words("words.txt")                  # one a line
    grown = add_words(checkpoint, words, policy="float32", seed=42)

A word is matched as a whole, never inside another one, in the middle of a sentence and at its
start; a lower-casing tokenizer matches capitals too. A word of a script without spaces (Chinese,
Japanese, Thai, ...) is found anywhere in running text. For `transformers` it is an ordinary added
token.
"""

import copy
import dataclasses
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlm.checkpoint.families import encoder_config_of
from mlm.checkpoint.folder import Checkpoint
from mlm.checkpoint.tokenizer import encode_texts
from mlm.checkpoint.tokenizer_files.components import words_pattern
from mlm.checkpoint.weights import variables_by_name
from mlm.data.tokens.word_boundaries import begins_unspaced, byte_alphabet, ends_unspaced
from mlm.errors import CheckpointError, ConfigError, CorpusError

if TYPE_CHECKING:
    from tokenizers import AddedToken, Tokenizer
    from transformers import PreTrainedConfig, PreTrainedTokenizerFast

    from mlm.model.encoder import MaskedLM

MOST_WORDS = 10_000
LONGEST_WORD = 100  # characters
LARGEST_FILE = 16 << 20  # bytes
# Zero-width joiner and non-joiner, part of the spelling of Persian, Hindi, ...
SPELLING_JOINERS = dict.fromkeys(map(ord, "\u200c\u200d"))
JOINER = "\u2060"  # an invisible letter that is not in the alphabet of bytes
VOCABULARY_ROWS = ("embeddings/word_embeddings", "head/decoder", "head/bias")


def read_words(path: str | Path) -> list[str]:
    """Read the words of a UTF-8 file, one a line, each once, without blank lines and # comments.

    They are in Unicode's form C, as the texts are.

    Raises:
        CorpusError: a file that cannot be read.
        ConfigError: no word, more than 10,000, one of over 100 characters, two words in a line.
    """
    words: dict[str, None] = {}
    for number, line in enumerate(_read_file(Path(path)).splitlines(), 1):
        word = unicodedata.normalize("NFC", line.strip())
        if word and not word.startswith("#"):
            _check_word(word, f"line {number} of {str(path)!r}")
            words[word] = None
    if not words:
        raise ConfigError(f"{str(path)!r} holds no word: write one a line.")
    if len(words) > MOST_WORDS:
        raise ConfigError(
            f"{str(path)!r} holds {len(words):,} words; at most {MOST_WORDS:,} can be added: keep "
            "the most frequent ones."
        )
    return list(words)


def _read_file(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise CorpusError(
                f"{str(path)!r} has {size:,} bytes; a list of words has {LARGEST_FILE:,} at most."
            )
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{str(path)!r} is not UTF-8 (byte {error.start:,}): save the list of words as UTF-8."
        ) from None
    except OSError as error:
        raise CorpusError(
            f"the list of words {str(path)!r} cannot be read: {error.strerror}; give a text file."
        ) from None


def _check_word(word: str, where: str) -> None:
    if len(word) > LONGEST_WORD:
        raise ConfigError(
            f"{where} has {len(word):,} characters; a word has {LONGEST_WORD} at most: write one a "
            "line."
        )
    if len(word.split()) > 1 or not is_printable(word):
        raise ConfigError(f"{where} is {word!r}, which is not one word: write one a line.")


def is_printable(word: str) -> bool:
    """Return whether a word has no characters that cannot be seen, apart from joiners."""
    return word.translate(SPELLING_JOINERS).isprintable()


def add_words(
    checkpoint: Checkpoint, words: Sequence[str], *, policy: str, seed: int
) -> Checkpoint:
    """Return a checkpoint with the words in its tokenizer and rows for them in its model.

    A new row of the embeddings, and of the head's decoder and bias, is the mean of the rows of the
    word's pieces. Words that are single tokens already are left out; if all are, the checkpoint is
    returned unchanged. The given one is not modified, and the scores of its tokens stay.

    Args:
        checkpoint: to start from.
        words: as `read_words` returns them.
        policy: Keras dtype policy of the new model.
        seed: of its dropout.

    Raises:
        CheckpointError: a tokenizer that cannot hold such words.
    """
    tokenizer = copy.deepcopy(checkpoint.tokenizer)
    pieces = _pieces_of_new_words(tokenizer, words)
    if not pieces:
        return checkpoint
    rows = _add_to_tokenizer(tokenizer, pieces)
    tokenizer = _decode_words_as_letters(tokenizer)
    hf_config = copy.deepcopy(checkpoint.hf_config)
    # Embeddings may have more rows than the tokenizer has entries: those are used first.
    hf_config.vocab_size = max(hf_config.vocab_size, max(rows, default=0) + 1)
    model = _grown_model(checkpoint.model, hf_config, rows, policy, seed)
    return dataclasses.replace(checkpoint, model=model, tokenizer=tokenizer, hf_config=hf_config)


def _pieces_of_new_words(
    tokenizer: "PreTrainedTokenizerFast", words: Sequence[str]
) -> dict[str, list[int]]:
    """Map each word that is not a single token yet, normalized as texts are, to its pieces."""
    special = set(tokenizer.all_special_tokens)
    words = [word for word in words if word not in special]
    new = list(dict.fromkeys(_normal_form(tokenizer.backend_tokenizer, word) for word in words))
    pieces = dict(zip(new, _ids_in_sentence(tokenizer, new), strict=True))
    return {
        word: ids for word, ids in pieces.items() if len(ids) > 1 or ids == [tokenizer.unk_token_id]
    }


def _ids_in_sentence(tokenizer: "PreTrainedTokenizerFast", words: list[str]) -> list[list[int]]:
    """Encode each word after a space, which byte-level BPE and SentencePiece make part of it."""
    return encode_texts(tokenizer, [f" {word}" for word in words])


def _normal_form(backend: "Tokenizer", word: str) -> str:
    """Return the word as the texts are after the normalizer.

    BERT's puts spaces around each Chinese character; such a word stays as it was written.
    """
    normal = backend.normalizer.normalize_str(word).strip() if backend.normalizer else word
    return word if " " in normal else normal


def _new_token(backend: "Tokenizer", word: str) -> "AddedToken":
    """Return the token of a word.

    `single_word`: not inside another word, unless the word is of a script without spaces.
    `normalized`: matched after the normalizer, which may lower-case, unless that splits the word.
    `lstrip`: together with the space before it, which would be a token of its own for all but
    WordPiece.
    """
    from tokenizers import AddedToken

    prefix = getattr(backend.model, "continuing_subword_prefix", None)
    normal = backend.normalizer.normalize_str(word).strip() if backend.normalizer else word
    is_spaced = not (begins_unspaced(word) or ends_unspaced(word))
    return AddedToken(word, single_word=is_spaced, normalized=" " not in normal, lstrip=not prefix)


def _add_to_tokenizer(
    tokenizer: "PreTrainedTokenizerFast", pieces: dict[str, list[int]]
) -> dict[int, list[int]]:
    """Add the words; map the id of each new entry to the ids of its pieces."""
    before = tokenizer.get_vocab()
    tokenizer.add_tokens([_new_token(tokenizer.backend_tokenizer, word) for word in pieces])
    after = tokenizer.get_vocab()
    for word, ids in zip(pieces, _ids_in_sentence(tokenizer, list(pieces)), strict=True):
        if ids != [after[word]]:
            raise CheckpointError(
                f"this tokenizer does not find the added word {word!r} in a sentence; leave it out"
            )
    rows = {after[word]: ids for word, ids in pieces.items() if word not in before}
    if taken := rows.keys() & set(before.values()):
        raise CheckpointError(
            f"this tokenizer's ids have gaps, so that {min(taken)} would be the id of two tokens; "
            "words cannot be added to it"
        )
    return rows


def _decode_words_as_letters(tokenizer: "PreTrainedTokenizerFast") -> "PreTrainedTokenizerFast":
    """Return a tokenizer whose decoder does not take the letters of added words for bytes.

    That of byte-level BPE would decode "über", all of whose letters are in its alphabet, as four
    bytes, but leaves words with other letters alone, as "стол". Therefore such words get a JOINER
    before it, which is taken off after it. The class of the tokenizer is then the general one,
    because those of the families build a decoder of their own.
    """
    from tokenizers import Regex, decoders
    from transformers import PreTrainedTokenizerFast

    backend = tokenizer.backend_tokenizer
    if "ByteLevel" not in str(backend.decoder):
        return tokenizer
    alphabet = byte_alphabet().keys()
    added = (token.content for token in tokenizer.added_tokens_decoder.values())
    words = [word for word in added if not word.isascii() and set(word) <= alphabet]
    if not words:
        return tokenizer
    any_word = Regex(words_pattern(words))
    backend.decoder = decoders.Sequence(
        [decoders.Replace(any_word, JOINER), decoders.ByteLevel(), decoders.Replace(JOINER, "")]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=tokenizer.model_max_length,
        model_input_names=tokenizer.model_input_names,
        **tokenizer.special_tokens_map,
    )


def _grown_model(
    model: "MaskedLM",
    hf_config: "PreTrainedConfig",
    rows: dict[int, list[int]],
    policy: str,
    seed: int,
) -> "MaskedLM":
    """Copy the model to the vocabulary of `hf_config`; a new row is the mean of its pieces."""
    from mlm.model.encoder import MaskedLM

    grown = MaskedLM(encoder_config_of(hf_config), dtype=policy, seed=seed)
    grown.build()
    variables = variables_by_name(grown)
    for key, variable in variables_by_name(model).items():
        value = variable.numpy()
        if key in VOCABULARY_ROWS:
            value = _grown_rows(value, hf_config.vocab_size, rows)
        variables[key].assign(value)
    return grown


def _grown_rows(value: np.ndarray, vocab_size: int, rows: dict[int, list[int]]) -> np.ndarray:
    """Grow (V, ...) to (vocab_size, ...)."""
    grown = np.zeros((vocab_size, *value.shape[1:]), value.dtype)
    grown[: len(value)] = value
    for row, pieces in rows.items():
        grown[row] = value[pieces].mean(axis=0)
    return grown
