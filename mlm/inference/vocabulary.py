"""A tokenizer's entries as a reader sees them: words, and pieces that continue a word."""

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mlm.data.tokens.word_boundaries import WordBoundaries

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SPACE_MARKS = ("Ġ", "▁")  # the space before a word in byte-level BPE and in SentencePiece


class Vocabulary:
    """The words and pieces behind a tokenizer's ids.

    Attributes:
        ids: (N,) int64, ascending: every id that has a token. An embedding may have more rows.
        special: ids of the special tokens.
        unknown_id: id of the token for what is not in the vocabulary, or None.
        marks_spaces: True if a token includes the space before it.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerFast"):
        self._tokenizer = tokenizer
        self._by_token: dict[str, int] = tokenizer.get_vocab()
        self._tokens = {token_id: token for token, token_id in self._by_token.items()}
        self.ids = np.array(sorted(self._tokens))
        self.special = frozenset(tokenizer.all_special_ids)
        self.unknown_id: int | None = tokenizer.unk_token_id
        # These never continue a word, although they do not include a space.
        self._separate = self.special | set(tokenizer.added_tokens_decoder)
        backend = tokenizer.backend_tokenizer
        self._prefix = getattr(backend.model, "continuing_subword_prefix", None) or ""  # "##"
        self.marks_spaces = not self._prefix and any(
            token.startswith(SPACE_MARKS) for token in self._by_token
        )
        self._decoded: dict[int, str] = {}  # id -> token_str, of those that were needed so far
        self._normalizer = backend.normalizer
        self._has_decoder = backend.decoder is not None  # without one, decode() keeps the marks
        mask = tokenizer.mask_token
        apart, together = (tokenizer(f"a{space}{mask}")["input_ids"] for space in (" ", ""))
        self._mask_strips_space = apart == together

    def __len__(self) -> int:
        return len(self._by_token)

    def __contains__(self, token: str) -> bool:
        return token in self._by_token

    def id_of(self, token: str) -> int:
        """Return the id of a token. Raises KeyError."""
        return self._by_token[token]

    def token_str(self, token_id: int) -> str:
        """Return a token as transformers' pipeline has it: "##ing", " film"."""
        if token_id not in self._decoded:
            self._decoded[token_id] = str(self._tokenizer.decode([token_id]))
        return self._decoded[token_id]

    def spelling(self, token_ids: list[int]) -> str:
        """Return the word that the ids spell together, as a reader sees it: "ing", "film"."""
        if len(token_ids) == 1:
            return self._strip_marks(self.token_str(token_ids[0]))
        return self._strip_marks(str(self._tokenizer.decode(token_ids)))

    def _strip_marks(self, decoded: str) -> str:
        word = decoded.removeprefix(self._prefix).strip()
        return word if self._has_decoder else word.lstrip("".join(SPACE_MARKS))

    def spellings(self) -> list[str]:
        """Return the `spelling` of each of `ids`; one call of the decoder, which is fast."""
        backend = self._tokenizer.backend_tokenizer
        texts = backend.decode_batch([[i] for i in self.ids.tolist()], skip_special_tokens=False)
        return [self._strip_marks(text) for text in texts]

    def has_continuation_mark(self, token_id: int) -> bool:
        """Return True if the token is marked as one that continues a word ("##ing")."""
        return bool(self._prefix) and self._tokens[token_id].startswith(self._prefix)

    def continues_word(self, token_id: int, before: str) -> bool:
        """Return True if the token, placed after the text `before`, continues its last word."""
        if not before.strip() or token_id in self._separate:
            return False
        if before[-1].isspace() and not self._mask_strips_space:
            return False
        token = self._tokens[token_id]
        if self._prefix:
            return token.startswith(self._prefix)
        return self.marks_spaces and not token.startswith(SPACE_MARKS)

    def drops(self, character: str) -> bool:
        """Return True if the tokenizer's normalizer leaves nothing of a character."""
        return self._normalizer is not None and not self._normalizer.normalize_str(character)

    def is_space_before(self, token_id: int, next_id: int) -> bool:
        """Return True if a token is the mark of a space, and the next one does not include one."""
        is_mark = self._tokens[token_id] in SPACE_MARKS
        return is_mark and not self._tokens[next_id].startswith(SPACE_MARKS)

    @cached_property
    def boundaries(self) -> WordBoundaries:
        """Word boundaries of the ids. Raises CheckpointError if the tokenizer does not mark it."""
        return WordBoundaries.of(self._tokenizer)

    @cached_property
    def has_letters(self) -> np.ndarray:
        """(N,) bool, one for each of `ids`: True if the token is not special and only letters."""
        return np.array(
            [
                spelling.isalpha() and token_id not in self.special
                for token_id, spelling in zip(self.ids.tolist(), self.spellings(), strict=True)
            ],
            np.bool_,
        )

    @cached_property
    def words(self) -> "Words":
        """The words of the vocabulary, with spellings of one word merged."""
        return Words(self)


class Words:
    """The distinct words of a vocabulary; spellings that differ in a space or case are merged.

    Attributes:
        names: of each word, in the first spelling in the vocabulary; all are different. "…" comes
            before a piece that continues a word.
    """

    def __init__(self, vocabulary: Vocabulary):
        self._ids = vocabulary.ids
        self._word_of_id = np.empty(len(self._ids), np.int64)
        self.names: list[str] = []
        known: dict[tuple[str, bool], int] = {}
        spellings = zip(self._ids.tolist(), vocabulary.spellings(), strict=True)
        for i, (token_id, name) in enumerate(spellings):
            continues = vocabulary.has_continuation_mark(token_id)
            key = (name.casefold(), continues)  # "##ing" and "ing" are two words
            if key not in known:
                known[key] = len(self.names)
                self.names.append(f"…{name}" if continues else name)
            self._word_of_id[i] = known[key]

    def ids_of(self, word: int) -> np.ndarray:
        """Return the ids of a word's spellings."""
        ids: np.ndarray = self._ids[self._word_of_id == word]
        return ids

    def probabilities(self, log_probabilities: np.ndarray) -> np.ndarray:
        """Sum the probabilities of each word's spellings: log (V,) to (words,)."""
        known = np.exp(log_probabilities[self._ids])
        return np.bincount(self._word_of_id, known, len(self.names))
