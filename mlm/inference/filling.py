"""Masks in a person's own text, and words put in their places."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Any

# A line of one or two is a mask where it stands apart, so that snake_case is none.
ANY_SPELLING = r"\[mask\]|<mask>|_{3,}|(?<!\w)_{1,2}(?!\w)"
SPACED = ("Lu", "Ll", "Lt", "Nd")  # Unicode's kinds of letters and digits with spaces around words


def find_masks(text: str, mask_token: str) -> list[re.Match[str]]:
    """Every mask of the text: `[MASK]`, `<mask>`, `___` or longer, and the model's own token."""
    return list(re.finditer(f"{re.escape(mask_token)}|{ANY_SPELLING}", text, re.IGNORECASE))


def normalise_masks(text: str, mask_token: str) -> tuple[str, str | None]:
    """The text with every mask spelt as the model's own, and a note on the ones that were not."""
    masks = find_masks(text, mask_token)
    spellings = ("___" if mask[0].startswith("___") else mask[0] for mask in masks)
    foreign = [spelt for spelt in dict.fromkeys(spellings) if spelt != mask_token]
    if not foreign:
        return text, None
    pieces, end = [], 0
    for mask in masks:
        pieces += [text[end : mask.start()], mask_token]
        end = mask.end()
    verb = "was" if len(foreign) == 1 else "were"
    note = f"{' and '.join(foreign)} {verb} read as {mask_token}."
    return "".join(pieces) + text[end:], note


@dataclass(frozen=True)
class Candidate:
    """One word for one mask. `before + word + after` is the user's text with the word put in."""

    score: float  # probability in [0, 1], over the whole vocabulary
    tokens: tuple[int, ...]  # one, or the pieces of a word that the vocabulary has not whole
    token_str: str  # as transformers' pipeline gives it: "##ing", " film"
    before: str
    word: str  # as a reader sees it: "ing", "film"
    after: str
    joined: bool  # True where the word goes on the one before it ("watch" + "ing")
    also: tuple[str, ...] = ()  # other spellings of the word, whose probabilities are in the score

    @property
    def sequence(self) -> str:
        return self.before + self.word + self.after

    def as_dict(self) -> dict[str, Any]:
        """What `transformers.pipeline("fill-mask")` gives for a candidate; ids of pieces a list."""
        return {
            "score": self.score,
            "token": self.tokens[0] if len(self.tokens) == 1 else list(self.tokens),
            "token_str": self.token_str,
            "sequence": self.sequence,
        }


@dataclass(frozen=True)
class Filling:
    """The answer to one text: for each mask, from left to right, its candidates, best first."""

    text: str  # as the user wrote it
    spans: list[tuple[int, int]]  # where each mask stands in `text`
    note: str | None  # what was read otherwise than it was written
    masks: list[list[Candidate]]

    def as_pipeline(self) -> list:
        """A list of dicts for one mask, a list of such lists for several."""
        lists = [[candidate.as_dict() for candidate in mask] for mask in self.masks]
        return lists[0] if len(lists) == 1 else lists


@dataclass(frozen=True)
class JointFilling:
    """All masks of a text filled at once. `parts` joined are the text; every second is a word."""

    score: float  # geometric mean of `word_scores`
    words: list[str]  # as a reader sees them
    word_scores: list[float]  # probability of each, hidden again while all the others stand
    parts: list[str]

    @property
    def sequence(self) -> str:
        return "".join(self.parts)

    def as_dict(self) -> dict[str, Any]:
        return {
            "score": self.score,
            "words": self.words,
            "word_scores": self.word_scores,
            "sequence": self.sequence,
        }


def put_in_place(text: str, span: tuple[int, int], word: str, joined: bool) -> tuple[str, str]:
    """What stands before and after a word that takes a mask's place: (before, after).

    The text as it was written; a space before the word goes where the word is joined to the one
    before, and comes where one is missing.
    """
    before, after = text[: span[0]], text[span[1] :]
    if joined:
        return before.rstrip(), after
    return (f"{before} " if wants_space(before, word) else before), after


def wants_space(before: str, word: str) -> bool:
    """Whether a space is missing between a text and the new word that follows it.

    Only between letters with capitals, and digits: not all scripts put spaces between words.
    """
    if not before or not word:
        return False
    ends, begins = (unicodedata.category(character) for character in (before[-1], word[0]))
    return begins in SPACED and (ends in SPACED or (before[-1] in ",;:.!?)" and begins != "Nd"))
