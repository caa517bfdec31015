"""Special tokens around a text or a pair, as the tokenizer's own template puts them.

special = SpecialTokens.of(tokenizer)
special.around([7592])                   # [101, 7592, 102]
special.around([7592], [2088])           # [101, 7592, 102, 2088, 102]
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from mlm.checkpoint.tokenizer import tokenizer_errors
from mlm.errors import CheckpointError

if TYPE_CHECKING:
    from tokenizers import Encoding
    from transformers import PreTrainedTokenizerFast

_PROBE = "a"


@dataclass(frozen=True)
class _Template:
    """The special tokens before, between and after the texts of an example."""

    parts: tuple[tuple[int, ...], ...]

    @property
    def count(self) -> int:
        return sum(map(len, self.parts))

    def around(self, *texts: list[int]) -> list[int]:
        ids = list(self.parts[0])
        for text, after in zip(texts, self.parts[1:], strict=True):
            ids += text
            ids += after
        return ids


@dataclass(frozen=True)
class SpecialTokens:
    """The special tokens of a tokenizer, and the segments of its pairs.

    has_segments: whether the second text of a pair has token type 1, which the model is given.
    second_gap: tokens from the end of the first text to where token type 1 begins.
    """

    single: _Template
    pair: _Template
    has_segments: bool
    second_gap: int

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerFast) -> SpecialTokens:
        """Return those of a tokenizer. Raises CheckpointError if its template is unusual."""
        backend = tokenizer.backend_tokenizer
        with tokenizer_errors("The tokenizer breaks on a pair of texts"):
            single, pair = backend.encode(_PROBE), backend.encode(_PROBE, _PROBE)
        templates = _template_of(single, 1), _template_of(pair, 2)
        types = list(pair.type_ids) if "token_type_ids" in tokenizer.model_input_names else [0]
        begin = types.index(1) if 1 in types else 0
        end_of_first = max(at for at, text in enumerate(pair.sequence_ids) if text == 0) + 1
        if types != [0] * begin + [1] * (len(types) - begin) and any(types):
            raise CheckpointError(
                f"The tokenizer gives a pair the token types {types}, expected zeros and then "
                "ones: use another checkpoint."
            )
        gap = begin - end_of_first if any(types) else 0
        return cls(*templates, any(types), gap)

    def count(self, *, pairs: bool) -> int:
        """Return the number of special tokens of an example."""
        return (self.pair if pairs else self.single).count

    def around(self, first: list[int], second: list[int] | None = None) -> list[int]:
        """Return the ids of a text or pair with its special tokens."""
        return self.single.around(first) if second is None else self.pair.around(first, second)

    def second_start(self, first: list[int]) -> int:
        """Return where token type 1 begins in a pair with this first text."""
        return len(self.pair.parts[0]) + len(first) + self.second_gap


def _template_of(encoding: Encoding, texts: int) -> _Template:
    """Return the special tokens of an encoding of probes."""
    groups = [
        (text, tuple(token for token, _ in tokens))
        for text, tokens in groupby(
            zip(encoding.ids, encoding.sequence_ids, strict=True), lambda token: token[1]
        )
    ]
    _check_order([text for text, _ in groups if text is not None], texts)
    parts: list[tuple[int, ...]] = []
    for text, ids in groups:
        if text is None:
            parts.append(ids)
        elif len(parts) == text:  # nothing before it
            parts.append(())
    return _Template(tuple(parts + [()] * (texts + 1 - len(parts))))


def _check_order(found: list[int], texts: int) -> None:
    """Raise CheckpointError if a tokenizer drops a text, or puts the second one first."""
    if found != list(range(texts)):
        raise CheckpointError(
            f"The tokenizer makes of {texts} short text{'s' * (texts > 1)} the texts {found}, "
            f"expected {list(range(texts))}: use another checkpoint."
        )
