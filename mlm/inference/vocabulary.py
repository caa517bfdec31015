"""A tokenizer's entries as a reader sees them: words, and pieces that go on the word before."""

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mlm.data.tokens.token_facts import word_starts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SPACE_MARKS = ("Ġ", "▁")  # how byte-level BPE and SentencePiece write the space before a word


class Vocabulary:
    """What each id of a tokenizer is.

    Attributes:
        ids: (N,) int64, ascending: those that a token has. An embedding may have more rows.
        special: ids that are no words.
        marks_spaces: a word is spelt with the space before it.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerFast"):
        self._tokenizer = tokenizer
        self._by_token: dict[str, int] = tokenizer.get_vocab()
        self._tokens = {token_id: token for token, token_id in self._by_token.items()}
        self.ids = np.array(sorted(self._tokens))
        self.special = frozenset(tokenizer.all_special_ids)
        # Words of their own, although spelt without the space before them.
        self._apart = self.special | set(tokenizer.added_tokens_decoder)
        backend = tokenizer.backend_tokenizer
        self._prefix = getattr(backend.model, "continuing_subword_prefix", None) or ""  # "##"
        self.marks_spaces = not self._prefix and any(
            token.startswith(SPACE_MARKS) for token in self._by_token
        )
        self._undecoded = backend.decoder is None  # decode() keeps the marks
        mask = tokenizer.mask_token
        apart, together = (tokenizer(f"a{s}{mask}")["input_ids"] for s in (" ", ""))
        self._mask_eats_space = apart == together

    def __len__(self) -> int:
        return len(self._by_token)

    def __contains__(self, token: str) -> bool:
        return token in self._by_token

    def id_of(self, token: str) -> int:
        return self._by_token[token]

    def token_str(self, token_id: int) -> str:
        """As transformers' pipeline gives it: "##ing", " film"."""
        return str(self._tokenizer.decode([token_id]))

    def spelling(self, token_ids: list[int]) -> str:
        """The word that some ids spell together, as a reader sees it: "ing", "film"."""
        return self._readable(str(self._tokenizer.decode(token_ids)))

    def _readable(self, decoded: str) -> str:
        word = decoded.removeprefix(self._prefix).strip()
        return word.lstrip("".join(SPACE_MARKS)) if self._undecoded else word

    def spellings(self) -> list[str]:
        """Of each of `ids` its word, as `spelling` gives it; all at once, which is fast."""
        backend = self._tokenizer.backend_tokenizer
        texts = backend.decode_batch([[i] for i in self.ids.tolist()], skip_special_tokens=False)
        return [self._readable(text) for text in texts]

    def is_piece(self, token_id: int) -> bool:
        """Whether the token says itself that it goes on a word ("##ing")."""
        return bool(self._prefix) and self._tokens[token_id].startswith(self._prefix)

    def goes_on(self, token_id: int, before: str) -> bool:
        """Whether the token belongs to the word before it, without a space."""
        if not before.strip() or token_id in self._apart:
            return False
        if before[-1].isspace() and not self._mask_eats_space:
            return False
        token = self._tokens[token_id]
        if self._prefix:
            return token.startswith(self._prefix)
        return self.marks_spaces and not token.startswith(SPACE_MARKS)

    @cached_property
    def starts_word(self) -> np.ndarray:
        """(highest id + 1,) bool: True where an id begins a word."""
        return word_starts(self._tokenizer)

    @cached_property
    def has_letters(self) -> np.ndarray:
        """(N,) bool, of `ids`: True where the entry is of letters alone and no special one."""
        return np.array(
            [
                spelling.isalpha() and token_id not in self.special
                for token_id, spelling in zip(self.ids.tolist(), self.spellings(), strict=True)
            ],
            np.bool_,
        )

    @cached_property
    def words(self) -> "Words":
        """The entries, those that differ by a space or by capitals alone taken together."""
        return Words(self)


class Words:
    """The different words of a vocabulary, however often it has them with a space or capitals.

    Attributes: names, all different, each in the first spelling that the vocabulary has; what
    goes on a word has "…" before it.
    """

    def __init__(self, vocabulary: Vocabulary):
        self._ids = vocabulary.ids
        self._word = np.empty(len(self._ids), np.int64)  # of each id
        self.names: list[str] = []
        known: dict[tuple[str, bool], int] = {}
        spelt = zip(self._ids.tolist(), vocabulary.spellings(), strict=True)
        for i, (token_id, name) in enumerate(spelt):
            # "##ing" is another entry than "ing".
            key = (name.casefold(), vocabulary.is_piece(token_id))
            if key not in known:
                known[key] = len(self.names)
                self.names.append(f"…{name}" if vocabulary.is_piece(token_id) else name)
            self._word[i] = known[key]

    def members(self, word: int) -> np.ndarray:
        """The ids that spell a word."""
        return self._ids[self._word == word]

    def probabilities(self, log_probabilities: np.ndarray) -> np.ndarray:
        """(V,) of ids -> (words,): of each word the sum of what its spellings have."""
        known = np.exp(log_probabilities[self._ids])
        return np.bincount(self._word, known, len(self.names))
