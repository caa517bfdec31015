"""Masks in a user's own text, and the answers: words put in the masks' places."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

# Spellings of the mask beside the model's own token, the least ambiguous first. One or two
# underscores are a mask only as a word between blanks: kaomoji, code and addresses hold them too.
MASK_TOKENS = r"\[mask\]|<mask>"
BLANK = r"_{3,}"
LONE_UNDERSCORE = r"(?<!\S)_{1,2}(?=[.,;:!?…]*(?:\s|$))"


class PipelineCandidate(TypedDict):
    """A candidate as `transformers.pipeline("fill-mask")` returns it."""

    score: float
    token: int | list[int]  # the id; a list of ids for a word of several pieces
    token_str: str
    sequence: str
    note: NotRequired[str]  # if the model knows no word of the text


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
    note: str | None  # how the text was read, if not as it is written
    masks: list[list[Candidate]]
    warning: str | None = None  # the part of the note that says that the model knows no word

    def as_pipeline(self) -> list[Any]:
        """Return a list of PipelineCandidate for one mask, a list of such lists for several."""
        lists = self.as_lists()
        return lists[0] if len(lists) == 1 else lists

    def as_lists(self) -> list[list[PipelineCandidate]]:
        """Return a list of PipelineCandidate for each mask."""
        note: Any = {"note": self.warning} if self.warning else {}
        return [[{**candidate.as_dict(), **note} for candidate in mask] for mask in self.masks]


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
    """Find the masks of a text, all of one kind of spelling.

    The kinds, of which the first that occurs counts: the model's own token; `[MASK]` and `<mask>`;
    `___` or longer; `_` or `__` as a word between blanks.
    """
    for spelling in (re.escape(mask_token), MASK_TOKENS, BLANK, LONE_UNDERSCORE):
        if masks := list(re.finditer(spelling, text, re.IGNORECASE)):
            return masks
    return []


def normalize_masks(text: str, mask_token: str) -> tuple[str, str | None]:
    """Replace every mask by the model's mask token; also return a note on other spellings."""
    masks = find_masks(text, mask_token)
    pieces, end = [], 0
    for mask in masks:
        pieces += [text[end : mask.start()], mask_token]
        end = mask.end()
    notes = [_note_on_spellings(masks, mask_token), _note_on_ignored(text, masks)]
    return "".join(pieces) + text[end:], " ".join(filter(None, notes)) or None


def _note_on_spellings(masks: Sequence[re.Match[str]], mask_token: str) -> str:
    """Return a sentence about masks that are not spelt as the model's own token, "" for none."""
    foreign = [spelling for spelling in _spellings(masks) if spelling != mask_token]
    verb = "was" if len(foreign) == 1 else "were"
    return f"{' and '.join(foreign)} {verb} read as {mask_token}." if foreign else ""


def _note_on_ignored(text: str, masks: Sequence[re.Match[str]]) -> str:
    """Return a sentence about what looks like a mask beside clearer ones, "" for none."""
    spans = {mask.span() for mask in masks}
    others = re.finditer(f"{MASK_TOKENS}|(?<!\\S){BLANK}", text, re.IGNORECASE)
    ignored = _spellings([other for other in others if masks and other.span() not in spans])
    verb = "was" if len(ignored) == 1 else "were"
    marker = masks[0][0] if masks else ""
    return f"{' and '.join(ignored)} {verb} left as text beside {marker}." if ignored else ""


def _spellings(masks: Sequence[re.Match[str]]) -> list[str]:
    """Return the distinct spellings of masks, underscores shortened to three."""
    return list(dict.fromkeys("___" if mask[0][:3] == "___" else mask[0] for mask in masks))
