"""Scores of tokens to entities, as the pipeline "token-classification" of transformers joins them.

none      each token with its best label
simple    neighbouring tokens of one entity joined
first     words first: each has the label of its first token
average   each word has the best label by the mean over its tokens
max       each word has the label of its most certain token
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

Strategy = Literal["none", "simple", "first", "average", "max"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
OUTSIDE = "O"  # the label of a token that belongs to no entity
JoinTokens = Callable[[list[str]], str]


class ScoredToken(NamedTuple):
    """A token of a text.

    token: as the tokenizer writes it. scores: (L,), a probability for each label. start, end: its
    characters [start, end). position: among the ids. continues: whether it belongs to the
    word of the token before.
    """

    token: str
    scores: np.ndarray
    start: int
    end: int
    position: int
    continues: bool


@dataclass(frozen=True)
class Entity:
    """A part of a text with its label.

    Attributes:
        label: without B- or I- unless it is a token's (the strategy "none").
        score: its probability; of several tokens or words the mean.
        word: as the tokenizer writes it, often in lower case.
        start, end: the characters [start, end) of the user's own text.
        index: of a token, its position among the ids; None for a joined entity.
    """

    label: str
    score: float
    word: str
    start: int
    end: int
    index: int | None = None

    def shown_in(self, text: str) -> str:
        """Return the label and the words of the text that have it."""
        return f"{self.label}  {text[self.start : self.end]}"

    def as_dict(self) -> dict[str, Any]:
        """Return the entity as the pipeline has it: a token with `entity` and `index`."""
        place = {"word": self.word, "start": self.start, "end": self.end}
        if self.index is None:
            return {"entity_group": self.label, "score": self.score, **place}
        return {"entity": self.label, "score": self.score, "index": self.index, **place}


def find_entities(
    tokens: Sequence[ScoredToken], labels: Sequence[str], strategy: Strategy, join: JoinTokens
) -> list[Entity]:
    """Return the entities of a text in their order, without those outside of any.

    Args:
        tokens: of the text, without special tokens.
        labels: their names by id.
        strategy: see the top of this file.
        join: tokens -> a text; the tokenizer's decoder.
    """
    if strategy in ("none", "simple"):
        parts = [_of_token(token, labels) for token in tokens]
    else:
        parts = [_of_word(word, labels, strategy, join) for word in _words(tokens)]
    if strategy != "none":
        parts = [_join_parts(group, join) for group in _neighbours(parts)]
    return [part for part in parts if part.label != OUTSIDE]


def _of_token(token: ScoredToken, labels: Sequence[str]) -> Entity:
    best = int(token.scores.argmax())
    place = (token.token, token.start, token.end, token.position)
    return Entity(labels[best], float(token.scores[best]), *place)


def _words(tokens: Sequence[ScoredToken]) -> Iterator[list[ScoredToken]]:
    """Yield the tokens of each word."""
    word: list[ScoredToken] = []
    for token in tokens:
        if word and not token.continues:
            yield word
            word = []
        word.append(token)
    if word:
        yield word


def _of_word(
    word: list[ScoredToken], labels: Sequence[str], strategy: Strategy, join: JoinTokens
) -> Entity:
    if strategy == "first":
        scores = word[0].scores
    elif strategy == "max":
        scores = max((token.scores for token in word), key=lambda scores: float(scores.max()))
    else:
        scores = np.mean([token.scores for token in word], axis=0)
    best = int(scores.argmax())
    text = join([token.token for token in word])
    return Entity(labels[best], float(scores[best]), text, word[0].start, word[-1].end)


def _neighbours(parts: Sequence[Entity]) -> Iterator[list[Entity]]:
    """Yield parts that follow each other in one entity; a label B- begins another one."""
    number, kind = 0, None
    numbered = []
    for part in parts:
        begins, kind_here = _begin_and_kind(part.label)
        if begins or kind_here != kind:
            number, kind = number + 1, kind_here
        numbered.append((number, part))
    for _, group in groupby(numbered, key=lambda pair: pair[0]):
        yield [part for _, part in group]


def _begin_and_kind(label: str) -> tuple[bool, str]:
    is_bio = label.startswith(("B-", "I-"))
    return label.startswith("B-"), label[2:] if is_bio else label


def _join_parts(group: list[Entity], join: JoinTokens) -> Entity:
    kind = group[0].label.split("-", 1)[-1]  # of a label like S-PER too
    score = float(np.mean([part.score for part in group]))
    text = join([part.word for part in group])
    return replace(group[0], label=kind, score=score, word=text, end=group[-1].end, index=None)
