"""Masks in a user's own text, and the answers: words put in the masks' places."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Any, TypedDict

# One or two underscores are a mask only if no letter touches them: snake_case has none.
ANY_SPELLING = r"\[mask\]|<mask>|_{3,}|(?<!\w)_{1,2}(?!\w)"
SPACED = ("Lu", "Ll", "Lt", "Nd")  # Unicode categories of scripts with spaces between words


class PipelineCandidate(TypedDict):
    """A candidate as `transformers.pipeline("fill-mask")` returns it."""

    score: float
    token: int | list[int]  # the id; a list of ids for a word of several pieces
    token_str: str
    sequence: str


@dataclass(frozen=True)
class Candidate:
    """One word for one mask. `before + word + after` is the user's text with the word put in."""

    score: float  # probability in [0, 1], over the whole vocabulary
    tokens: tuple[int, ...]  # one id, or the ids of the pieces of a longer word
    token_str: str  # as transformers' pipeline has it: "##ing", " film"
    before: str
    word: str  # as a reader sees it: "ing", "film"
    after: str
    joined: bool  # True if the word continues the one before it ("watch" + "ing")
    also: tuple[str, ...] = ()  # other spellings of the word whose probabilities are in the score

    @property
    def sequence(self) -> str:
        """The user's text with the word put in."""
        return self.before + self.word + self.after

    def as_dict(self) -> PipelineCandidate:
        """Return the candidate in the shape of `transformers.pipeline("fill-mask")`."""
        return {
            "score": self.score,
            "token": self.tokens[0] if len(self.tokens) == 1 else list(self.tokens),
            "token_str": self.token_str,
            "sequence": self.sequence,
        }


@dataclass(frozen=True)
class Filling:
    """The answer to one text: the candidates of each mask, best first; masks from left to right."""

    text: str  # as the user wrote it
    spans: list[tuple[int, int]]  # characters [start, end) of each mask in `text`
    note: str | None  # spellings of the mask that were replaced by the model's own
    masks: list[list[Candidate]]

    def as_pipeline(self) -> list[Any]:
        """Return a list of PipelineCandidate for one mask, a list of such lists for several."""
        lists = [[candidate.as_dict() for candidate in mask] for mask in self.masks]
        return lists[0] if len(lists) == 1 else lists


@dataclass(frozen=True)
class JointFilling:
    """All masks of a text filled together. The text is `parts` joined; every second is a word."""

    score: float  # geometric mean of `word_scores`
    words: list[str]  # as a reader sees them
    word_scores: list[float]  # probability of each word, given all the others
    parts: list[str]

    @property
    def sequence(self) -> str:
        """The user's text with all words put in."""
        return "".join(self.parts)

    def as_dict(self) -> dict[str, object]:
        """Return the filling for JSON: score, words, word_scores, sequence."""
        return {
            "score": self.score,
            "words": self.words,
            "word_scores": self.word_scores,
            "sequence": self.sequence,
        }


def find_masks(text: str, mask_token: str) -> list[re.Match[str]]:
    """Find the masks of a text: `[MASK]`, `<mask>`, `___` or longer, and the model's own token."""
    return list(re.finditer(f"{re.escape(mask_token)}|{ANY_SPELLING}", text, re.IGNORECASE))


def normalise_masks(text: str, mask_token: str) -> tuple[str, str | None]:
    """Replace every mask by the model's mask token; also return a note on other spellings."""
    masks = find_masks(text, mask_token)
    spellings = ("___" if mask[0].startswith("___") else mask[0] for mask in masks)
    foreign = [spelling for spelling in dict.fromkeys(spellings) if spelling != mask_token]
    if not foreign:
        return text, None
    pieces, end = [], 0
    for mask in masks:
        pieces += [text[end : mask.start()], mask_token]
        end = mask.end()
    verb = "was" if len(foreign) == 1 else "were"
    note = f"{' and '.join(foreign)} {verb} read as {mask_token}."
    return "".join(pieces) + text[end:], note


def text_around_word(text: str, span: tuple[int, int], word: str, joined: bool) -> tuple[str, str]:
    """Return the text before and after a word that replaces a mask: (before, after).

    The text stays as the user wrote it, except for the space before the word: it is removed if the
    word continues the one before (`joined`), and added if it is missing.
    """
    before, after = text[: span[0]], text[span[1] :]
    if joined:
        return before.rstrip(), after
    return (f"{before} " if wants_space(before, word) else before), after


def wants_space(before: str, word: str) -> bool:
    """Return True if a space is missing between a text and the word that follows it.

    Only letters with upper and lower case, and digits, count: not every script separates words.
    """
    if not before or not word:
        return False
    last, first = (unicodedata.category(character) for character in (before[-1], word[0]))
    return first in SPACED and (last in SPACED or (before[-1] in ",;:.!?)" and first != "Nd"))
